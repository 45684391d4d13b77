/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_RUN_OPTIONS_H
#define CLOCHE_CLI_RUN_OPTIONS_H

#include "base/err.h"
#include "cli/run_caller.h"
#include "launch/image_config.h"
#include "launch/spec.h"
#include "ledger/prices.h"
#include "run/metering.h"

#include <stdbool.h>

struct observer;

/* The command line of `cloche run`. Owns what spec points to. */
struct run_options {
	const char *verb; /* who speaks on standard error: "run", or what runs it */
	struct spec spec;
	const char *report; /* path, "-": standard error, NULL: none */
	const char *trace;  /* path; NULL: none */
	bool keep_trace;    /* in the folder of kept traces */
	enum metering_mode meter;
	bool quiet;
	unsigned repeat;
	const char *name;	/* NULL: none */
	struct prices prices;	/* after run_options_check */
	const char *price_list; /* a name or a file */
	bool prices_said;	/* --prices was there */
	const char *ledger;	/* directory; NULL: none is kept */
	bool ledger_named;	/* by the caller, and not the one that there is anyway */
	bool ledger_own; /* through the daemon: by --ledger or $CLOCHE_LEDGER, beside its own */
	bool ledger_continue; /* run even when the ledger cannot take a record */
	bool ledger_sync;
	int out_fd, err_fd;	   /* the command's standard output and error; -1: ours */
	struct observer *observer; /* to watch the contexts' system calls; NULL: none */
	const char *control;	   /* where the daemon is that runs it; NULL: no daemon does */
	char **env;
	size_t n_env, env_size;
	struct bind_spec *binds;
	size_t n_binds, binds_size;
	struct run_caller caller;
	bool caller_read;
	char **copies; /* strings that binds and environment point into */
	size_t n_copies, copies_size;
	bool workdir_said;	   /* --workdir was there */
	const char *entrypoint;	   /* "": none, NULL: the image's */
	bool no_command;	   /* the verb does without one */
	struct image_config image; /* with --rootfs NAME; what spec has of it: */
	char **command, **environment;
	struct spec_image image_found;
	struct cloche_err image_refused; /* remote: why there is none; code 0: there is */
};

/* 0: run; 1: help was printed; -errno: *err is the usage error. */
int run_options_parse(int argc, char **argv, struct run_options *ret, struct cloche_err *err);

/* What only this host and the price list can say: 0 or *err as above. */
int run_options_check(struct run_options *options, struct cloche_err *err);

/* The report is one line, put where the other one was written: they are not one file. NULL: none.
 */
int run_options_check_files(const char *report, const char *trace, struct cloche_err *err);
void run_options_free(struct run_options *options);

/* For verbs that run commands by the same options, with their own beside them: opt is what
 * getopt_long returned for one of these. */
void run_options_init(struct run_options *ret);
int run_options_set(struct run_options *options, int opt, const char *arg, struct cloche_err *err);
int run_options_command(struct run_options *options, int argc, char **argv, struct cloche_err *err);

#endif
