/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_TUNE_FUNCTION_H
#define CLOCHE_CLI_TUNE_FUNCTION_H

#include "function/function.h"
#include "serve/remote.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;
struct outcome;
struct rights;

/*
 * A deployed function, for `cloche tune`: the daemon hands it one event after the other in contexts
 * of another size than what it was deployed with, which are made for this program's connection
 * and end with it, whatever ends this program. What is deployed stays as it is.
 */
struct tune_function {
	char name[FUNCTION_NAME_LEN];
	uint32_t version;      /* that was asked for; 0: the newest */
	uint64_t memory_bytes; /* that it is deployed with */
	bool kept;	       /* its process stays for the next event: that finds it warm */
	char *event;
	size_t len;
	struct remote remote;
	int cancel_fd;
};

/* Of a NAME or NAME@N, and the payload as of event_read(). -EINVAL, -ENOTCONN and what the daemon
 * refused, as *err says. To be closed in any case. */
int tune_function_open(struct tune_function *f, const char *ref, const char *payload,
		       const struct rights *as, struct cloche_err *err);
void tune_function_close(struct tune_function *f);

/*
 * One invocation in a context of so much memory; where its process is kept, in one that was warm:
 * so many before it were cold, and are not meant by *out. ret_said: of one that failed, what it
 * answered, on one line. -errno: the daemon could not be asked.
 */
int tune_function_run(struct tune_function *f, uint64_t memory_bytes, struct outcome *out,
		      unsigned *ret_cold, char *ret_said, size_t said_size, struct cloche_err *err);

#endif
