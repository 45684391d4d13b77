/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_FUNCTION_FUNCTION_STORE_H
#define CLOCHE_FUNCTION_FUNCTION_STORE_H

#include "function/function.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;

/*
 * All deployed functions, of all owners, in memory and on the disk.
 *
 *	DIR/UID/functions.json     which functions he has, and which versions of each: the one of
 *	                           them that counts
 *	DIR/UID/NAME/N.json        a version, which never changes
 *
 * Theory of operation. Whatever changes is written beside what is there and then, in one rename of
 * functions.json, counts: several functions are deployed as a whole or not at all, whenever the
 * power goes. What is not in that file was never there, and is removed at the next start. Where the
 * disk has damaged a file, that is said and it is left out; without functions.json the versions
 *that can be read count, the latest of each. Versions of one function count up from 1, and the
 *oldest goes when there are too many.
 *
 * One thread, but for what takes a disk to write (function_change.h). Versions are counted by who
 * holds them: one that an invocation has may be gone from here.
 */
#define FUNCTION_VERSIONS_MAX 16

struct function_version {
	unsigned refs;
	uint32_t owner;
	uint32_t number;
	uint64_t id;	     /* no other version has it, of this or any function, in this process */
	int64_t deployed_ns; /* CLOCK_REALTIME */
	struct function_config config;
};

struct function_version *function_version_ref(struct function_version *v);
struct function_version *function_version_unref(struct function_version *v); /* NULL */

struct function {
	uint32_t owner;
	char name[FUNCTION_NAME_LEN];
	uint32_t current, last; /* numbers: what counts; the highest that ever was */
	struct function_version *versions[FUNCTION_VERSIONS_MAX]; /* ascending */
	size_t n;
};

struct function_store;

/* In a directory of the caller's, made when it is absent. say: a line of the log, of what is left
 * out. What is wrong with a file is no error. */
int function_store_open(int at, const char *name, void (*say)(const char *line),
			struct function_store **ret, struct cloche_err *err);
struct function_store *function_store_close(struct function_store *s); /* NULL */

/* NULL: there is none. Valid until something changes. */
const struct function *function_store_find(const struct function_store *s, uint32_t owner,
					   const char *name);

/* version 0: the one that counts. Borrowed, valid until something changes: see ref. NULL: none. */
struct function_version *function_store_get(const struct function_store *s, uint32_t owner,
					    const char *name, uint32_t version);

/* One after the other, by owner and name; at begins with 0. NULL: no more. */
const struct function *function_store_next(const struct function_store *s, size_t *at);
size_t function_store_count(const struct function_store *s, uint32_t owner);

enum function_put_what { PUT_UNCHANGED, PUT_CREATED, PUT_UPDATED };

struct function_put {
	struct function_config *config; /* checked */
	enum function_put_what what;	/* what becomes of it */
	uint32_t version;
};

/* How many functions more there would be. */
size_t function_store_new(const struct function_store *s, uint32_t owner,
			  const struct function_put *puts, size_t n);

/* Whether any version of the owner's has this code, or layer. */
bool function_store_uses(const struct function_store *s, uint32_t owner, const char *sha256);

/* The function's directory, for what else belongs to it: the caller's, or -errno. */
int function_store_dir(const struct function_store *s, uint32_t owner, const char *name,
		       struct cloche_err *err);

#endif
