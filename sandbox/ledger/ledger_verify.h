/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LEDGER_LEDGER_VERIFY_H
#define CLOCHE_LEDGER_LEDGER_VERIFY_H

#include "ledger/ledger_frame.h"
#include "ledger/ledger_head.h"
#include "ledger/ledger_witness.h"
#include "ledger/money.h"

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;
struct ledger_record;

/*
 * The reader of the ledger: walks the chain from its first byte (or from a place that an earlier
 * walk ended at), proves every link, and hands each frame to a callback. Writes nothing, needs no
 * right to write; safe beside writers: the last segment is read under a shared lock where the
 * reader may open `head` for that.
 */
struct ledger_finding {
	bool broken;	  /* the chain is not what was written */
	uint64_t number;  /* of the first frame that is broken or missing */
	uint64_t segment; /* where */
	uint64_t offset;
	char text[240];	 /* what is wrong, or what is remarkable ("" if nothing) */
	uint64_t frames; /* proven by this walk, and what is in them: */
	uint64_t records;
	uint64_t segments;
	uint64_t sealed; /* segments with a seal */
	uint64_t with_signature;
	uint64_t repairs;     /* notes that a torn end was cut off */
	uint64_t cut_bytes;   /* of records that a crash had torn, by these notes */
	uint64_t lost_frames; /* that these notes say were lost with the power, or cut off */
	uint64_t head_notes;  /* of other findings on head: records may be gone */
	/* What head is now, when the chain is not broken; NEWER and OTHER break it. */
	enum ledger_head_state head;
	char head_text[200];	/* in words, when it is not OK */
	uint64_t torn_bytes;	/* at the end, after a crash; the next writer cuts them off */
	uint64_t signer_known;	/* seals signed by the key that the caller gave */
	struct ledger_head end; /* where the walk came to: give it to the next one */
};

/* Whether records are missing, or may be for all that the ledger can tell. */
static inline bool ledger_is_doubtful(const struct ledger_finding *f)
{
	return f->broken || f->lost_frames || f->head_notes || ledger_head_finding(f->head);
}

/* One frame of the chain, proven. record is NULL but for FRAME_RECORD. Valid during the call. */
struct ledger_entry {
	const struct frame *frame;
	const struct ledger_record *record;
	uint64_t segment, offset;
	uint64_t end;			/* where the frame ends in the segment */
	uint64_t records;		/* invocations up to here, by this walk */
	const unsigned char *ledger_id; /* 16 bytes */
};

struct ledger_walk {
	/* Called for each frame in order; a negative return ends the walk with it. May be NULL. */
	int (*each)(const struct ledger_entry *entry, void *arg);
	void *arg;
	const struct ledger_head *from;	 /* NULL: the beginning */
	const unsigned char *public_key; /* 32 bytes: every seal must be signed by it; or NULL */
	struct ledger_witness *witness;	 /* ledger_verify's own: is told of each frame */
};

/* 0 with *ret filled in, whether it is broken or not; negative when it could not be read. */
int ledger_verify(const char *dir, const struct ledger_walk *walk, struct ledger_finding *ret,
		  struct cloche_err *err);

/* The same for the bytes of one segment in memory, from state *head on; for tests and fuzzing.
 * last: whether a torn end is allowed. */
int ledger_verify_bytes(const unsigned char *buf, size_t len, bool last,
			const struct ledger_walk *walk, struct ledger_head *head,
			struct ledger_finding *ret);

#endif
