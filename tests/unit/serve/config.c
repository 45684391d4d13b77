/* SPDX-License-Identifier: MIT */
/* The daemon's configuration: what is said counts, what is not said stays, what is wrong is named.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "serve/config.h"
#include "tests/lib/tmpdir.h"

static int load(const char *text, struct config *config, struct cloche_err *err)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	char path[512];
	FILE *f = fopen(tmpdir_path(path, dir, "conf"), "we");

	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
	return config_load(path, config, err);
}

Test(config, what_is_said_counts_and_the_rest_stays)
{
	struct cloche_err err = { 0 };
	struct config c, defaults;

	config_defaults(&defaults);
	c = defaults;
	cr_assert_eq(load("contexts: 3\ngrace: 250ms\n", &c, &err), 0, "%s", err.text);
	cr_expect_eq(c.contexts, 3);
	cr_expect_eq(c.grace_ns, 250000000);
	cr_expect_eq(c.per_owner, defaults.per_owner);
	cr_expect_str_eq(c.control, defaults.control);
	cr_assert_eq(load("control: /a/b\nstate: /c\ncontexts_per_owner: 2\n", &c, &err), 0);
	cr_expect_str_eq(c.control, "/a/b");
	cr_expect_str_eq(c.state, "/c");
	cr_expect_eq(c.per_owner, 2);
	cr_expect_eq(c.contexts, 3);
	cr_expect_eq(c.memory_bytes, 0);
	cr_assert_eq(load("memory: 2G\n", &c, &err), 0, "%s", err.text);
	cr_expect_eq(c.memory_bytes, 2ULL << 30);
	cr_expect_eq(c.idle_expiry_ns, 60000000000);
	cr_assert_eq(load("idle_expiry: 0s\n", &c, &err), 0, "%s", err.text);
	cr_expect_eq(c.idle_expiry_ns, 0);
}

/* Every key may be missing, all of them, too. */
Test(config, nothing_said_is_nothing_wrong)
{
	static const char *const texts[] = { "", "\n", "# contexts: 3\n", "{}\n" };
	struct cloche_err err = { 0 };
	struct config c, defaults;

	config_defaults(&defaults);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		c = defaults;
		cr_assert_eq(load(texts[i], &c, &err), 0, "'%s': %s", texts[i], err.text);
		cr_expect_eq(c.contexts, defaults.contexts);
	}
}

static const struct {
	const char *text, *says;
} wrongs[] = {
	{ "contexts: 0\n", "contexts" },
	{ "contexts: 1001\n", "contexts" },
	{ "contexts: -1\n", "line 1" },
	{ "contexts: many\n", "line 1" },
	{ "contexts_per_owner: 0\n", "contexts_per_owner" },
	{ "grace: soon\n", "grace" },
	{ "grace: 901s\n", "grace" },
	{ "idle_expiry: 86401s\n", "idle_expiry" },
	{ "idle_expiry: long\n", "idle_expiry" },
	{ "memory: much\n", "memory" },
	{ "memory: 0\n", "memory" },
	{ "control: here\n", "control" },
	{ "state: there\n", "state" },
	{ "contexts: 3\nno_such_key: 1\n", "no_such_key" },
	{ "contexts: 3\ncontexts: 4\n", "contexts" },
	{ "- a\n", "line 1" },
	{ "contexts: [\n", "line" },
	{ "control: "
	  "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
	  "line 1" },
};

/* Refused whole: nothing of it counts. */
Test(config, what_is_wrong_is_named_and_changes_nothing)
{
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		struct cloche_err err = { 0 };
		struct config c, was;

		memset(&was, 0, sizeof(was));
		config_defaults(&was);
		c = was;
		cr_expect_lt(load(wrongs[i].text, &c, &err), 0, "%s", wrongs[i].text);
		cr_expect(strstr(err.text, wrongs[i].says), "%s: %s", wrongs[i].text, err.text);
		cr_expect(strstr(err.text, "configuration '"), "%s", err.text);
		cr_expect(c.contexts == was.contexts && c.per_owner == was.per_owner &&
			  c.grace_ns == was.grace_ns && !strcmp(c.control, was.control) &&
			  !strcmp(c.state, was.state));
	}
}

Test(config, a_file_that_is_not_there)
{
	struct cloche_err err = { 0 };
	struct config c;

	config_defaults(&c);
	cr_expect_eq(config_load("/no/such/file", &c, &err), -ENOENT);
	cr_expect(strstr(err.text, "/no/such/file"), "%s", err.text);
}
