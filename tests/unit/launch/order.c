/* SPDX-License-Identifier: MIT */
/* What an invocation is asked for, packed and read again; and no bytes but those are read. */
#include "base/err.h"
#include "launch/order.h"
#include "launch/spec.h"
#include "tests/lib/guard.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct order_block pack(const struct spec *spec)
{
	struct order_block block = { .bytes = NULL };
	struct cloche_err err = { 0 };

	cr_assert_eq(order_pack(spec, &block, &err), 0, "%s", err.text);
	return block;
}

static struct spec ask_for(char *const *argv, char *const *env)
{
	struct spec spec;

	spec_defaults(&spec);
	spec.argv = argv;
	spec.env = env;
	return spec;
}

static void expect_list(char *const *list, const char *const *want)
{
	size_t i = 0;

	for (; want[i]; i++)
		cr_expect(list[i] && strcmp(list[i], want[i]) == 0, "%zu: '%s', not '%s'", i,
			  list[i] ? list[i] : "none", want[i]);
	cr_expect_null(list[i]);
}

Test(order, comes_out_as_it_went_in)
{
	char *const argv[] = { "prog", "", "a b", NULL }, *const env[] = { "HOME=/x", "A=1", NULL };
	struct spec spec = ask_for(argv, env);
	struct order_block block;
	struct order o;

	spec.workdir = "/srv";
	spec.timeout_ns = 7;
	spec.cpu_time_ns = 8;
	spec.fsize_bytes = 9;
	spec.init_invoked = true;
	block = pack(&spec);
	cr_assert_eq(order_read(block.bytes, block.len, &o), 0);
	expect_list(o.argv, (const char *const[]){ "prog", "", "a b", NULL });
	/* What the caller sets takes the place of what is there without it. */
	expect_list(o.env,
		    (const char *const[]){
			    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			    "HOME=/x", "LANG=C.UTF-8", "TZ=UTC", "A=1", NULL });
	expect_list(o.candidates,
		    (const char *const[]){ "/usr/local/sbin/prog", "/usr/local/bin/prog",
					   "/usr/sbin/prog", "/usr/bin/prog", "/sbin/prog",
					   "/bin/prog", NULL });
	cr_expect_str_eq(o.workdir, "/srv");
	cr_expect_eq(o.timeout_ns, 7);
	cr_expect_eq(o.cpu_time_ns, 8);
	cr_expect_eq(o.fsize_bytes, 9);
	cr_expect(o.init_invoked);
	order_free(&block);
}

static void expect_candidates(const char *name, const char *path, const char *const *want)
{
	char *const argv[] = { (char *)(uintptr_t)name, NULL }, *const env[] = {
		(char *)(uintptr_t)path, NULL
	};
	struct spec spec = ask_for(argv, env);
	struct order_block block = pack(&spec);
	struct order o;

	cr_assert_eq(order_read(block.bytes, block.len, &o), 0);
	expect_list(o.candidates, want);
	order_free(&block);
}

Test(order, looks_along_the_path)
{
	expect_candidates("a", "PATH=/x:/y", (const char *const[]){ "/x/a", "/y/a", NULL });
	expect_candidates("a", "PATH=:/y:", (const char *const[]){ "./a", "/y/a", "./a", NULL });
	expect_candidates("a", "PATH=", (const char *const[]){ "./a", NULL });
	expect_candidates("./a", "PATH=/x", (const char *const[]){ "./a", NULL });
	expect_candidates("", "PATH=/x", (const char *const[]){ "", NULL });
}

Test(order, too_much_is_said_as_execve_would)
{
	char *text = malloc(ORDER_MAX);
	char *const argv[] = { "prog", text, NULL };
	struct spec spec = ask_for(argv, NULL);
	struct order_block block;
	struct cloche_err err = { 0 };

	cr_assert_not_null(text);
	memset(text, 'x', ORDER_MAX - 1);
	text[ORDER_MAX - 1] = '\0';
	cr_expect_eq(order_pack(&spec, &block, &err), -E2BIG);
	cr_expect_str_eq(err.text, "'prog': argument list too long");
	cr_expect_str_eq(err.stage, "exec");
	free(text);
}

/* Whatever is cut off or changed: it is refused, or read within its bounds. */
Test(order, no_other_bytes_are_read)
{
	char *const argv[] = { "prog", "arg", NULL }, *const env[] = { "PATH=/x", NULL };
	struct spec spec = ask_for(argv, env);
	struct order_block block = pack(&spec);
	struct order o;

	for (size_t len = 0; len < block.len; len++) {
		/* Aligned at its end, as guard_copy has it: whole words, or what does not matter.
		 */
		char *copy = guard_copy(block.bytes, len);

		if ((uintptr_t)copy % sizeof(char *) == 0)
			cr_expect_eq(order_read(copy, len, &o), -EBADMSG, "%zu", len);
		guard_free(copy, len);
	}
	for (size_t at = 0; at < 32; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			size_t room = (block.len + 7) & ~(size_t)7;
			char *padded = calloc(1, room), *copy;

			cr_assert_not_null(padded);
			memcpy(padded, block.bytes, block.len);
			padded[at] ^= (char)(1U << bit);
			copy = guard_copy(padded, room);
			if (order_read(copy, block.len, &o) == 0)
				for (char **s = o.argv; *s; s++)
					cr_expect(*s > copy && *s < copy + block.len);
			guard_free(copy, room);
			free(padded);
		}
	order_free(&block);
}
