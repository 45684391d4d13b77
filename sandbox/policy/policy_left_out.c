/* SPDX-License-Identifier: MIT */
/* Names of calls that have no number here: see policy_left_out.h. It must never let anything pass.
 */
#include "policy/policy_left_out.h"

#include "base/quote.h"
#include "policy/policy_json.h"
#include "policy/policy_rules.h"
#include "policy/policy_words.h"

#include <seccomp.h>
#include <stdio.h>

enum policy_name_fate policy_name_fate(const struct policy_profile *profile, size_t rule,
				       size_t name)
{
	const struct policy_rule *r = &profile->rules[rule];

	if (policy_call_number(r->names[name]) != __NR_SCMP_ERROR)
		return POLICY_NAME_KNOWN;
	if (r->applies && !policy_action_passes(r->action) &&
	    policy_action_passes(profile->default_action))
		return POLICY_NAME_NEEDED;
	return POLICY_NAME_LEFT_OUT;
}

static void tell_one(const char *source, const char *text, size_t len,
		     const struct policy_profile *p, const size_t at[static 2],
		     policy_problem_fn *tell, void *arg)
{
	const struct json_step steps[] = {
		{ .key = "syscalls" }, { .index = at[0] }, { .key = "names" }, { .index = at[1] }
	};
	const struct json_place place = json_locate(text, len, steps, 4, false);
	const struct scmp_version *have = seccomp_version();
	char raw[600], line[600];

	(void)snprintf(raw, sizeof(raw),
		       "%s:%u:%u: left out: '%s' has no number in libseccomp %u.%u.%u, so the "
		       "default answers it",
		       source, place.line, place.column, p->rules[at[0]].names[at[1]], have->major,
		       have->minor, have->micro);
	quote_field(line, sizeof(line), raw);
	tell(arg, line);
}

void policy_left_out(const char *source, const char *text, size_t len,
		     const struct policy_profile *p, policy_problem_fn *tell, void *arg)
{
	size_t n = 0;
	char line[600];

	for (size_t i = 0; i < p->n_rules; i++)
		for (size_t j = 0; j < p->rules[i].n_names; j++)
			if (policy_name_fate(p, i, j) == POLICY_NAME_LEFT_OUT &&
			    n++ < POLICY_LEFT_OUT_MAX)
				tell_one(source, text, len, p, (size_t[]){ i, j }, tell, arg);
	if (n <= POLICY_LEFT_OUT_MAX)
		return;
	(void)snprintf(line, sizeof(line), "%zu more names were left out", n - POLICY_LEFT_OUT_MAX);
	tell(arg, line);
}
