/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LEDGER_LEDGER_HEAD_H
#define CLOCHE_LEDGER_LEDGER_HEAD_H

#include "ledger/ledger_frame.h"

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;

/*
 * A place in the chain, as the writers know it, the file `head` keeps it (ledger_witness.h says
 * how) and a walk goes on from it. In the file, at HEAD_SYNCED_AT, stands struct ledger_synced too,
 * written under the lock on byte 1: a hint, which nothing is lost with.
 */
#define HEAD_NAME	 "head"
#define HEAD_SYNCED_AT	 256
#define HEAD_NEXT_AT	 512
#define HEAD_LOCK_CHAIN	 0
#define HEAD_LOCK_SYNC	 1
#define SEGMENT_NAME_LEN sizeof("000000000001.seg")

struct ledger_head {
	unsigned char magic[8];
	uint64_t begin; /* as check, and before the content: see ledger_witness.h */
	unsigned char ledger_id[16];
	uint64_t segment;
	uint64_t end;	  /* of the last frame in the segment's file */
	uint64_t number;  /* of the last frame; 0: none yet */
	uint64_t first;	  /* number of the segment's first frame */
	uint64_t records; /* invocations in the segment */
	uint64_t sealed;
	uint64_t reserved;		/* the disk has room for the segment up to here */
	unsigned char hash[FRAME_HASH]; /* of the last frame */
	unsigned char boot[16];		/* during which it was written */
	int64_t written_ns;		/* when: no two writes of a part have the same check */
	uint64_t check;
};

struct ledger_synced {
	uint64_t segment, end, check;
};

/* FNV-1a: tells what was not written as it stands there; proves nothing. */
uint64_t ledger_check(const void *data, size_t len);

/* False when it is not there or not whole. */
bool ledger_synced_read(int fd, struct ledger_synced *ret);
void ledger_synced_finish(struct ledger_synced *synced);

/* Moves head behind a frame that ends at `end`. -EBADMSG when a frame of that kind cannot stand
 * there: see ledger_head.c. */
int ledger_head_advance(struct ledger_head *head, const struct frame *frame, const char **ret_why);

void ledger_segment_name(uint64_t segment, char buf[static SEGMENT_NAME_LEN]);

/* The directory, to read from: a descriptor, or -errno with what may be done about it. */
int ledger_dir_open(const char *dir, struct cloche_err *err);

/* The numbers of the first and last segment file in the directory, 0 when there is none. */
int ledger_segment_range(int dirfd, uint64_t *ret_first, uint64_t *ret_last);

/* All of a segment's file from `from` on, to be freed. -ENOENT when it is not there. */
int ledger_segment_load(int dirfd, uint64_t segment, uint64_t from, unsigned char **ret,
			size_t *ret_len);

/* Waits for the lock on that byte of head (F_RDLCK, F_WRLCK), or gives it back (F_UNLCK). */
int ledger_head_lock(int fd, int byte, short type);

#endif
