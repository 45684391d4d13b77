/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_REQUEST_H
#define CLOCHE_SERVE_REQUEST_H

#include "base/err.h"
#include "launch/order.h"
#include "launch/spec.h"
#include "ledger/ledger.h"
#include "run/outcome.h"
#include "serve/log_reading.h"

#include <linux/bpf_common.h>
#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What a client says to the daemon on its control socket (SOCK_SEQPACKET) and what it hears: one
 * message each way, and CANCEL in between.
 *
 *	client  RUN, with the three streams and the order (launch/order.h) in a memfd,    [ CANCEL ]
 *		and, where it has binds, the socket that holds them (launch/given.h); a policy that
 *		is the client's own it has compiled (policy/policy_join.h)
 *	daemon                                                                     OUTCOME │ REFUSED
 *
 * Where the RUN asked for a trace, there comes, before its invocation begins, TRACE with a pipe by
 * which its lines come: to be read meanwhile, and behind the OUTCOME to its end.
 *
 * When the RUN said hold, the connection stays when its invocation has ended, and the next RUN on
 * it, whole like the first, has the same context, if its kind is the same and it was found clean;
 * else one that nobody had before. Binds that the context has already are then left unread. Who
 * does not go on within seconds is hung up on; what it asks then it may ask again.
 *
 * When it said stays, the connection stays as well, but no context is kept for it: others may come,
 * each in whichever there is. An INVOKE may say so, too. When that names another
 * memory size than the function's own, its context is the connection's, and goes with it, or with
 *an INVOKE of another size.
 *
 *	client  LIST
 *	daemon        LIST, with a list (serve/listing.h) in a memfd │ REFUSED
 *
 *	client  RECORDS
 *	daemon           RECORDS… (serve/records.h), the last of which says so │ REFUSED
 *
 *	client  INVOKE, with the event in a memfd                                         [ CANCEL ]
 *	daemon                                             [ STARTING ] OUTCOME, with the response
 *								    in a memfd │ REFUSED
 *
 * An event or a response that is short (REQUEST_SHORT) may follow in the message instead.
 *
 *	client  LOGS
 *	daemon        LOGS… (serve/log_reading.h), the last of which says so │ REFUSED
 *
 *	client  WATCH                             (until it goes)
 *	daemon        WATCHED │ REFUSED   WATCHED…, each with an invocation of this user's that
 *					  begins, by its id, and a socket (trace/trace_live.h) by
 *					  which its lines come; or trace.why: they do not
 *
 *	client  LEARN, of a function          (until it goes)
 *	daemon                       LEARNT │ REFUSED   of each invocation that has ended a
 *							struct learnt (serve/lessons.h)
 *
 *	client  DEPLOY, with functions (serve/function_visit.h) in a memfd
 *	daemon          FUNCTIONS, what became of each, in a memfd │ REFUSED
 *
 *	client  FUNCTIONS │ ROLLBACK            FORGET
 *	daemon                       FUNCTIONS         DONE │ REFUSED
 *
 *	client  STORES
 *	daemon          STORES, with the directories of the images that it may use │ REFUSED
 *
 *	client  BUILD                         (what the image is made of, into the pipe)
 *	daemon         SEND, with a pipe │ REFUSED                           DONE │ REFUSED
 *
 *	client  REMOVE
 *	daemon          DONE │ REFUSED
 *
 *	client  TRACES
 *	daemon          TRACES, with a pipe (serve/showing.h), or a socket (serve/learner.h) │
 *								    REFUSED
 *
 * The streams are handed on to the function, and the daemon neither reads nor writes any
 * (serve/taken.h): what is to be copied the client copies.
 *
 * Who the client is the daemon has from the kernel. A client that goes away has its invocation
 * cancelled. Both sides are of one version: the numbers of another may mean something else.
 */
#define CONTROL_PATH "/run/cloche/control"

struct policy_bare;

enum request_kind {
	REQUEST_RUN,
	REQUEST_CANCEL,
	REQUEST_LIST,
	REQUEST_RECORDS,
	REQUEST_DEPLOY, /* this one and what follows is about functions */
	REQUEST_FUNCTIONS,
	REQUEST_ROLLBACK,
	REQUEST_FORGET,
	REQUEST_INVOKE,
	REQUEST_LOGS,
	REQUEST_WATCH,
	REQUEST_LEARN,
	REQUEST_STORES, /* this one and what follows is the launcher's to answer */
	REQUEST_BUILD,
	REQUEST_REMOVE,
	REQUEST_TRACES,
	REQUEST_KINDS
};
enum { REQUEST_STREAMS = 3, REQUEST_FD_ORDER = 3, REQUEST_FDS, REQUEST_FD_BINDS = REQUEST_FDS };

