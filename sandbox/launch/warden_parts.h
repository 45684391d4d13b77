/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_WARDEN_PARTS_H
#define CLOCHE_LAUNCH_WARDEN_PARTS_H

#include "launch/function.h"
#include "launch/message.h"
#include "launch/order.h"
#include "launch/spec.h"
#include "launch/stream_names.h"
#include "launch/warden.h"
#include "launch/zygote.h"

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;
struct plan;

/*
 * The warden, as the two files see it that make it up: warden_setup.c has what it goes through
 * before it hears anything, warden.c all that is said and heard. Nobody else looks into one. No
 * allocation.
 */
struct warden {
	struct plan *plan;
	enum warden_state state;
	struct function function;
	struct order order;
	struct order_block block;  /* what it points into: inbox, or mapped for this one */
	struct message_tail inbox; /* room for what comes behind a message, aligned */
	struct stream_names names; /* handed: who drives it has no right to give them */
	struct cloche_err why_not; /* of a renewal that failed: told when the next one is to go */
	bool more;		   /* of its output is still to be passed on */
	bool notice;		   /* when it is frozen the launcher is to hear of it ... */
	bool noticed;		   /* ... and did */
	bool early;		   /* RENEW came before it could be heard: */
	struct warden_msg early_msg;
	struct message_fds early_fds;
	struct spec spec; /* of a blank that was dressed */
	struct zygote zygote;
	uint32_t kept; /* cgroups that stay for the next invocation; cgroup.h */
};

/* All of the set-up; what fails in it is on the shared page, and the warden ends. */
void warden_set_up(struct warden *w);

/* Those of its steps that a blank goes through when it is dressed. Binds: those that are given,
 * where there are some; with the socket by which they come comes RENEW, which waits (early). */
int warden_take_binds(struct warden *w, struct cloche_err *err);
int warden_bring_network(struct warden *w, struct cloche_err *err);
int warden_keep_few_capabilities(struct warden *w, struct cloche_err *err);
_Noreturn void warden_give_up(struct warden *w, const struct cloche_err *err, const char *stage);

/* Until there are a function's streams, and after it: whatever is opened gets no number of these.
 * -errno. */
int warden_leave_streams(const struct plan *p);

#endif
