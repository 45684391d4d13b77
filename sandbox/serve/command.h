/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_COMMAND_H
#define CLOCHE_SERVE_COMMAND_H

#include "base/err.h"
#include "base/hash.h"
#include "image/image.h"
#include "launch/handed.h"
#include "launch/spec.h"
#include "run/powers.h"
#include "serve/stores.h"
#include "serve/tracer.h"

#include <linux/bpf_common.h>
#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct policy_bare;
struct spec;

/*
 * What the front asks of the launcher, and what it is told: messages of one size each way over a
 * SOCK_SEQPACKET socketpair. The front speaks with everybody and is assumed to be taken over one
 * day: whatever comes from it is held against the table below, and one message that is not allowed
 * is its end (serve/launching.h).
 *
 *   front      READY  MAKE       KILL  COUNT              KEEP            …  END
 *   launcher               MADE               COUNTED            KEPT          GONE
 *   context          absent │ handed ─> counting │ counted │ proving │ handed │ ending
 *
 * An invocation that is to be traced has two more: TRACE → TRACED before it is begun (handed │
 * tracing │ handed), with the end of a pipe by which its lines come, and CONCLUDE → CONCLUDED with
 * its verdict when it is counted (counted │ concluding │ counted): see serve/tracer.h.
 *
 * Where its process is kept from one event to the next, and frozen, COUNT is answered with PARTED:
 * of the part that is over; and the front has it, for the next part. What is kept stays handed
 * while TRACED and CONCLUDED are owed: it may end meanwhile, and be counted and ended.
 *
 * Beside these PING → PONG, where the front has said nothing for a while and owes something, and
 * ALONE, when the contexts of the front before this one have ended, behind LEFT for each of them
 * that ran something.
 *
 * The front gives each context a number that no front gave before. With MADE come the descriptors
 * of launch/handed.h, with KEPT the one of them that is new; no other message brings any, and the
 * front's bring none at all. A context is kept for its owner, who is in the launcher's table from
 * MAKE on; GONE comes instead of KEPT when it is not clean, and says what was found.
 */
enum command_kind {
	COMMAND_READY,	  /* it serves; once, before all others */
	COMMAND_PONG,	  /* it is alive: the answer to PING */
	COMMAND_MAKE,	  /* a context: MADE or REFUSED */
	COMMAND_KILL,	  /* end its processes */
	COMMAND_COUNT,	  /* what the kernel has counted when no process of it is left: COUNTED;
			     or when it is frozen: PARTED */
	COMMAND_RECOUNT,  /* the same, where it is not told yet: a warden that is dead may have
				had it counted (launch/notice.h), of which the front does not know */
	COMMAND_KEEP,	  /* for another invocation, if nothing of this one is left: KEPT or GONE */
	COMMAND_END,	  /* it is not wanted any more: GONE */
	COMMAND_TALLY,	  /* what all contexts have used: TALLY */
	COMMAND_STORES,	  /* the images that an owner may read: STORES */
	COMMAND_BUILD,	  /* an image of an owner's, from what comes by a pipe: BUILDING, DONE */
	COMMAND_REMOVE,	  /* one: DONE */
	COMMAND_LEAVE,	  /* nobody waits for a BUILD any more, which may be done already */
	COMMAND_TRACE,	  /* the invocation that is begun next: TRACED */
	COMMAND_SHOW,	  /* traces that are kept of an owner, or of all: SHOWN */
	COMMAND_CONCLUDE, /* what became of the one that is traced: CONCLUDED */
	COMMAND_KINDS
};

