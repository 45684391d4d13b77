/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_TRIAL_H
#define CLOCHE_CLI_TRIAL_H

#include "function/function.h"
#include "serve/remote.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;
struct outcome;
struct rights;

/*
 * A deployed function, invoked by the daemon to see what it does, for `cloche tune` and `cloche
 * policy learn`: one event after the other, in contexts of any size, which are made for this
 * program's connection, serve nobody else and end with it, whatever ends this program. What is
 * deployed stays as it is.
 *
 *	trial_open → trial_event → trial_run → … → trial_close
 */
struct trial {
	char name[FUNCTION_NAME_LEN];
	uint32_t version; /* that was asked for; 0: the newest */
	/* that it is deployed with: */
	uint64_t memory_bytes;
	bool kept; /* its process stays for the next event: that finds it warm */
	char policy[96];
	bool own_policy; /* which was a file's */
	bool offline;	 /* it has no network, not even loopback */
	char *event;
	size_t len;
	struct remote remote;
	int cancel_fd;
};

/* Of a NAME or NAME@N. -EINVAL, -ENOTCONN and what the daemon refused, as *err says. To be closed
 * in any case. */
int trial_open(struct trial *t, const char *ref, struct cloche_err *err);
void trial_close(struct trial *t);

/* What it is handed from now on: as of event_read(). */
int trial_event(struct trial *t, const char *payload, const struct rights *as,
		struct cloche_err *err);

/*
 * One invocation in a context of so much memory. ret_cold: where its process is kept, in one that
 * is warm: so many before it were cold, and are not meant by *out; NULL: in any. ret_said: what it
 * answered, on one line. -errno: the daemon could not be asked.
 */
int trial_run(struct trial *t, uint64_t memory_bytes, struct outcome *out, unsigned *ret_cold,
	      char *ret_said, size_t said_size, struct cloche_err *err);

#endif
