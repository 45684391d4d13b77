/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_RECORDS_H
#define CLOCHE_SERVE_RECORDS_H

#include "base/err.h"
#include "ledger/ledger_slices.h"
#include "ledger/ledger_verify.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Records of the ledger on their way from the daemon to a client: messages of one form, each with
 * some or none; the last says so. Root gets the chain's frames as they are; everybody else his own
 * invocations, numbered by themselves: how many there are in between is others' matter.
 *
 * In a message behind its head: items, each with its bytes behind it, back to back.
 */
struct records_head {
	char version[16]; /* as struct answer has it */
	uint32_t kind;	  /* ANSWER_RECORDS */
	uint32_t len;	  /* of what follows */
	bool last;
	/* With the last: what the daemon found as it proved the chain. */
	bool unsure;	       /* records may be missing */
	uint64_t lost;	       /* how many are; root's to know */
	struct cloche_err why; /* code: it could not go on, and that there was more */
};

struct records_item {
	uint64_t number;
	uint64_t segment; /* 0: not the client's to know */
	uint32_t len;	  /* of its body */
	uint32_t type;	  /* enum frame_type */
};

/* An item is shorter than its frame. */
_Static_assert(sizeof(struct records_item) <= FRAME_HEAD + FRAME_HASH, "a slice is a message");
#define RECORDS_MAX (sizeof(struct records_head) + LEDGER_SLICE)

/* A message that is being made. */
struct records {
	struct records_head head;
	unsigned char bytes[LEDGER_SLICE];
};

void records_begin(struct records *r);

/* There is room for those of one slice. */
void records_add(struct records *r, const struct ledger_entry *entry, uint64_t number,
		 uint64_t segment);

/* Tells walk->each of the items of one message, so many bytes behind its head: 0, -EBADMSG for
 * what is none, or what `each` returned. *f counts them. */
int records_tell(const unsigned char *bytes, size_t len, const struct ledger_walk *walk,
		 struct ledger_finding *f, struct cloche_err *err);

#endif
