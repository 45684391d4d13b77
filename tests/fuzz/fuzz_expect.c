/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a table of expected verdicts. What is accepted has rows, each with a call that was
 * written and an action with a word; a refusal names the source and stays one line.
 */
#include "policy/policy_expect.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "policy/policy_words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_expects t = { 0 };
	struct cloche_err err = { 0 };
	uint32_t action;
	char word[24];

	if (policy_expects_parse("t", (const char *)data, size, &t, &err) < 0) {
		if (strncmp(err.text, "t:", 2) != 0 || strchr(err.text, '\n') || t.rows)
			abort();
		return 0;
	}
	if (t.n == 0 || t.n > size)
		abort();
	for (size_t i = 0; i < t.n; i++) {
		policy_action_word(t.rows[i].action, word, sizeof(word));
		if (!t.rows[i].call[0] || t.rows[i].line == 0 ||
		    !policy_action_read(word, &action) || action != t.rows[i].action)
			abort();
	}
	policy_expects_free(&t);
	return 0;
}
