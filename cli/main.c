/* SPDX-License-Identifier: MIT */
/* The program's entry: from the first word to the verb. Nothing else is decided here. */
#include "cli/cli.h"
#include "cli/show.h"
#include "cli/verb.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct verb *const verbs[] = { &verb_run,	   &verb_deploy, &verb_invoke, &verb_functions,
				     &verb_show,   &verb_remove, &verb_logs,   &verb_image,
				     &verb_policy, &verb_doctor, &verb_bill,   &verb_cost,
				     &verb_trace,  &verb_report, &verb_tune,   &verb_audit,
				     &verb_serve,  &verb_ps,	 &verb_top,    &verb_completion,
				     NULL };

static int help(void)
{
	fputs("Usage: cloche VERB [OPTIONS] …\n\n"
	      "Runs functions as isolated processes, with limits, a verdict and a bill.\n\n"
	      "Verbs:\n",
	      stdout);
	for (const struct verb *const *v = verbs; *v; v++)
		printf("  %-10s %s\n", (*v)->name, (*v)->text);
	fputs("\n'cloche VERB --help' tells more.\n\n"
	      "Examples:\n"
	      "  cloche run -- python3 -c 'print(6 * 7)'\n"
	      "  cloche run -m 128M -t 500ms --report - -- sort <words.txt\n"
	      "  cloche doctor\n",
	      stdout);
	return 0;
}

/* Were one of the three closed, the next file opened would get its number, and whatever is said to
 * standard error would be written there. */
static int fill_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
			return -1;
	return 0;
}

static int run_verb(const char *name, int argc, char **argv)
{
	for (const struct verb *const *v = verbs; *v; v++)
		if (strcmp(name, (*v)->name) == 0)
			return (*v)->run(argc, argv);
	show_line("cloche: unknown verb '%.64s'; see 'cloche --help'", name);
	return EXIT_USAGE;
}

static int dispatch(int argc, char **argv)
{
	if (fill_standard_fds() < 0)
		return EXIT_LAUNCH;
	if (argc < 2) {
		fprintf(stderr,
			"cloche: expected a verb, as in 'cloche run'; see 'cloche --help'\n");
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "help") == 0 && argc > 2)
		return run_verb(argv[2], 2, (char *[]){ argv[2], "--help", NULL });
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0)
		return help();
	if (strcmp(argv[1], "--version") == 0) {
		puts("cloche " CLOCHE_VERSION);
		return 0;
	}
	return run_verb(argv[1], argc - 1, argv + 1);
}

/* What could not be written is no success: a full disk shows when the last of it is. */
int main(int argc, char **argv)
{
	struct cloche_err err;
	int status;

	show_begin();
	status = dispatch(argc, argv);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	(void)cloche_err_sys(&err, errno ? errno : EIO, "write to standard output");
	if (status == 0)
		fprintf(stderr, "cloche: %s\n", err.text);
	return status ? status : 1;
}
