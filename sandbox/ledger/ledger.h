/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LEDGER_LEDGER_H
#define CLOCHE_LEDGER_LEDGER_H

#include "ledger/ledger_witness.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cloche_err;
struct ledger_record;

/*
 * The writer of the ledger. Life cycle: ledger_open → [ledger_ready → work → ledger_append]… →
 * ledger_close. It knows of no process model: any number of processes, and of threads that share
 * one struct ledger, may append to one directory at the same time.
 *
 * Theory of operation. The directory holds
 *
 *	000000000001.seg …  segments: frames (ledger_frame.h) of one chain, back to back
 *	head                where the chain ends, and where it is about to: a witness against one
 *	                    whose end was cut off (ledger_witness.h)
 *	seal.key            optional: the key that signs seals (ledger_key.h)
 *	index.db            derived, see ledger_index.h
 *
 * Who appends holds an open-file-description lock on byte 0 of `head`, so that the kernel frees it
 * however the holder dies. Under it: read head, compare its end with the segment's size, announce
 * the frame in head, write it behind the end in one pwrite(2), and say in head that it is there.
 * What pwrite has taken survives the death of every process of ours; what the power takes is the
 * matter of `sync`.
 *
 * A death between two of these steps leaves one of: a frame that was announced only (adopted by the
 * next writer), a piece of a frame (cut off by the next writer, which says so in the chain with a
 * FRAME_REPAIR), a sealed segment without a successor (made by the next writer). None of them
 * touches a frame that was answered for. A head that no death leaves, missing ones among them, and
 * frames that it knew and that are gone, are noted in the chain in the same way.
 *
 * Durability against power loss (`sync`): after its append a writer takes the lock on byte 1, and
 * unless somebody's fdatasync(2) has covered its frame meanwhile, calls it and notes how far it
 * went. Writers that wait for that lock are served by one call: a group commit.
 */
#define LEDGER_DIR	     "/var/lib/cloche/ledger"
#define LEDGER_SEGMENT_BYTES (16ULL << 20)

/* The calls that change something on the disk; tests replace them to die or fail at each. */
struct ledger_io {
	ssize_t (*pwrite)(int fd, const void *buf, size_t len, off_t at);
	int (*ftruncate)(int fd, off_t size);
	int (*fdatasync)(int fd);
	int (*fallocate)(int fd, int mode, off_t at, off_t len);
	int (*openat)(int dirfd, const char *name, int flags, ...);
};

struct ledger_options {
	uint64_t segment_bytes;	    /* 0: LEDGER_SEGMENT_BYTES; a segment ends soon after it */
	bool create;		    /* make the directory (0700) and an empty ledger when absent */
	bool sync;		    /* an append is answered when it would survive power loss */
	const uid_t *owner;	    /* whose the directory must be; NULL: of who runs this */
	const char *key_file;	    /* signs seals; NULL: seal.key in the directory, if there */
	const struct ledger_io *io; /* NULL: the system's */
};

/* What a writer had to mend when it came. Lost frames may have been answered for: whoever finds
 * them gone must tell somebody. */
struct ledger_repair {
	uint64_t cut_bytes;   /* of a torn last record */
	uint64_t lost_frames; /* that head knew: lost with the power, or cut off by somebody */
	/* The last finding on head, and how many there were: see ledger_witness.h. */
	enum ledger_head_state head;
	uint64_t findings;
};

struct ledger;

/* dir is kept only while this runs. -ENOENT without `create`, -EROFS, -EACCES, -EBADMSG for a
 * ledger whose end is broken (never for one that is torn: that is mended). */
int ledger_open(const char *dir, const struct ledger_options *options, struct ledger **ret,
		struct cloche_err *err);
struct ledger *ledger_close(struct ledger *ledger);

static inline void ledger_closep(struct ledger **ledger)
{
	*ledger = ledger_close(*ledger);
}
#define cleanup_ledger __attribute__((cleanup(ledger_closep)))

/*
 * To be asked before an invocation starts: is there room for its record? Reserves space on the
 * disk ahead of the end (some 600 records), so that a disk that fills up later does not stop the
 * append, and sees whether the process may write files so long. -ENOSPC, -EFBIG: refuse the work,
 * or go on and say so.
 */
int ledger_ready(struct ledger *ledger, struct cloche_err *err);

/* Appends one record; when this returns 0 it is there. On failure nothing was recorded and nothing
 * that was there is harmed. *ret_number (may be NULL) is its number in the chain. */
int ledger_append(struct ledger *ledger, const struct ledger_record *record, uint64_t *ret_number,
		  struct cloche_err *err);

/* Where the chain ended when this writer last wrote or was asked for room: ledger_walk goes on from
 * there. */
struct ledger_head;
void ledger_place(struct ledger *ledger, struct ledger_head *ret);

/* Where it ends now, whoever has written last. Needs no room. -EBADMSG as ledger_open(). */
int ledger_end(struct ledger *ledger, struct ledger_head *ret, struct cloche_err *err);

/* Ends the segment with a seal, signed when there is a key, and starts the next one. A segment
 * without records is left as it is. */
int ledger_seal(struct ledger *ledger, struct cloche_err *err);

/* What this writer mended since it was opened. */
struct ledger_repair ledger_repaired(const struct ledger *ledger);

#endif
