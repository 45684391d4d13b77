/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BASE_PARSE_H
#define CLOCHE_BASE_PARSE_H

#include <stdint.h>

struct cloche_err;

/*
 * Numbers as users write them. The whole text must be used up; blanks, signs, "inf", overflow and
 * an empty text are refused with -EINVAL or -ERANGE and a text that shows what is accepted.
 * On failure *ret is unchanged.
 */

/* "64", "64M", "64MiB" → bytes; bare numbers are MiB; K, M, G, T with or without iB or B, any
 * case, are powers of 1024 (the words of Lambda, docker and cgroups); a fraction ("1.5G") is
 * accepted when it is a whole number of bytes. */
int parse_size(const char *text, uint64_t *ret_bytes, struct cloche_err *err);

/* "250ms", "3s", "1.5s", "2m", "1h", "800us", "50ns" → ns; bare numbers are seconds. Exact
 * decimal arithmetic: 0.1s is 100,000,000 ns. */
int parse_duration(const char *text, int64_t *ret_ns, struct cloche_err *err);

/* A whole number from min to max. */
int parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *ret,
		struct cloche_err *err);

/* "0.5", "2" → thousandths; of vCPUs. */
int parse_milli(const char *text, uint64_t *ret_milli, struct cloche_err *err);

#endif
