/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LEDGER_LEDGER_OWN_H
#define CLOCHE_LEDGER_LEDGER_OWN_H

#include "base/hash.h"

#include <stddef.h>
#include <stdint.h>

struct cloche_err;

/*
 * One owner's records of a ledger that has others' too, in a chain of their own: what an owner can
 * prove who sees no more than these. Links of the ledger's chain are hashes of whole records, and
 * their numbers tell how much others do; so neither is any use to him. This chain is not kept
 * anywhere: whoever reads the records computes it, and its end is a line to be kept where the
 * ledger's writer cannot reach it, as with ledger_anchor.h:
 *
 *	cloche-own-1 owner=UID invocations=K sha256=HASH
 *
 * HASH is that of 32 zeros before the first record, and with each SHA-256 of the one before with
 * the record's bytes (ledger_record_encode) behind it.
 */
#define LEDGER_OWN_WORD "cloche-own-1"
#define LEDGER_OWN_LEN	160

struct ledger_own {
	uint64_t records;
	uint32_t uid;
	unsigned char hash[HASH_LEN];
};

void ledger_own_begin(uint32_t uid, struct ledger_own *ret);

/* The body of the next one, LEDGER_BODY_MAX at most. */
void ledger_own_add(struct ledger_own *own, const unsigned char *body, size_t len);

void ledger_own_format(const struct ledger_own *own, char buf[static LEDGER_OWN_LEN]);

/* -EINVAL for anything but one such line, without its end. */
int ledger_own_parse(const char *line, struct ledger_own *ret, struct cloche_err *err);

#endif
