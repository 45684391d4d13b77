/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_JOURNAL_H
#define CLOCHE_SERVE_JOURNAL_H

#include "base/uuid.h"
#include "function/function_lines.h"
#include "function/function_log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct function_logged;
struct outcome;

/*
 * What one context of a deployed function writes into its log, and the lines of its invocations
 * around it; and the end of that, for who asked for it. What the disk has no room for is not in the
 * log: an invocation is worth more.
 */
#define JOURNAL_TAIL_MAX 4096

struct journal {
	struct function_logged *log; /* borrowed */
	struct function_lines lines;
	char request_id[UUID_LEN];    /* whose lines these are; "": nobody's */
	char ring[JOURNAL_TAIL_MAX];  /* what was written of late ... */
	size_t written;		      /* ... and how much of this invocation in all, with the init
					 before it */
	char head[FUNCTION_LOG_HEAD]; /* of the entries of one piece */
	size_t head_len, pending;
};

/* It stays where it is. */
void journal_init(struct journal *j, struct function_logged *log);
void journal_end(struct journal *j);

/* What was written is of no invocation that is to come. */
void journal_forget(struct journal *j);

/* Nor is what is written from here on of any. */
void journal_leave(struct journal *j);

/* It goes on with an invocation that has begun in another context, and has that tail. */
void journal_go_on(struct journal *j, const char *request_id, const char *tail, size_t len);

/* Init is over: run/report.h. */
void journal_init_report(struct journal *j, const struct outcome *init, bool invoked);

/* Lines from here on are this invocation's. version: 0: the newest. */
void journal_start(struct journal *j, const struct outcome *out, uint32_t version);

/* What it wrote; and there is no more of it now. */
void journal_take(struct journal *j, const char *bytes, size_t len);
void journal_flush(struct journal *j);

/* The last that this invocation has in the log; returns how much. */
size_t journal_tail(const struct journal *j, char ret[static JOURNAL_TAIL_MAX]);

/* Its last lines. */
void journal_report(struct journal *j, const struct outcome *out);

#endif
