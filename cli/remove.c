/* SPDX-License-Identifier: MIT */
/* `cloche remove`: takes deployed functions away. */
#include "cli/cli.h"
#include "cli/functions.h"
#include "cli/show.h"
#include "cli/verb.h"

#include "base/err.h"
#include "function/function.h"
#include "serve/remote_function.h"

#include <stdio.h>

static const struct verb_option options[] = {
	{ .text = "What" },
	{ .arg = "FUNCTION…", .text = "names of functions of your own" },

	{ .text = "Options" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ 0 },
};

const struct verb verb_remove = {
	.name = "remove",
	.run = cmd_remove,
	.text = "remove deployed functions with all their versions",
	.usage = "Usage: cloche remove FUNCTION…\n\n"
		 "Removes deployed functions: all versions of each, their log, and code that no\n"
		 "other function has. Invocations that run come to their end.\n",
	.options = options,
	.tail = "Exit status: 0, 1 when there is none of that name, 2 usage, 125 when no\n"
		"daemon answers.\n"
		"\n"
		"Examples:\n"
		"  cloche remove thumbnail\n",
	.values = "@function",
};

static int remove_one(const char *name)
{
	struct cloche_err err = { 0 };

	if (remote_forget(functions_control(), name, &err) < 0)
		return functions_fail("remove", &err);
	(void)printf("removed %s\n", name);
	return 0;
}

int cmd_remove(int argc, char **argv)
{
	struct cloche_err err = { 0 };
	struct verb_getopt known;
	int c, status = 0;

	verb_getopt_init(&known, &verb_remove, ":");
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, known.shorts, known.longs, NULL)) >= 0) {
		if (c == 'h')
			return verb_help(&verb_remove);
		show_line("cloche remove: unknown option '%.64s'; see 'cloche remove --help'",
			  argv[optind - 1]);
		return EXIT_USAGE;
	}
	if (optind == argc) {
		show_line("cloche remove: expected a function's name; see 'cloche remove --help'");
		return EXIT_USAGE;
	}
	for (int i = optind; i < argc; i++)
		if (function_name_check(argv[i], &err) < 0) {
			show_line("cloche remove: %s; see 'cloche remove --help'", err.text);
			return EXIT_USAGE;
		}
	for (int i = optind; i < argc && status != EXIT_LAUNCH; i++) {
		int one = remove_one(argv[i]);

		status = one > status ? one : status;
	}
	return status;
}
