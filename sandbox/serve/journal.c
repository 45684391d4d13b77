/* SPDX-License-Identifier: MIT */
/* Lines for a function's log: see journal.h. */
#include "serve/journal.h"

#include "base/clock.h"
#include "base/fd.h"
#include "run/log_lines.h"
#include "run/outcome.h"
#include "run/report.h"
#include "serve/logged.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_to_tail(struct journal *j, const char *text, size_t len)
{
	size_t most = sizeof(j->tail), gone;

	if (len > most) {
		text += len - most;
		len = most;
	}
	gone = j->tail_len + len > most ? j->tail_len + len - most : 0;
	memmove(j->tail, j->tail + gone, j->tail_len - gone);
	j->tail_len -= gone;
	memcpy(j->tail + j->tail_len, text, len);
	j->tail_len += len;
}

static void on_line(void *arg, const char *text, size_t len)
{
	struct journal *j = arg;

	(void)function_log_write(&j->log->log, clock_real_ns(), j->request_id, text, len);
	add_to_tail(j, text, len);
	add_to_tail(j, "\n", 1);
}

void journal_init(struct journal *j, struct function_logged *log)
{
	*j = (struct journal){ .log = log };
	j->lines = (struct function_lines){ .line = on_line, .arg = j };
}

void journal_end(struct journal *j)
{
	function_lines_free(&j->lines);
}

void journal_take(struct journal *j, const char *bytes, size_t len)
{
	function_lines_take(&j->lines, bytes, len);
}

void journal_flush(struct journal *j)
{
	function_lines_flush(&j->lines);
}

/* Lines of ours, which end with newlines. */
static void write_own(struct journal *j, FILE *f, char **text, const size_t *len)
{
	if (fclose(f) == 0) {
		journal_flush(j);
		journal_take(j, *text, *len);
	}
	free(*text);
}

void journal_start(struct journal *j, const struct outcome *out, uint32_t version)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	memcpy(j->request_id, out->request_id, sizeof(j->request_id));
	j->tail_len = 0;
	if (!f)
		return;
	log_line_start(out, version, f);
	write_own(j, f, &text, &len);
}

void journal_report(struct journal *j, const struct outcome *out)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return;
	if (out->verdict == VERDICT_TIMEOUT)
		log_line_timed_out(out, clock_real_ns(), f);
	log_line_end(out, f);
	report_line(out, f);
	write_own(j, f, &text, &len);
}
