/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TRACE_TRACE_THREADS_H
#define CLOCHE_TRACE_TRACE_THREADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trace;
struct trace_event;

/*
 * Which thread an event is of. Its number does not say: the kernel gives numbers out again, and a
 * thread that calls execve(2) in a process of several takes the leader's number over, while the
 * leader dies (execve(2), "Effect on threads"; de_thread in fs/exec.c).
 */
struct trace_thread {
	size_t first, n; /* its ON, OFF and EXEC in trace_threads.events */
	bool born;	 /* after the beginning, and not before */
	uint64_t end_ns; /* it was gone then, though its last OFF may be missing */
};

struct trace_threads {
	struct trace_thread *v;
	size_t n;
	const struct trace_event **events; /* by thread, in order of time */
};

#define cleanup_threads __attribute__((cleanup(trace_threads_free)))

/* Of a sorted trace, which *ret points into; by number, then by age. -ENOMEM. */
int trace_threads(const struct trace *t, struct trace_threads *ret);
void trace_threads_free(struct trace_threads *t);

#endif
