/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_DAEMON_H
#define CLOCHE_SERVE_DAEMON_H

#include <sys/types.h>

struct cloche_err;
struct config;

/*
 * The life of the daemon. Theory of operation: this process, root, is the launcher
 * (serve/launching.h); it holds the lock of the state directory and the control socket, which it
 * never reads from, and starts the front (serve/front.h) as a new program with five descriptors.
 * That program is another one than this: what serves clients takes libraries that root's part does
 * without, and of a launcher that is static, and so small, wardens are born faster and smaller.
 * A front that ends or breaks the rules is replaced, and the contexts that it had end. The
 * launcher's own death is everybody's: front and wardens are told by the kernel, and what is left
 * on the host the next start takes away.
 */
enum {
	DAEMON_FD_LAUNCHER = 3,
	DAEMON_FD_CONTROL,
	DAEMON_FD_STATE,
	DAEMON_FD_CONFIG,
	DAEMON_FD_METRICS
};

/* What the front is told as its arguments, behind its name. */
enum { DAEMON_ARG_VERSION = 1, DAEMON_ARG_UID, DAEMON_ARG_GID, DAEMON_ARGS };

struct daemon_options {
	const struct config *config;
	int front;		       /* the front's program, to be executed: O_PATH */
	void (*say)(const char *text); /* a line of the log */
	void (*serves)(void);	       /* it is ready; once */
	void (*stops)(void);	       /* it comes to its end; once, and not where it failed */
	/* On SIGHUP: the configuration as it is to be from now on. */
	int (*reload)(struct config *ret, struct cloche_err *err);
};

/* Until SIGTERM or SIGINT; 0 then, when nothing is left. */
int daemon_run(const struct daemon_options *options, struct cloche_err *err);

#endif
