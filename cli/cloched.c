/* SPDX-License-Identifier: MIT */
/*
 * The program of the daemon's front, which `cloche serve` executes. What it says it says on
 * standard error, a line each.
 */
#include "cli/show.h"

#include "base/err.h"
#include "base/parse.h"
#include "serve/daemon.h"
#include "serve/front.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_USAGE 2

static void say(const char *text)
{
	fprintf(stderr, "cloche serve: %s\n", text);
	(void)fflush(stderr);
}

static int be_front(char **argv, struct cloche_err *err)
{
	struct front_options o = { .launcher = DAEMON_FD_LAUNCHER,
				   .control = DAEMON_FD_CONTROL,
				   .state = DAEMON_FD_STATE,
				   .config = DAEMON_FD_CONFIG,
				   .metrics = DAEMON_FD_METRICS,
				   .say = say };
	uint64_t uid, gid;

	if (parse_count(argv[DAEMON_ARG_UID], 1, UINT32_MAX - 1, &uid, err) < 0 ||
	    parse_count(argv[DAEMON_ARG_GID], 1, UINT32_MAX - 1, &gid, err) < 0)
		return -err->code;
	o.uid = (uid_t)uid;
	o.gid = (gid_t)gid;
	for (int fd = DAEMON_FD_LAUNCHER; fd <= DAEMON_FD_METRICS; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	return front_run(&o, err);
}

int main(int argc, char **argv)
{
	struct cloche_err err = { 0 };
	int r;

	show_begin();
	if (argc != DAEMON_ARGS || strcmp(argv[DAEMON_ARG_VERSION], CLOCHE_VERSION) != 0) {
		say("cloched is executed by 'cloche serve' of the same version (" CLOCHE_VERSION
		    ")");
		return EXIT_USAGE;
	}
	r = be_front(argv, &err);
	if (r < 0 && err.code != EPIPE)
		say(err.text);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
