/* SPDX-License-Identifier: MIT */
/* Files that somebody gives `cloche report`, read into reports and traces. */
#include "trace/page_sources.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "trace/trace.h"
#include "trace/trace_json.h"

void page_sources_free(struct page_sources *s)
{
	for (size_t i = 0; i < s->n_reports; i++)
		json_decref(s->reports[i]);
	for (size_t i = 0; i < s->n_traces; i++)
		trace_free(&s->traces[i]);
	free(s->reports);
	free(s->traces);
	*s = (struct page_sources){ 0 };
}

static int report_add(struct page_sources *s, json_t *report, struct cloche_err *err)
{
	json_t **more = reallocarray(s->reports, s->n_reports + 1, sizeof(void *));

	if (!more) {
		json_decref(report);
		return cloche_err_sys(err, ENOMEM, "read the report");
	}
	s->reports = more;
	s->reports[s->n_reports++] = report;
	return 0;
}

/* The next that is no blank, which stays to be read; EOF. */
static int peek(FILE *f)
{
	int c;

	while ((c = getc(f)) != EOF && c && strchr(" \t\r\n", c))
		;
	return c == EOF ? EOF : ungetc(c, f);
}

static int reports_read(struct page_sources *s, FILE *f, const char *name, struct cloche_err *err)
{
	unsigned long number = 0;
	json_error_t why;

	while (peek(f) != EOF) {
		json_t *o = json_loadf(f, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &why);
		const char *schema = json_string_value(json_object_get(o, "schema"));
		int r;

		number++;
		if (!o || !schema || strcmp(schema, PAGE_REPORT_SCHEMA) != 0) {
			json_decref(o);
			return cloche_err_set(err, EPROTO,
					      "'%.200s' object %lu: neither a report "
					      "(" PAGE_REPORT_SCHEMA ") nor a trace (" TRACE_SCHEMA
					      ")",
					      name, number);
		}
		r = report_add(s, o, err);
		if (r)
			return r;
	}
	if (ferror(f))
		return cloche_err_sys(err, errno, "read '%.200s'", name);
	if (!number)
		return cloche_err_set(err, EPROTO, "'%.200s' is empty", name);
	return 0;
}

static int trace_read(struct page_sources *s, FILE *f, const char *name, struct cloche_err *err)
{
	struct trace *more = reallocarray(s->traces, s->n_traces + 1, sizeof(*more));

	if (!more)
		return cloche_err_sys(err, ENOMEM, "read '%.200s'", name);
	s->traces = more;
	/* Counted also when it fails: it is to be freed. */
	return trace_json_read(f, name, &s->traces[s->n_traces++], err);
}

/* Whoever wrote it, and with whatever blanks: by the schema of its first object. */
static bool is_trace(FILE *f)
{
	json_t *o = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL);
	const char *schema = json_string_value(json_object_get(o, "schema"));
	bool is = schema && strcmp(schema, TRACE_SCHEMA) == 0;

	json_decref(o);
	return is;
}

int page_sources_read(struct page_sources *s, FILE *f, const char *name, struct cloche_err *err)
{
	bool trace = is_trace(f);

	rewind(f);
	return trace ? trace_read(s, f, name, err) : reports_read(s, f, name, err);
}
