/* SPDX-License-Identifier: MIT */
/*
 * A front that was taken over, played by the test at the launcher's socket: what is not in the
 * table ends it, what it had goes with it, the next one is served, and what a context gives away
 * lets nobody do more than a function may.
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
#include "serve/config.h"
#include "serve/launching.h"
#include "serve/packet.h"
#include "tests/lib/env.h"
#include "tests/lib/leftovers.h"
#include "tests/lib/front_rig.h"
#include "tests/lib/scene.h"

/* ---- what is out of the table ---------------------------------------------------------------- */

enum when { BEFORE_READY, WITHOUT_CONTEXT, WITH_CONTEXT, COUNTED, TRACING, PROVING, ENDED, WHENS };

static const struct command_trace wanted_trace = { .file = 1,
						   .request_id =
							   "123e4567-e89b-42d3-a456-426614174000" };

/* To a state in which the next message counts; the number of a context, where there is one. */
static uint64_t bring_to(struct rig *r, enum when when)
{
	struct packet_fds fds = { .n = 0 };
	uint64_t number = 1;

	if (when == BEFORE_READY) {
		front_rig_connect(r);
		return number;
	}
	front_rig_begin(r);
	if (when == WITHOUT_CONTEXT)
		return r->given + 1;
	number = front_rig_make(r, &fds);
	if (when == COUNTED || when == PROVING) {
		front_rig_say(r, &(struct command){ .kind = COMMAND_COUNT, .context = number });
		packet_close_fds(&fds);
		cr_assert_eq(front_rig_hear(r, &fds).kind, REPLY_COUNTED);
	}
	if (when == TRACING)
		front_rig_say(r, &(struct command){ .kind = COMMAND_TRACE,
						    .context = number,
						    .trace = wanted_trace });
	if (when == PROVING)
		front_rig_say(r, &(struct command){ .kind = COMMAND_KEEP, .context = number });
	if (when == ENDED)
		front_rig_say(r, &(struct command){ .kind = COMMAND_END, .context = number });
	packet_close_fds(&fds);
	return number;
}

static const bool fine[WHENS][COMMAND_KINDS] = {
	[BEFORE_READY] = { [COMMAND_READY] = true },
	[WITHOUT_CONTEXT] = { [COMMAND_PONG] = true,
			      [COMMAND_TALLY] = true,
			      [COMMAND_STORES] = true,
			      [COMMAND_SHOW] = true,
			      [COMMAND_REMOVE] = true,
			      [COMMAND_LEAVE] = true,
			      [COMMAND_BUILD] = true,
			      [COMMAND_MAKE] = true },
	[WITH_CONTEXT] = { [COMMAND_PONG] = true,
			   [COMMAND_TALLY] = true,
			   [COMMAND_KILL] = true,
			   [COMMAND_COUNT] = true,
			   [COMMAND_RECOUNT] = true,
			   [COMMAND_TRACE] = true,
			   [COMMAND_END] = true },
	[COUNTED] = { [COMMAND_PONG] = true,
		      [COMMAND_TALLY] = true,
		      [COMMAND_KILL] = true,
		      [COMMAND_RECOUNT] = true,
		      [COMMAND_KEEP] = true,
		      [COMMAND_CONCLUDE] = true,
		      [COMMAND_END] = true },
	/* One that is traced already is not to be once more. */
	[TRACING] = { [COMMAND_PONG] = true, [COMMAND_TALLY] = true, [COMMAND_END] = true },
	/* Both are heard in one turn. */
	[PROVING] = { [COMMAND_PONG] = true, [COMMAND_TALLY] = true, [COMMAND_END] = true },
	/* The number may be free by then: what begins with one is not looked at. */
	[ENDED] = { [COMMAND_PONG] = true, [COMMAND_TALLY] = true, [COMMAND_MAKE] = true },
};

static bool begins_with_a_number(unsigned kind)
{
	return kind == COMMAND_MAKE || kind == COMMAND_SHOW || kind == COMMAND_STORES ||
	       kind == COMMAND_BUILD || kind == COMMAND_REMOVE || kind == COMMAND_LEAVE;
}

