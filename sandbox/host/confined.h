/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_HOST_CONFINED_H
#define CLOCHE_HOST_CONFINED_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct cloche_err;

/*
 * Reading what somebody else wrote: parsers and compilers run in a process that has nothing that is
 * worth taking over, and what comes out of it is bytes, of which the caller checks length and kind.
 *
 * The process is a fork of this one, so a job finds its input in memory. It is told apart from its
 * caller in this order, and each step that fails ends it:
 *
 *  - of all descriptors it keeps those of the job and the pipe to the caller
 *  - what memory it shares with anybody is unmapped: the caller's maps, rings and pages
 *  - it waits for its turn like any other, dies with the caller, and is the OOM killer's first
 * choice
 *  - bounds of address space, CPU time, files and their size; no process, no core
 *  - for root: a user number that nothing on the host has, no groups, no capability in any set
 *  - no new privileges, undumpable, and a filter (seccomp(2)) that lets it compute, allocate, read,
 *    write and wait for what is open, make memory files, and end. All else answers EPERM.
 *
 * Without root it is the same but for the number and the groups, which then are the caller's.
 *
 * A job runs by the copy of the caller's memory: what it must not know must not be in there. The
 * caller must have one thread. Not for the time between clone and exec.
 */
struct confined {
	const char *what; /* for messages: "policy 'x'" */
	int fd;		  /* the one that the job may use, open for reading only; -1: none */
	const int *fds;	  /* and more of them */
	size_t n_fds;

	/* In the child when it may still call what it wants, before any input is looked at: for
	 * what libraries ask the system once. NULL: nothing. */
	void (*prepare)(void);

	/* 0 and the result's length, at most size, in *len; or a negative errno and *err. */
	int (*job)(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err);
	void *arg;

	/* For confined_copy(), after a job that went well: says what has no bound. 0 or a negative
	 * errno, which is no more than that it could not. */
	int (*say)(void *arg, FILE *to);

	uint64_t mem_bytes; /* beyond what the caller has */
	unsigned cpu_s;	    /* seconds of CPU time, at least 1 */
	unsigned wall_s;    /* and in all; 0: as long as it takes, for what comes when it comes */
};

/*
 * Runs the job on its own copy of buf and fills the caller's with what it says: *ret_len bytes of
 * at most size; what is behind them is not said. -errno and the job's error, made harmless;
 * -ETIMEDOUT: it took too long, by the clock or by the CPU; -EBADMSG: it died, or what it said is
 * no answer.
 */
int confined_run(const struct confined *confined, void *buf, size_t size, size_t *ret_len,
		 struct cloche_err *err);

/*
 * Runs a job that answers nothing, and, when that went well and open has said where to (NULL: it
 * could not), copies there what the other says. 0, what the job or open failed by, -EIO: it could
 * not be written; or as confined_run: then what was written is no whole.
 */
int confined_copy(const struct confined *confined, FILE *(*open)(void *arg, struct cloche_err *err),
		  void *arg, struct cloche_err *err);

/*
 * All of these steps but one in this process, for good: a child of parent, which it dies with. What
 * it shares stays, and is to be no more than what it reads; of confined counts what names
 * descriptors (which are not closed to be opened again) and bounds, but for wall_s. file_bytes: so
 * long may one file become.
 */
int confined_enter(const struct confined *confined, pid_t parent, uint64_t file_bytes,
		   struct cloche_err *err);

/* That one step, for another child that is to have nothing of its parent's. */
int confined_unmap_shared(struct cloche_err *err);

#endif
