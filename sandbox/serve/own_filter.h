/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_OWN_FILTER_H
#define CLOCHE_SERVE_OWN_FILTER_H

struct cloche_err;

/*
 * What the daemon's own processes may call, for ever, and whatever they start:
 *
 *	launcher  policies/launcher.json: all but what neither it nor a warden nor a function uses.
 *		  It is inherited by all of them, so it costs functions nothing (no argument is
 *		  looked at: the kernel knows by the number alone that a call passes; getppid under
 *		  the default policy takes 0.25 us with it and without) and changes no answer of a
 *		  function's policy (policy/policy_ours.h). A call of the launcher's or a warden's
 *		  takes 0.05 us more
 *	front     policies/front.json: what it needs, and all else kills it
 *
 * After these the caller's calls are those.
 */
int own_filter_launcher(struct cloche_err *err); /* as root */
int own_filter_front(struct cloche_err *err);	 /* with no_new_privs */

#endif
