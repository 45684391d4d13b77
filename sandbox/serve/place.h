/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_PLACE_H
#define CLOCHE_SERVE_PLACE_H

#include "host/host.h"
#include "image/image.h"
#include "launch/spec.h"
#include "policy/policy_join.h"
#include "run/keeper.h"
#include "run/metering.h"
#include "run/powers.h"
#include "serve/blanks.h"
#include "serve/command.h"
#include "serve/limit.h"
#include "serve/pulse.h"
#include "serve/stores.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct building;
struct config;
struct group;
struct mounting;
struct owners;
struct packet_fds;
struct showings;
struct tracers;
struct tracing;

/* What the launcher (serve/launching.h) is made of, for its own files: its loop and most handlers
 * are in launching.c, the beginning of a context in place.c. */

/* One context, and what is kept from one to the next that has its place. */
struct place {
	enum command_state state;
	uint32_t owner;
	uint64_t number; /* the front's */
	bool silent;	 /* nobody is told of it any more */
	bool deferred;	 /* ENDING, but not begun */
	unsigned at;	 /* among those that are attended to; NOWHERE */
	unsigned polled; /* which of launching_wait's; 0: none */
	struct limit_use use;
	uint64_t cpu_ns;     /* of the invocations that were counted */
	struct counted last; /* of the present one, when it was ended or counted */
	bool parted;	     /* that was a part, and its process goes on */
	struct spec spec;
	char policy[64]; /* of spec, as the next two */
	char image[IMAGE_NAME_MAX + 1], image_at[IMAGE_PATH_LEN];
	char code_at[COMMAND_CODES][IMAGE_PATH_LEN];
	const char *layers_at[SPEC_LAYERS_MAX];
	struct mounting *mounting; /* MOUNTING: what is made then */
	struct tracing *tracer;	   /* of the present invocation; NULL: none, any more */
	struct keeper keeper;
	struct metering metering;
	struct powers_local powers;
};

struct launching {
	struct launcher launcher;
	const struct config *config; /* what counts now */
	struct spec_host host;
	struct owners *owners;
	struct place *places;
	unsigned n_places;
	uint64_t *numbers;	 /* of the places, to be found by; 0: nobody's, or silent */
	struct place **by_slot;	 /* who had it last; SLOT_MAX */
	struct place **attended; /* that owe something, or are to be proved or to end */
	unsigned n_attended;
	unsigned ending; /* begun, and not gone yet */
	struct blanks blanks;
	struct building *building;
	struct tracers *tracers;
	struct showings *showings;
	struct stores stores;
	int pressure;	      /* host/pressure.h; -1 */
	unsigned pressure_at; /* which of launching_wait's, before the notices; 0: none */
	int front;	      /* -1: none */
	bool ready;
	unsigned late; /* fronts in a row that did not become it */
	bool alone;    /* it was told so */
	bool knocked;  /* a client came, and nothing was heard since */
	struct pulse pulse;
	int broken; /* -errno: it could not be told something */
	char inbox[COMMAND_MAX + 1];
	struct policy_bare bare; /* of the context that is being made */
};

/* It is in another state. */
void place_turn(struct launching *l, struct place *p, enum command_state to);

/* What it is found by; 0: nothing. */
void place_name(struct launching *l, struct place *p, uint64_t number);

/* It is nobody's, and free; it is to end, and nobody is told of it (silent). */
void place_leave(struct launching *l, struct place *p);
void place_end(struct launching *l, struct place *p, bool silent);

/* To the front, if there is one. */
void launching_say(struct launching *l, const struct reply *reply, const struct packet_fds *fds);
void launching_refuse(struct launching *l, uint64_t number, enum limit limit,
		      const struct cloche_err *why);

/* The handler of MAKE. A context whose image is not mounted yet is MOUNTING until that is done, and
 * then made or refused: place_mounting_step() looks whether it is. */
int place_on_make(struct launching *l, struct place *p, const struct command *c,
		  struct cloche_err *err);
void place_mounting_wait(const struct place *p, struct pollfd *ret);
void place_mounting_step(struct launching *l, struct place *p);
void place_mounting_kill(const struct place *p);

/* All that counts an invocation begins anew, and it may come at any time: the front has it, for the
 * first time or again. */
int place_offer(struct launching *l, struct place *p, bool *ret_clocked, struct cloche_err *err);
void place_hand_again(struct launching *l, struct place *p, bool clocked);

#endif
