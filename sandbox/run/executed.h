/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_EXECUTED_H
#define CLOCHE_RUN_EXECUTED_H

#include "base/hash.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct context;

/*
 * What an invocation executed, for its record: the SHA-256 of the file at the command's name when
 * execve(2) was called. Of a script that is the script, not its interpreter, which opens it once
 * more by its name. The name must lead to it before and after, by a way on which nothing was
 * renamed (launch/lookup.h): to execute the file that was opened, by execveat(2), would take the
 * script from its interpreter and the name from the process.
 *
 * A file is read once: HOST_RUN_DIR/code remembers the hashes of files by device, inode, size,
 * mtime and ctime, which nobody can set, and of an image's files by image and inode. Not those that
 * changed within the last two seconds (a second change could bear the same time), nor those of file
 * systems whose times somebody else makes up (network, FUSE).
 */
struct executed {
	bool known;
	struct stat seen; /* before it was executed */
};

/* Cannot fail. */
void executed_see(const struct context *ctx, struct executed *ret);

/*
 * After the invocation. "" when it is not known: nothing was executed, the file changed while it
 * ran, it cannot be read or is larger than most.
 */
#define EXECUTED_MOST	 (1ULL << 30)
#define EXECUTED_KEY_LEN 256
void executed_hash(int run_fd, const struct context *ctx, const struct executed *executed,
		   uint64_t most, char ret[static HASH_HEX_LEN]);

/*
 * The same in three steps, for who may not wait for a file: the hash from memory, or that there is
 * none (true); else the file is to be read, by whom it does not matter, as *ret_unread says, whose
 * descriptor is borrowed; and what came of it remembered.
 */
struct executed_unread {
	int fd;
	struct stat st;
	bool keyed;
	char key[EXECUTED_KEY_LEN];
};
bool executed_recall(int run_fd, const struct context *ctx, const struct executed *executed,
		     uint64_t most, char ret[static HASH_HEX_LEN],
		     struct executed_unread *ret_unread);
void executed_read(const struct executed_unread *unread, char ret[static HASH_HEX_LEN]);
void executed_remember(int run_fd, const struct executed_unread *unread, const char *hash);

#endif
