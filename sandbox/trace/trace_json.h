/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TRACE_TRACE_JSON_H
#define CLOCHE_TRACE_TRACE_JSON_H

#include <stdint.h>
#include <stdio.h>

struct cloche_err;
struct json_t;
struct meter_usage;
struct trace;
struct trace_event;

/*
 * The form of a trace on disk: one JSON object a line. First a head, {"schema":"cloche.trace/1",…},
 * then an event a line in the order in which the kernel gave them, at last {"event":"end",…} with
 * the figures and what was lost. A file without an end is of a recording that was killed.
 *
 * Each event has at_ns (CLOCK_MONOTONIC), event, pid and tid (the host's numbers), cpu and comm:
 *
 *	fork	child; thread: true when it is no process of its own
 *	exec	path, argv; cut: there was more; old_tid: its number before
 *	exit	status, as wait(2) has it
 *	signal	signal; code: si_code; sender: pid
 *	oom
 *	on	since_ns: when it woke up or left its CPU, 0: not known;
 *		throttled: its quota held it to the last;
 *		began_throttled, only if so: and from the beginning;
 *		unseen, only if so: the kernel did not report it. It was early_ns of
 *		its "off" before, by the thread's CPU clock
 *	off	why: sleep, preempted, throttled or dead;
 *		all, only if so: the quota took all who wait with it;
 *		early_ns, only where the kernel books the slice from before its
 *		"on": how much before; beside_ns: how much of that, at its
 *		beginning, somebody else was on a CPU
 *	unthrottle	the quota let go of all; tid is 0
 *	open	(for writing) path, cut; flags of open(2); result: a number or -errno
 *	connect, bind	address; port, 0 of a Unix one; tried, whatever came of it
 *	denied	syscall, number, arch (x86_64, i386, x32), args;
 *		result: -errno, 0 when it was killed for it
 */
#define TRACE_SCHEMA "cloche.trace/1"

/* These write to a stream that buffers; whether all went well says fclose(3). */
void trace_json_head(FILE *f, const char *request_id, const char *started_at);
void trace_json_event(FILE *f, const struct trace_event *ev);
struct trace_close {
	uint64_t written;     /* events */
	uint64_t cut;	      /* events that were left out, beside what the kernel lost */
	const char *function; /* NULL: it has no name */
	const char *verdict;  /* NULL: not known */
};
void trace_json_end(FILE *f, const struct meter_usage *u, const struct trace_close *how);

/* An event with the request's id in it, for a stream of several invocations; without one the same
 * as trace_json_event. */
void trace_json_event_of(FILE *f, const char *request_id, const struct trace_event *ev);

/* A whole trace, sorted or not, with its head and end. */
void trace_json_write(FILE *f, const struct trace *t);

/* Text between double quotes with what JSON asks to be escaped; it must be clean. */
void trace_json_string(FILE *f, const char *clean);

/*
 * Reads a file, which name stands for in errors (with the line's number), and sorts it. A last line
 * that is cut off ends the trace as if it were not there. The caller frees *ret with trace_free
 * also after a failure.
 */
int trace_json_read(FILE *f, const char *name, struct trace *ret, struct cloche_err *err);

/* Only what its head and its end say, of a file that can seek; *ret has no events. It reads no more
 * than its first line and so much of its end. */
#define TRACE_JSON_HEAD 512
#define TRACE_JSON_TAIL 4096
int trace_json_summary(FILE *f, const char *name, struct trace *ret, struct cloche_err *err);

/* One event's object (jansson's json_t). -EPROTO: it is none; -ENOMEM. */
int trace_json_parse(const struct json_t *o, struct trace_event *ret);

#endif
