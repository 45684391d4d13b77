/* SPDX-License-Identifier: MIT */
/* From the table of a verb's options to getopt's and to the text of its help. */
#include "cli/verb.h"

#include <stdio.h>
#include <string.h>

#define WIDTH	   80
#define TEXT_AT	   25 /* at most: where the help's texts begin */
#define LABEL_MAX  80
#define LONG_LABEL (TEXT_AT - 2)

static bool is_option(const struct verb_option *o)
{
	return o->val != 0;
}

static bool has(const struct verb_option *table, const char *name)
{
	for (; table && table->text; table++)
		if (name && table->name && strcmp(table->name, name) == 0)
			return true;
	return false;
}

/* Whether the verb takes an option of `cloche run` that its own table has not. */
static bool takes_of_run(const struct verb *v, const struct verb_option *o)
{
	if (!is_option(o) || has(v->options, o->name))
		return false;
	for (const char *const *no = v->not_of_run; no && *no; no++)
		if (strcmp(*no, o->name) == 0)
			return false;
	return true;
}

const struct verb_option *verb_option_next(const struct verb *v, size_t *at)
{
	const struct verb_option *own = v->options, *o;
	size_t n = 0;

	while (own && own[n].text)
		n++;
	for (; *at < n; ++*at)
		if (is_option(&own[*at]))
			return &own[(*at)++];
	if (!v->takes_run)
		return NULL;
	while ((o = &verb_run.options[*at - n])->text) {
		++*at;
		if (takes_of_run(v, o))
			return o;
	}
	return NULL;
}

const struct verb_option *verb_option_of(const struct verb *v, int val)
{
	const struct verb_option *o;
	size_t at = 0;

	while ((o = verb_option_next(v, &at)))
		if (o->val == val)
			return o;
	return NULL;
}

bool verb_command_takes(const struct verb *command, const struct verb_option *o)
{
	const char *at = command->takes;
	size_t len = strlen(o->name);

	if (strcmp(o->name, "help") == 0)
		return true;
	for (; at; at = strchr(at, ' ')) {
		at += *at == ' ';
		if (strncmp(at, o->name, len) == 0 && (at[len] == ' ' || !at[len]))
			return true;
	}
	return false;
}

void verb_getopt_init(struct verb_getopt *ret, const struct verb *v, const char *prefix)
{
	const struct verb_option *o;
	char *s = stpcpy(ret->shorts, prefix);
	size_t n = 0, at = 0;

	while ((o = verb_option_next(v, &at)) && n + 1 < VERB_OPTIONS_MAX) {
		if (o->name)
			ret->longs[n++] =
				(struct option){ o->name, o->arg ? required_argument : no_argument,
						 NULL, o->val };
		if (o->val < 128) {
			*s++ = (char)o->val;
			if (o->arg)
				*s++ = ':';
		}
	}
	*s = '\0';
	ret->longs[n] = (struct option){ 0 };
}

/* ---- the help -------------------------------------------------------------------------------- */

/* Columns of UTF-8. */
static int columns(const char *text, size_t len)
{
	int n = 0;

	for (size_t i = 0; i < len; i++)
		n += (text[i] & 0xc0) != 0x80;
	return n;
}

/* Words from column `at` on, further lines from `indent` on. Ends the line. */
static void print_wrapped(const char *text, int at, int indent)
{
	bool first = true;

	while (*text) {
		size_t len = strcspn(text, " ");
		int wide = columns(text, len);

		if (!first && at + 1 + wide > WIDTH) {
			printf("\n%*s", indent, "");
			at = indent;
			first = true;
		}
		printf("%s%.*s", first ? "" : " ", (int)len, text);
		at += wide + !first;
		first = false;
		text += len + (text[len] == ' ');
	}
	putchar('\n');
}

/* "  -m, --memory SIZE"; what is no option stands without the room for a short name. */
static int label(const struct verb_option *o, char buf[static LABEL_MAX])
{
	char sign[8] = "    ";

	if (!is_option(o))
		return snprintf(buf, LABEL_MAX, "  %s", o->arg);
	if (o->val < 128)
		(void)snprintf(sign, sizeof(sign), o->name ? "-%c, " : "-%c", o->val);
	return snprintf(buf, LABEL_MAX, "  %s%s%s%s%s", sign, o->name ? "--" : "",
			o->name ? o->name : "", o->arg ? " " : "", o->arg ? o->arg : "");
}

static void print_row(const char *label, const char *text, int text_at)
{
	int wide = columns(label, strlen(label));

	if (wide + 2 > text_at) {
		printf("%s  ", label);
		wide += 2;
	} else {
		printf("%s%*s", label, text_at - wide, "");
		wide = text_at;
	}
	print_wrapped(text, wide, text_at);
}

static void print_commands(const struct verb *const *commands)
{
	int at = 0;

	for (const struct verb *const *c = commands; *c; c++)
		if ((int)strlen((*c)->name) + 4 > at)
			at = (int)strlen((*c)->name) + 4;
	fputs("\nCommands:\n", stdout);
	for (const struct verb *const *c = commands; *c; c++) {
		char buf[LABEL_MAX];

		(void)snprintf(buf, sizeof(buf), "  %s", (*c)->name);
		print_row(buf, (*c)->text, at);
	}
}

static void print_options(const struct verb_option *table)
{
	char buf[LABEL_MAX];
	int at = 0;

	for (const struct verb_option *o = table; o->text; o++) {
		bool heading = !is_option(o) && !o->arg;
		int wide = heading ? 0 : label(o, buf);

		if (wide <= LONG_LABEL && wide + 2 > at)
			at = wide + 2;
	}
	for (const struct verb_option *o = table; o->text; o++) {
		if (!is_option(o) && !o->arg) {
			printf("\n%s:\n", o->text);
			continue;
		}
		(void)label(o, buf);
		print_row(buf, o->text, at);
	}
}

/* Only their names: what they mean is in `cloche run --help`. */
static void print_of_run(const struct verb *v)
{
	int at = printf("And of 'cloche run':");
	bool first = true;

	for (const struct verb_option *o = verb_run.options; o->text; o++) {
		int wide;

		if (!takes_of_run(v, o))
			continue;
		if (!first)
			at += printf(",");
		first = false;
		wide = (int)strlen(o->name) + 2;
		/* A comma or full stop stands behind it. */
		if (at + 1 + wide + 1 > WIDTH) {
			putchar('\n');
			at = 0;
		} else {
			at += printf(" ");
		}
		at += printf("--%s", o->name);
	}
	puts(".");
}

int verb_help(const struct verb *v)
{
	fputs(v->usage, stdout);
	if (v->commands)
		print_commands(v->commands);
	print_options(v->options);
	if (v->takes_run)
		print_of_run(v);
	printf("\n%s", v->tail);
	return 0;
}
