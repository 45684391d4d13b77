/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LEDGER_LEDGER_FRAME_H
#define CLOCHE_LEDGER_LEDGER_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One link of the ledger's chain, as it lies in a segment file. Little-endian:
 *
 *	 0  4  magic "CLF1"
 *	 4  1  type (enum frame_type)
 *	 5  1  version of the body, LEDGER_VERSION
 *	 6  2  length of the body
 *	 8  8  number: 1 for the first frame of the ledger, and on without a gap
 *	16  8  check: FNV-1a (64 bits) of the 16 bytes before
 *	24 32  hash of the frame before (zeros before the first)
 *	56  n  body
 *	 …  32  hash: SHA-256 of all bytes of the frame before this one
 *
 * The check lets a reader tell a length that was changed from a frame that was cut off: no prefix
 * of a frame that we wrote has a wrong check. FNV-1a sees every change of a single byte, since each
 * of its steps is one-to-one. The hash is what proves; sha256sum(1) and dd(1) can follow it.
 */
#define LEDGER_VERSION 1
#define FRAME_HEAD     56
#define FRAME_HASH     32
#define FRAME_BODY_MAX 1024
#define FRAME_MAX      (FRAME_HEAD + FRAME_BODY_MAX + FRAME_HASH)

enum frame_type {
	FRAME_OPEN = 1,	  /* the first of a segment: struct frame_open */
	FRAME_RECORD = 2, /* an invocation: ledger_record.h */
	FRAME_REPAIR = 3, /* what a writer found that was not as it had been left: frame_repair */
	FRAME_SEAL = 4,	  /* the last of a segment: struct frame_seal */
};

struct frame_open {
	unsigned char ledger_id[16];
	uint64_t segment;
	int64_t time_ns;
};

struct frame_repair {
	uint64_t cut_bytes;
	uint64_t lost_frames; /* that the head knew and that were not there; 0 after a mere crash */
	int64_t time_ns;
	/* Of the file `head` (enum ledger_head_state), and the number that it knew, 0: none. A note
	 * of an older version ends before these. */
	uint64_t head;
	uint64_t head_number;
};
#define FRAME_REPAIR_OLD offsetof(struct frame_repair, head)

struct frame_seal {
	uint64_t segment;
	uint64_t first; /* number of the segment's first frame */
	uint64_t records;
	int64_t time_ns;
	unsigned char public_key[32]; /* zeros: not signed */
	/* Ed25519 of "cloche.ledger.seal/1", the hash of the frame before and the fields above */
	unsigned char signature[64];
};

_Static_assert(sizeof(struct frame_open) == 32, "no padding");
_Static_assert(sizeof(struct frame_repair) == 40, "no padding");
_Static_assert(sizeof(struct frame_seal) == 128, "no padding");

struct frame {
	enum frame_type type;
	uint64_t number;
	const unsigned char *prev; /* into the bytes that were read */
	const unsigned char *body;
	size_t body_len;
	const unsigned char *hash;
	size_t size; /* the whole frame */
};

/* Puts head and hash around the body that is at buf + FRAME_HEAD; returns the whole size. */
size_t frame_finish(unsigned char *buf, enum frame_type type, uint64_t number,
		    const unsigned char prev[static FRAME_HASH], size_t body_len);

enum frame_state {
	FRAME_OK,
	FRAME_TORN,   /* a write that did not end: the bytes up to `avail` are no whole frame */
	FRAME_BROKEN, /* anything else: *ret_why says what */
};

/* *ret_why of a frame whose form is above LEDGER_VERSION: nothing is wrong with it. */
extern const char frame_newer[];

/*
 * Looks at the frame at p, of which avail bytes (> 0) are there up to the end of the file, and
 * compares it with the number and hash that the chain has so far. number 0 takes any (for a reader
 * that starts in the middle and has nothing to compare with).
 */
enum frame_state frame_check(const unsigned char *p, size_t avail, uint64_t number,
			     const unsigned char *prev, struct frame *ret, const char **ret_why);

/* The body of a FRAME_REPAIR; false when it has not the size of one. */
bool frame_repair_read(const struct frame *frame, struct frame_repair *ret);

const char *frame_type_text(enum frame_type type);

#endif
