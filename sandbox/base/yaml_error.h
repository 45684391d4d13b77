/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BASE_YAML_ERROR_H
#define CLOCHE_BASE_YAML_ERROR_H

#include <cyaml/cyaml.h>
#include <stdarg.h>
#include <stddef.h>

/*
 * What libcyaml does not like about a text, as one line and where. It reports to a log function,
 * its first message at level ERROR and lines in the backtrace after it: both are caught here, so
 * that nothing is printed. Start from zeroes:
 *
 *	.log_fn = yaml_error_take, .log_ctx = &error, .log_level = CYAML_LOG_ERROR
 */
struct yaml_error {
	char text[200]; /* printable ASCII: it may quote the file */
	unsigned line;	/* from 1 on; 0: libcyaml named none */
};

void yaml_error_take(cyaml_log_t level, void *error, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));

/*
 * When code is what the loading ended with: of a key that is unknown or repeated libcyaml names the
 * line of the key before it, and of an alias nothing at all. Afterwards there is a text, and the
 * line, if any, is the one to mend.
 */
void yaml_error_mend(struct yaml_error *error, cyaml_err_t code, const char *yaml, size_t len);

/* The first line, not before the one that is given, that has the key of so many characters; 0:
 * there is none. */
unsigned yaml_error_line(const char *yaml, size_t len, const char *key, size_t key_len,
			 unsigned from);

#endif
