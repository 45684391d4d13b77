/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_PROFILE_H
#define CLOCHE_LAUNCH_PROFILE_H

#include "policy/policy.h"

struct cloche_err;
struct spec;

/*
 * The filter that spec->policy names. A file is opened with the rights of spec->caller; whatever is
 * not built in is read and compiled by a confined process (host/confined.h), unless the cache knows
 * it.
 */
int profile_load(const struct spec *spec, enum policy_walls walls, struct policy *ret,
		 struct cloche_err *err);

#endif
