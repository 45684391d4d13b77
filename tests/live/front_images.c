/* SPDX-License-Identifier: MIT */
/* Images at the launcher's socket, by a front that the test plays: what passes each other on the
 * way is no breach, and a front that is gone leaves nothing in the making. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "serve/command.h"
#include "tests/lib/env.h"
#include "tests/lib/front_rig.h"

static struct command build_of(struct rig *r, uint32_t owner)
{
	struct command c = { .kind = COMMAND_BUILD,
			     .context = ++r->given,
			     .images = { .owner = owner } };

	(void)snprintf(c.images.name, sizeof(c.images.name), "mine");
	return c;
}

/* One in the making; the pipe's end is the caller's. */
static uint64_t begin(struct rig *r, uint32_t owner, int *ret_pipe)
{
	struct command c = build_of(r, owner);
	struct packet_fds fds;
	struct reply reply;

	front_rig_say(r, &c);
	reply = front_rig_hear(r, &fds);
	cr_assert_eq(reply.kind, REPLY_BUILDING, "%s", reply.err.text);
	cr_assert_eq(reply.context, c.context);
	cr_assert_eq(fds.n, 1);
	*ret_pipe = fds.fd[0];
	return c.context;
}

static void leave(struct rig *r, uint64_t number)
{
	front_rig_say(r, &(struct command){ .kind = COMMAND_LEAVE, .context = number });
	cr_expect_eq(front_rig_turn(r), 0);
}

Test(front_images, leaving_may_come_late)
{
	struct packet_fds fds;
	struct command c;
	struct reply reply;
	uint64_t number;
	struct rig r;
	int pipe;

	front_rig_open(&r);
	front_rig_begin(&r);
	number = begin(&r, 1000, &pipe);
	/* Refused at once, and nothing is known of its number. */
	c = build_of(&r, 1000);
	front_rig_say(&r, &c);
	reply = front_rig_hear(&r, &fds);
	cr_expect(reply.kind == REPLY_DONE && reply.err.code == EBUSY, "%s", reply.err.text);
	leave(&r, c.context);
	(void)close(pipe);
	reply = front_rig_hear(&r, &fds);
	cr_expect(reply.kind == REPLY_DONE && reply.context == number && reply.err.code);
	leave(&r, number);
	leave(&r, number);
	front_rig_close(&r);
}

/* Twice the same number is a breach, as any other. */
Test(front_images, a_number_is_of_one)
{
	struct command c;
	struct rig r;
	int pipe;

	front_rig_open(&r);
	for (int kind = 0; kind < 2; kind++) {
		uint64_t number;

		front_rig_begin(&r);
		number = begin(&r, 1000, &pipe);
		c = kind ? front_rig_ask_for(&r, 1000) : build_of(&r, 1001);
		c.context = number;
		front_rig_say(&r, &c);
		cr_expect_eq(front_rig_turn(&r), -EBADMSG);
		front_rig_drop(&r);
		(void)close(pipe);
	}
	front_rig_close(&r);
}

Test(front_images, a_front_that_is_gone_leaves_none)
{
	struct pollfd end = { .events = 0 };
	struct rig r;

	front_rig_open(&r);
	front_rig_begin(&r);
	(void)begin(&r, 1000, &end.fd);
	/* Until nothing of it is left. */
	front_rig_drop(&r);
	cr_expect_eq(poll(&end, 1, 0), 1);
	(void)close(end.fd);
	front_rig_close(&r);
}
