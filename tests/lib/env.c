/* SPDX-License-Identifier: MIT */
/* What surrounds a test: see env.h. */
#include "tests/lib/env.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *env_need(const char *name)
{
	const char *value = getenv(name);

	cr_assert(value && *value, "%s is not set: run this by 'make check-live'", name);
	return value;
}

char *env_helper(const char *name)
{
	char *path = NULL;

	cr_assert(asprintf(&path, "%s/%s", env_need("HELPERS"), name) > 0);
	cr_assert_eq(access(path, X_OK), 0, "helper %s: %m: run this by 'make check-live'", path);
	return path;
}

bool env_without(const char *feature)
{
	const char *list = getenv("CLOCHE_WITHOUT");
	size_t len = strlen(feature);

	for (const char *at = list; at && (at = strstr(at, feature)); at += len)
		if ((at == list || at[-1] == ',') && strchr(",", at[len]))
			return true;
	return false;
}

void test_needs(const char *feature)
{
	if (env_without(feature))
		test_skip("%s was taken away", feature);
}

void test_skip(const char *fmt, ...)
{
	const char *must = getenv("CLOCHE_MUST_RUN");
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (must && strcmp(must, "1") == 0)
		cr_assert_fail("must run, but would be skipped: %s", text);
	cr_skip_test("%s", text);
	abort(); /* not reached: both leave the test by a long jump */
}
