/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a trace. Beyond not crashing: a trace that is read writes lines that are read again
 * as the same trace, and every form of it can be written.
 */
#include "trace/page.h"
#include "trace/trace.h"
#include "trace/trace_json.h"
#include "trace/trace_perfetto.h"
#include "trace/trace_text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *lines(const struct trace *t, size_t *ret_len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, ret_len);

	if (!f)
		abort();
	trace_json_write(f, t);
	if (fclose(f))
		abort();
	return text;
}

static void again(const struct trace *t)
{
	struct trace back;
	size_t len, len2;
	char *one = lines(t, &len), *two;
	FILE *f = fmemopen(one, len, "r");

	if (!f || trace_json_read(f, "again", &back, NULL))
		abort();
	(void)fclose(f);
	two = lines(&back, &len2);
	if (len != len2 || memcmp(one, two, len) != 0)
		abort();
	trace_free(&back);
	free(one);
	free(two);
}

static void show(const struct trace *t)
{
	FILE *f = fopen("/dev/null", "we");

	if (!f || trace_text_write(f, t, true) || trace_perfetto_write(f, t) ||
	    page_write(f, NULL, 0, t, 1))
		abort();
	(void)fclose(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trace t;
	FILE *f;

	if (!size)
		return 0;
	f = fmemopen((void *)(uintptr_t)data, size, "r");
	if (!f)
		abort();
	if (!trace_json_read(f, "input", &t, NULL)) {
		again(&t);
		show(&t);
	}
	trace_free(&t);
	(void)fclose(f);
	return 0;
}
