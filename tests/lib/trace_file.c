/* SPDX-License-Identifier: MIT */
/* Traces in files: see trace_file.h. */
#include "tests/lib/trace_file.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/err.h"
#include "base/fd.h"
#include "trace/trace_json.h"

struct trace trace_file_read(const char *path)
{
	cleanup_file FILE *f = fopen(path, "re");
	struct cloche_err err = { 0 };
	struct trace t = { 0 };

	cr_assert(f, "%s: %m", path);
	cr_assert_eq(trace_json_read(f, path, &t, &err), 0, "%s", err.text);
	return t;
}