Test(front_hostile, every_message_in_every_state)
{
	struct rig r;

	front_rig_open(&r);
	for (int when = 0; when < WHENS; when++)
		for (unsigned kind = 0; kind < COMMAND_KINDS; kind++) {
			uint64_t number = bring_to(&r, (enum when)when);
			struct command c = { .kind = kind };

			if (kind == COMMAND_MAKE)
				c = front_rig_ask_for(&r, 1000);
			if (kind == COMMAND_BUILD || kind == COMMAND_REMOVE)
				(void)snprintf(c.images.name, sizeof(c.images.name), "mine");
			if (kind == COMMAND_TRACE)
				c.trace = wanted_trace;
			c.context = kind == COMMAND_READY || kind == COMMAND_PONG ||
						    kind == COMMAND_TALLY
					    ? 0
					    : number;
			if (when == ENDED && begins_with_a_number(kind)) {
				front_rig_drop(&r);
				continue;
			}
			front_rig_say(&r, &c);
			cr_expect_eq(front_rig_turn(&r), fine[when][kind] ? 0 : -EBADMSG,
				     "%s in %d", command_name((enum command_kind)kind), when);
			front_rig_drop(&r);
		}
	front_rig_close(&r);
}

Test(front_hostile, messages_that_are_none)
{
	static const size_t lengths[] = { 1, sizeof(struct command) - 1, sizeof(struct command) + 1,
					  4096 };
	char bytes[4096];
	struct rig r;

	front_rig_open(&r);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		front_rig_begin(&r);
		memset(bytes, 0xff, sizeof(bytes));
		cr_assert_eq(packet_send(r.front, bytes, lengths[i], NULL), 0);
		cr_expect_eq(front_rig_turn(&r), -EBADMSG, "%zu bytes", lengths[i]);
		front_rig_drop(&r);
	}
	front_rig_close(&r);
}

Test(front_hostile, descriptors_are_no_part_of_any)
{
	struct rig r;

	front_rig_open(&r);
	for (unsigned n = 1; n <= PACKET_FDS; n++) {
		struct packet_fds fds = { .n = n };
		struct command c;

		front_rig_begin(&r);
		c = front_rig_ask_for(&r, 1000);
		for (unsigned i = 0; i < n; i++)
			fds.fd[i] = i % 2 ? r.front : STDERR_FILENO;
		cr_assert_eq(packet_send(r.front, &c, sizeof(c), &fds), 0);
		cr_expect_eq(front_rig_turn(&r), -EBADMSG, "%u", n);
		front_rig_drop(&r);
	}
	front_rig_close(&r);
}

/* Of another's context, of one before, of none. */
Test(front_hostile, numbers_that_nobody_was_given)
{
	static const uint64_t wild[] = { 2, 3, 1ULL << 32, UINT64_MAX };
	struct rig r;

	front_rig_open(&r);
	for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		r.given = 0;
		(void)bring_to(&r, WITH_CONTEXT);
		front_rig_say(&r, &(struct command){ .kind = COMMAND_KILL, .context = wild[i] });
		cr_expect_eq(front_rig_turn(&r), -EBADMSG, "%lu", (unsigned long)wild[i]);
		front_rig_drop(&r);
	}
	front_rig_close(&r);
}

/* ---- what is in it --------------------------------------------------------------------------- */

Test(front_hostile, limits_are_the_launchers)
{
	static const struct {
		const char *what;
		uint64_t memory_bytes, pids, nofile;
	} wrong[] = {
		{ "memory", 1, 64, 64 },
		{ "memory", UINT64_MAX, 64, 64 },
		{ "pids", 64 << 20, UINT64_MAX, 64 },
		{ "pids", 64 << 20, 0, 64 },
		{ "nofile", 64 << 20, 64, UINT64_MAX },
	};
	struct packet_fds fds = { .n = 0 };
	struct rig r;

	front_rig_open(&r);
	front_rig_begin(&r);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct command c = front_rig_ask_for(&r, 1000);
		struct reply reply;

		c.make.memory_bytes = wrong[i].memory_bytes;
		c.make.pids = wrong[i].pids;
		c.make.nofile = wrong[i].nofile;
		front_rig_say(&r, &c);
		reply = front_rig_hear(&r, &fds);
		cr_expect_eq(reply.kind, REPLY_REFUSED, "%zu", i);
		cr_expect_eq(fds.n, 0);
		cr_expect(strstr(reply.err.text, wrong[i].what), "%s", reply.err.text);
	}
	front_rig_close(&r);
}

