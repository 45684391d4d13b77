/* SPDX-License-Identifier: MIT */
/* The form of a page, looked at without a browser: also by a fuzz target, hence no Criterion. */
#include "tests/lib/page_form.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 32
#define NAME_SIZE 16

/* *tag begins with '<'; moves to the '>' or '/' that ends its name and attributes. */
static const char *tag_skip(const char **tag, char name[static NAME_SIZE], bool *ret_closes)
{
	const char *s = *tag + 1;
	size_t n = 0;

	*ret_closes = *s == '/';
	for (s += *ret_closes; isalnum((unsigned char)*s) && n < NAME_SIZE - 1; s++)
		name[n++] = *s;
	name[n] = 0;
	if (!n)
		return "a bare <";
	for (; *s && *s != '>' && *s != '/'; s++)
		if (*s == '"' && !(s = strchr(s + 1, '"')))
			return "an open attribute";
	*tag = s;
	return NULL;
}

static const char *nesting_why(const char *page, const char **ret_at)
{
	char open[DEPTH_MAX][NAME_SIZE];
	int depth = 0;

	page = strstr(page, "<!DOCTYPE html>");
	for (const char *s = page ? strchr(page + 1, '<') : NULL; s; s = strchr(s, '<')) {
		char name[NAME_SIZE];
		bool closes;
		const char *why;

		*ret_at = s;
		why = tag_skip(&s, name, &closes);
		if (why)
			return why;
		if (closes && (!depth || strcmp(open[--depth], name) != 0))
			return "closes what is not open";
		if (closes || *s == '/')
			continue;
		if (depth == DEPTH_MAX)
			return "too deep";
		(void)snprintf(open[depth++], NAME_SIZE, "%s", name);
	}
	return depth || !page ? "not closed" : NULL;
}

/* Attributes that ask for something are in no tag; that each < begins one of ours is nesting's. */
static const char *asks_why(const char *page, const char **ret_at)
{
	static const char *const never[] = { "<script", "<img", "<!--", "<link", "<a", "<iframe" };
	static const char *const styles[] = { "url(", "@import" };
	static const char *const attributes[] = { "src=", "href=", " on", "style=", "action=" };
	const char *style = strstr(page, "<style>"),
		   *end = style ? strstr(style, "</style>") : page;

	if (!style || !end)
		return "no style";
	for (size_t i = 0; i < sizeof(styles) / sizeof(*styles); i++)
		if ((*ret_at = memmem(style, (size_t)(end - style), styles[i], strlen(styles[i]))))
			return styles[i];
	for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++)
		if ((*ret_at = strstr(page, never[i])))
			return never[i];
	for (const char *tag = strchr(page, '<'); tag; tag = strchr(tag + 1, '<'))
		for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++)
			if ((*ret_at = memmem(tag, strcspn(tag, ">"), attributes[i],
					      strlen(attributes[i]))))
				return attributes[i];
	for (const char *s = page; *s; s++)
		if (iscntrl((unsigned char)*s) && *s != '\n') {
			*ret_at = s;
			return "a control character";
		}
	return NULL;
}

const char *page_form_why(const char *page, const char **ret_at)
{
	const char *why = nesting_why(page, ret_at);

	return why ? why : asks_why(page, ret_at);
}
