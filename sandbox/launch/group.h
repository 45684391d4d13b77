/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_GROUP_H
#define CLOCHE_LAUNCH_GROUP_H

#include "host/hierarchy.h"
#include "host/slot.h"

#include <stdint.h>

struct cloche_err;
struct launcher;

/*
 * Cgroups around those of several contexts, with limits for all of them together: below the parent
 * of every hierarchy, or in another group, and by the name of a slot of their own, so that what a
 * dead owner left is found as contexts are (launch/sweep.h). No process is in them itself. All
 * groups side by side weigh the same: what is idle is shared among those who want it.
 */
struct group {
	struct slot slot; /* fd -1: there is none */
	struct hierarchy inside;
};

#define GROUP_NONE                                                                         \
	{                                                                                  \
		.slot = { .fd = -1 }, .inside = {.v2 = -1, .ctl = { -1, -1, -1, -1, -1 } } \
	}

/* 0: no limit. What the contexts' own limits come to is the caller's matter: with more than is here
 * one's memory may end another's processes. */
struct group_limits {
	uint64_t memory_bytes, vcpu_milli, pids;
};

/* in: NULL: below the parent. It and the launcher must outlive the group. */
int group_make(const struct launcher *launcher, const struct group *in,
	       const struct group_limits *limits, struct group *ret, struct cloche_err *err);

/* Other limits from now on. -EINVAL, -EBUSY: the kernel does not let them be less than what is
 * inside has; some may have been set. */
int group_set(const struct group *group, const struct group_limits *limits, struct cloche_err *err);

/* Without a context inside. What cannot be removed stays marked for the next run. */
int group_remove(const struct launcher *launcher, const struct group *in, struct group *group,
		 struct cloche_err *err);

#endif
