/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POLICY_POLICY_OCI_H
#define CLOCHE_POLICY_POLICY_OCI_H

#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;

#define POLICY_ARGS_MAX 6
#define POLICY_TEXT_MAX ((size_t)1 << 20) /* bytes of JSON; Docker's own profile has 13 KiB */

/* "args" of one rule: all conditions must hold, each on an argument of its own. */
struct policy_arg {
	unsigned int index; /* 0..5 */
	enum scmp_compare op;
	uint64_t value;	    /* for SCMP_CMP_MASKED_EQ the mask */
	uint64_t value_two; /* for SCMP_CMP_MASKED_EQ what is left after the mask; else 0 */
};

/* One element of "syscalls". */
struct policy_rule {
	char **names; /* owned; those without a number here: policy/policy_left_out.h */
	size_t n_names;
	uint32_t action; /* SCMP_ACT_*, errno included */
	struct policy_arg args[POLICY_ARGS_MAX];
	size_t n_args;
	char *comment; /* owned, or NULL */
	bool applies;  /* false: "includes" or "excludes" take it away on this host */
	bool chosen;   /* it has some, so that it applies on one host and not on another */
};

struct policy_profile {
	uint32_t default_action;
	unsigned int flags; /* SECCOMP_FILTER_FLAG_* */
	char *comment;	    /* owned, or NULL */
	struct policy_rule *rules;
	size_t n_rules;
};

/* Called once for each mistake, with "SOURCE:LINE:COLUMN: what is wrong". */
typedef void policy_problem_fn(void *arg, const char *line);

/*
 * Reads a profile (OCI runtime-spec "seccomp" object or Docker profile), strictly: whatever is not
 * understood is refused, since a rule that is skipped in silence is a hole or a riddle.
 * source is what messages call the text; problem may be NULL; *err gets the first mistake.
 * On failure *ret is left as policy_profile_free leaves it.
 *
 * Differences to Docker, all towards refusing: unknown keys; two conditions on the same argument
 * (libseccomp cannot AND them); SCMP_ACT_NOTIFY and SCMP_ACT_TRACE (nobody listens); errno 0 (a
 * call that lies about having been made); a call without a number here that is refused by a rule
 * and let pass by the default. Other names that are not known are left out:
 * policy/policy_left_out.h. A function holds no capability: "includes": {"caps": …} never applies,
 * "excludes" always does not. Only the native architecture is ever let through, whatever
 * "architectures" adds to it.
 */
int policy_profile_parse(const char *source, const char *text, size_t len,
			 policy_problem_fn *problem, void *arg, struct policy_profile *ret,
			 struct cloche_err *err);
void policy_profile_free(struct policy_profile *profile);

/* The line of the text on which syscalls[rule] begins, for `cloche policy explain`. */
unsigned int policy_rule_line(const char *text, size_t len, size_t rule);

#endif
