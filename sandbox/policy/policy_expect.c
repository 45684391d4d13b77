/* SPDX-License-Identifier: MIT */
/*
 * Reads tables of expected verdicts. It compares nothing: what a filter answers is asked of
 * policy_answer.c.
 */
#include "policy/policy_expect.h"

#include "base/err.h"
#include "base/quote.h"
#include "policy/policy_words.h"

#include <errno.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define X32_BIT 0x40000000U

static bool number_read(const char *text, const char **ret_end, __u64 *ret)
{
	char *end;

	/* strtoull(3) would skip blanks and take a plus. */
	if (*text != '-' && (*text < '0' || *text > '9'))
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 0);
	*ret_end = end;
	return end != text && errno == 0;
}

/* "(ARG,...)", or nothing. */
static bool args_read(const char *text, __u64 args[static 6])
{
	if (!*text)
		return true;
	if (*text != '(')
		return false;
	for (int i = 0; i < 6; i++) {
		if (!number_read(text + 1, &text, &args[i]))
			return false;
		if (*text == ')')
			return !text[1];
		if (*text != ',')
			return false;
	}
	return false;
}

/* NAME|NUMBER[(ARG,...)] with an ABI in front. */
static bool call_read(const char *text, struct seccomp_data *ret)
{
	uint32_t bits = 0, arch = SCMP_ARCH_X86_64;
	char name[sizeof(((struct policy_expect *)NULL)->call)];
	const char *end = text;
	__u64 number;
	size_t len;
	int nr;

	ret->arch = AUDIT_ARCH_X86_64;
	if (strncmp(text, "x32:", 4) == 0) {
		bits = X32_BIT;
		text += 4;
	} else if (strncmp(text, "i386:", 5) == 0) {
		ret->arch = AUDIT_ARCH_I386;
		arch = SCMP_ARCH_X86;
		text += 5;
	}
	if (*text >= '0' && *text <= '9') {
		if (!number_read(text, &end, &number) || number >= X32_BIT)
			return false;
		nr = (int)number;
	} else {
		len = strcspn(text, "(");
		memcpy(name, text, len);
		name[len] = '\0';
		end = text + len;
		nr = arch == SCMP_ARCH_X86_64 && !bits
			     ? policy_call_number(name)
			     : seccomp_syscall_resolve_name_arch(arch, name);
	}
	if (nr < 0)
		return false;
	ret->nr = (int)((uint32_t)nr | bits);
	return args_read(end, ret->args);
}

/* What is being read: the text, and what is known of its present line. */
struct table_text {
	const char *source, *at, *end;
	unsigned int line;
	struct policy_expects table;
};

/* The next word of the line, up to a blank, a comment or the line's end; 0: there is none. */
static size_t word_next(struct table_text *r, const char **ret)
{
	const char *from;

	while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\r'))
		r->at++;
	for (from = r->at; r->at < r->end && *r->at && !strchr(" \t\r\n#", *r->at);)
		r->at++;
	*ret = from;
	return (size_t)(r->at - from);
}

static int refuse(const struct table_text *r, const char *what, const char *word, size_t len,
		  struct cloche_err *err)
{
	char q[QUOTE_LEN];

	return cloche_err_set(err, EINVAL, "%s:%u: %s %s", r->source, r->line, what,
			      quote_n(q, word, len));
}

static int row_add(struct table_text *r, const struct policy_expect *row, struct cloche_err *err)
{
	struct policy_expects *t = &r->table;

	/* Room for twice as many whenever the number has become a power of two. */
	if ((t->n & (t->n - 1)) == 0) {
		struct policy_expect *rows =
			reallocarray(t->rows, t->n ? 2 * t->n : 1, sizeof(*rows));

		if (!rows)
			return cloche_err_sys(err, ENOMEM, "%s", r->source);
		t->rows = rows;
	}
	t->rows[t->n++] = *row;
	return 0;
}

static int line_read(struct table_text *r, struct cloche_err *err)
{
	struct policy_expect row = { .line = r->line };
	const char *word;
	size_t len = word_next(r, &word);
	char text[24];
	int rc = 0;

	if (len == 0)
		return 0;
	memcpy(text, word, len < sizeof(text) ? len : 0);
	text[len < sizeof(text) ? len : 0] = '\0';
	if (!policy_action_read(text, &row.action))
		return refuse(r,
			      "expected ALLOW, LOG, KILL_PROCESS, KILL_THREAD, TRAP or an "
			      "errno's name, found",
			      word, len, err);
	len = word_next(r, &word);
	if (len == 0)
		return refuse(r, "expected a call behind", text, strlen(text), err);
	for (; rc == 0 && len > 0; len = word_next(r, &word)) {
		if (len >= sizeof(row.call))
			return refuse(r, "too long for a call:", word, len, err);
		memset(row.call, 0, sizeof(row.call));
		memset(&row.data, 0, sizeof(row.data));
		memcpy(row.call, word, len);
		if (!call_read(row.call, &row.data))
			return refuse(r, "expected NAME or NUMBER, then (ARG,...), found", word,
				      len, err);
		rc = row_add(r, &row, err);
	}
	return rc;
}

static int lines_read(struct table_text *r, struct cloche_err *err)
{
	while (r->at < r->end) {
		const char *end;
		int rc;

		r->line++;
		rc = line_read(r, err);
		if (rc < 0)
			return rc;
		end = memchr(r->at, '\n', (size_t)(r->end - r->at));
		if (memchr(r->at, '\0', (size_t)((end ? end : r->end) - r->at)))
			return cloche_err_set(err, EINVAL, "%s:%u: a NUL byte", r->source, r->line);
		r->at = end ? end + 1 : r->end;
	}
	if (r->table.n == 0)
		return cloche_err_set(err, EINVAL, "%s: nothing is expected in it", r->source);
	return 0;
}

int policy_expects_parse(const char *source, const char *text, size_t len,
			 struct policy_expects *ret, struct cloche_err *err)
{
	struct table_text r = { .source = source, .at = text, .end = text + len };
	int rc = lines_read(&r, err);

	if (rc < 0)
		policy_expects_free(&r.table);
	else
		*ret = r.table;
	return rc;
}

void policy_expects_free(struct policy_expects *table)
{
	free(table->rows);
	*table = (struct policy_expects){ 0 };
}
