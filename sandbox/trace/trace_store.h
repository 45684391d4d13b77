/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TRACE_TRACE_STORE_H
#define CLOCHE_TRACE_TRACE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct cloche_err;

/*
 * The folder of kept traces: ID.jsonl, each whole. A trace is written under a temporary name, which
 * its writer holds a lock on, and gets its own when it is done: what a crash leaves has no id, and
 * goes with the next trace that is kept. The folder is bounded: the oldest go.
 */
#define TRACE_STORE_DIR	      "/var/lib/cloche/traces"
#define TRACE_STORE_FILES     1000
#define TRACE_STORE_BYTES     (256ULL << 20)
#define TRACE_STORE_ONE_BYTES (64ULL << 20) /* one trace: the rest of it is counted as lost */
#define TRACE_STORE_PREFIX    4		    /* so much of an id must be given */

#define TRACE_STORE_ID_LEN 40

struct trace_store_limits {
	size_t files;
	uint64_t bytes;
	uint64_t one_bytes; /* of one trace, for who writes it */
};
extern const struct trace_store_limits trace_store_limits;

/* A directory fd. make: with its parent, when absent; one that others may write to is refused. */
int trace_store_open(const char *dir, bool make, struct cloche_err *err);

/* A trace that is being written. */
struct trace_store_file {
	FILE *f;
	char name[48];
};

int trace_store_begin(int dir, struct trace_store_file *ret, struct cloche_err *err);

/* Gives it its id when all was written; else it is gone. f is closed in any case. What is over the
 * limits then goes. */
int trace_store_keep(int dir, struct trace_store_file *file, const char *id,
		     const struct trace_store_limits *limits, struct cloche_err *err);
void trace_store_drop(int dir, struct trace_store_file *file);

/* Removes what is over the limits, the oldest first but never the newest, and what crashed writers
 * left. */
void trace_store_prune(int dir, const struct trace_store_limits *limits);

/* Removes what writers left that are all known to be dead. */
void trace_store_sweep(int dir);

struct trace_store_entry {
	char id[TRACE_STORE_ID_LEN];
	uint64_t bytes;
	int64_t at_ns; /* when it was kept, CLOCK_REALTIME */
};

/* Oldest first; the caller frees *ret. */
int trace_store_list(int dir, struct trace_store_entry **ret, size_t *ret_n,
		     struct cloche_err *err);

/* Whether it looks like an id or the beginning of one, and not like a path. */
bool trace_store_is_id(const char *text);

/* The one whose id begins so. -ENOENT: there is none; -EEXIST: several. */
int trace_store_find(int dir, const char *prefix, char ret[static TRACE_STORE_ID_LEN],
		     struct cloche_err *err);

/* For reading. */
FILE *trace_store_read(int dir, const char *id, struct cloche_err *err);

#endif
