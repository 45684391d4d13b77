/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_FRONT_RIG_H
#define CLOCHE_TESTS_LIB_FRONT_RIG_H

#include <stdint.h>
#include <sys/types.h>

#include "serve/config.h"
#include "launch/launcher.h"
#include "serve/command.h"
#include "serve/launching.h"
#include "serve/packet.h"

/*
 * The daemon's launcher, in the test's own process, and a front that the test plays: what it says,
 * hears and does with the contexts that it is handed. What is not as it should be fails the test.
 *
 *	front_rig_open → { front_rig_begin → ... → front_rig_drop }* → front_rig_close
 */
#define RIG_CONTEXTS 3
#define RIG_OF_ONE   2

struct rig {
	struct config config;
	struct launching *launching;
	int front;	/* the test's end */
	uint64_t given; /* numbers */
	char *dir;	/* its state is here */
};

/* One turn of the launcher's loop. */
int front_rig_turn(struct rig *r);
/* And without waiting. */
int front_rig_step_at_once(struct rig *r);
void front_rig_connect(struct rig *r);
void front_rig_drop(struct rig *r);
void front_rig_say(struct rig *r, const struct command *c);
void front_rig_open_with(struct rig *r, uint64_t memory_bytes);
void front_rig_open(struct rig *r);
/* Whose fronts are found out soon when they say nothing. */
void front_rig_open_silent(struct rig *r);
void front_rig_begin(struct rig *r);
void front_rig_close(struct rig *r);
struct command front_rig_ask_for(struct rig *r, uint32_t owner);
struct reply front_rig_hear(struct rig *r, struct packet_fds *fds);
uint64_t front_rig_make(struct rig *r, struct packet_fds *fds);
struct context front_rig_adopt(struct packet_fds *fds);
void front_rig_go(struct context *ctx, const char *script);
void front_rig_expect_ended(struct context *ctx);
int front_rig_exit_of(struct context *ctx, const char *script);
pid_t front_rig_last_child(void);
void front_rig_run_inside(struct context *ctx, const char *script);
struct reply front_rig_keep(struct rig *r, uint64_t number, struct packet_fds *fds);

#endif
