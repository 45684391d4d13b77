/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LEDGER_PRICES_FILE_H
#define CLOCHE_LEDGER_PRICES_FILE_H

#include <stddef.h>

struct cloche_err;
struct prices;

/*
 * A price list of the user's own, in YAML:
 *
 *	name: ours                  # default: the file's name without .yaml
 *	gb_second: 0.0000166667     # dollars for 1 GiB during 1 s (required)
 *	request: 0.0000002          # dollars for one request; default 0
 *	round: 1ms                  # durations are rounded up to it; default 1ms
 *	minimum: 0ms                # the least billed; default none
 *	init: billed                # or free; default billed
 *	tiers:                      # GB-seconds a month; the last one without up_to
 *	  - {up_to: 6000000000, gb_second: 0.0000166667}
 *	  - {gb_second: 0.000015}
 *
 * One invocation is charged at gb_second; the tiers are for sums over a month (prices_volume).
 * Unknown and repeated keys, wrong types, and values out of range are refused with file, line and
 * what was expected.
 */
int prices_file_load(const char *path, struct prices *ret, struct cloche_err *err);

/* Its three steps, for who reads in another process: the text, to be freed, of what is open and a
 * regular file; its meaning; and whether a struct of somebody else's making, of len bytes that may
 * be anything, is such a meaning (-EBADMSG), of which the hash is made anew. */
int prices_file_read(int fd, const char *path, char **ret, size_t *ret_len, struct cloche_err *err);
int prices_file_parse(const char *text, size_t len, const char *path, struct prices *ret,
		      struct cloche_err *err);
int prices_file_take(const void *bytes, size_t len, struct prices *ret, struct cloche_err *err);

/* A path that must not be waited for when it is opened; an fd or -errno. */
int prices_file_open(const char *path);

#endif
