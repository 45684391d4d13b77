/* SPDX-License-Identifier: MIT */
/* Reads the command line of a verb that runs commands, up to the command. */
#include "cli/verb_options.h"

#include "base/err.h"
#include "base/quote.h"
#include "cli/cli.h"
#include "cli/run_options.h"
#include "cli/show.h"
#include "cli/verb.h"

#include <errno.h>

int verb_options_parse(const struct verb *verb, verb_take *take, void *arg, int argc, char **argv,
		       struct run_options *options, struct cloche_err *err)
{
	struct verb_getopt known;
	char shown[QUOTE_LEN];
	int opt, r;

	verb_getopt_init(&known, verb, "+:");
	opterr = 0;
	optind = 1;
	while ((opt = getopt_long(argc, argv, known.shorts, known.longs, NULL)) != -1) {
		if (opt == '?' || opt == ':')
			return cloche_err_set(err, EINVAL,
					      opt == '?' ? "unknown option %s"
							 : "option %s needs a value",
					      quote(shown, argv[optind - 1]));
		if (opt == 'h') {
			(void)verb_help(verb);
			return 1;
		}
		r = take(arg, opt, err);
		if (r < 0)
			return r;
	}
	return run_options_command(options, argc, argv, err);
}

static int usage(const struct verb *verb, const char *what, const char *word)
{
	show_line("cloche %s: %s '%.64s'; see 'cloche %s --help'", verb->name, what, word,
		  verb->name);
	return EXIT_USAGE;
}

int verb_json_parse(const struct verb *verb, int arguments, int argc, char **argv, bool *ret_json)
{
	struct verb_getopt known;
	int c;

	*ret_json = false;
	verb_getopt_init(&known, verb, ":");
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, known.shorts, known.longs, NULL)) >= 0) {
		if (c == VERB_JSON)
			*ret_json = true;
		else if (c == 'h')
			return verb_help(verb);
		else
			return usage(verb, "unknown option", argv[optind - 1]);
	}
	return optind + arguments < argc
		       ? usage(verb, "unexpected argument", argv[optind + arguments])
		       : -1;
}
