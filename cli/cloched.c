/* SPDX-License-Identifier: MIT */
/*
 * The daemon's program, which `cloche serve` executes; it executes itself once more as the front.
 * What it says it says on standard error, a line each.
 */
#include "cli/show.h"

#include "base/err.h"
#include "base/parse.h"
#include "serve/config.h"
#include "serve/daemon.h"
#include "serve/front.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define FRONT_ARG  "--front"
#define EXIT_USAGE 2

static void say(const char *text)
{
	fprintf(stderr, "cloche serve: %s\n", text);
	(void)fflush(stderr);
}

static void say_ready(void)
{
	say("ready");
	(void)sd_notify(0, "READY=1");
}

static void say_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1");
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

	if (parse_count(argv[2], 1, UINT32_MAX - 1, &uid, err) < 0 ||
	    parse_count(argv[3], 1, UINT32_MAX - 1, &gid, err) < 0)
		return -err->code;
	o.uid = (uid_t)uid;
	o.gid = (gid_t)gid;
	for (int fd = DAEMON_FD_LAUNCHER; fd <= DAEMON_FD_METRICS; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	return front_run(&o, err);
}

/* A configuration that nobody named may be missing. */
static int load_config(const char *path, struct config *ret, struct cloche_err *err)
{
	const char *control = getenv("CLOCHE_CONTROL");

	config_defaults(ret);
	if (control && *control) {
		if (*control != '/' || strlen(control) >= sizeof(ret->control))
			return cloche_err_set(err, EINVAL,
					      "CLOCHE_CONTROL is no absolute path that a socket "
					      "could have");
		(void)snprintf(ret->control, sizeof(ret->control), "%s", control);
		if (config_metrics_beside(ret) < 0)
			return cloche_err_set(err, EINVAL, "CLOCHE_CONTROL is too long");
	}
	if (!path && access(CONFIG_PATH, F_OK) < 0)
		return 0;
	return config_load(path ? path : CONFIG_PATH, ret, err);
}

/* Named on the command line; NULL: none. */
static const char *config_path;

static int reload(struct config *ret, struct cloche_err *err)
{
	return load_config(config_path, ret, err);
}

static int be_daemon(struct cloche_err *err)
{
	struct config config;
	const struct daemon_options o = { .config = &config,
					  .reload = reload,
					  .front = "/proc/self/exe",
					  .front_arg = FRONT_ARG,
					  .say = say,
					  .serves = say_ready,
					  .stops = say_stopping };
	int r = reload(&config, err);

	return r < 0 ? r : daemon_run(&o, err);
}

int main(int argc, char **argv)
{
	struct cloche_err err = { 0 };
	int r;

	show_begin();
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return EXIT_FAILURE;
	if (argc == 4 && strcmp(argv[1], FRONT_ARG) == 0) {
		r = be_front(argv, &err);
	} else if (argc == 1 || (argc == 3 && strcmp(argv[1], "--config") == 0)) {
		config_path = argc == 3 ? argv[2] : NULL;
		r = be_daemon(&err);
	} else {
		say("expected no argument or --config FILE; see 'cloche serve --help'");
		return EXIT_USAGE;
	}
	if (r < 0 && err.code != EPIPE)
		say(err.text);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
