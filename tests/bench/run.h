/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BENCH_RUN_H
#define CLOCHE_BENCH_RUN_H

#include <stdint.h>
#include <sys/types.h>

struct cloche_err;
struct command;
struct stage;

/* Starts a command by posix_spawn (vfork semantics: what the bench's own size costs is not in the
 * figures); standard error goes to the stage's file of errors. 0 or -errno. */
int run_start(struct command *command, const struct stage *stage, pid_t *ret,
	      struct cloche_err *err);

/* Judges a status of waitpid: 0 when it is what the command wants, else -EIO with the command's
 * own words. A program that fails is never measured. */
int run_judge(const struct command *command, const struct stage *stage, int status,
	      struct cloche_err *err);

/* Starts, waits and judges; *ret_ns: from before the start to after the end. */
int run_once(struct command *command, const struct stage *stage, int64_t *ret_ns,
	     struct cloche_err *err);

/* `total` runs, `width` of them at any time; *ret_wall_ns from the first start to the last end. */
int run_many(struct command *command, const struct stage *stage, unsigned total, unsigned width,
	     int64_t *ret_wall_ns, struct cloche_err *err);

#endif
