/* SPDX-License-Identifier: MIT */
/* Images at the launcher's socket, by a front that the test plays: what passes each other on the
 * way is no breach, nobody waits for somebody's image, and a front that is gone leaves nothing in
 * the making. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "host/host.h"
#include "serve/command.h"
#include "tests/lib/env.h"
#include "tests/lib/front_rig.h"
#include "tests/lib/images.h"

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

/* ---- what is yet to be mounted --------------------------------------------------------------- */

/* Whoever mounts an image waits until the descriptor is closed. */
static int hold_mounts(void)
{
	struct cloche_err err = { 0 };
	cleanup_fd int run = host_run_dir(&err);
	int lock = host_lock(run, "images.lock", &err);

	cr_assert(lock >= 0, "%s", err.text);
	return lock;
}

static struct command make_in(struct rig *r, const char *name, const char *sha)
{
	struct command c = front_rig_ask_for(r, 1000);

	(void)snprintf(c.make.image.name, sizeof(c.make.image.name), "%s", name);
	(void)snprintf(c.make.image.sha256, sizeof(c.make.image.sha256), "%s", sha);
	return c;
}

Test(front_images, nobody_waits_for_somebodys_image)
{
	cleanup_store struct store s = store_make();
	struct packet_fds fds;
	struct reply reply;
	struct command c, other;
	char sha[65];
	struct rig r;
	int lock;

	store_build(&s, tree_make(&s, "tree"), "tiny", sha);
	front_rig_open(&r);
	front_rig_begin(&r);
	lock = hold_mounts();
	c = make_in(&r, "tiny", sha);
	front_rig_say(&r, &c);
	other = front_rig_ask_for(&r, 1001);
	front_rig_say(&r, &other);
	reply = front_rig_hear(&r, &fds);
	cr_expect(reply.kind == REPLY_MADE && reply.context == other.context, "%s", reply.err.text);
	packet_close_fds(&fds);
	/* Of what is not there yet nothing can be said. */
	cr_expect_eq(mounts_with(sha), 0);
	(void)close(lock);
	reply = front_rig_hear(&r, &fds);
	cr_expect(reply.kind == REPLY_MADE && reply.context == c.context, "%s", reply.err.text);
	packet_close_fds(&fds);
	cr_expect_eq(mounts_with(sha), 1);
	front_rig_close(&r);
}

Test(front_images, a_front_that_is_gone_waits_for_none)
{
	cleanup_store struct store s = store_make();
	struct command c;
	char sha[65];
	struct rig r;
	int lock;

	store_build(&s, tree_make(&s, "tree"), "tiny", sha);
	front_rig_open(&r);
	front_rig_begin(&r);
	lock = hold_mounts();
	c = make_in(&r, "tiny", sha);
	front_rig_say(&r, &c);
	cr_expect_eq(front_rig_turn(&r), 0);
	/* Until nothing is left, while nobody can mount. */
	front_rig_drop(&r);
	cr_expect_eq(mounts_with(sha), 0);
	(void)close(lock);
	front_rig_close(&r);
}

Test(front_images, a_name_that_means_another_image_is_refused)
{
	cleanup_store struct store s = store_make();
	struct packet_fds fds;
	struct reply reply;
	struct command c;
	char sha[65], later[65];
	struct rig r;

	store_build(&s, tree_make(&s, "tree"), "tiny", sha);
	PUT(store_file(&s, "tree/new"), "new");
	store_build(&s, store_file(&s, "tree"), "tiny", later);
	front_rig_open(&r);
	front_rig_begin(&r);
	c = make_in(&r, "tiny", sha);
	front_rig_say(&r, &c);
	reply = front_rig_hear(&r, &fds);
	cr_expect_eq(reply.kind, REPLY_REFUSED);
	expect_has(reply.err.text, "replaced by another one");
	cr_expect_eq(mounts_with(sha) + mounts_with(later), 0);
	front_rig_close(&r);
}
