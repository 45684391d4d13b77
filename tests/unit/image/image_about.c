/* SPDX-License-Identifier: MIT */
/* What comes of an image's description, and of what is said to come of one. */
#include "image/image_about.h"

#include "base/err.h"
#include "base/fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const own[] = { "name", NULL };

static int about(const char *meta, enum image_about_form form, size_t size, struct image_about *ret,
		 struct cloche_err *err)
{
	cleanup_free char *record = malloc(size + 1);
	size_t len = 0;
	int r = image_about_parse(meta, form, own, record, size, &len, err);

	cr_assert(r < 0 || len <= size);
	return r < 0 ? r : image_about_take(record, len, form, ret, err);
}

Test(image_about, of_a_description)
{
	static const struct {
		const char *meta, *kind, *json, *lines;
	} table[] = {
		{ "{}", "?", "{}", "" },
		{ "{\"kind\":\"\"}", "?", "{\"kind\":\"\"}", "kind         \n" },
		{ "{\"kind\":1}", "?", "{\"kind\":1}", "kind         1\n" },
		{ "{\"kind\":\"oci\",\"name\":\"else\"}", "oci", "{\"kind\":\"oci\"}",
		  "kind         oci\n" },
		{ "{\"kind\":\"a\\nb\"}", "a?b", "{\"kind\":\"a\\nb\"}", "kind         a\\nb\n" },
		{ "{\"a\\nb\":[\"x\",2,[]]}", "?", "{\"a\\nb\":[\"x\",2,[]]}",
		  "a\\nb         'x' ? ?\n" },
		{ "{\"o\":{\"a\": [1, null]}}", "?", "{\"o\":{\"a\":[1,null]}}",
		  "o            {\"a\":[1,null]}\n" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		for (int lines = 0; lines < 2; lines++) {
			struct image_about got = { 0 };
			struct cloche_err err = { 0 };

			cr_assert_eq(about(table[i].meta,
					   lines ? IMAGE_ABOUT_LINES : IMAGE_ABOUT_JSON, 4096, &got,
					   &err),
				     0, "%s: %s", table[i].meta, err.text);
			cr_expect_str_eq(got.kind, table[i].kind);
			cr_expect_str_eq(got.text, lines ? table[i].lines : table[i].json);
			cr_expect_eq(got.len, strlen(got.text));
			image_about_free(&got);
		}
}

Test(image_about, what_is_too_long_is_said)
{
	struct image_about got = { 0 };
	struct cloche_err err = { 0 };

	cr_expect_eq(about("{\"a\":1}", IMAGE_ABOUT_JSON, IMAGE_KIND_LEN + 6, &got, &err), -E2BIG);
	cr_expect_eq(about("{\"a\":1}", IMAGE_ABOUT_JSON, IMAGE_KIND_LEN - 1, &got, &err), -E2BIG);
	cr_expect_eq(about("{\"a\":1}", IMAGE_ABOUT_JSON, IMAGE_KIND_LEN + 7, &got, &err), 0);
	image_about_free(&got);
}

/* By whoever has taken over who reads it. */
Test(image_about, what_is_no_record_is_refused)
{
	static const struct {
		const char *kind; /* NULL: no NUL in it */
		const char *text;
		size_t len;
		enum image_about_form form;
	} table[] = {
		{ "", "{}", 2, IMAGE_ABOUT_JSON },
		{ NULL, "{}", 2, IMAGE_ABOUT_JSON },
		{ "a\nforged", "{}", 2, IMAGE_ABOUT_JSON },
		{ "a\033[2J", "{}", 2, IMAGE_ABOUT_JSON },
		{ "a", "", 0, IMAGE_ABOUT_JSON },
		{ "a", "{", 1, IMAGE_ABOUT_JSON },
		{ "a", "{}\n", 3, IMAGE_ABOUT_JSON },
		{ "a", "{\n}", 3, IMAGE_ABOUT_JSON },
		{ "a", "{\0}", 3, IMAGE_ABOUT_JSON },
		{ "a", "[]", 2, IMAGE_ABOUT_JSON },
		{ "a", "x", 1, IMAGE_ABOUT_LINES },
		{ "a", "x\033\n", 3, IMAGE_ABOUT_LINES },
		{ "a", "x\ry\n", 4, IMAGE_ABOUT_LINES },
		{ "a", "x\0y\n", 4, IMAGE_ABOUT_LINES },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char record[IMAGE_KIND_LEN + 8] = { 0 };
		struct image_about got;
		struct cloche_err err = { 0 };

		if (table[i].kind)
			(void)snprintf(record, IMAGE_KIND_LEN, "%s", table[i].kind);
		else
			memset(record, 'k', IMAGE_KIND_LEN);
		memcpy(record + IMAGE_KIND_LEN, table[i].text, table[i].len);
		cr_expect_eq(image_about_take(record, IMAGE_KIND_LEN + table[i].len, table[i].form,
					      &got, &err),
			     -EBADMSG, "%zu", i);
		cr_expect_null(got.text);
	}
	for (size_t len = 0; len < IMAGE_KIND_LEN; len++) {
		char *record = calloc(1, len + 1);
		struct image_about got;

		record[0] = 'k';
		cr_expect_eq(image_about_take(record, len, IMAGE_ABOUT_LINES, &got, NULL),
			     -EBADMSG);
		free(record);
	}
}
