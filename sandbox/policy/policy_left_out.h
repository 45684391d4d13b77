/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POLICY_POLICY_LEFT_OUT_H
#define CLOCHE_POLICY_POLICY_LEFT_OUT_H

#include "policy/policy_oci.h"

#include <stddef.h>

/*
 * Profiles name calls that are newer than this program and its libseccomp, which have no number for
 * them, and so no rule. That changes nothing where the default refuses what the rule lets pass or
 * refuses, too, as a profile for containers does: it is stricter by that call. Where a rule refuses
 * what the default lets pass it would be a hole.
 */
enum policy_name_fate {
	POLICY_NAME_KNOWN,    /* also: on other architectures only */
	POLICY_NAME_LEFT_OUT, /* the default answers */
	POLICY_NAME_NEEDED,   /* no profile without it */
};
enum policy_name_fate policy_name_fate(const struct policy_profile *profile, size_t rule,
				       size_t name);

#define POLICY_LEFT_OUT_MAX 100 /* told one by one */

/* Tells what was left out of a profile that was read from this text: a line each with its place,
 * and one for all above the maximum. For `cloche policy check`. */
void policy_left_out(const char *source, const char *text, size_t len,
		     const struct policy_profile *profile, policy_problem_fn *tell, void *arg);

#endif
