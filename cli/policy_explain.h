/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_POLICY_EXPLAIN_H
#define CLOCHE_CLI_POLICY_EXPLAIN_H

#include <stddef.h>
#include <stdint.h>

struct policy_view;

/* A call that is asked about; arguments that are not given are 0. */
struct policy_call {
	char name[64];
	int nr;
	uint64_t args[6];
	size_t n_args;
};

/* What the profile does with one call, and with all; each returns the exit status. */
int policy_explain_call(const struct policy_view *v, const struct policy_call *c);
int policy_explain_call_json(const struct policy_view *v, const struct policy_call *c);
int policy_explain_all(const struct policy_view *v);
int policy_explain_all_json(const struct policy_view *v);

#endif
