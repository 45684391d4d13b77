/* SPDX-License-Identifier: MIT */
/*
 * A context that is used again, seen by a program that looks for the one before it: what went on
 * counting, what has a name, what is common to all who have the streams. Needs root.
 */
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char *start_of(const struct run *run, size_t i)
{
	json_t *context = json_object_get(json_array_get(run->reports, i), "context");

	return json_string_value(json_object_get(context, "start"));
}

/* The n outputs are the same, each beginning with the line of its pid. */
static void expect_alike(const struct run *run, size_t n)
{
	const char *first = run->out, *next = strstr(first + 1, "pid 2\nlast pid");
	size_t len;

	cr_assert(next, "%s", run->out);
	len = (size_t)(next - first);
	cr_expect_eq(run->out_len, n * len, "%zu bytes, %zu of the first: %s", run->out_len, len,
		     run->out);
	for (size_t i = 1; i < n && (i + 1) * len <= run->out_len; i++)
		cr_expect(memcmp(first + i * len, first, len) == 0,
			  "invocation %zu finds traces:\n%.*s\nnot:\n%.*s", i + 1, (int)len,
			  first + i * len, (int)len, first);
}

static void repeat(struct run *run, const char *net, const char *what)
{
	RUN_INSIDE(run, "-q", "-m", "128M", "--cpu", "0.5", "-t", "60s", "--net", net, "--repeat",
		   "3", "/opt/traces", what);
	cr_assert_eq(run->status, 0, "%s", run->err);
	cr_assert_eq(json_array_size(run->reports), 3);
}

Test(escape_reuse, nothing_tells_of_the_one_before)
{
	static const char *const nets[] = { "none", "loopback" };

	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
		cleanup_run struct run run = { 0 };

		repeat(&run, nets[i], "all");
		expect_alike(&run, 3);
		cr_expect_str_eq(start_of(&run, 0), "cold");
		cr_expect_str_eq(start_of(&run, 1), "warm");
		cr_expect_str_eq(start_of(&run, 2), "warm");
	}
}

/* Kept in sockets that are on the way into each other: collected, or the context is used up. */
Test(escape_reuse, names_of_sockets)
{
	cleanup_run struct run run = { 0 };

	repeat(&run, "loopback", "unix");
	expect_alike(&run, 3);
}

/* A lock by a stream is everybody's who has the stream. The caller's own stays. */
Test(escape_reuse, locks_on_streams)
{
	/* Read and write: else it would be copied. */
	static const char script[] = "exec 1<>out\n"
				     "$CLOCHE run -q -- sh -c 'flock -n -x 1 && echo locked'\n"
				     "flock -n out echo free >&2 || echo held >&2\n"
				     "flock -n -x 1\n"
				     "$CLOCHE run -q -- true\n"
				     "flock -n out echo free >&2 || echo held >&2\n"
				     "cat out >&2\n";
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *line = NULL;
	cleanup_run struct run run = { 0 };

	cr_assert(asprintf(&line, "cd '%s' && %s", dir, script) > 0);
	RUN(&run, "sh", "-c", line);
	cr_expect_str_eq(run.err, "free\nheld\nlocked\n");
}
