/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_LEDGER_ARGS_H
#define CLOCHE_CLI_LEDGER_ARGS_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

struct cloche_err;
struct ledger_index;
struct ledger_repair;

/* What the verbs bill, cost and audit say and take in the same way. */

/* One line on standard error with a hint at --help; returns 2, the status of a usage error. */
int args_usage(const char *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same for what getopt_long did not take (it returned '?' or ':'). opterr must be 0. */
int args_refused(const char *verb, char **argv, int returned);

/* "cloche VERB: text" on standard error; returns 1. */
int args_failed(const char *verb, const struct cloche_err *err);

/* A line on standard error for each kind of what a writer found: records gone, a head that no death
 * leaves. Nothing is said of nothing. */
void args_lost(const char *verb, const char *ledger, const struct ledger_repair *found);

/* The same where sums are shown of a ledger that lacks records, or may. */
void args_incomplete(const char *verb, const struct ledger_index *index);

/* An instant: 2026-01-02, 2026-01-02T03:04[:05][Z] (UTC), @SECONDS since 1970, or so long ago:
 * 7d, 24h, 90m. */
int args_instant(const char *text, int64_t now_ns, int64_t *ret_ns, struct cloche_err *err);

/* A function's name to look for. The empty one, which would mean all that have none, is refused. */
int args_function(const char *text, const char **ret, struct cloche_err *err);

/* "50/min", "2/s", "1000/day": calls in so many seconds. */
int args_rate(const char *text, uint64_t *ret_calls, uint64_t *ret_seconds, struct cloche_err *err);

/* Whose records the caller may see: their own uid, or -1 for root, who sees all. */
int64_t args_owner(void);

/* The ledger's directory when --ledger is not given: $CLOCHE_LEDGER, else LEDGER_DIR. */
const char *args_ledger(void);
bool args_ledger_named(void);

/* The folder of kept traces: $CLOCHE_TRACES, else TRACE_STORE_DIR. */
const char *args_traces(void);
/* The former; NULL: it names none. */
const char *args_traces_named(void);

#endif
