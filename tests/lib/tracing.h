/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_TRACING_H
#define CLOCHE_TESTS_LIB_TRACING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Runs a program under ptrace(2), writes down the system calls of all its processes, and makes one
 * of them fail or one process die at it. strace(1) can do the like, but counts per process name of
 * the call in every process at once: "the third openat" would be failed in the supervisor, in pid 1
 * and in the function. Here exactly one call of one process is meant.
 *
 * Processes are counted by birth; 0 is the program itself. One that executes another program
 * (the function, at the end of a launch) is let go there.
 */
struct call {
	unsigned process;
	long nr;
	unsigned nth; /* from 1, among the calls of this number in this process */
};

enum fault {
	FAULT_NONE,
	FAULT_ERROR, /* the call is not made and returns -code; close(2) is made all the same */
	FAULT_KILL,  /* the process dies by SIGKILL before the call */
};

#define TRACING_PROCESSES 16

struct tracing {
	const char *const *argv;
	struct call at;
	enum fault fault;
	int code;

	struct call *calls; /* owned: all, in the order in which they were begun */
	size_t n_calls;
	unsigned n_processes;
	unsigned parent[TRACING_PROCESSES];
	size_t last_birth[TRACING_PROCESSES]; /* n_calls when it had its last child; 0: none */
	bool executed;			      /* a process has become the function */

	bool hit;		   /* the fault was made, */
	unsigned processes_at_hit; /* when there had been so many */
	bool hung;		   /* something did not end in TRACING_LIMIT_S and was killed */
	int status;		   /* of the program, 128 + signal as a shell has it */
	int slot;		   /* of the context, by its cgroup's name; -1: none was made */
	char *out, *err;	   /* owned, what was written to standard output and error */
};

/* Until the program and all its processes have ended. */
#define TRACING_LIMIT_S 20

void tracing_run(struct tracing *t);

/* How many the process has had. */
size_t tracing_children(const struct tracing *t, unsigned process);

/* Frees what tracing_run filled in. */
void tracing_free(struct tracing *t);

#define cleanup_tracing __attribute__((cleanup(tracing_free)))

/* "openat"; the number itself when it has no name here. */
const char *call_name(long nr, char buf[static 24]);

#endif
