/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_LAUNCHING_H
#define CLOCHE_SERVE_LAUNCHING_H

#include "serve/building.h"
#include "serve/showing.h"
#include "serve/tracers.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct cloche_err;
struct config;

/*
 * The launcher of the daemon, but for its life (serve/daemon.h): makes contexts at the front's
 * word, hands each over, kills, counts and takes away. It reads nothing that a user wrote: numbers,
 * held against their ranges, and the table of command.h. Root, one thread; but for the making of a
 * context, a millisecond, it does not wait.
 *
 *	open → { front → { wait → poll → step }* → drop }* →
 *	{ wait → poll → step }* until idle → close
 */
struct launching;

/* Both must outlive it. There is room for so many contexts as the configuration says now. */
struct launching_options {
	const struct config *config;
	void (*say)(const char *text); /* a line of the log */
};

int launching_open(const struct launching_options *options, struct launching **ret,
		   struct cloche_err *err);
struct launching *launching_close(struct launching *l);

/* A new front, at the other end of socket, which is taken over. */
void launching_front(struct launching *l, int socket);

/* There is none any more: its socket is closed, and what it had ends. */
void launching_drop(struct launching *l);

/* For poll(2): *ret_n of fds[], at most LAUNCHING_FDS(contexts); returns until when. */
#define LAUNCHING_FDS(contexts) (3 + BUILDS_MAX + TRACERS_MAX + SHOWINGS_MAX + (contexts))
int64_t launching_wait(struct launching *l, struct pollfd *fds, unsigned *ret_n);

/* *ret_err.code is set for what is worth a line. -errno: the front has broken the rules or is gone,
 * and is to be dropped (and killed). */
int launching_step(struct launching *l, const struct pollfd *fds, struct cloche_err *err);

/* Behind each step, and behind the word that a front serves: tells that front, once, that of those
 * before it nothing runs any more. What it then says of them comes after that word. */
void launching_look_whether_alone(struct launching *l);

/* Other limits from now on; the front is told. config, which must outlive it, takes the place of
 * the one before. */
void launching_change(struct launching *l, const struct config *config);
/* The host is short of memory: blanks go, and the front is told. */
void launching_press(struct launching *l);

/* Tells the front to come to an end. */
void launching_stop(struct launching *l, int64_t grace_ns);

/* Whether the front is to say something, and will be found out when it does not. Where it is not,
 * somebody who looks for clients tells that there is one. */
bool launching_owed(const struct launching *l);
void launching_knocked(struct launching *l);

/* The front has said READY. */
bool launching_ready(const struct launching *l);

/* Contexts that are made and nobody's. */
unsigned launching_blanks(const struct launching *l);

/* No context is left but blanks. */
bool launching_idle(const struct launching *l);

#endif
