/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_ORDER_H
#define CLOCHE_LAUNCH_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;
struct spec;

/*
 * What is particular to one invocation and no stream: of the spec that its caller has, what to
 * execute and for how long. It goes to the warden as one block of bytes with WARDEN_GO:
 *
 *   head: how many strings of each list, the numbers
 *   room for a pointer to each string and for the NULL behind each list
 *   the strings, each with its NUL: argv, env, candidates, the working directory
 *
 * The reader puts the pointers in, so what it reads needs no other memory than the block.
 */
struct order {
	char **argv;	   /* NULL-terminated, as the next two; at least one */
	char **env;	   /* the standard variables and the caller's */
	char **candidates; /* paths to execute in turn; at least one */
	const char *workdir;
	int64_t timeout_ns;
	int64_t cpu_time_ns;  /* 0: no limit */
	uint64_t fsize_bytes; /* UINT64_MAX: none, as of the next */
	uint64_t output_bytes;
	uint32_t own_terminals; /* as in the spec, and the next, too */
	bool init_invoked;
};

/* As long may the init of a process that is kept take, where that runs without a CPU quota. */
#define ORDER_INIT_MAX_NS (10LL * 1000000000)

/* Far above what execve(2) takes. */
#define ORDER_MAX (16U << 20)

struct order_block {
	char *bytes; /* owned */
	size_t len;
};

/* -E2BIG as execve(2) would say it, -ENOMEM. */
int order_pack(const struct spec *spec, struct order_block *ret, struct cloche_err *err);
void order_free(struct order_block *block);

/* Reads a block, aligned as a pointer is, in place; *ret points into it. -EBADMSG: it is none.
 * Allocates nothing. */
int order_read(char *bytes, size_t len, struct order *ret);

/* A block that comes as a file in memory, whose content nobody can hold up; what is read of it does
 * not change. To be unmapped; NULL: it is none. */
char *order_map(int fd, size_t len);

#endif
