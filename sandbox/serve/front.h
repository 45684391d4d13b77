/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_FRONT_H
#define CLOCHE_SERVE_FRONT_H

#include "host/local.h"
#include "launch/spec.h"
#include "ledger/prices.h"
#include "pool/pool.h"
#include "run/booking.h"
#include "run/owner.h"
#include "serve/allowances.h"
#include "serve/counts.h"
#include "serve/held.h"
#include "serve/lister.h"
#include "serve/logged.h"
#include "serve/provisioning.h"
#include "serve/request.h"
#include "serve/view.h"
#include "serve/wills.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

struct changing;
struct client;
struct closer;
struct function_store;
struct function_visit;
struct hashing;
struct image_visit;
struct cloche_err;
struct config;
struct metrics;

/* Kinds that are remembered to be busy, in one turn of those who wait. */
#define FRONT_BUSY 4

/*
 * The front: a process without rights that speaks with clients, has the launcher make what they
 * need, drives their invocations and writes the records. What it knows of the host it was handed:
 * the control socket, which listens, the socket to the launcher, and its directory, which is its
 * working directory and has the ledger; and what view.h shows it, by the calls that own_filter.h
 * leaves it. All that it does not have to do at once it does in one loop, which never waits for a
 * client.
 */
struct front {
	sd_event *event;
	int launcher, control;
	sd_event_source *heard, *knocks, *grace, *expiry;
	unsigned changes; /* of its configuration: who was let in before may not be now */
	bool stopping;	  /* no new work */
	bool over;	  /* nor is what goes on waited for, but for invocations' ends */
	struct config *config;
	bool old; /* another front knows better: when nobody is there it makes room for it */
	struct view view;
	struct client *clients, **clients_end; /* in the order in which they came */
	unsigned n_clients, lessons;	       /* of these so many learn (lessons.h) */
	struct image_visit *image_visits;
	struct function_store *functions;
	struct function_visit *function_visits;
	uint64_t last_number; /* of a context, of this front and those before it */
	struct pool pool;     /* of struct held */
	struct {
		struct held_kind kind;
		enum residue why;
	} replaced[HELD_REPLACED];
	unsigned replaced_at;
	struct held *numbered[HELD_LISTS];
	struct held_kind busy[FRONT_BUSY]; /* of these there is none for whoever waits */
	unsigned n_busy;
	struct dismissing dismissing;
	struct lister lister;
	struct counts counts;
	struct metrics *metrics;
	int64_t since_ns; /* CLOCK_REALTIME of its beginning */
	struct spec_host host;
	struct prices prices;
	struct booking booking;
	struct wills wills;
	struct logged logged;
	struct provisioning provisioning;
	struct allowances allowances;
	struct local local;
	struct closer *closer;
	struct hashing *hashing;
	struct changing *changing;
	struct owner_names names;      /* while it is not old */
	void (*say)(const char *text); /* a line of the log */
	char inbox[REQUEST_MAX];       /* room for what a client asks */
};

struct front_options {
	int launcher, control, state; /* the last: its directory */
	int config;		      /* see handover.h */
	int metrics;		      /* listens */
	uid_t uid;
	gid_t gid;
	void (*say)(const char *text);
};

/* As root, in a process of its own: gives all rights up and serves, until it is told to stop or is
 * to be replaced (0), or cannot go on. */
int front_run(const struct front_options *options, struct cloche_err *err);

/* For clients: a message to the launcher. What cannot be sent is the end of the front. */
void front_tell(struct front *f, const struct command *c);

/* MAKE, with what follows it: make->bare_n instructions. */
struct sock_filter;
void front_tell_make(struct front *f, const struct command *c, const struct sock_filter *insns);

/* A user's, as owner_name() has it. */
void front_owner_name(struct front *f, uid_t uid, char ret[static OWNER_NAME_LEN]);

/* A number for a context. */
uint64_t front_number(struct front *f);

/* Whether it has come to the end that it was told of. */
void front_look_whether_done(struct front *f);

/* The client is gone. */
void front_forget(struct front *f, struct client *c);

/* By a connection on which it was served before: it comes behind whoever has come meanwhile. */
void front_asks_again(struct front *f, struct client *c);

/* Of those that wait for a context of that kind, how many came before c (NULL: at all). */
unsigned front_waiting(const struct front *f, const struct pool_kind *kind, const struct client *c);

/* Who asked what contexts there are can be answered. */
void front_listed(struct front *f);

/* A function has all contexts that it may have, and none is idle: whoever else is queued for one is
 * not tried any more in this turn. */
void front_note_busy(struct front *f, const struct held_kind *kind);

/* There may be a context for who waits for one; room: also where there was none for it. */
void front_retry(struct front *f, bool room);

/* How many of this owner's requests wait for a place, as the configuration lets them. */
unsigned front_queued(const struct front *f, uid_t uid);

#endif
