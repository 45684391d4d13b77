/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LEDGER_LEDGER_ANCHOR_H
#define CLOCHE_LEDGER_LEDGER_ANCHOR_H

#include "ledger/ledger_frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;
struct ledger_entry;

/*
 * A place in the chain as one line of text, to be kept where the ledger's writer cannot reach it:
 * whoever puts the ledger and its head back together to how they were leaves nothing in them that
 * tells; a line from later does. One form only, words separated by one blank:
 *
 *	cloche-ledger-1 ledger=ID record=N segment=S end=BYTE invocations=K sha256=HASH
 *	[key=KEY signature=SIGNATURE]
 *
 * The signature (Ed25519) is of the line up to it, the blank before it not included.
 */
#define LEDGER_ANCHOR_WORD "cloche-ledger-1"
#define LEDGER_ANCHOR_LEN  640

struct ledger_anchor {
	unsigned char ledger_id[16];
	uint64_t number;  /* of the record that it stands at, 1 for the ledger's first */
	uint64_t segment; /* whose file it is in */
	uint64_t end;	  /* where it ends there, in bytes */
	uint64_t records; /* invocations up to there */
	unsigned char hash[FRAME_HASH];
	bool is_signed;
	unsigned char key[32], signature[64];
	/* What the chain says of it, filled in by ledger_anchor_compare; NULL: it was not met. */
	bool met;
	const char *differs;
};

/* The place of an entry of a walk from the ledger's beginning. */
void ledger_anchor_take(const struct ledger_entry *entry, struct ledger_anchor *ret);

/* Signs it with the key at path, relative to dirfd; see ledger_key_sign. */
int ledger_anchor_sign(struct ledger_anchor *anchor, int dirfd, const char *path,
		       struct cloche_err *err);

void ledger_anchor_format(const struct ledger_anchor *anchor, char buf[static LEDGER_ANCHOR_LEN]);

/* -EINVAL for anything but one such line, without its end. */
int ledger_anchor_parse(const char *line, struct ledger_anchor *ret, struct cloche_err *err);

/* Whether the signature is right, by the key that the line itself names. */
bool ledger_anchor_signed(const struct ledger_anchor *anchor);

/* To be told each entry of a walk from the beginning: notes when it is the one of the anchor, and
 * what differs. */
void ledger_anchor_compare(struct ledger_anchor *anchor, const struct ledger_entry *entry);

#endif
