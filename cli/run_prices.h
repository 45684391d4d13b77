/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_RUN_PRICES_H
#define CLOCHE_CLI_RUN_PRICES_H

struct cloche_err;
struct prices;
struct rights;

/*
 * The price list of a run (prices_find). A file that is named by its path is opened with the rights
 * of caller (NULL: our own), and every file's text is read by a confined process
 * (host/confined.h).
 */
int run_prices_find(const char *name_or_file, const struct rights *caller, struct prices *ret,
		    struct cloche_err *err);

#endif
