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
 *
 * What somebody without rights has compiled (spec->bare) is joined with the walls as such an answer
 * is, and known by the hash of that filter: its text is not seen here.
 */
int profile_load(const struct spec *spec, enum policy_walls walls, struct policy *ret,
		 struct cloche_err *err);

#endif
