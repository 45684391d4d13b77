/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TRACE_TRACE_H
#define CLOCHE_TRACE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;
struct meter_event;

/*
 * A trace in memory, whether it comes from the kernel or from a file. Its strings are clean: valid
 * UTF-8 without control characters or marks that turn the direction of text, whatever a function
 * put into a path or an argument (such a byte is shown as \xNN). What shows them still escapes what
 * its own format asks for.
 */
struct trace_event {
	uint64_t at_ns; /* CLOCK_MONOTONIC */
	size_t seq;	/* in which order they came: trace_add counts */
	uint32_t type;	/* enum meter_event_type */
	uint32_t pid;	/* process; the host's numbers */
	uint32_t tid;
	uint32_t cpu;
	uint32_t arg;	  /* these two as in bpf/meter_abi.h */
	uint64_t value;	  /* connect and bind: the port; open: what it returned */
	uint64_t args[6]; /* denied */
	char comm[64];	  /* 15 bytes, each of which may have become \xNN */
	char *text;	  /* exec, open: path; connect, bind: address; denied: the call's name */
	char **argv;	  /* exec */
	size_t argc;
	const char *abi; /* denied: the call's table, "x86_64", "i386" or "x32"; static */
	bool cut;	 /* exec, open: there may be more of the path, exec: of the arguments */
};

struct trace {
	char request_id[40];
	char started_at[40];
	struct trace_event *events; /* in order of time once trace_sort was called */
	size_t n, room;
	bool ended; /* the figures below are there: the recording came to its end */
	uint64_t begin_ns, end_ns;
	uint64_t busy_ns, quota_ns, contention_ns, idle_ns, on_cpu_ns;
	uint64_t lost; /* events that found no room */
	bool complete; /* ended, nothing lost, nothing unseen */
	/* Of the end, too, and "" or 0 without one. */
	char function[72];
	char verdict[24];
	uint64_t n_written; /* events, before any were dropped */
};

#define cleanup_trace __attribute__((cleanup(trace_free)))

/* "exec" and so on; NULL when there is no such type. */
const char *trace_type_text(uint32_t type);
/* 0: no such name. */
uint32_t trace_type_find(const char *text);
/* Of enum meter_off. */
const char *trace_off_text(uint32_t why);

/* A clean copy of the bytes, on the heap. NULL: out of memory. */
char *trace_clean(const char *bytes, size_t len);

/* One of the kernel's own results of a call that a signal interrupts (ERESTARTSYS...): user space
 * sees EINTR, or the call made again. In a trace they are EINTR. */
bool trace_is_restart(uint64_t result);

/* The kernel's event as one of ours, which trace_event_free frees. -ENOMEM. */
int trace_event_of(const struct meter_event *ev, struct trace_event *ret);
void trace_event_free(struct trace_event *ev);

/* Takes the event over (also when it fails). -ENOMEM. */
int trace_add(struct trace *t, struct trace_event *ev);

/* By time; what is there before the invocation began goes: it is the launcher's. Without an end the
 * first and the last event stand for it. */
void trace_sort(struct trace *t);

void trace_free(struct trace *t);

#endif
