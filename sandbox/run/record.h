/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_RECORD_H
#define CLOCHE_RUN_RECORD_H

struct ledger_record;
struct outcome;

/*
 * The ledger's record of an invocation, from the same figures as its report: what one says the
 * other says too. Cannot fail, and what it makes can always be encoded. An invocation that never
 * ran costs nothing, not even its request.
 */
void record_make(const struct outcome *out, struct ledger_record *ret);

#endif
