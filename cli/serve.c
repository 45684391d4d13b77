/* SPDX-License-Identifier: MIT */
/* `cloche serve`: reads the configuration, finds the front's program and is the daemon's launcher.
 */
#include "cli/cli.h"
#include "cli/notify.h"
#include "cli/show.h"
#include "cli/verb.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "serve/config.h"
#include "serve/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM	  "cloched"
#define INSTALLED CLOCHE_PREFIX "/libexec/" PROGRAM

static const struct verb_option options[] = {
	{ .text = "Options" },
	{ "config", 'c', "FILE", "@file",
	  "the configuration (" CONFIG_PATH ", where it is there)" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ 0 },
};

const struct verb verb_serve = {
	.name = "serve",
	.run = cmd_serve,
	.text = "the daemon: runs functions for users without privilege",
	.usage = "Usage: cloche serve [--config FILE]\n\n"
		 "The daemon, in the foreground: 'cloche run' by whoever is not root then runs\n"
		 "through it. It needs root. SIGTERM ends it, and leaves nothing.\n",
	.options = options,
	.tail = "Clients connect to $CLOCHE_CONTROL, else to /run/cloche/control. They are served\n"
		"by cloched, beside this program, in the libexec beside its folder, or "
		"in\n" CLOCHE_PREFIX "/libexec.\n"
		"\n"
		"Examples:\n"
		"  sudo cloche serve\n"
		"  cloche run -- python3 -c 'print(6 * 7)'\n",
};

static int usage(const char *what, const char *text)
{
	show_line("cloche serve: %s '%.64s'; see 'cloche serve --help'", what, text);
	return EXIT_USAGE;
}

/* What stands beside the program that runs now, or is installed under the same prefix, whichever
 * that is. */
static bool find_beside(char ret[static 4096])
{
	static const char *const places[] = { PROGRAM, "../libexec/" PROGRAM };
	cleanup_fd int self = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	char *slash;

	if (self < 0 || file_fd_path(self, ret, 4096 - sizeof("../libexec/" PROGRAM)) < 0)
		return false;
	slash = strrchr(ret, '/');
	if (!slash)
		return false;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		memcpy(slash + 1, places[i], strlen(places[i]) + 1);
		if (access(ret, X_OK) == 0)
			return true;
	}
	return false;
}

/* Held from the beginning: a front that is started later is of this version, too. */
static int open_front(void)
{
	char beside[4096];
	const char *path = find_beside(beside) ? beside : INSTALLED;
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		show_line("cloche serve: open '%s': %s; who serves clients is a program of its "
			  "own, which 'make install' puts there",
			  path, strerror(errno));
	return fd;
}

/* ---- the daemon ------------------------------------------------------------------------------ */

static void say(const char *text)
{
	fprintf(stderr, "cloche serve: %s\n", text);
	(void)fflush(stderr);
}

static void say_ready(void)
{
	say("ready");
	notify_say("READY=1");
}

static void say_stopping(void)
{
	notify_say("STOPPING=1");
}

/* A configuration that nobody named may be missing. */
static int load_config(const char *path, struct config *ret, struct cloche_err *err)
{
	const char *control = getenv("CLOCHE_CONTROL");

	config_defaults(ret);
	if (subordinates_read(SUBORDINATES_PATH, &ret->subordinates, err) < 0)
		return -err->code;
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

static int be_daemon(int front)
{
	struct cloche_err err = { 0 };
	struct config config;
	const struct daemon_options o = { .config = &config,
					  .reload = reload,
					  .front = front,
					  .say = say,
					  .serves = say_ready,
					  .stops = say_stopping };
	int r = reload(&config, &err);

	if (r == 0)
		r = daemon_run(&o, &err);
	if (r < 0 && err.code != EPIPE)
		say(err.text);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int cmd_serve(int argc, char **argv)
{
	struct verb_getopt known;
	cleanup_fd int front = -1;
	int c;

	verb_getopt_init(&known, &verb_serve, "+:");
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, known.shorts, known.longs, NULL)) >= 0) {
		if (c == 'c')
			config_path = optarg;
		else if (c == 'h')
			return verb_help(&verb_serve);
		else
			return usage(c == ':' ? "a value is missing behind" : "unknown option",
				     argv[optind - 1]);
	}
	if (optind < argc)
		return usage("unexpected argument", argv[optind]);
	front = open_front();
	return front < 0 ? EXIT_LAUNCH : be_daemon(front);
}
