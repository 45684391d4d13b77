/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_POLICY_H
#define CLOCHE_LAUNCH_POLICY_H

#include <linux/filter.h>
#include <stdbool.h>

struct cloche_err;

/*
 * A policy is a seccomp profile in the OCI runtime-spec/Docker JSON form, compiled to one classic
 * BPF filter. Life cycle: policy_load → (plan, child loads .prog) → policy_free.
 */
struct policy {
	char name[64];	    /* "default", or the file's base name without .json */
	char sha256[65];    /* of the profile's text: what the report and the ledger name */
	bool kills;	    /* some rule or the default kills: a SIGSYS may be the policy's */
	struct sock_fprog prog; /* owned; NULL filter after policy_free */
};

/*
 * Loads a profile by name (shipped, or NAME.json in /etc/cloche/policies) or, when the text has a
 * '/' or ends in ".json", by path. The compiled filter comes from the cache when the profile's hash,
 * the compiler's version and the architecture are known there; else it is compiled by libseccomp
 * and cached (best effort: a cache that cannot be written costs time, nothing else).
 * -ENOENT unknown name, -EINVAL what is wrong in the profile and where.
 */
int policy_load(const char *name_or_path, struct policy *ret, struct cloche_err *err);
void policy_free(struct policy *policy);

#endif
