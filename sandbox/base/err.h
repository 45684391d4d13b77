/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BASE_ERR_H
#define CLOCHE_BASE_ERR_H

#include <stddef.h>
#include <stdint.h>

/*
 * One error, owned by the caller, of fixed size and without pointers, so that it can be filled
 * after clone(2) and cross a pipe or a SOCK_SEQPACKET socket in one write (pipe(7): writes of up
 * to PIPE_BUF bytes are atomic).
 *
 * Every function that can fail returns 0 (or an fd, or a count) or a negative errno, and takes a
 * `struct cloche_err *` last. The text is lower case, has no full stop, names the object and,
 * where the mend is known, ends with it.
 *
 *   code   the errno, positive; 0 means "no error"
 *   stage  the step of the launch that failed, "" outside the launch
 *   text   what failed and why, NUL-terminated
 *   fields where in the text names of fields begin, counted from 1; 0: no more. Whoever shows the
 *          error to somebody who gave them as something else (options, lines of a file) says so
 */
#define CLOCHE_ERR_FIELDS 4
#define CLOCHE_ERR_TEXT	  472

struct cloche_err {
	int code;
	char stage[28];
	uint16_t fields[CLOCHE_ERR_FIELDS];
	char text[CLOCHE_ERR_TEXT];
};

/* In a format, before the name of a field of what the caller gave (struct spec and the like):
 * CLOCHE_FIELD "memory: from 4M", CLOCHE_FIELD "%s". Is no part of the text. */
#define CLOCHE_FIELD "\001"

/* Fills *err (which may be NULL) and returns -code. A text that does not fit is cut, what
 * is not harmless (utf8.h) becomes '?'. */
int cloche_err_set(struct cloche_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same with ": " and strerror(code) behind the text. */
int cloche_err_sys(struct cloche_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "context: " before the text that is there; returns -err->code. */
int cloche_err_wrap(struct cloche_err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* What another process says that went wrong, which may be anything: believed to be an error, made
 * harmless. Returns -told->code; or -EBADMSG when it is none. */
int cloche_err_take(struct cloche_err *err, const struct cloche_err *told);

/* Names the step of the launch in which the error arose; returns -err->code. */
int cloche_err_stage(struct cloche_err *err, const char *stage);

#endif
