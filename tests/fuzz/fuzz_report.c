/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as what `cloche report` is given: one file, or two with a byte 0xff between them. They
 * are refused with one line, or make a page that is well formed and asks for nothing.
 */
#include "trace/page_sources.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/page_form.h"
#include "trace/page.h"
#include "trace/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_bytes(struct page_sources *s, const uint8_t *data, size_t size)
{
	FILE *f = size ? fmemopen((void *)(uintptr_t)data, size, "r") : fopen("/dev/null", "re");
	struct cloche_err err = { 0 };
	int r;

	if (!f)
		abort();
	r = page_sources_read(s, f, "input", &err);
	if ((r < 0) != (err.code != 0) || strchr(err.text, '\n'))
		abort();
	(void)fclose(f);
	return r;
}

static void page_check(const struct page_sources *s)
{
	const char *why, *at = NULL;
	char *page = NULL;
	size_t len;
	FILE *f = open_memstream(&page, &len);

	if (!f || page_write(f, s->reports, s->n_reports, s->traces, s->n_traces) || fclose(f))
		abort();
	why = strlen(page) == len ? page_form_why(page, &at) : "a NUL";
	if (why) {
		(void)fprintf(stderr, "%s at '%.60s'\n", why, at ? at : "");
		abort();
	}
	free(page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_page_sources struct page_sources s = { 0 };
	const uint8_t *second = size ? memchr(data, 0xff, size) : NULL;
	size_t first = second ? (size_t)(second - data) : size;

	if (read_bytes(&s, data, first) == 0 &&
	    (!second || read_bytes(&s, second + 1, size - first - 1) == 0))
		page_check(&s);
	return 0;
}
