/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_LEDGERS_H
#define CLOCHE_TESTS_LIB_LEDGERS_H

#include "ledger/ledger.h"
#include "ledger/ledger_record.h"
#include "ledger/ledger_verify.h"

/* Records that differ in every field, from a number: request ids are "…-<n>". */
void ledgers_record(uint64_t n, struct ledger_record *ret);

/* The n of a record that ledgers_record made. */
uint64_t ledgers_number(const struct ledger_record *record);

struct ledger *ledgers_open(const char *dir, uint64_t segment_bytes, bool sync);

/* Appends the records from to to-1; asserts. */
void ledgers_append(struct ledger *ledger, uint64_t from, uint64_t to);

/* Walks it; asserts that it could be read. */
struct ledger_finding ledgers_verify(const char *dir);

/* Asserts that it is whole and holds so many invocations. */
void ledgers_expect_whole(const char *dir, uint64_t records);

#endif
