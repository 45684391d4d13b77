/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LEDGER_LEDGER_WRITER_H
#define CLOCHE_LEDGER_LEDGER_WRITER_H

#include "ledger/ledger.h"
#include "ledger/ledger_frame.h"
#include "ledger/ledger_head.h"
#include "ledger/ledger_witness.h"

#include <pthread.h>

/* What ledger.c and ledger_recover.c share, and nobody else sees. All under the lock on byte 0. */
struct ledger {
	int dirfd, headfd;
	int segfd;
	uint64_t segfd_number; /* the segment that segfd is; 0: none */
	uint64_t segment_bytes;
	bool sync;
	char *key_file;
	char *dir;
	const struct ledger_io *io;
	struct ledger_head head; /* as of the last time that the lock was held */
	int64_t seen_ns;	 /* when that was, and all was well; CLOCK_MONOTONIC */
	bool quiet;		 /* what is appended is not yet witnessed: see head_recover */
	unsigned char boot[16];
	struct ledger_repair repaired;
	pthread_mutex_t chain, commit; /* the locks of `head` are per open file, not per thread */
	unsigned char buf[FRAME_MAX];
};

/* One part of head says `at`. */
int ledger_part_write(struct ledger *l, const struct ledger_head *at, off_t where,
		      struct cloche_err *err);

/* The frame whose body is at l->buf + FRAME_HEAD, behind the end. */
int ledger_frame_put(struct ledger *l, enum frame_type type, size_t body_len,
		     struct cloche_err *err);

/* Opens the segment's file as l->segfd, unless it is. flags: O_CREAT or 0. */
int ledger_segment_use(struct ledger *l, uint64_t segment, int flags, struct cloche_err *err);

/* Goes to the segment after a sealed one. With O_CREAT it is made; else -ENOENT when it is not
 * there. */
int ledger_segment_enter(struct ledger *l, int flags, struct cloche_err *err);

/* The opening of segment head.segment, which is empty. */
int ledger_segment_start(struct ledger *l, struct cloche_err *err);

/* Takes the frames from head.end on into head, and cuts off a torn end (adding to *cut): the
 * segment's file ends at head.end then. */
int ledger_segment_scan(struct ledger *l, struct ledger_witness *w, uint64_t *cut,
			struct cloche_err *err);

/* -EBADMSG with what to do about it. */
int ledger_broken(struct ledger *l, uint64_t number, const char *why, struct cloche_err *err);

/* Brings l->head and l->segfd up to what is on the disk; mends and notes what is not as it was
 * left. */
int ledger_head_refresh(struct ledger *l, struct cloche_err *err);

#endif
