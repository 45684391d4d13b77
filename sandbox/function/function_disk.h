/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_FUNCTION_FUNCTION_DISK_H
#define CLOCHE_FUNCTION_FUNCTION_DISK_H

#include "function/function_store.h"

#include <jansson.h>

struct cloche_err;

/* The files of function_store.h. Whatever is written is on the disk when that is said, and a file
 * is there as a whole or not at all. */

/* Opens a directory, and makes it where it is absent; -errno. */
int disk_dir(int at, const char *name, struct cloche_err *err);

/* NULL: *err says what is wrong with it; ENOENT: it is absent. */
json_t *disk_read(int dir, const char *name, struct cloche_err *err);

/* A directory with the files in it; what cannot be removed stays. */
void disk_try_clear(int at, const char *name);

/* "N.json" → N; 0: it is none. */
uint32_t disk_version_of(const char *file);

/* What is in such a file, the caller's to free; NULL: no memory. */
char *disk_version_text(const struct function_version *v);

/* Such a file is none before the index names it, so it may be there in part meanwhile. Of many all
 * are written before the first is synced: then the disk waits once, and not for each. */
int disk_write_version(int dir, uint32_t number, const char *text, struct cloche_err *err);
int disk_sync_version(int dir, uint32_t number, struct cloche_err *err);
void disk_try_remove_version(int dir, uint32_t number);

/* The version as its file has it: -EBADMSG where that is another's, or none. */
int disk_read_version(int dir, uint32_t owner, const char *name, uint32_t number,
		      struct function_version **ret, struct cloche_err *err);

/* Which functions of an owner's there are, as the index has it, the caller's to free. NULL: no
 * memory. */
char *disk_index_text(const struct function *const *functions, size_t n);
int disk_write_index(int dir, const char *text, struct cloche_err *err);
json_t *disk_read_index(int dir, struct cloche_err *err);

/* Of one entry of it. -EBADMSG. */
struct disk_entry {
	const char *name; /* of the JSON */
	uint32_t current, last, versions[FUNCTION_VERSIONS_MAX];
	size_t n;
};
int disk_read_entry(const json_t *o, struct disk_entry *ret, struct cloche_err *err);

#endif
