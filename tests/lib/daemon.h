/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_DAEMON_H
#define CLOCHE_TESTS_LIB_DAEMON_H

#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

struct run;

/*
 * A daemon of the test's own, with socket, state and ledger in a folder of its own, and clients of
 * it that have no rights. What is not as it should be fails the test.
 *
 *	daemon_prepare → daemon_start → … → daemon_stop
 */
#define DAEMON_USER	"1000" /* the clients */
#define DAEMON_ARGS_MAX 40

struct daemon {
	char *dir;     /* others may pass it */
	char mark[64]; /* K=V in the environment of the daemon and of what it starts */
	char control[600], conf[600], cloche[600], ledger[600];
	const char *verb;   /* what is asked; "run" */
	const char *user;   /* who asks; DAEMON_USER */
	const char *groups; /* setpriv(1)'s option for his supplementary groups; none */
	pid_t pid;
	FILE *said; /* its standard error */
};

/* Skips the test where it has no root. */
void daemon_prepare(struct daemon *d);

/* These lines in its configuration, behind those that it has; instead of what was so said before.
 */
void daemon_reconfigure(const struct daemon *d, const char *lines);

/* Until it says that it is ready. */
void daemon_start(struct daemon *d);

/* Without waiting; err: its standard error. */
pid_t daemon_spawn(const struct daemon *d, int err);

/* By SIGTERM; then nothing of it is there any more. */
void daemon_stop(struct daemon *d);
void daemon_expect_nothing(const struct daemon *d);

/* By SIGKILL; what it leaves is there until the next one of this folder is started. */
void daemon_kill(struct daemon *d);

/* The user runs something, and it is well. */
void daemon_expect_serves(const struct daemon *d);

pid_t daemon_front(const struct daemon *d);

/* So many records have the text, and the chain is whole. */
void daemon_expect_records(const struct daemon *d, const char *what, size_t n);

/* `cloche run ARGS…` by the user, through the daemon. */
void daemon_run_as_user(const struct daemon *d, struct run *run, const char *const args[]);
#define AS_USER(d, run, ...) \
	daemon_run_as_user((d), (run), (const char *const[]){ __VA_ARGS__, NULL })

/* The same by another user. */
void daemon_run_as(const struct daemon *d, const char *uid, struct run *run,
		   const char *const args[]);

/* A line more in its configuration, before it is started. */
void daemon_configure(const struct daemon *d, const char *line);

/* The whole command line of that; control is room for a part of it. */
void daemon_user_argv(const struct daemon *d, const char *const args[],
		      const char *argv[static DAEMON_ARGS_MAX], char control[static 700]);

/* A connection to its control socket, by whoever this process is. */
int daemon_knock(const struct daemon *d);

/* A client on its way. */
struct client;
struct client client_start(const struct daemon *d, const char *const args[]);

/* A client whose function has said "begun"; client_begin's does not end by itself. */
struct client {
	pid_t pid;
	FILE *out, *err;
};

struct client client_begin(const struct daemon *d);
struct client client_begin_args(const struct daemon *d, const char *const args[]);

/* Nobody holds its output: the function is dead, and the daemon has let it go. */
void client_expect_over(struct client *c);

/* It was told that the daemon ended before it, and its function is dead. */
void client_expect_lost(struct client *c);

/* A line that has the text; ends the test where the other end is gone before. */
void expect_line(FILE *f, const char *text);

/* How a child has ended, as a shell has it. */
int process_status(pid_t pid);

/* Its children, of one thread, at most so many (proc(5)); 0 where it is gone. */
unsigned process_children(pid_t pid, pid_t *ret, unsigned most);

#endif
