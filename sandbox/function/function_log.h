/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_FUNCTION_FUNCTION_LOG_H
#define CLOCHE_FUNCTION_FUNCTION_LOG_H

#include "base/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;

/*
 * What a function's contexts wrote and what is said of its invocations, line by line, in two files
 * of the function's directory: "log", to which is appended, and "log.1", which "log" becomes when
 * it has grown to half of the bound. So there are always at least so many of the last bytes, and
 * never more than the bound of them on the disk.
 *
 * An entry is a line of text:
 *
 *	NANOSECONDS " " REQUEST_ID " " MESSAGE "\n"
 *
 * when it came (CLOCK_REALTIME), whose it is ("-": nobody's, as what is written during the init
 * phase), and what was written, as it came, without its newline. NANOSECONDS alone, "0", is the
 * last line of a file that has become "log.1": who follows it goes on in the other.
 */
#define FUNCTION_LOG_NAME "log"
#define FUNCTION_LOG_OLD  "log.1"
#define FUNCTION_LOG_MOST (8U << 20) /* of both files */

/* Of a message, as of an event of CloudWatch Logs (docs: "256 KB event size"); what is longer goes
 * on in the next entry. */
#define FUNCTION_LOG_LINE (256U << 10)

struct function_log {
	int dir;       /* borrowed */
	int fd;	       /* -1: nothing was written yet */
	uint64_t size; /* of the file */
	uint64_t most; /* of both */
	bool broken;   /* it ends within a line */
};

/* Nothing is opened before something is written. */
void function_log_init(struct function_log *ret, int dir, uint64_t most);
void function_log_close(struct function_log *log);

/* How an entry begins, without its NUL; for whoever writes many at a time. Returns its length. */
#define FUNCTION_LOG_HEAD (24 + UUID_LEN)
size_t function_log_head(int64_t real_ns, const char *request_id,
			 char ret[static FUNCTION_LOG_HEAD]);

/* Whole entries, as above. */
int function_log_write_entries(struct function_log *log, const char *entries, size_t len);

/* Appends an entry; -errno: it is not there, or not whole, and the next one is tried anew.
 * request_id: "": nobody's. */
int function_log_write(struct function_log *log, int64_t real_ns, const char *request_id,
		       const char *message, size_t len);

/* ---- what is read ---------------------------------------------------------------------------- */

struct function_log_entry {
	int64_t real_ns;
	char request_id[UUID_LEN]; /* "": nobody's */
	const char *message;	   /* within the line */
	size_t len;
};

enum function_log_kind { FUNCTION_LOG_ENTRY, FUNCTION_LOG_ROTATED, FUNCTION_LOG_NONE };

/* One line of such a file, without its newline. NONE: it is none. */
enum function_log_kind function_log_parse(const char *line, size_t len,
					  struct function_log_entry *ret);

#endif
