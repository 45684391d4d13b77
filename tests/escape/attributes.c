/* SPDX-License-Identifier: MIT */
/*
 * What the caller had, the function has not: each attribute that clone and exec hand on is made
 * unusual for the caller of Cloche, and the function finds all of them as in any other run. Needs
 * root. What this machine does not let root set (hard limits, without CAP_SYS_RESOURCE) no caller
 * has either.
 */
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <string.h>

static void show_inside(struct run *run, const char *name)
{
	cleanup_free char *helper = env_helper("attributes");

	if (name)
		RUN(run, helper, "with", name, env_need("CLOCHE"), "run", "-q", "-t", "50s", "-b",
		    helpers_bind(), "/opt/attributes", "show");
	else
		CLOCHE(run, "run", "-q", "-t", "50s", "-b", helpers_bind(), "/opt/attributes",
		       "show");
}

ParameterizedTestParameters(escape_attributes, of_the_caller)
{
	static char names[][16] = {
		"fifo",	       "rr",	      "batch",	     "idle",	     "nice",
		"not-nice",    "io-idle",     "oom-never",   "oom-late",     "core-filter",
		"personality", "timer-slack", "thp",	     "mce",	     "subreaper",
		"speculation", "mempolicy",   "umask",	     "signals",	     "cpu",
		"stack",       "core",	      "data",	     "as",	     "rss",
		"sigpending",  "locks",	      "nproc",	     "rttime",	     "msgqueue",
		"rtprio",      "limit-nice",  "io-realtime", "no-new-privs", "stack-unlimited",
	};

	return cr_make_param_array(char[16], names, sizeof(names) / sizeof(names[0]));
}

ParameterizedTest(char name[16], escape_attributes, of_the_caller)
{
	cleanup_free char *helper = env_helper("attributes");
	cleanup_run struct run usual = { 0 }, odd = { 0 }, in = { 0 }, in_odd = { 0 };

	RUN(&usual, helper, "show");
	RUN(&odd, helper, "with", name, helper, "show");
	cr_assert(odd.status == 0 || odd.status == 97, "%s: status %d", name, odd.status);
	if (odd.status == 97)
		return;
	/* These two may be so on a host anyway. */
	if (strcmp(name, "core") != 0 && strcmp(name, "stack-unlimited") != 0)
		cr_expect_str_neq(odd.out, usual.out, "%s changes nothing that shows", name);
	show_inside(&in, NULL);
	show_inside(&in_odd, name);
	cr_expect_eq(in_odd.status, 0, "%s: status %d: %s", name, in_odd.status, in_odd.err);
	cr_expect_str_eq(in_odd.out, in.out, "%s", name);
}

/* And they are what a function should have, whatever the caller of these tests is. */
Test(escape_attributes, as_they_should_be)
{
	static const char *const lines[] = {
		"policy 0\n",
		"nice 0\n",
		"ioprio 0\n",
		"oom_score_adj 1000\n",
		"coredump_filter 00000033\n",
		"personality 0\n",
		"timer slack 50000\n",
		"thp 0\n",
		"mempolicy 0 0\n",
		"limit stack 8388608\n",
		"limit memlock 65536\n",
		"limit rtprio 0\n",
		"limit nice 0\n",
		"SigBlk:\t0000000000000000\n",
		"SigIgn:\t0000000000000000\n",
		"NoNewPrivs:\t1\n",
		"Umask:\t0022\n",
	};
	cleanup_run struct run run = { 0 };

	show_inside(&run, NULL);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect_has(run.out, lines[i]);
}

/* None of it comes back: the function may write nothing of this about itself. */
Test(escape_attributes, cannot_be_taken_back)
{
	static const char *const files[] = { "oom_score_adj", "oom_adj",    "coredump_filter",
					     "timerslack_ns", "clear_refs", "mem",
					     "autogroup",     "sched",	    "attr/current",
					     "uid_map",	      "setgroups",  "comm",
					     "loginuid",      "projid_map" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		cleanup_run struct run run = { 0 };
		cleanup_free char *path = NULL;

		cr_assert(asprintf(&path, "/proc/self/%s", files[i]) > 0);
		RUN_INSIDE(&run, "-q", "/opt/escape", "write", path);
		cr_expect(strncmp(run.out, "refused: ", 9) == 0, "%s: %s%s", path, run.out,
			  run.err);
	}
}
