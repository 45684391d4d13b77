/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_HANDOVER_H
#define CLOCHE_SERVE_HANDOVER_H

struct cloche_err;
struct config;

/*
 * The configuration on its way from the launcher, which has read it, to the front: the value as it
 * is, in a sealed memfd. Both are one program.
 */

/* The descriptor, the caller's, or -errno. */
int handover_config(const struct config *config);

int handover_take(int fd, struct config *ret, struct cloche_err *err);

#endif
