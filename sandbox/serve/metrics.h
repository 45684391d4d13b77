/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_METRICS_H
#define CLOCHE_SERVE_METRICS_H

struct cloche_err;
struct front;
struct metrics;

/*
 * `GET /metrics` over the socket that listens for it: libmicrohttpd in the front's loop. Who may
 * connect the mode of the socket says. A request waits, suspended, for what the launcher counts.
 */
int metrics_open(struct front *f, int listening, struct metrics **ret, struct cloche_err *err);
struct metrics *metrics_close(struct metrics *m);

/* The launcher's answer is there. */
void metrics_listed(struct metrics *m);

#endif
