/* SPDX-License-Identifier: MIT */
/*
 * What the launcher keeps at a front's word, and what it makes ahead of need: nobody who drove a
 * context once has a say again, what is not clean is not kept, and a blank that is dressed is what
 * was asked for. Needs root.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"
#include "launch/launcher.h"
#include "launch/message.h"
#include "launch/spec.h"
#include "policy/policy_join.h"
#include "serve/command.h"
#include "serve/launching.h"
#include "serve/packet.h"
#include "tests/lib/env.h"
#include "tests/lib/leftovers.h"
#include "tests/lib/front_rig.h"
#include "tests/lib/scene.h"

/* ---- what is kept ---------------------------------------------------------------------------- */

/* The socket of the first invocation leads to nobody in the second, also where its other end was
 * kept; and what the second one's brings is one GO. */
Test(front_kept, who_drove_once_has_no_say_again)
{
	struct packet_fds fds = { .n = 0 };
	struct warden_msg m = { .type = WARDEN_GO }, heard;
	struct message_fds none;
	struct context ctx;
	struct rig r;
	uint64_t number;
	int old;

	front_rig_open(&r);
	front_rig_begin(&r);
	number = front_rig_make(&r, &fds);
	ctx = front_rig_adopt(&fds);
	old = dup(ctx.control);
	front_rig_run_inside(&ctx, "true");
	cr_assert_eq(front_rig_keep(&r, number, &fds).kind, REPLY_KEPT);
	cr_assert_eq(fds.n, 1);
	context_adopt_again(&ctx, fds.fd[0]);
	cr_expect_eq(message_send(old, &m, NULL, NULL), -EPIPE);
	cr_expect_eq(message_recv(old, &heard, NULL, &none), -EPIPE);
	front_rig_run_inside(&ctx, "true");
	cr_assert_eq(front_rig_keep(&r, number, &fds).kind, REPLY_KEPT);
	cr_assert_eq(fds.n, 1);
	packet_close_fds(&fds);
	(void)close(old);
	context_disown(&ctx);
	front_rig_close(&r);
}

static const struct {
	const char *script; /* NULL: nothing is run */
	bool kill;
	enum residue found;
} unclean[] = {
	{ "touch /tmp/x", false, RESIDUE_TMP },
	{ "sleep 300 & exit 0", false, RESIDUE_PROCESS },
	{ "sleep 300", true, RESIDUE_KILLED },
	{ NULL, false, RESIDUE_UNKNOWN },
};

/* Whatever the front says of it: the launcher and the warden know by themselves. */
Test(front_kept, what_is_not_clean_is_not_kept)
{
	struct rig r;

	front_rig_open(&r);
	front_rig_begin(&r);
	for (size_t i = 0; i < sizeof(unclean) / sizeof(unclean[0]); i++) {
		struct packet_fds fds = { .n = 0 };
		uint64_t number = front_rig_make(&r, &fds);
		struct context ctx = front_rig_adopt(&fds);
		struct reply reply;

		if (unclean[i].script)
			front_rig_go(&ctx, unclean[i].script);
		if (unclean[i].kill) {
			front_rig_say(&r,
				      &(struct command){ .kind = COMMAND_KILL, .context = number });
			cr_assert_eq(front_rig_turn(&r), 0);
		}
		if (unclean[i].script)
			front_rig_expect_ended(&ctx);
		reply = front_rig_keep(&r, number, &fds);
		cr_expect_eq(reply.kind, REPLY_GONE, "%zu: %u", i, reply.kind);
		cr_expect_eq(reply.residue, (uint64_t)unclean[i].found, "%zu: %s", i,
			     residue_text((enum residue)reply.residue));
		cr_expect_eq(fds.n, 0);
		context_disown(&ctx);
	}
	front_rig_close(&r);
}

/* The descriptors of an invocation are worth one invocation: a second GO in it is the context's
 * end, and so is one that comes while it is looked at. */
Test(front_kept, one_go_is_one_invocation)
{
	struct packet_fds fds = { .n = 0 };
	struct rig r;
	struct context ctx;
	struct warden_msg m = { .type = WARDEN_GO }, heard;
	struct cloche_err err = { 0 };
	uint64_t number;

	front_rig_open(&r);
	front_rig_begin(&r);
	number = front_rig_make(&r, &fds);
	ctx = front_rig_adopt(&fds);
	front_rig_go(&ctx, "sleep 300");
	(void)message_send(ctx.control, &m, NULL, NULL);
	cr_expect_eq(context_recv(&ctx, &heard, &err), -EPROTO);
	cr_expect_eq(front_rig_keep(&r, number, &fds).kind, REPLY_GONE);
	context_disown(&ctx);
	front_rig_close(&r);
}

/* The front reads what was denied, and cannot answer it: of the listener it gets nothing, whatever
 * it asks for by, and the warden takes none from it. */
