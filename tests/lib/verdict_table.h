/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_VERDICT_TABLE_H
#define CLOCHE_TESTS_VERDICT_TABLE_H

#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The tables beside the profiles (policies/NAME.table): what is expected of each call.
 *
 *	VERDICT CALL…         # comment
 *
 * VERDICT is ALLOW, LOG, KILL_PROCESS, KILL_THREAD, TRAP or the name of an errno. CALL is a
 * syscall's name or number with its first arguments, if they matter: `clone(0x10000,0)`. Before
 * it "x32:" or "i386:" for a call by that ABI; numbers may be written in decimal or as 0x….
 */
struct verdict {
	unsigned int line;
	char call[96];		  /* as written */
	struct seccomp_data data; /* what the filter sees */
	uint32_t action;	  /* SECCOMP_RET_*, errno included */
};

struct verdict_table {
	struct verdict *rows; /* owned */
	size_t n;
};

/* Reads a table or ends the test with a message: a table that cannot be read is a broken test. */
struct verdict_table verdict_table_read(const char *path);
void verdict_table_free(struct verdict_table *table);

/* "ALLOW", "KILL_PROCESS", "EPERM"…; static or in a buffer that the next call overwrites. */
const char *verdict_name(uint32_t action);

#endif
