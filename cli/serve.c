/* SPDX-License-Identifier: MIT */
/* `cloche serve`: finds the daemon's program and becomes it. */
#include "cli/cli.h"
#include "cli/show.h"
#include "cli/verb.h"

#include "base/fd.h"
#include "base/file.h"
#include "serve/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
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
	.tail = "Clients connect to $CLOCHE_CONTROL, else to /run/cloche/control. The program is\n"
		"cloched, beside this one or in " CLOCHE_PREFIX "/libexec.\n"
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

/* What stands beside the program that runs now. */
static bool find_beside(char ret[static 4096])
{
	cleanup_fd int self = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	char *slash;

	if (self < 0 || file_fd_path(self, ret, 4096 - sizeof(PROGRAM)) < 0)
		return false;
	slash = strrchr(ret, '/');
	if (!slash)
		return false;
	memcpy(slash + 1, PROGRAM, sizeof(PROGRAM));
	return access(ret, X_OK) == 0;
}

int cmd_serve(int argc, char **argv)
{
	struct verb_getopt known;
	const char *config = NULL;
	char beside[4096];
	const char *path = INSTALLED;
	int c;

	verb_getopt_init(&known, &verb_serve, "+:");
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, known.shorts, known.longs, NULL)) >= 0) {
		if (c == 'c')
			config = optarg;
		else if (c == 'h')
			return verb_help(&verb_serve);
		else
			return usage(c == ':' ? "a value is missing behind" : "unknown option",
				     argv[optind - 1]);
	}
	if (optind < argc)
		return usage("unexpected argument", argv[optind]);
	if (find_beside(beside))
		path = beside;
	(void)execv(path, config ? (char *[]){ (char *)PROGRAM, (char *)"--config",
					       (char *)(uintptr_t)config, NULL }
				 : (char *[]){ (char *)PROGRAM, NULL });
	show_line("cloche serve: execute '%s': %s; the daemon is a program of its own, which 'make "
		  "install' puts there",
		  path, strerror(errno));
	return EXIT_LAUNCH;
}
