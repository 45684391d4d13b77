/* SPDX-License-Identifier: MIT */
/* Reads a command line by two tables of options, a verb's own and that of `cloche run`. */
#include "cli/verb_options.h"

#include "base/err.h"
#include "base/quote.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define OPTIONS_MAX 64

/* Ends with zeroes. */
static void join(const struct verb_options *v, struct option ret[static OPTIONS_MAX])
{
	size_t n = v->n_own;

	if (n)
		memcpy(ret, v->own, n * sizeof(*ret));
	for (const struct option *o = run_options_table; o->name && n + 1 < OPTIONS_MAX; o++) {
		bool here = true;

		for (size_t i = 0; i < v->n_not_here; i++)
			here &= strcmp(o->name, v->not_here[i]) != 0;
		if (here)
			ret[n++] = *o;
	}
	memset(&ret[n], 0, sizeof(*ret));
}

int verb_options_parse(const struct verb_options *verb, void *arg, int argc, char **argv,
		       struct run_options *options, struct cloche_err *err)
{
	struct option all[OPTIONS_MAX];
	char shown[QUOTE_LEN];
	int opt, r;

	join(verb, all);
	opterr = 0;
	optind = 1;
	while ((opt = getopt_long(argc, argv, verb->shorts, all, NULL)) != -1) {
		if (opt == '?' || opt == ':')
			return cloche_err_set(err, EINVAL,
					      opt == '?' ? "unknown option %s"
							 : "option %s needs a value",
					      quote(shown, argv[optind - 1]));
		if (opt == 'h') {
			(void)fputs(verb->help, stdout);
			return 1;
		}
		r = verb->take(arg, opt, err);
		if (r < 0)
			return r;
	}
	return run_options_command(options, argc, argv, err);
}
