/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_OWNERS_H
#define CLOCHE_SERVE_OWNERS_H

#include "serve/limit.h"

#include <stdint.h>

struct cloche_err;
struct config;
struct group;
struct launcher;

/*
 * What each owner has, and the cgroups around it: one group for all contexts of the daemon, and in
 * it one for each owner, made with his first context and removed after his last.
 */
struct owners;

/* Both must outlive it. say: a line of the log. */
int owners_open(const struct launcher *launcher, const struct config *config,
		void (*say)(const char *text), struct owners **ret, struct cloche_err *err);
struct owners *owners_close(struct owners *o);

/* Other limits from now on. What the kernel does not let be less now counts for an owner's next
 * group; the say is told. */
void owners_change(struct owners *o, const struct config *config);

/* One more context, in *ret_group, until owners_leave(). *ret_limit: the limit that it is refused
 * by, as limit_check() says; NONE: it was something else. */
int owners_enter(struct owners *o, uint32_t owner, const struct limit_use *one,
		 const struct group **ret_group, enum limit *ret_limit, struct cloche_err *err);
void owners_leave(struct owners *o, uint32_t owner, const struct limit_use *one);

/* Its group stays, with contexts or without, until owners_let_go(); *ret_id: its cgroup2 id. */
int owners_hold(struct owners *o, uint32_t owner, uint64_t *ret_id, struct cloche_err *err);
void owners_let_go(struct owners *o, uint32_t owner);

#endif
