/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_REMOTE_H
#define CLOCHE_SERVE_REMOTE_H

#include "run/session.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct cloche_err;
struct listing;
struct outcome;
struct remote_streams;
struct spec;

/*
 * An invocation that the daemon runs for this process: what run/session.h does here, asked of
 * another. It needs no right but to connect.
 */
struct remote {
	const char *control;		/* its path, borrowed */
	int socket;			/* -1: none */
	bool kept;			/* the daemon waits for the next one */
	bool mid_line;			/* as session_mid_line() */
	struct remote_streams *streams; /* those of what is run; NULL */
};

/* -ENOENT, -ECONNREFUSED: there is no daemon at that path; *err names it. */
int remote_open(const char *control, struct remote *ret, struct cloche_err *err);
void remote_close(struct remote *r);

/* For what else asks the daemon (remote_ledger.h, remote_invoke.h): one answer that can be read;
 * -EAGAIN: none can. The descriptors are the caller's, also on failure. A refusal is *err. */
struct answer;
struct packet_fds;
int remote_hear(const struct remote *r, struct answer *ret, struct packet_fds *fds,
		struct cloche_err *err);

/* The same, with room for so many bytes of its own behind the answer: *ret_more came. */
int remote_hear_more(const struct remote *r, struct answer *ret, size_t room, size_t *ret_more,
		     struct packet_fds *fds, struct cloche_err *err);

/* What came of sending a request: 0, or negative with *err. */
int remote_asked(int code, struct cloche_err *err);

/* Asks what is answered at once. */
struct request;
int remote_ask(const struct remote *r, struct request *request, struct answer *ret,
	       struct packet_fds *fds, struct cloche_err *err);

struct remote_options {
	const struct spec *spec;	  /* checked */
	const struct cloche_err *refused; /* its code: it cannot be asked for; NULL */
	const char *function;		  /* NULL: it has no name */
	uint32_t owner;	   /* who asks, for an outcome that never came to the daemon */
	bool metered;	   /* without the meter nothing is run */
	bool hold;	   /* another one follows, in the same context if that is clean */
	bool stays;	   /* others may follow, by the same connection */
	int cancel_fd;	   /* readable: it is not wanted any more */
	FILE *trace;	   /* what it did goes there; taken over; NULL: nowhere */
	FILE *kept;	   /* and there; borrowed; NULL: nowhere */
	bool trace_wanted; /* also where one could not be opened */
	bool keep_trace;   /* in the daemon's store, under this user's name */
};

/* Before the first: its streams, for all. What may not be one is no failure here: each invocation
 * is refused for it. */
void remote_take_streams(struct remote *r, const struct spec *spec, const int streams[3]);

/* Once; all with one spec. What becomes of it is in *out, also where the daemon could not be asked.
 * All that it wrote has been passed on, and the streams' state is as before. */
void remote_run(struct remote *r, const struct remote_options *options, struct outcome *out,
		struct session_notes *notes);

/* What contexts there are, as far as it is this user's to know: *ret is the caller's to free.
 * Errors as remote_open(). */
int remote_list(const char *control, struct listing **ret, struct cloche_err *err);

/* Of the images that this user may use: ret as stores_show() has it (serve/stores.h). */
int remote_stores(const char *control, int ret[static 2], struct cloche_err *err);

/* An image of this user's own. begin: what it is made of, in the form of which serve/stores.h
 * says, is written to *ret_pipe, the caller's, and that closed; done: it is there. What is wrong is
 * told at any time: then the socket can be read and the pipe has no reader. Whoever closes the
 * socket before has it broken off. */
struct remote_image {
	const char *name;
	uint32_t form;
	const char *ref; /* NULL: none */
	uint64_t bytes;	 /* that it comes to in memory; 0: not known */
};
int remote_image_begin(const char *control, const struct remote_image *what, struct remote *ret,
		       int *ret_pipe, struct cloche_err *err);
int remote_image_done(const struct remote *r, struct cloche_err *err);
int remote_image_remove(const char *control, const char *name, struct cloche_err *err);

#endif
