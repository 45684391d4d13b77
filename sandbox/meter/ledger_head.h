/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_METER_LEDGER_HEAD_H
#define CLOCHE_METER_LEDGER_HEAD_H

#include "meter/ledger_frame.h"

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;

/*
 * The file `head`: where the chain ends. At 0 struct ledger_head, written under the lock on byte 0;
 * at HEAD_SYNCED_AT struct ledger_synced, under the lock on byte 1. One that is missing, torn or
 * false only costs a reading of the last segment.
 */
#define HEAD_NAME	 "head"
#define HEAD_SYNCED_AT	 256
#define HEAD_LOCK_CHAIN	 0
#define HEAD_LOCK_SYNC	 1
#define SEGMENT_NAME_LEN sizeof("000000000001.seg")

struct ledger_head {
	unsigned char magic[8];
	unsigned char ledger_id[16];
	uint64_t segment;
	uint64_t end;	  /* of the last frame in the segment's file */
	uint64_t number;  /* of the last frame; 0: none yet */
	uint64_t first;	  /* number of the segment's first frame */
	uint64_t records; /* invocations in the segment */
	uint64_t sealed;
	uint64_t reserved;		/* the disk has room for the segment up to here */
	unsigned char hash[FRAME_HASH]; /* of the last frame */
	uint64_t check;
};

struct ledger_synced {
	uint64_t segment, end, check;
};

/* False when it is not there or not whole. */
bool ledger_head_read(int fd, struct ledger_head *ret);
bool ledger_synced_read(int fd, struct ledger_synced *ret);
void ledger_head_finish(struct ledger_head *head);
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
