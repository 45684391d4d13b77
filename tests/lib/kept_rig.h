/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_KEPT_RIG_H
#define CLOCHE_TESTS_LIB_KEPT_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "launch/launcher.h"
#include "launch/spec.h"
#include "run/keeper.h"
#include "run/kept.h"
#include "run/metering.h"
#include "run/outcome.h"
#include "run/powers.h"

/*
 * A process that is kept (run/kept.h) without a daemon: the helper `kept`, which says a letter when
 * it wants an event and answers each, a letter, as its code says. What is not as it should be fails
 * the test.
 *
 *	kept_rig_start → { kept_rig_serve }* → kept_cancel → kept_rig_drive_to_end → kept_rig_finish
 */
struct kept_rig {
	char *helper;
	char *argv[3];
	struct spec spec;
	struct launcher launcher;
	struct metering metering;
	struct keeper keeper;
	struct powers_local powers;
	struct kept kept;
	struct outcome out;
	int to, from, more; /* its streams */
	bool timers;	    /* go off while it is paused: what that takes is the next part's */
};

static inline struct context *kept_rig_ctx(struct kept_rig *r)
{
	return &r->keeper.ctx;
}

/* What is to be made, to be changed by the test, and made; helper_arg may be NULL. */
void kept_rig_ask(struct kept_rig *r, const char *helper_arg);
void kept_rig_begin(struct kept_rig *r);
/* Both, until its init is over. */
void kept_rig_start(struct kept_rig *r, const char *helper_arg);

/* What is the next to happen; its state, its end. */
void kept_rig_step(struct kept_rig *r);
void kept_rig_drive_to(struct kept_rig *r, enum kept_state state);
void kept_rig_drive_to_end(struct kept_rig *r);
/* The next letter that it says. */
char kept_rig_hear(int fd);
/* It has answered, and is idle. */
void kept_rig_pause(struct kept_rig *r, enum verdict answered);
/* The event is there before it goes on. */
void kept_rig_resume(struct kept_rig *r, char event, int64_t timeout_ns);
void kept_rig_serve(struct kept_rig *r, char event);

void kept_rig_expect_end(struct kept_rig *r, enum verdict verdict);
/* The figures of the part that is over. */
void kept_rig_expect_closed(const struct kept_rig *r);
void kept_rig_finish(struct kept_rig *r);

#endif
