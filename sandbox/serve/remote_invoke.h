/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_REMOTE_INVOKE_H
#define CLOCHE_SERVE_REMOTE_INVOKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;
struct ledger_repair;
struct outcome;
struct remote_trace;
struct session_notes;

/* What is asked of the daemon about deployed functions while they are invoked: the client's side.
 */

struct remote_event {
	const char *function;
	uint32_t version;      /* 0: the newest */
	uint64_t memory_bytes; /* in a context of so much, which goes with the connection; 0: of
				* what it is deployed with */
	const char *bytes;
	size_t len;
	bool tail;	 /* the end of what it logs is wanted */
	int cancel_fd;	 /* readable: it is not wanted any more */
	int64_t wait_ns; /* when it is cold and has not answered for so long, cold() is called once
			  */
	void (*cold)(void *arg);
	void *arg;
	struct remote_trace *trace;  /* where its trace goes, which ends with it; NULL: none is
					wanted */
	struct session_notes *notes; /* of that */
};

struct remote_response {
	char *bytes; /* len of them, then tail_len of the log; a NUL; the caller's to free */
	size_t len;
	size_t tail_len;
};

/* By a connection that stays for others (remote_open() or remote_invoke_open(), remote_close());
 * else as remote_invoke(). Behind an answer the daemon waits for seconds: it is asked again by
 * another connection where it has hung up and read nothing. */
struct remote;
int remote_invoke_open(const char *control, struct remote *ret, struct cloche_err *err);
int remote_invoke_by(struct remote *remote, const struct remote_event *event, struct outcome *out,
		     struct ledger_repair *found, struct remote_response *ret,
		     struct cloche_err *err);

/* Once, on a connection of its own. What becomes of it is in *out, also where the daemon could not
 * be asked; 0: it ran, or *out says why not. -errno: *err says it. */
int remote_invoke(const char *control, const struct remote_event *event, struct outcome *out,
		  struct ledger_repair *found, struct remote_response *ret, struct cloche_err *err);

/* What is in a function's log behind *at, which then is where it ends: told piece by piece, a line
 * in one or several. gap: what was to come next is not there any more. What take returns that is
 * not 0 is an end of it, and is returned. */
struct log_place;
struct remote_log {
	int (*take)(void *arg, const char *bytes, size_t len, bool gap);
	void *arg;
};
int remote_logs(const char *control, const char *function, struct log_place *at,
		const struct remote_log *to, struct cloche_err *err);

#endif
