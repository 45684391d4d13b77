/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POLICY_POLICY_H
#define CLOCHE_POLICY_POLICY_H

#include "policy/policy_stack.h"

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;

/*
 * A policy is a seccomp profile in the OCI runtime-spec/Docker JSON form, with our own walls behind
 * it (policy/policy_stack.h), compiled to one classic BPF filter. Life cycle: policy_load_… →
 * (plan, child loads .prog with .flags) → policy_free.
 */
struct policy {
	char name[64];		 /* "default", or the file's base name without .json */
	char sha256[65];	 /* of the profile's text: what the report and the ledger name */
	enum policy_walls walls; /* behind it, in the filter */
	bool kills;		 /* some rule or the default kills: every SIGSYS is the policy's */
	bool lets_launch;	 /* all that the launch calls under the filter passes */
	bool reports;		 /* policy_report was called: the filter needs a listener */
	unsigned int flags;	 /* SECCOMP_FILTER_FLAG_*: for seccomp(SECCOMP_SET_MODE_FILTER) */
	struct sock_fprog prog;	 /* owned; NULL filter after policy_free */
};

/* Where profiles are looked up by name and where compiled filters are kept. */
struct policy_dirs {
	const char *profiles; /* NAME.json here, when no shipped profile has the name */
	const char *cache;    /* made 0700 when missing; NULL: no cache */
};

extern const struct policy_dirs policy_dirs_default; /* /etc/cloche/…, /run/cloche/… */

/* A profile's text, found but neither parsed nor compiled. */
struct policy_text {
	char name[64];
	char sha256[65];
	char source[512]; /* "built-in" or the path */
	int kind;	  /* enum policy_kind of policy/policy_builtin.h */
	const char *text; /* NUL-terminated */
	size_t len;	  /* without the NUL */
	char *owned;	  /* what policy_text_free frees; NULL for the built-in ones */
};

/* By name (shipped, or NAME.json in dirs->profiles) or, when policy_is_path, by path, opened with
 * the rights of the process. -ENOENT: unknown name. */
int policy_text_load(const struct policy_dirs *dirs, const char *name_or_path,
		     struct policy_text *ret, struct cloche_err *err);
void policy_text_free(struct policy_text *text);

/* Whether it names a file, by a '/' or ".json" at its end. The other reads it from where it is open
 * already (and stays open): of what is no regular file, nothing. */
bool policy_is_path(const char *name_or_path);
int policy_text_read(int fd, const char *path, struct policy_text *ret, struct cloche_err *err);

/* Compiles what is not built in: policy_bare_make, in this process or in another. */
struct policy_bare;
typedef int policy_compile_fn(const struct policy_text *text, struct policy_bare *ret,
			      size_t *ret_size, struct cloche_err *err);

/*
 * The text's filter, with the walls behind it. It comes from the cache (a directory, or NULL) when
 * the hashes of profile and walls, the compiler's version and the architecture are known there;
 * else it is compiled and cached (best effort: a cache that cannot be written costs time, nothing
 * else). What is built in is compiled here and as one with its walls; all else by `foreign`, of
 * whose answer nothing is believed (policy/policy_join.h). -EINVAL: what is wrong in the profile
 * and where.
 *
 * The child that loads the filter still needs execve (or execveat), write and exit_group: a
 * profile that denies these ends as a launch error.
 */
int policy_load_text(const char *cache, const struct policy_text *text, enum policy_walls walls,
		     policy_compile_fn *foreign, struct policy *ret, struct cloche_err *err);

/* By name or path, all in this process. */
int policy_load_from(const struct policy_dirs *dirs, const char *name_or_path,
		     enum policy_walls walls, struct policy *ret, struct cloche_err *err);
void policy_free(struct policy *policy);

/*
 * Has every call that the policy denies with EPERM by its default, or a wall so, ask a listener
 * (seccomp_unotify(2)), which must answer the same: so a denial is seen by name and arguments. What
 * a rule of the profile denies is answered by the filter alone, however often. So does what the
 * wall of a loopback refuses, which may be made instead. Not with a policy that might deny the
 * launch's own last calls, which come before anybody listens.
 */
void policy_report(struct policy *policy);

/* Whether a call that asks the listener is one that may be made in the function's place
 * (launch/asked_sockets.h): no rule of the profile refuses it. */
struct seccomp_data;
bool policy_asks(const struct policy *policy, const struct seccomp_data *call);

/* Takes that back, where the kernel has no listener to give. Of the policy only the filter changes,
 * so this can be done between clone and exec. */
void policy_unreport(const struct policy *policy);

/* What the filter answers to a call (SECCOMP_RET_*): policy_answer.c. Its instruction_pointer is
 * looked at by no filter of ours. */
uint32_t policy_answer(const struct policy *policy, const struct seccomp_data *call);

#endif
