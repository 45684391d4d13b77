/* SPDX-License-Identifier: MIT */
/* The tables of expected verdicts, for tests: see verdict_table.h. */
#include "tests/lib/verdict_table.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "policy/policy_words.h"

#include <criterion/criterion.h>
#include <fcntl.h>

struct policy_expects verdict_table_read(const char *path)
{
	struct policy_expects table = { 0 };
	struct cloche_err err = { 0 };
	cleanup_free char *text = NULL;
	size_t len;

	cr_assert_eq(file_load(AT_FDCWD, path, 1 << 20, &text, &len, &err), 0, "%s", err.text);
	cr_assert_eq(policy_expects_parse(path, text, len, &table, &err), 0, "%s", err.text);
	return table;
}

const char *verdict_name(uint32_t action)
{
	static char word[24];

	policy_action_word(action, word, sizeof(word));
	return word;
}
