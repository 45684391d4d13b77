/* SPDX-License-Identifier: MIT */
/*
 * `cloche policy test`: a profile against a table of expected verdicts. Asked is the filter that
 * would be loaded, instruction by instruction, not the rules that it was made of; the rule is only
 * named where the answer is another.
 */
#include "cli/policy_test.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "cli/policy_view.h"
#include "policy/policy_builtin.h"
#include "policy/policy_expect.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_MAX (1U << 20)

enum { AS_EXPECTED, NOT_AS_EXPECTED, TROUBLE };

struct test {
	struct policy_view view;
	struct policy policy; /* only its program */
	struct policy_expects table;
	char source[PATH_MAX]; /* of the table */
};

static void test_free(struct test *t)
{
	policy_expects_free(&t->table);
	policy_free(&t->policy);
	policy_view_free(&t->view);
}

/* The table's text: of the shipped profile, or of a file. *ret_owned is what is to be freed. */
static int table_load(struct test *t, const char *table, const char **ret, size_t *ret_len,
		      char **ret_owned, struct cloche_err *err)
{
	const struct policy_text *text = &t->view.text;
	const struct policy_builtin *b = policy_builtins;
	int len = (int)strlen(text->source), rc;

	if (!table && !text->owned) {
		while (strcmp(b->name, text->name) != 0)
			b++;
		(void)snprintf(t->source, sizeof(t->source), "%s.table", b->name);
		*ret = b->table;
		*ret_len = b->table_len;
		return 0;
	}
	if (table)
		(void)snprintf(t->source, sizeof(t->source), "%s", table);
	else
		(void)snprintf(t->source, sizeof(t->source), "%.*s.table",
			       len > 5 && strcmp(text->source + len - 5, ".json") == 0 ? len - 5
										       : len,
			       text->source);
	if (table && strcmp(table, "-") == 0) {
		(void)snprintf(t->source, sizeof(t->source), "standard input");
		rc = file_load_fd(STDIN_FILENO, t->source, TABLE_MAX, ret_owned, ret_len, err);
	} else {
		rc = file_load(AT_FDCWD, t->source, TABLE_MAX, ret_owned, ret_len, err);
	}
	if (rc == -ENOENT && !table)
		rc = cloche_err_set(err, ENOENT,
				    "no table '%s' beside the profile; name one behind it",
				    t->source);
	*ret = *ret_owned;
	return rc;
}

static int test_open(struct test *t, const char *profile, const char *table,
		     enum policy_walls walls, struct cloche_err *err)
{
	cleanup_free char *owned = NULL;
	const char *text;
	size_t len;
	int rc = policy_view_open(profile, walls, NULL, &t->view, err);

	if (rc == 0)
		rc = policy_stack_compile(&t->view.stack, &t->policy.prog, err);
	if (rc == 0)
		rc = table_load(t, table, &text, &len, &owned, err);
	return rc == 0 ? policy_expects_parse(t->source, text, len, &t->table, err) : rc;
}

/* The rule behind an answer, for a call of this ABI. */
static void answer_place(const struct test *t, const struct policy_expect *row, char *buf,
			 size_t size)
{
	uint64_t args[6];
	int rule = POLICY_RULE_FOREIGN;

	for (int i = 0; i < 6; i++)
		args[i] = row->data.args[i];
	if (row->data.arch == AUDIT_ARCH_X86_64 && !(row->data.nr & 0x40000000))
		(void)policy_stack_decide(&t->view.stack, row->data.nr, args, &rule);
	policy_rule_place(&t->view, rule, buf, size);
}

static void print_failure(const struct test *t, const struct policy_expect *row, uint32_t found)
{
	struct policy_style s = policy_style_pick();
	char want[24], got[24], place[24];

	policy_action_word(row->action, want, sizeof(want));
	policy_action_word(found, got, sizeof(got));
	answer_place(t, row, place, sizeof(place));
	(void)printf("%s:%u: %s%s%s: expected %s, found %s%s%s, by: %s\n", t->source, row->line,
		     s.bold, row->call, s.off, want, policy_action_colour(&s, found), got, s.off,
		     place);
}

static json_t *failure_json(const struct test *t, const struct policy_expect *row, uint32_t found)
{
	char want[24], got[24], place[24];

	policy_action_word(row->action, want, sizeof(want));
	policy_action_word(found, got, sizeof(got));
	answer_place(t, row, place, sizeof(place));
	return json_pack("{s:i,s:s,s:s,s:s,s:s}", "line", (int)row->line, "call", row->call,
			 "expected", want, "found", got, "by", place);
}

static int compare(const struct test *t, bool json)
{
	json_t *failures = json_array();
	size_t failed = 0;
	int rc = 0;

	for (size_t i = 0; i < t->table.n; i++) {
		const struct policy_expect *row = &t->table.rows[i];
		uint32_t found = policy_answer(&t->policy, &row->data);

		if (found == row->action)
			continue;
		failed++;
		if (json)
			(void)json_array_append_new(failures, failure_json(t, row, found));
		else
			print_failure(t, row, found);
	}
	if (json)
		rc = policy_print_json(json_pack(
			"{s:s,s:s,s:s,s:I,s:I,s:O}", "policy", t->view.text.name, "sha256",
			t->view.text.sha256, "table", t->source, "calls", (json_int_t)t->table.n,
			"failed", (json_int_t)failed, "failures", failures));
	else if (failed)
		(void)printf("%s: %zu of %zu calls not as expected\n", t->view.text.name, failed,
			     t->table.n);
	else
		(void)printf("%s: %zu calls, each as expected\n", t->view.text.name, t->table.n);
	json_decref(failures);
	return rc ? TROUBLE : failed ? NOT_AS_EXPECTED : AS_EXPECTED;
}

int policy_test(const char *profile, const char *table, enum policy_walls walls, bool json)
{
	struct test t = { 0 };
	struct cloche_err err = { 0 };
	int rc = TROUBLE;

	if (test_open(&t, profile, table, walls, &err) < 0)
		(void)fprintf(stderr, "cloche policy: %s\n", err.text);
	else
		rc = compare(&t, json);
	test_free(&t);
	if (rc != TROUBLE && (fflush(stdout) || ferror(stdout))) {
		(void)fprintf(stderr, "cloche policy: write to standard output: %s\n",
			      strerror(errno));
		return TROUBLE;
	}
	return rc;
}