enum command_state {
	COMMAND_UNREADY,  /* the front has not said READY */
	COMMAND_ABSENT,	  /* there is no context of that number */
	COMMAND_MOUNTING, /* there will be one when its image is mounted: MADE or REFUSED is owed */
	COMMAND_HANDED,	  /* the front has it, for one invocation */
	COMMAND_COUNTING, /* COUNTED is owed */
	COMMAND_COUNTED,
	COMMAND_PROVING, /* KEPT or GONE is owed */
	COMMAND_ENDING,
	COMMAND_BUILDING,   /* no context: DONE is owed */
	COMMAND_TRACING,    /* TRACED is owed */
	COMMAND_CONCLUDING, /* CONCLUDED is owed, and then it is COUNTED */
	COMMAND_STATES
};

/* Of a root: what image, by name and by what that is to mean. */
enum {
	COMMAND_IMAGE_SHARED, /* the host's */
	COMMAND_IMAGE_OWN,
	COMMAND_IMAGE_PINNED, /* that of this hash: one of those, as long as its name means it;
				 else beside the owner's code, named by the hash */
};
struct command_image {
	uint32_t own;  /* whose: of these */
	char name[72]; /* "": none */
	char sha256[68];
};
_Static_assert(sizeof(((struct command_image *)0)->name) > IMAGE_NAME_MAX &&
		       sizeof(((struct command_image *)0)->sha256) >= HASH_HEX_LEN,
	       "they have room");

#define COMMAND_CODES (1 + SPEC_LAYERS_MAX)

/* What of a spec is the context's, in numbers. A policy is one that is built in, or one of the
 * owner's, of which so many instructions follow the message (policy/policy_join.h). */
struct command_make {
	uint64_t memory_bytes, cpu_milli, pids, nofile, tmp_bytes, shm_bytes;
	uint64_t cpus[SPEC_CPUS_WORDS]; /* as of a spec: whatever they are, there is a way */
	uint32_t cpu_mode;
	uint32_t owner;
	uint32_t terminals, read_locks; /* 0 or 1 */
	uint32_t policy;		/* its place among the profiles (policy_builtins) */
	uint32_t owner_gid;
	uint32_t net; /* enum net_mode */
	uint32_t bare_n, bare_flags;
	char bare_name[64];
	unsigned char bare_hash[HASH_LEN];
	uint32_t binds; /* the warden is to be given so many of the owner's (launch/given.h) */
	struct command_image image;
	uint32_t kept, zygote, api; /* 0 or 1: as of a spec */
	uint32_t reserved;	    /* 0 */
	/* Of the owner's code, by the hashes that name it: what is mounted at /var/task, then the
	 * layers at /opt, the last on top; behind the last "". */
	struct command_code {
		char sha256[72];
	} code[COMMAND_CODES];
};

/* What it is about that is no context. */
struct command_images {
	uint32_t owner; /* SHOW: 0: all */
	uint32_t form;	/* BUILD: enum image_form; REMOVE, STORES: IMAGE_OF_CODE, or 0 */
	uint64_t
		bytes; /* BUILD: that it comes to in memory, as its maker has it; 0: nobody knows */
	char name[72]; /* BUILD, REMOVE: of the image; of code its hash */
	char ref[256]; /* BUILD: which of several; "": there is one only; IMAGE_OF_IMAGE: its name
			*/
};

/* What is wanted of a trace, and written in it: text that is nobody's to believe. */
struct command_trace {
	uint32_t file, keep;		  /* TRACE: 0 or 1; SHOW: file: 1: not traces, but what
					   * the owner's contexts call (learner.h) */
	uint32_t verdict;		  /* CONCLUDE: enum verdict */
	uint32_t watchers;		  /* TRACE: so many sockets are handed out, too */
	char request_id[40];		  /* SHOW: its beginning; "": a list of them */
	char function[TRACER_NAME_LEN];	  /* "": it has no name */
	char command[SCRIBE_COMMAND_LEN]; /* TRACE: as scribe.h has it */
};

