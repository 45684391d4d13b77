/* SPDX-License-Identifier: MIT */
/*
 * Between `cloche run` and the ledger. The order is what counts: whether there is room is asked
 * before anything runs, and the record is there before the report or the exit status is, so that
 * what was answered for is never lost, whoever is killed then.
 */
#include "cli/run_ledger.h"

#include "cli/ledger_args.h"
#include "cli/own_line.h"
#include "cli/run_options.h"
#include "cli/show.h"
#include "ledger/ledger.h"
#include "ledger/ledger_record.h"
#include "run/record.h"

#include <stdio.h>

/* Also to who asked for quiet: what was answered for before is not there any more. */
static void say_lost(struct run_ledger *run, const struct run_options *opt)
{
	struct ledger_repair found = { 0 }, all;

	if (run->ledger)
		found = ledger_repaired(run->ledger);
	all = found;
	found.lost_frames -= run->lost_said;
	found.findings -= run->findings_said;
	args_lost(opt->verb, opt->ledger, &found);
	run->lost_said = all.lost_frames;
	run->findings_said = all.findings;
}

int run_ledger_ready(struct run_ledger *run, const struct run_options *opt, struct cloche_err *err)
{
	const struct ledger_options options = { .create = true, .sync = opt->ledger_sync };
	int r = 0;

	if (!opt->ledger)
		return 0;
	run->err = (struct cloche_err){ 0 };
	if (!run->ledger)
		r = ledger_open(opt->ledger, &options, &run->ledger, &run->err);
	if (r == 0)
		r = ledger_ready(run->ledger, &run->err);
	if (r < 0)
		show_as_options(&run->err);
	say_lost(run, opt);
	if (r == 0 || opt->ledger_continue)
		return 0;
	run->refused = true;
	return cloche_err_set(err, run->err.code,
			      "refused, nothing was run: %s (see --ledger-full and --no-ledger)",
			      run->err.text);
}

const char *run_ledger_append(struct run_ledger *run, const struct run_options *opt,
			      const struct report *report)
{
	struct ledger_record record;

	if (!opt->ledger || run->refused)
		return NULL;
	if (run->ledger) {
		int r;

		record_make(report, &opt->prices, &record);
		/* Also when there seemed to be no room: there may be by now. */
		r = ledger_append(run->ledger, &record, NULL, &run->err);
		say_lost(run, opt);
		if (r == 0)
			return NULL;
	}
	if (!run->said) {
		own_line();
		fprintf(stderr, "cloche %s: no safe record of this invocation: %s\n", opt->verb,
			run->err.text);
	}
	run->said = true;
	return run->err.text;
}

void run_ledger_close(struct run_ledger *run)
{
	run->ledger = ledger_close(run->ledger);
}
