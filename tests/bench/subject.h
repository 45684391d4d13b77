/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BENCH_SUBJECT_H
#define CLOCHE_BENCH_SUBJECT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* What is run inside. */
enum work { WORK_NOOP, WORK_PYTHON, WORK_BURN, WORK_FORKBOMB, WORK_COUNT };

/* Who runs it. One more runner is one more row of the table in subject.c. */
enum subject_id {
	SUBJECT_BARE,
	SUBJECT_BWRAP,
	SUBJECT_BWRAP_SECCOMP,
	SUBJECT_CLOCHE,
	SUBJECT_CLOCHE_REPORT,
	SUBJECT_CLOCHE_IMAGE,
	SUBJECT_CLOCHE_TREE,
	SUBJECT_CLOCHE_TREE_IMAGE,
	SUBJECT_CLOCHE_REPEAT,
	SUBJECT_CLOCHE_50MS,
	SUBJECT_CLOCHE_1S,
	SUBJECT_CRUN,
	SUBJECT_RUNC,
	SUBJECT_COUNT,
};

#define SUBJECT_REPEAT 50 /* invocations of SUBJECT_CLOCHE_REPEAT */

/* The limits that every runner which has such limits gets: those of `cloche run` unless told. */
#define LIMIT_MEMORY_BYTES  (1769LL << 20)
#define LIMIT_CPU_QUOTA_US  20000
#define LIMIT_CPU_PERIOD_US 20000
#define LIMIT_PIDS	    64
#define LIMIT_NOFILE	    1024

/* The descriptor at which a runner that reads a compiled filter finds it. */
#define FILTER_FD 9

#define ERR_LEN sizeof(((struct cloche_err *)NULL)->text)

/* Where the bench's things are; made by stage_make. Paths are absolute. */
struct stage {
	char dir[64];		/* our own, under /tmp; removed by stage_remove */
	char cloche[PATH_MAX];	/* $CLOCHE or build/cloche */
	char helpers[PATH_MAX]; /* noop, burn, forkbomb, crowd */
	char profile[PATH_MAX]; /* seccomp profile of all runners that take one */
	char bundle[96];	/* OCI bundle with the no-op */
	char state[96];		/* state directory of the OCI runtimes */
	char filter[96];	/* the profile, compiled */
	char report[96];	/* where cloche writes its JSON report */
	int null_fd, errors_fd; /* stdin and stdout; stderr of what is run */
	char tree[96];		/* the host's python3 and what it needs, as a root */
	/* Why there is no STAGE_IMAGE, no tree or no STAGE_TREE_IMAGE; empty: there is. */
	char no_image[ERR_LEN], no_tree[ERR_LEN];
};

/* In a store of the bench's own. */
#define STAGE_IMAGE	 "python3"
#define STAGE_TREE_IMAGE "tree"

#define STAGE_EMPTY                            \
	{                                      \
		.null_fd = -1, .errors_fd = -1 \
	}

/* Makes the directory, the OCI bundle and the compiled filter. `cloche`: NULL means $CLOCHE or
 * build/cloche. On failure nothing is left. */
int stage_make(struct stage *stage, const char *helpers, const char *profile,
	       struct cloche_err *err);
void stage_remove(struct stage *stage);

/* Makes the tree and the images; what hinders it is no error of the bench. */
void stage_images_make(struct stage *stage);
void stage_images_remove(struct stage *stage);

#define COMMAND_ARGS 32

/* One runner with one work, ready to be started any number of times. */
struct command {
	const char *name;
	int want; /* the exit status without which the bench stops */
	bool filter;
	int id_at; /* argv index of the container's id, new at every start; -1: none */
	char *argv[COMMAND_ARGS];
};

/* Why this subject cannot be measured here ("crun is not installed"), or NULL. */
const char *subject_missing(enum subject_id id, const struct stage *stage);
const char *subject_name(enum subject_id id);

/* Not ours: it may refuse a host for its own reasons. */
bool subject_is_peer(enum subject_id id);
int command_make(enum subject_id id, enum work work, const struct stage *stage, struct command *ret,
		 struct cloche_err *err);
void command_free(struct command *command);

#define cleanup_command __attribute__((cleanup(command_free)))

/* The OCI configuration and the compiled filter; bundle.c. */
int bundle_make(const struct stage *stage, struct cloche_err *err);

/* mkdir or write a whole file, named in the error. */
int stage_mkdir(const char *path, struct cloche_err *err);
int stage_copy(const char *from, const char *to, struct cloche_err *err);

#endif
