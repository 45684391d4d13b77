/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_VERB_H
#define CLOCHE_CLI_VERB_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * What a verb takes, as tables. What getopt_long(3) accepts, what the help says, what shells
 * complete (completion.c) and what lint asks of the man pages come from these alone.
 */

/*
 * One row: an option; what is no option but an argument (val 0, with arg); a heading (val 0, with
 * only text). A table ends with a row that has no text.
 *
 * values is how a value is completed: words with a blank between them, each one that can be given
 * or one of these: @file, @dir, @command (the rest is somebody else's command line), @function,
 * @image,
 * @recipe, @policy. NULL: by nobody.
 */
struct verb_option {
	const char *name; /* the long one, NULL: it has none */
	int val;	  /* what getopt_long returns; a character is the short name, too */
	const char *arg;  /* what its value is called, NULL: it takes none */
	const char *values;
	const char *text;
};

struct verb {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is the verb; returns the exit status */
	const char *text;		   /* a line for `cloche --help` */
	const char *usage;		   /* the help's beginning */
	/* name, text, values and maybe options; ends with NULL; NULL: it has none */
	const struct verb *const *commands;
	const struct verb_option *options; /* of a command NULL: those of its verb, */
	const char *takes;		   /* these by long names, a blank between; and help */
	const char *tail;		   /* the help's end */
	const char *values;		   /* how what is no option is completed */
	/* Options of `cloche run` that it takes, too: all that its own table has not, but these. */
	bool takes_run;
	const char *const *not_of_run; /* long names; ends with NULL */
};

/* All of them, in the order of `cloche --help`; ends with NULL. */
extern const struct verb *const verbs[];

extern const struct verb verb_audit, verb_bill, verb_completion, verb_cost, verb_deploy,
	verb_doctor, verb_functions, verb_image, verb_invoke, verb_logs, verb_policy,
	verb_policy_learn, verb_ps, verb_remove, verb_report, verb_run, verb_serve, verb_show,
	verb_top, verb_trace, verb_tune;

#define VERB_OPTIONS_MAX 64

/* Its options one after the other, those of `cloche run` behind its own. at begins with 0; NULL
 * when there are no more. */
const struct verb_option *verb_option_next(const struct verb *v, size_t *at);

/* The option that getopt_long returned val for; NULL: none. */
const struct verb_option *verb_option_of(const struct verb *v, int val);

/* Whether a command of a verb takes this option of the verb's. */
bool verb_command_takes(const struct verb *command, const struct verb_option *o);

/* For getopt_long; prefix is what its short options begin with, as in "+:". */
struct verb_getopt {
	struct option longs[VERB_OPTIONS_MAX];
	char shorts[2 * VERB_OPTIONS_MAX + 8];
};
void verb_getopt_init(struct verb_getopt *ret, const struct verb *v, const char *prefix);

/* On standard output, at most 80 columns; 0, the exit status. */
int verb_help(const struct verb *v);

#endif