static enum reply_kind ask_with(struct rig *r, const struct policy_bare *bare)
{
	struct packet_fds fds = { .n = 0 };
	struct command c = front_rig_ask_for(r, 1000);
	struct reply reply;

	c.make.bare_n = bare->n;
	c.make.bare_flags = bare->flags;
	(void)snprintf(c.make.bare_name, sizeof(c.make.bare_name), "mine");
	hash_sha256(bare, offsetof(struct policy_bare, insns) + COMMAND_BARE_LEN(bare->n),
		    c.make.bare_hash);
	cr_assert_eq(packet_send_with(r->front, &c, sizeof(c), bare->insns,
				      COMMAND_BARE_LEN(bare->n), NULL),
		     0);
	reply = front_rig_hear(r, &fds);
	packet_close_fds(&fds);
	if (reply.kind == REPLY_MADE) {
		cr_expect_str_eq(reply.made.policy, "mine");
		front_rig_say(r, &(struct command){ .kind = COMMAND_END, .context = c.context });
		cr_expect_eq(front_rig_hear(r, &fds).kind, REPLY_GONE);
	}
	return reply.kind;
}

/* A filter is looked at as anybody's is; and what it says it is it must be. */
Test(front_hostile, policies_that_are_none)
{
	static const struct sock_filter wrong[] = {
		{ BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF },
		{ BPF_RET | BPF_K, 0, 0, SECCOMP_RET_TRACE },
		{ BPF_RET | BPF_A, 0, 0, 0 },
		{ BPF_JMP | BPF_JA, 0, 0, 0 },
		{ BPF_LD | BPF_W | BPF_ABS, 0, 0, 64 },
		{ 0xffff, 255, 255, UINT32_MAX },
	};
	static struct policy_bare bare = { .n = 1 };
	struct command c;
	struct rig r;

	front_rig_open(&r);
	front_rig_begin(&r);
	bare.insns[0] = (struct sock_filter){ BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW };
	cr_expect_eq(ask_with(&r, &bare), REPLY_MADE);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		bare.insns[0] = wrong[i];
		cr_expect_eq(ask_with(&r, &bare), REPLY_REFUSED, "%zu", i);
	}
	bare.insns[0] = (struct sock_filter){ BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW };
	bare.flags = UINT32_MAX;
	cr_expect_eq(ask_with(&r, &bare), REPLY_REFUSED);
	c = front_rig_ask_for(&r, 1000);
	c.make.bare_n = 1;
	cr_assert_eq(
		packet_send_with(r.front, &c, sizeof(c), bare.insns, COMMAND_BARE_LEN(1), NULL), 0);
	cr_expect_eq(front_rig_turn(&r), -EBADMSG, "of another hash");
	front_rig_close(&r);
}

Test(front_hostile, one_owner_and_all_have_a_limit)
{
	static const uint32_t owners[] = { 1000, 1000, 1000, 1001, 1002 };
	static const enum reply_kind want[] = { REPLY_MADE, REPLY_MADE, REPLY_REFUSED, REPLY_MADE,
						REPLY_REFUSED };
	struct rig r;

	front_rig_open(&r);
	front_rig_begin(&r);
	for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
		struct packet_fds fds = { .n = 0 };
		struct command c = front_rig_ask_for(&r, owners[i]);

		front_rig_say(&r, &c);
		cr_expect_eq(front_rig_hear(&r, &fds).kind, want[i], "%zu", i);
		packet_close_fds(&fds);
	}
	front_rig_close(&r);
}

