/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_IMAGE_IMAGE_MAKE_H
#define CLOCHE_IMAGE_IMAGE_MAKE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;

/*
 * Making an image: whatever fills a directory tree, the rest is the same for all.
 *
 * Theory of operation. The maker works in a folder ".make-…" of the store that it holds a lock on.
 * A worker, pid 1 of a pid and a mount namespace of its own, fills the tree, packs and writes it to
 * disk; its parent then gives the file its name. When the worker fails, or a signal comes, the
 * parent kills it and with it all that it started and mounted, and removes the folder. When the
 * parent is killed the worker dies too; the folder stays, unlocked, and the next maker removes it.
 * So an image is there as a whole or not at all, and nothing is ever mounted on the host.
 *
 * What installs packages does so as root. Of an archive, which somebody else wrote, a process of
 * its own fills the tree (image_cell.h); the worker has become a user that nothing else on the host
 * is, without capabilities or network, and with nothing to write to but the folder. It reads of
 * that process no more than numbers and the text that comes into the image.
 */
typedef void image_progress(const char *line);

struct image_job {
	const char *dir;  /* the maker's folder; the worker's current directory too */
	const char *tree; /* the root of what is packed, empty at first: a folder in it */
	int tree_fd;
	int archive; /* as image_make() has it */
	/* From the filler: files keep their modification times, else all are of 1970. */
	bool times_kept;
	json_t *meta; /* gets "kind" and "arch" before; the filler adds what else is known */
	const void *arg;
	image_progress *progress; /* NULL: nobody wants to know */
};

typedef int image_filler(struct image_job *job, struct cloche_err *err);

/* Makes or replaces an image. archive: what the filler reads, if somebody else wrote it, open for
 * reading; -1: it is no such filler. 0, or -errno; -EINTR: *ret_signal ended it. progress, which
 * may be NULL, is told in the process that fills or packs what is being done. */
int image_make(const char *name, const char *kind, int archive, image_filler *fill, const void *arg,
	       image_progress *progress, int *ret_signal, struct cloche_err *err);

/*
 * The same for somebody who may not have all of the host for it. bounds: what is unpacked is in
 * memory, at most so much, and the image has at most so many bytes; the worker calls enter() before
 * anything else, to be in a place where its memory is counted. -ENOSPC, -EFBIG: it would be more.
 */
struct image_bounds {
	uint64_t tree_bytes, file_bytes;
	int (*enter)(const void *arg, struct cloche_err *err);
	const void *arg;
};

struct image_making {
	const char *name, *kind;
	int archive;
	image_filler *fill;
	const void *arg;
	image_progress *progress;
	const char *store;  /* a directory; NULL: image_store_path() */
	const char *sha256; /* of the archive, which is spooled (image_spool.h); NULL: it is not */
	bool part;	    /* it is no root: nothing that a root needs is put into it */
	const struct image_bounds *bounds; /* NULL: there are none */
};

int image_make_as(const struct image_making *how, int *ret_signal, struct cloche_err *err);

/* Removes from a store what makers that are dead have left. */
void image_make_sweep(const char *store);

/* For fillers: runs a program with nothing on its standard input and puts what it wrote into the
 * error when it fails, as far as one line tells it. */
int image_tool(const char *const argv[], const char *package, struct cloche_err *err);

/* For fillers: a line of progress. */
void image_say(const struct image_job *job, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