struct request {
	char version[16]; /* request_version(); the same in every version of this */
	uint32_t kind;
	uint32_t order_len;
	uint64_t memory_bytes, cpu_milli, pids, nofile, fsize_bytes, tmp_bytes, shm_bytes,
		output_bytes;
	int64_t timeout_ns, cpu_time_ns;
	uint64_t cpus[SPEC_CPUS_WORDS]; /* that the client may use */
	uint32_t cpu_mode, read_locks;
	uint32_t binds;			     /* how many; 0: and no socket */
	unsigned char binds_claim[HASH_LEN]; /* what they are known by (launch/given_mark.h) */
	uint32_t net;
	uint32_t hold;		     /* 0 or 1: another one follows */
	uint32_t stays;		     /* 0 or 1: others may, of whichever kind */
	uint32_t metered;	     /* 0 or 1: without the meter nothing is run */
	uint32_t learn;		     /* TRACES: 0 or 1: what its contexts call, by a socket */
	uint32_t trace, keep_trace;  /* 0 or 1: what it did, by a pipe; in the daemon's store */
	uint32_t own_terminals;	     /* bits of the streams that are its controlling terminal */
	uint32_t bare_n, bare_flags; /* of a policy of the client's: so many instructions follow */
	char policy[64];
	char function[OUTCOME_NAME_LEN]; /* "": it has no name */
	uint32_t function_version; /* INVOKE: 0: that which counts; ROLLBACK: the one before */
	uint32_t tail;		   /* 0 or 1: the end of what it logs is wanted */
	uint64_t event_len;
	struct log_place log_from; /* LOGS: what is behind it is wanted */
	char image_name[72];	   /* that is the root; "": none is */
	struct spec_image image;
	uint32_t image_form;	 /* BUILD: enum image_form; STORES: IMAGE_OF_CODE, or 0 */
	uint64_t image_bytes;	 /* BUILD: that it comes to in memory; 0: not known */
	char image_ref[256];	 /* BUILD: "": there is one only */
	char trace_id[UUID_LEN]; /* TRACES: the beginning of one's; "": a list of them */
};

enum answer_kind {
	ANSWER_OUTCOME,
	ANSWER_REFUSED,
	ANSWER_LIST,
	ANSWER_RECORDS,
	ANSWER_STARTING, /* no context is ready: one is made for it */
	ANSWER_LOGS,
	ANSWER_STORES,
	ANSWER_SEND,
	ANSWER_DONE,
	ANSWER_TRACE,
	ANSWER_TRACES,
	ANSWER_FUNCTIONS,
	ANSWER_WATCHED,
	ANSWER_LEARNT,
	ANSWER_KINDS
};

/* Of an event and of a response: AWS Lambda's, and 100 bytes (its documentation, "Quotas"). */
#define REQUEST_EVENT_MAX ((6U << 20) + 100)
#define REQUEST_TAIL_MAX  4096
#define REQUEST_SHORT	  8192

struct answer {
	char version[16];
	uint32_t kind;
	uint32_t stores;	    /* which come with it, in bits (serve/stores.h) */
	uint64_t response_len;	    /* of what comes with it; behind it: */
	uint32_t tail_len;	    /* the end of the log */
	uint32_t unknown;	    /* REFUSED or OUTCOME: bits of the streams that are files on no
				     * mount that the daemon knows: it is refused for them */
	struct ledger_repair found; /* in the daemon's ledger */
	struct cloche_err refused;
	struct {
		uint64_t bytes;		  /* so many come by the pipe; 0: there is no trace */
		struct cloche_err why;	  /* code: there is none, neither there nor kept */
		struct cloche_err unkept; /* code: it is not kept */
	} trace;
	struct outcome outcome;
};

/* What a version's messages are known by. */
void request_version(char ret[static 16]);

/* The event of an INVOKE: *ret is the caller's to free, with a NUL behind it. -EBADMSG: it is not
 * there, or not in memory. */
int request_read_event(const struct request *r, int fd, char **ret, struct cloche_err *err);

/* Functions of one DEPLOY, and the bytes of their JSON. */
#define REQUEST_DEPLOY_N   256
#define REQUEST_DEPLOY_MAX (1U << 20)

#define REQUEST_MAX (sizeof(struct request) + BPF_MAXINSNS * sizeof(struct sock_filter))

/* The client's side: *ret and *ret_order (a sealed memfd, the caller's) of a checked spec. A policy
 * that is a file is opened and compiled here; *ret_insns is the caller's to free. */
int request_make(const struct spec *spec, const char *function, struct request *ret,
		 struct sock_filter **ret_insns, int *ret_order, struct cloche_err *err);

/* What a client has in memory, len bytes of it, which is the caller's to free, with a NUL behind
 * it; -EBADMSG: it is not in memory, or not so much. */
int request_read_text(int fd, size_t len, char **ret);

/* The daemon's: what is wrong with one that came; 0: nothing. */
int request_check(const struct request *r, struct cloche_err *err);

/* Reads the order from where it is in memory, and makes a spec of all, which points into *r and
 * *ret_block, the caller's to free, and to bare, the policy that came with it (NULL: none); it is
 * not checked yet. */
int request_read(const struct request *r, const struct policy_bare *bare, int order,
		 struct order_block *ret_block, struct order *ret_order, struct spec *ret,
		 struct cloche_err *err);

#endif
