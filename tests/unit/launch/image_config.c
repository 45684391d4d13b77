/* SPDX-License-Identifier: MIT */
/* What an image says of how it is run: what is taken of it, and what cannot be. */
#include "launch/image_config.h"

#include "base/err.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Both halves, as one. */
static int parse(const char *text, struct image_config *ret, struct cloche_err *err)
{
	char *record = malloc(IMAGE_CONFIG_SIZE);
	size_t len = 0;
	int r;

	cr_assert_not_null(record);
	r = image_config_parse(text, record, IMAGE_CONFIG_SIZE, &len, err);
	if (r == 0)
		r = image_config_take(record, len, ret, err);
	free(record);
	return r;
}

static const char full[] = "{\"env\":[\"PATH=/bin\",\"odd\",\"=x\",\"E=\"],\"entrypoint\":[\"a\"],"
			   "\"cmd\":\"b c\",\"workdir\":\"app\"}";

Test(image_config, what_is_taken)
{
	struct image_config c;
	struct cloche_err err = { 0 };

	cr_assert_eq(parse(full, &c, &err), 0, "%s", err.text);
	cr_assert_str_eq(c.env[0], "PATH=/bin");
	cr_assert_str_eq(c.env[1], "E=");
	cr_assert_null(c.env[2]);
	cr_assert_str_eq(c.entrypoint[0], "a");
	cr_assert_null(c.entrypoint[1]);
	cr_assert_str_eq(c.cmd[0], "b c");
	cr_assert_null(c.cmd[1]);
	cr_assert_str_eq(c.workdir, "/app");
	image_config_free(&c);
	cr_assert_eq(parse("{}", &c, &err), 0);
	cr_assert(!c.env[0] && !c.entrypoint[0] && !c.cmd[0] && !c.workdir);
	image_config_free(&c);
}

/* Cut short it is damaged, wherever; nothing is set then. */
Test(image_config, every_truncation_is_damage)
{
	for (size_t len = 0; len < sizeof(full) - 1; len++) {
		char *text = strndup(full, len);
		struct image_config c = { 0 };
		struct cloche_err err = { 0 };

		cr_assert_eq(parse(text, &c, &err), -EBADMSG, "%zu", len);
		cr_assert_null(c.texts);
		free(text);
	}
}

Test(image_config, what_cannot_be)
{
	static const struct {
		const char *text, *says;
		int r;
	} bad[] = {
		{ "[]", "no JSON object", -EBADMSG },
		{ "{\"env\":[\"A=\\u0000\"]}", "no JSON object", -EBADMSG },
		{ "{\"env\":{}}", "the image's env is no list of texts", -EINVAL },
		{ "{\"cmd\":[[]]}", "the image's cmd is no list of texts", -EINVAL },
		{ "{\"workdir\":1}", "the image's workdir is no text", -EINVAL },
	};
	struct image_config c = { 0 };
	struct cloche_err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err = (struct cloche_err){ 0 };
		cr_assert_eq(parse(bad[i].text, &c, &err), bad[i].r, "%zu", i);
		cr_assert(strstr(err.text, bad[i].says), "%s", err.text);
	}
}

/* As much as a caller may give, and a byte more. */
Test(image_config, the_environment_is_bounded)
{
	const size_t most = (1U << 20) - 1 - sizeof(char *);
	char *text = malloc(most + 64);
	struct image_config c;
	struct cloche_err err = { 0 };

	for (size_t more = 0; more < 2; more++) {
		char *at = stpcpy(text, "{\"env\":[\"A=");

		memset(at, 'x', most - 2 + more);
		memcpy(at + most - 2 + more, "\"]}", sizeof("\"]}"));
		cr_assert_eq(parse(text, &c, &err), more ? -E2BIG : 0, "%s", err.text);
		if (!more)
			image_config_free(&c);
	}
	cr_assert(strstr(err.text, "and may have 1048576"), "%s", err.text);
	free(text);
}

/* ---- a record that nobody vouches for ------------------------------------------------------ */

struct record {
	uint32_t n[4]; /* environment, entrypoint, command, working directory */
	char texts[64];
};

/* len of the texts. */
static int take(struct record record, size_t len, struct image_config *ret)
{
	char *copy = malloc(sizeof(record.n) + len);
	struct cloche_err err = { 0 };
	int r;

	cr_assert_not_null(copy);
	memcpy(copy, &record, sizeof(record.n) + len);
	r = image_config_take(copy, sizeof(record.n) + len, ret, &err);
	free(copy);
	cr_assert(r == 0 || (!ret->texts && !ret->env && !ret->cmd && !ret->workdir));
	return r;
}

Test(image_config, a_record_is_taken_to_its_end)
{
	const struct record record = { { 1, 0, 2, 1 }, "A=b\0c\0\0/d" };
	struct image_config c;

	cr_assert_eq(take(record, 10, &c), 0);
	cr_expect_str_eq(c.env[0], "A=b");
	cr_expect_null(c.entrypoint[0]);
	cr_expect_str_eq(c.cmd[1], "");
	cr_expect_str_eq(c.workdir, "/d");
	image_config_free(&c);
	for (size_t len = 0; len < 64; len++)
		if (len != 10)
			cr_expect_eq(take(record, len, &c), -EBADMSG, "%zu", len);
	for (size_t len = 0; len < sizeof(record.n); len++)
		cr_expect_eq(image_config_take(&record, len, &c, NULL), -EBADMSG, "%zu", len);
}

Test(image_config, what_is_no_record_is_refused)
{
	static const struct record lies[] = {
		{ { UINT32_MAX, 0, 0, 0 }, "" }, { { 0, 4097, 0, 0 }, "" },
		{ { 0, 0, 1U << 31, 0 }, "" },	 { { 0, 0, 0, 2 }, "/\0/" },
		{ { 4096, 4096, 4096, 1 }, "" }, { { 1, 0, 0, 0 }, "=b" },
		{ { 1, 0, 0, 0 }, "none" },	 { { 0, 0, 0, 1 }, "relative" },
		{ { 0, 0, 0, 1 }, "" },
	};
	struct image_config c;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
		for (size_t len = 0; len <= sizeof(lies[i].texts); len++)
			cr_expect_eq(take(lies[i], len, &c), -EBADMSG, "%zu, %zu", i, len);
}