/* Each has 64 MiB; one that ends makes room. */
Test(front_hostile, all_together_have_a_limit_of_memory)
{
	struct packet_fds fds = { .n = 0 };
	struct rig r;
	struct command c;
	struct reply reply;
	uint64_t first;

	front_rig_open_with(&r, 100 << 20);
	front_rig_begin(&r);
	first = front_rig_make(&r, &fds);
	packet_close_fds(&fds);
	c = front_rig_ask_for(&r, 1001);
	front_rig_say(&r, &c);
	reply = front_rig_hear(&r, &fds);
	cr_expect_eq(reply.kind, REPLY_REFUSED);
	cr_expect(strstr(reply.err.text, "of the 100M that all may have"), "%s", reply.err.text);
	front_rig_say(&r, &(struct command){ .kind = COMMAND_END, .context = first });
	cr_expect_eq(front_rig_hear(&r, &fds).kind, REPLY_GONE);
	(void)front_rig_make(&r, &fds);
	packet_close_fds(&fds);
	front_rig_close(&r);
}

Test(front_hostile, the_shared_page_cannot_be_written)
{
	struct packet_fds fds = { .n = 0 };
	cleanup_fd int again = -1;
	char path[64];
	struct rig r;
	int page;

	front_rig_open(&r);
	front_rig_begin(&r);
	(void)front_rig_make(&r, &fds);
	page = fds.fd[HANDED_SHARED];
	cr_expect_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, page, 0), MAP_FAILED);
	cr_expect_eq(write(page, "x", 1), -1);
	cr_expect_eq(ftruncate(page, 0), -1);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", page);
	again = open(path, O_RDWR | O_CLOEXEC);
	cr_expect_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0), MAP_FAILED);
	cr_expect_eq(write(again, "x", 1), -1);
	packet_close_fds(&fds);
	front_rig_close(&r);
}

/* ---- what a context hears -------------------------------------------------------------------- */

/* Cgroups of its own choice would be those without limits; leaving would free the slot under the
 * launcher's feet. */
Test(front_hostile, the_warden_hears_go_and_nothing_else)
{
	static const uint32_t kinds[] = { WARDEN_RENEW,	  WARDEN_PROVE, WARDEN_LEAVE,
					  WARDEN_STARTED, WARDEN_ENDED, WARDEN_MESSAGES };
	struct rig r;

	front_rig_open(&r);
	front_rig_begin(&r);
	for (size_t i = 0; i < 2 * sizeof(kinds) / sizeof(kinds[0]); i++) {
		const bool used = i % 2;
		struct warden_msg m = { .type = kinds[i / 2] }, heard;
		struct packet_fds fds = { .n = 0 };
		struct message_fds none;
		uint64_t number = front_rig_make(&r, &fds);
		int control = fds.fd[HANDED_DRIVER], end;

		if (used) {
			struct context ctx = front_rig_adopt(&fds);

			front_rig_run_inside(&ctx, "true");
			control = dup(ctx.control);
			context_disown(&ctx);
		}
		(void)message_send(control, &m, NULL, NULL);
		/* It ends, and with it its end of the socket; which it has closed by itself when
		 * the invocation was over. */
		end = message_recv(control, &heard, NULL, &none);
		cr_expect_eq(end, -EPIPE, "%u, %s: %d", m.type, used ? "used" : "new", end);
		if (used)
			(void)close(control);
		packet_close_fds(&fds);
		front_rig_say(&r, &(struct command){ .kind = COMMAND_END, .context = number });
		cr_expect_eq(front_rig_hear(&r, &fds).kind, REPLY_GONE);
	}
	front_rig_close(&r);
}

