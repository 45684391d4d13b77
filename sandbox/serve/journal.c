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

/* Entries that are written together: a function that writes nothing but newlines makes 60 bytes of
 * each. The front has one thread that comes here. */
static char entries[128U << 10];

static void add_to_tail(struct journal *j, const char *text, size_t len)
{
	size_t most = sizeof(j->ring), n;

	if (len > most) {
		text += len - most;
		len = most;
	}
	for (; len; text += n, len -= n) {
		size_t at = j->written % most;

		n = len < most - at ? len : most - at;
		memcpy(j->ring + at, text, n);
		j->written += n;
	}
}

static void write_entries(struct journal *j)
{
	if (j->pending)
		(void)function_log_write_entries(&j->log->log, entries, j->pending);
	j->pending = 0;
}

static void on_line(void *arg, const char *text, size_t len)
{
	struct journal *j = arg;

	add_to_tail(j, text, len);
	add_to_tail(j, "\n", 1);
	if (j->head_len + len + 1 > sizeof(entries) - j->pending)
		write_entries(j);
	if (j->head_len + len + 1 > sizeof(entries)) {
		(void)function_log_write(&j->log->log, clock_real_ns(), j->request_id, text, len);
		return;
	}
	memcpy(entries + j->pending, j->head, j->head_len);
	memcpy(entries + j->pending + j->head_len, text, len);
	j->pending += j->head_len + len;
	entries[j->pending++] = '\n';
}

/* What comes in one piece came at one time. */
static void begin_piece(struct journal *j)
{
	j->head_len = function_log_head(clock_real_ns(), j->request_id, j->head);
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
	begin_piece(j);
	function_lines_take(&j->lines, bytes, len);
	write_entries(j);
}

void journal_flush(struct journal *j)
{
	begin_piece(j);
	function_lines_flush(&j->lines);
	write_entries(j);
}

size_t journal_tail(const struct journal *j, char ret[static JOURNAL_TAIL_MAX])
{
	size_t most = sizeof(j->ring), len = j->written < most ? j->written : most;
	size_t first = (j->written - len) % most, n = len < most - first ? len : most - first;

	memcpy(ret, j->ring + first, n);
	memcpy(ret + n, j->ring, len - n);
	return len;
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

void journal_forget(struct journal *j)
{
	j->written = 0;
}

void journal_leave(struct journal *j)
{
	journal_flush(j);
	j->request_id[0] = '\0';
}

void journal_go_on(struct journal *j, const char *request_id, const char *tail, size_t len)
{
	(void)snprintf(j->request_id, sizeof(j->request_id), "%s", request_id);
	add_to_tail(j, tail, len);
}

void journal_init_report(struct journal *j, const struct outcome *init, bool invoked)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return;
	report_init_line(init, invoked, f);
	write_own(j, f, &text, &len);
}

void journal_start(struct journal *j, const struct outcome *out, uint32_t version)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	journal_flush(j);
	/* What was written since its process began is of what it is told of, as on Lambda. */
	if (j->request_id[0] && strcmp(j->request_id, out->request_id) != 0)
		journal_forget(j);
	memcpy(j->request_id, out->request_id, sizeof(j->request_id));
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
	if (out->verdict == VERDICT_TIMEOUT || out->verdict == VERDICT_INIT_TIMEOUT)
		log_line_timed_out(out, clock_real_ns(), f);
	if (out->verdict == VERDICT_LAUNCH_ERROR)
		log_line_not_started(out, f);
	log_line_end(out, f);
	report_line(out, f);
	write_own(j, f, &text, &len);
}