Test(front_kept, a_listener_is_nobodys)
{
	static const uint32_t kinds[] = { WARDEN_STARTED, WARDEN_ENDED, WARDEN_GO,
					  WARDEN_MESSAGES };
	struct packet_fds fds = { .n = 0 };
	struct context ctx;
	struct rig r;

	test_needs("seccomp-listener");
	front_rig_open(&r);
	front_rig_begin(&r);
	(void)front_rig_make(&r, &fds);
	ctx = front_rig_adopt(&fds);
	front_rig_go(&ctx, "unshare -U true; unshare -U true; exit 0");
	cr_expect_eq(open_fds_listeners(0), 0);
	front_rig_expect_ended(&ctx);
	cr_expect_eq(ctx.plan.shared->denials.total, 2);
	cr_expect_eq(ctx.plan.shared->denials.kinds[0].nr, SYS_unshare);
	context_disown(&ctx);
	for (size_t i = 0; i < 2 * sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct warden_msg m = { .type = kinds[i / 2], .fds = ~0U }, heard;
		struct message_fds with = { .fd = { r.front }, .n = 1 };
		struct cloche_err err = { 0 };
		uint64_t number = front_rig_make(&r, &fds);

		ctx = front_rig_adopt(&fds);
		if (i % 2)
			front_rig_go(&ctx, "sleep 300");
		cr_assert_eq(message_send(ctx.control, &m, NULL, &with), 0);
		cr_expect_eq(context_recv(&ctx, &heard, &err), -EPROTO, "%u", m.type);
		cr_expect_eq(open_fds_listeners(0), 0);
		context_disown(&ctx);
		front_rig_say(&r, &(struct command){ .kind = COMMAND_END, .context = number });
		cr_expect_eq(front_rig_hear(&r, &fds).kind, REPLY_GONE);
	}
	front_rig_close(&r);
}
/* ---- blanks ---------------------------------------------------------------------------------- */

/* One was made for the asking; the next that is asked for is that one, and by the time that it
 * answers it is what it would have been. */
Test(front_kept, who_asks_gets_a_blank_where_there_is_one)
{
	static const char limits[] =
		"[ $(ulimit -n) = 77 ] && [ $(ulimit -p) = 73 ] && "
		"[ $(df -k /tmp | tail -1 | tr -s ' ' | cut -d' ' -f2) = 1024 ] && "
		"[ $(df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2) = 2048 ] && "
		"grep -q '^Seccomp:.2' /proc/self/status";
	struct packet_fds fds = { .n = 0 };
	struct command c;
	struct reply reply;
	struct context ctx;
	struct rig r;

	front_rig_open(&r);
	front_rig_begin(&r);
	cr_expect_eq(launching_blanks(r.launching), 0);
	(void)front_rig_make(&r, &fds);
	packet_close_fds(&fds);
	while (launching_blanks(r.launching) == 0)
		cr_assert_eq(front_rig_turn(&r), 0);
	c = front_rig_ask_for(&r, 1000);
	c.make.nofile = 77;
	c.make.pids = 9;
	c.make.tmp_bytes = 1 << 20;
	c.make.shm_bytes = 2 << 20;
	front_rig_say(&r, &c);
	cr_assert_eq(front_rig_turn(&r), 0);
	cr_expect_eq(launching_blanks(r.launching), 0, "it was not taken");
	reply = front_rig_hear(&r, &fds);
	cr_assert_eq(reply.kind, REPLY_MADE, "%s", reply.err.text);
	ctx = front_rig_adopt(&fds);
	cr_expect_eq(front_rig_exit_of(&ctx, limits), 0);
	cr_expect_eq(front_rig_keep(&r, c.context, &fds).kind, REPLY_KEPT);
	context_disown(&ctx);
	packet_close_fds(&fds);
	front_rig_close(&r);
}

/* It is nobody's, and nobody's death takes it. */
Test(front_kept, a_dead_blank_is_not_given_away)
{
	struct packet_fds fds = { .n = 0 };
	struct rig r;
	pid_t pid;

	front_rig_open(&r);
	front_rig_begin(&r);
	(void)front_rig_make(&r, &fds);
	packet_close_fds(&fds);
	while (launching_blanks(r.launching) == 0)
		cr_assert_eq(front_rig_turn(&r), 0);
	pid = front_rig_last_child();
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
	(void)front_rig_make(&r, &fds);
	packet_close_fds(&fds);
	front_rig_close(&r);
}

/* The host is short of memory: what is nobody's goes at once, and the front is to give up more. */
Test(front_kept, pressure_is_passed_on)
{
	struct packet_fds fds = { .n = 0 };
	struct rig r;

	front_rig_open(&r);
	front_rig_begin(&r);
	(void)front_rig_make(&r, &fds);
	packet_close_fds(&fds);
	while (launching_blanks(r.launching) == 0)
		cr_assert_eq(front_rig_turn(&r), 0);
	launching_press(r.launching);
	cr_expect_eq(front_rig_hear(&r, &fds).kind, REPLY_PRESSED);
	while (launching_blanks(r.launching) > 0)
		cr_assert_eq(front_rig_turn(&r), 0);
	front_rig_close(&r);
}
