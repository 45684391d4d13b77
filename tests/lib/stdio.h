/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_STDIO_H
#define CLOCHE_TESTS_LIB_STDIO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Runs of `cloche run` whose standard streams a test makes itself; the helpers are in /opt. */

/* fds: its streams; -1: /dev/null. args: options and command; without --timeout it has 50 s. */
pid_t start(const int fds[3], const char *const args[]);

/* Waits: the exit status, 128 + the signal. */
int end_of(pid_t pid);

#define START(in, out, err, ...) \
	start((const int[3]){ in, out, err }, (const char *const[]){ __VA_ARGS__, NULL })
#define RUN_WITH(in, out, err, ...) end_of(START(in, out, err, __VA_ARGS__))

/* All there is until the end (of a terminal: EIO), or until nothing is there for now. */
size_t take(int fd, char *buf, size_t size, bool until_end);

/* What `cloche` says on a terminal of so many columns; its exit status. argv: with its name. */
int cloche_on_terminal(const char *const argv[], unsigned short columns, char *out, size_t size);

/* A file without a name, and what is in it (static). */
int file_of(const char *text);
const char *text_of(int fd);

struct terminal_pair {
	int master, slave;
};

struct terminal_pair terminal_open(void);
void terminal_close(struct terminal_pair *t);

/* A run by a session whose controlling terminal it is, to the end of both. */
int run_on_terminal(const struct terminal_pair *t, const int fds[3], const char *const args[]);

/* Of Unix stream sockets. */
void pair_open(int ret[2]);

#endif