struct command {
	uint32_t kind;
	uint32_t reserved; /* 0 */
	uint64_t context;  /* its number, from 1 on; READY, PONG, TALLY: 0; STORES, BUILD, REMOVE,
			      SHOW: the answer's */
	struct command_make make;
	struct command_images images;
	struct command_trace trace;
};
/* Where a field is not there, its bytes are 0: also those that would be between two. */
_Static_assert(sizeof(struct command_trace) ==
			       4 * sizeof(uint32_t) + 40 + TRACER_NAME_LEN + SCRIBE_COMMAND_LEN &&
		       sizeof(struct command) ==
			       offsetof(struct command, trace) + sizeof(struct command_trace),
	       "it has no padding");

enum reply_kind {
	REPLY_MADE,
	REPLY_REFUSED,
	REPLY_COUNTED,
	REPLY_PARTED, /* the same of a part, and it may go on */
	REPLY_KEPT,   /* clean and renewed; clocked: as MADE */
	REPLY_GONE,
	REPLY_PRESSED,	 /* the host is short of memory: what is idle is to become less */
	REPLY_TALLY,	 /* of listing.h, in a descriptor */
	REPLY_CONFIG,	 /* what counts from now on, in a descriptor: see handover.h */
	REPLY_STORES,	 /* stores.h, what there is of it, in descriptors; or why not */
	REPLY_BUILDING,	 /* it may begin: the end of a pipe */
	REPLY_DONE,	 /* ... or could not be done: err, and limit as REFUSED has it */
	REPLY_LEFT,	 /* counted of what another front did not hear the end of; behind READY */
	REPLY_TRACED,	 /* it is, with the pipe where one was asked for and a socket for each who
			    watches; or err: it is not */
	REPLY_CONCLUDED, /* all of it is written; residue: bytes that come by the pipe; or err: it
			    is not kept */
	REPLY_SHOWN,	 /* what is kept, by a pipe (showing.h); or why not */
	REPLY_ALONE,	 /* nothing of another front is left; once, behind READY */
	REPLY_PING,	 /* PONG is asked for */
	REPLY_STOP, /* no new work, and what runs has a time of grace; context: in nanoseconds */
};

struct reply {
	uint32_t kind;
	uint32_t clocked; /* MADE, KEPT: see powers.h */
	uint64_t context;
	uint64_t residue; /* GONE: enum residue, why it was not kept; CONCLUDED */
	uint64_t limit;	  /* REFUSED: enum limit; STORES: which, in bits */
	union {
		struct handed made;
		struct cloche_err err;	/* REFUSED; GONE: what could not be taken away; STORES;
					   TRACED; CONCLUDED */
		struct counted counted; /* COUNTED, PARTED, LEFT */
	};
};

#define COMMAND_BARE_LEN(n) ((n) * sizeof(struct sock_filter))
#define COMMAND_MAX	    (sizeof(struct command) + COMMAND_BARE_LEN(BPF_MAXINSNS))

/* Checks a message by itself: its length, that it brings no descriptor, its kind, the fields that
 * its kind does not have. -EBADMSG, and *err says what is wrong. What follows it is behind its
 * first sizeof(*ret) bytes. */
int command_read(const void *bytes, size_t len, unsigned fds, struct command *ret,
		 struct cloche_err *err);

/* Whether it may come in this state. */
bool command_allowed(enum command_kind kind, enum command_state state);

const char *command_name(enum command_kind kind);

/* From a spec and back. from_spec: -ENOENT where the policy is neither built in nor brought, *err
 * as spec_check has it; to_spec: -EBADMSG where an enum is none or a name no text; the ranges are
 * spec_check's matter. What it points to is static, or in *make. */
int command_from_spec(const struct spec *spec, struct command_make *ret, struct cloche_err *err);
int command_to_spec(const struct command_make *make, struct spec *ret, struct cloche_err *err);

/* The owner's policy that follows a message of MAKE, which command_read has passed, into *bare and
 * spec. Contexts are of one kind by its hash, which the front has, too; what it is worth
 * policy/policy_join.c finds out. */
int command_take_bare(const struct command_make *make, const char *bytes, struct policy_bare *bare,
		      struct spec *spec, struct cloche_err *err);

#endif
