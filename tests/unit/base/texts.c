/* SPDX-License-Identifier: MIT */
/* Lists of texts from another process, which may have been taken over. */
#include "base/texts.h"

#include "base/err.h"
#include "base/fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(texts, come_as_they_went)
{
	char *const list[] = { (char *)"one", (char *)"", (char *)"three" };
	cleanup_free char **got = NULL;
	struct cloche_err err = { 0 };
	char buf[16];
	size_t len, n;

	cr_assert_eq(texts_pack(list, 3, buf, sizeof(buf), &len, &err), 0);
	cr_expect_eq(len, 11);
	cr_assert_eq(texts_take(buf, len, 3, &got, &n, &err), 0);
	cr_assert_eq(n, 3);
	for (size_t i = 0; i < 3; i++)
		cr_expect_str_eq(got[i], list[i]);
	cr_expect_null(got[3]);
	cr_expect_eq(texts_pack(list, 3, buf, 11, &len, &err), 0);
	cr_expect_eq(texts_pack(list, 3, buf, 10, &len, &err), -E2BIG);
}

Test(texts, none_is_a_list_too)
{
	cleanup_free char **got = NULL;
	char buf[1];
	size_t len, n;

	cr_assert_eq(texts_pack(NULL, 0, buf, sizeof(buf), &len, NULL), 0);
	cr_assert_eq(texts_take(buf, len, 0, &got, &n, NULL), 0);
	cr_expect(n == 0 && !got[0]);
}

Test(texts, what_is_no_list_is_refused)
{
	struct cloche_err err = { 0 };
	char **got = NULL;
	char open_end[] = { 'a', '\0', 'b' }, many[] = { '\0', '\0', '\0' };
	size_t n;

	cr_expect_eq(texts_take(open_end, 3, 9, &got, &n, &err), -EBADMSG);
	cr_expect_eq(texts_take(many, 3, 2, &got, &n, &err), -EBADMSG);
	cr_expect_null(got);
}