/* Not before nothing of the one before runs any more. */
Test(front_hostile, the_next_one_is_told_when_it_is_alone)
{
	struct packet_fds fds = { .n = 0 };
	struct reply reply;
	struct rig r;

	front_rig_open(&r);
	front_rig_begin(&r);
	(void)front_rig_make(&r, &fds);
	fd_close(&r.front);
	launching_drop(r.launching);
	cr_assert(!launching_idle(r.launching), "it ended too soon to be seen");
	front_rig_connect(&r);
	front_rig_say(&r, &(struct command){ .kind = COMMAND_READY });
	while (!launching_ready(r.launching))
		cr_assert_eq(front_rig_step_at_once(&r), 0);
	while (!launching_idle(r.launching)) {
		cr_expect_eq(packet_recv(r.front, &reply, sizeof(reply), &fds), -EAGAIN);
		cr_assert_eq(front_rig_turn(&r), 0);
	}
	cr_expect_eq(front_rig_hear(&r, &fds).kind, REPLY_ALONE);
	front_rig_close(&r);
}

/* Asked whether it is alive when it has a context and says nothing; one that does not answer then
 * is given up, and one that never began. */
Test(front_hostile, one_that_says_nothing_is_found_out)
{
	struct packet_fds fds = { .n = 0 };
	struct rig r;
	int end = 0;

	front_rig_open_silent(&r);
	front_rig_connect(&r);
	while (end == 0)
		end = front_rig_turn(&r);
	cr_expect_eq(end, -ETIMEDOUT);
	front_rig_drop(&r);
	front_rig_begin(&r);
	(void)front_rig_make(&r, &fds);
	packet_close_fds(&fds);
	for (int i = 0; i < 3; i++) {
		cr_expect_eq(front_rig_hear(&r, &fds).kind, REPLY_PING);
		front_rig_say(&r, &(struct command){ .kind = COMMAND_PONG });
		cr_expect_eq(front_rig_turn(&r), 0);
	}
	cr_expect_eq(front_rig_hear(&r, &fds).kind, REPLY_PING);
	while ((end = front_rig_turn(&r)) == 0)
		;
	cr_expect_eq(end, -ETIMEDOUT);
	front_rig_close(&r);
}

/* So it is asked when a client has come and nobody says anything of it; else much later. */
Test(front_hostile, an_idle_one_is_asked_when_somebody_knocks)
{
	struct packet_fds fds = { .n = 0 };
	struct pollfd polled[LAUNCHING_FDS(RIG_CONTEXTS)];
	struct rig r;
	unsigned n;

	front_rig_open_silent(&r);
	front_rig_begin(&r);
	cr_expect(!launching_owed(r.launching));
	cr_expect_lt(launching_wait(r.launching, polled, &n), INT64_MAX);
	launching_knocked(r.launching);
	cr_expect_eq(front_rig_step_at_once(&r), 0);
	cr_expect(launching_owed(r.launching));
	cr_expect_eq(front_rig_hear(&r, &fds).kind, REPLY_PING);
	front_rig_say(&r, &(struct command){ .kind = COMMAND_PONG });
	cr_expect_eq(front_rig_turn(&r), 0);
	cr_expect(!launching_owed(r.launching));
	/* And when nobody comes. */
	cr_expect_eq(front_rig_hear(&r, &fds).kind, REPLY_PING);
	front_rig_close(&r);
}

/* A front that ends takes its contexts with it, and the next one begins with none. */
Test(front_hostile, the_next_front_knows_nothing_of_the_last)
{
	struct packet_fds fds = { .n = 0 };
	struct rig r;
	uint64_t number;
	int heard;

	front_rig_open(&r);
	front_rig_begin(&r);
	number = front_rig_make(&r, &fds);
	fd_close(&r.front);
	/* A warden that is being made has its other end, too, for a moment. */
	while ((heard = front_rig_turn(&r)) == 0)
		;
	cr_expect_eq(heard, -EPIPE);
	front_rig_drop(&r);
	cr_expect(launching_idle(r.launching));
	packet_close_fds(&fds);
	front_rig_begin(&r);
	front_rig_say(&r, &(struct command){ .kind = COMMAND_KILL, .context = number });
	cr_expect_eq(front_rig_turn(&r), -EBADMSG);
	front_rig_close(&r);
}
