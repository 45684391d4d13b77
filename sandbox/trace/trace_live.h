/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TRACE_TRACE_LIVE_H
#define CLOCHE_TRACE_TRACE_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;
struct meter_usage;
struct trace_event;
struct trace_live;

/*
 * Watching invocations as they happen. A watcher is a listening SOCK_SEQPACKET socket in the
 * directory HOST_RUN_DIR/watch, root's alone, named by its process; the directory is there only as
 * long as there are sockets in it. Whoever runs an invocation connects to all of them and sends
 * messages of whole JSON lines, each with the request's id: "start", the events, "end".
 *
 * Nothing here waits: what a watcher has no room for is counted and told in "end", for which there
 * is always room left. A socket that nobody listens at any more is passed over; the next watcher
 * removes it.
 */
#define TRACE_LIVE_DIR	 "watch"
#define TRACE_LIVE_MAX	 8	    /* watchers; further ones are refused */
#define TRACE_LIVE_BYTES (64 << 10) /* no message is longer */

/* ---- whoever runs ------------------------------------------------------------------------- */

/* To be called before each invocation with what the call before it returned (at first NULL): the
 * watchers there are now, NULL when there are none, which one system call tells. */
struct trace_live *trace_live_find(int run_fd, struct trace_live *live);

/* argv: of the command; what of it is long is cut. function: NULL when it has no name. */
void trace_live_begin(struct trace_live *live, const char *request_id, const char *function,
		      char *const argv[]);
void trace_live_event(struct trace_live *live, const struct trace_event *ev);
void trace_live_flush(struct trace_live *live);

/* wall_ns: -1 when nothing ran; u: NULL when it has no figures. Without a begin it does nothing. */
void trace_live_end(struct trace_live *live, const char *verdict, int64_t wall_ns,
		    const struct meter_usage *u);

/* For who has such sockets from somebody else, at most TRACE_LIVE_MAX, taken over, and may not do
 * more than write and wait: how much they hold is settled. For an end that finds no room it waits,
 * so long for each. NULL: no memory. */
struct trace_live *trace_live_of(const int fds[], size_t n, int patience_ms);

/* Somebody is still there. */
bool trace_live_watched(const struct trace_live *live);

/* Returns NULL. */
struct trace_live *trace_live_close(struct trace_live *live);

/* ---- whoever watches ---------------------------------------------------------------------- */

struct trace_listener {
	int fd;
	int dir;
	char name[24];
};

/* A listening socket for accept4(2). -EUSERS: TRACE_LIVE_MAX watch already. */
int trace_listener_open(int run_fd, struct trace_listener *ret, struct cloche_err *err);
void trace_listener_close(int run_fd, struct trace_listener *l);

#endif
