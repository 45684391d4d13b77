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
#include "serve/launching.h"
#include "serve/packet.h"
#include "tests/lib/env.h"
#include "tests/lib/leftovers.h"
#include "tests/lib/scene.h"

#define CONTEXTS 3
#define OF_ONE	 2

struct rig {
	struct launching *launching;
	int front;	/* the test's end */
	uint64_t given; /* numbers */
};

/* One turn of the launcher's loop, for as long as something is to be waited for. */
static int turn(struct rig *r)
{
	struct pollfd fds[LAUNCHING_FDS(CONTEXTS)];
	struct cloche_err err = { 0 };
	unsigned n;
	int64_t until_ns = launching_wait(r->launching, fds, &n), left_ns;
	struct timespec left;

	left_ns = until_ns == INT64_MAX ? NSEC_PER_SEC * 10 : until_ns - clock_now_ns();
	left = ns_timespec(left_ns > 0 ? left_ns : 0);
	cr_assert_geq(ppoll(fds, n, &left, NULL), 0);
	return launching_step(r->launching, fds, &err);
}

static void connect_front(struct rig *r)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	launching_front(r->launching, pair[0]);
	r->front = pair[1];
}

static void drop(struct rig *r)
{
	fd_close(&r->front);
	launching_drop(r->launching);
	while (!launching_idle(r->launching))
		(void)turn(r);
}

static void say(struct rig *r, const struct command *c)
{
	cr_assert_eq(packet_send(r->front, c, sizeof(*c), NULL), 0);
}

static void open_rig_with(struct rig *r, uint64_t memory_bytes)
{
	const struct launching_options o = { .contexts = CONTEXTS,
					     .per_owner = OF_ONE,
					     .memory_bytes = memory_bytes };
	struct cloche_err err = { 0 };

	if (geteuid() != 0)
		test_skip("needs root");
	*r = (struct rig){ .front = -1 };
	cr_assert_eq(launching_open(&o, &r->launching, &err), 0, "%s", err.text);
}

static void open_rig(struct rig *r)
{
	open_rig_with(r, 0);
}

static void begin(struct rig *r)
{
	connect_front(r);
	say(r, &(struct command){ .kind = COMMAND_READY });
	cr_assert_eq(turn(r), 0);
	cr_assert(launching_ready(r->launching));
}

static void close_rig(struct rig *r)
{
	cleanup_free char *left = NULL;

	drop(r);
	r->launching = launching_close(r->launching);
	cr_expect_eq(leftover_cgroups(&left), 0, "%s", left);
}

static struct command ask_for(struct rig *r, uint32_t owner)
{
	struct command c = { .kind = COMMAND_MAKE, .context = ++r->given };
	struct cloche_err err;
	struct spec spec;

	spec_defaults(&spec);
	spec.memory_bytes = 64 << 20;
	cr_assert_eq(command_from_spec(&spec, &c.make, &err), 0);
	c.make.owner = owner;
	return c;
}

/* The launcher is stepped until it has answered. */
static struct reply hear(struct rig *r, struct packet_fds *fds)
{
	struct reply reply = { .kind = ~0U };
	int n;

	while ((n = packet_recv(r->front, &reply, sizeof(reply), fds)) == -EAGAIN)
		cr_assert_eq(turn(r), 0);
	cr_assert_eq(n, (int)sizeof(reply));
	return reply;
}

static uint64_t make(struct rig *r, struct packet_fds *fds)
{
	struct command c = ask_for(r, 1000);
	struct reply reply;

	say(r, &c);
	reply = hear(r, fds);
	cr_assert_eq(reply.kind, REPLY_MADE, "%s", reply.err.text);
	cr_assert_eq(reply.context, c.context);
	cr_assert_eq(fds->n, HANDED_FDS);
	return c.context;
}

/* ---- what is out of the table ---------------------------------------------------------------- */

enum when { BEFORE_READY, WITHOUT_CONTEXT, WITH_CONTEXT, COUNTED, PROVING, ENDED, WHENS };

/* To a state in which the next message counts; the number of a context, where there is one. */
static uint64_t bring_to(struct rig *r, enum when when)
{
	struct packet_fds fds = { .n = 0 };
	uint64_t number = 1;

	if (when == BEFORE_READY) {
		connect_front(r);
		return number;
	}
	begin(r);
	if (when == WITHOUT_CONTEXT)
		return r->given + 1;
	number = make(r, &fds);
	if (when == COUNTED || when == PROVING) {
		say(r, &(struct command){ .kind = COMMAND_COUNT, .context = number });
		packet_close_fds(&fds);
		cr_assert_eq(hear(r, &fds).kind, REPLY_COUNTED);
	}
	if (when == PROVING)
		say(r, &(struct command){ .kind = COMMAND_KEEP, .context = number });
	if (when == ENDED)
		say(r, &(struct command){ .kind = COMMAND_END, .context = number });
	packet_close_fds(&fds);
	return number;
}

static const bool fine[WHENS][COMMAND_KINDS] = {
	[BEFORE_READY] = { [COMMAND_READY] = true },
	[WITHOUT_CONTEXT] = { [COMMAND_MAKE] = true },
	[WITH_CONTEXT] = { [COMMAND_KILL] = true, [COMMAND_COUNT] = true, [COMMAND_END] = true },
	[COUNTED] = { [COMMAND_KILL] = true, [COMMAND_KEEP] = true, [COMMAND_END] = true },
	/* Both are heard in one turn. */
	[PROVING] = { [COMMAND_END] = true },
	/* The number may be free by then: MAKE is not looked at. */
	[ENDED] = { [COMMAND_MAKE] = true },
};

Test(front_hostile, every_message_in_every_state)
{
	struct rig r;

	open_rig(&r);
	for (int when = 0; when < WHENS; when++)
		for (unsigned kind = 0; kind < COMMAND_KINDS; kind++) {
			uint64_t number = bring_to(&r, (enum when)when);
			struct command c = { .kind = kind };

			if (kind == COMMAND_MAKE)
				c = ask_for(&r, 1000);
			c.context = kind == COMMAND_READY ? 0 : number;
			if (when == ENDED && kind == COMMAND_MAKE) {
				drop(&r);
				continue;
			}
			say(&r, &c);
			cr_expect_eq(turn(&r), fine[when][kind] ? 0 : -EBADMSG, "%s in %d",
				     command_name((enum command_kind)kind), when);
			drop(&r);
		}
	close_rig(&r);
}

Test(front_hostile, messages_that_are_none)
{
	static const size_t lengths[] = { 1, sizeof(struct command) - 1, sizeof(struct command) + 1,
					  4096 };
	char bytes[4096];
	struct rig r;

	open_rig(&r);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		begin(&r);
		memset(bytes, 0xff, sizeof(bytes));
		cr_assert_eq(packet_send(r.front, bytes, lengths[i], NULL), 0);
		cr_expect_eq(turn(&r), -EBADMSG, "%zu bytes", lengths[i]);
		drop(&r);
	}
	close_rig(&r);
}

Test(front_hostile, descriptors_are_no_part_of_any)
{
	struct rig r;

	open_rig(&r);
	for (unsigned n = 1; n <= PACKET_FDS; n++) {
		struct packet_fds fds = { .n = n };
		struct command c;

		begin(&r);
		c = ask_for(&r, 1000);
		for (unsigned i = 0; i < n; i++)
			fds.fd[i] = i % 2 ? r.front : STDERR_FILENO;
		cr_assert_eq(packet_send(r.front, &c, sizeof(c), &fds), 0);
		cr_expect_eq(turn(&r), -EBADMSG, "%u", n);
		drop(&r);
	}
	close_rig(&r);
}

/* Of another's context, of one before, of none. */
Test(front_hostile, numbers_that_nobody_was_given)
{
	static const uint64_t wild[] = { 2, 3, 1ULL << 32, UINT64_MAX };
	struct rig r;

	open_rig(&r);
	for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		r.given = 0;
		(void)bring_to(&r, WITH_CONTEXT);
		say(&r, &(struct command){ .kind = COMMAND_KILL, .context = wild[i] });
		cr_expect_eq(turn(&r), -EBADMSG, "%lu", (unsigned long)wild[i]);
		drop(&r);
	}
	close_rig(&r);
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

	open_rig(&r);
	begin(&r);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct command c = ask_for(&r, 1000);
		struct reply reply;

		c.make.memory_bytes = wrong[i].memory_bytes;
		c.make.pids = wrong[i].pids;
		c.make.nofile = wrong[i].nofile;
		say(&r, &c);
		reply = hear(&r, &fds);
		cr_expect_eq(reply.kind, REPLY_REFUSED, "%zu", i);
		cr_expect_eq(fds.n, 0);
		cr_expect(strstr(reply.err.text, wrong[i].what), "%s", reply.err.text);
	}
	close_rig(&r);
}

static enum reply_kind ask_with(struct rig *r, const struct policy_bare *bare)
{
	struct packet_fds fds = { .n = 0 };
	struct command c = ask_for(r, 1000);
	struct reply reply;

	c.make.bare_n = bare->n;
	c.make.bare_flags = bare->flags;
	(void)snprintf(c.make.bare_name, sizeof(c.make.bare_name), "mine");
	hash_sha256(bare, offsetof(struct policy_bare, insns) + COMMAND_BARE_LEN(bare->n),
		    c.make.bare_hash);
	cr_assert_eq(packet_send_with(r->front, &c, sizeof(c), bare->insns,
				      COMMAND_BARE_LEN(bare->n), NULL),
		     0);
	reply = hear(r, &fds);
	packet_close_fds(&fds);
	if (reply.kind == REPLY_MADE) {
		cr_expect_str_eq(reply.made.policy, "mine");
		say(r, &(struct command){ .kind = COMMAND_END, .context = c.context });
		cr_expect_eq(hear(r, &fds).kind, REPLY_GONE);
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

	open_rig(&r);
	begin(&r);
	bare.insns[0] = (struct sock_filter){ BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW };
	cr_expect_eq(ask_with(&r, &bare), REPLY_MADE);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		bare.insns[0] = wrong[i];
		cr_expect_eq(ask_with(&r, &bare), REPLY_REFUSED, "%zu", i);
	}
	bare.insns[0] = (struct sock_filter){ BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW };
	bare.flags = UINT32_MAX;
	cr_expect_eq(ask_with(&r, &bare), REPLY_REFUSED);
	c = ask_for(&r, 1000);
	c.make.bare_n = 1;
	cr_assert_eq(
		packet_send_with(r.front, &c, sizeof(c), bare.insns, COMMAND_BARE_LEN(1), NULL), 0);
	cr_expect_eq(turn(&r), -EBADMSG, "of another hash");
	close_rig(&r);
}

Test(front_hostile, one_owner_and_all_have_a_limit)
{
	static const uint32_t owners[] = { 1000, 1000, 1000, 1001, 1002 };
	static const enum reply_kind want[] = { REPLY_MADE, REPLY_MADE, REPLY_REFUSED, REPLY_MADE,
						REPLY_REFUSED };
	struct rig r;

	open_rig(&r);
	begin(&r);
	for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
		struct packet_fds fds = { .n = 0 };
		struct command c = ask_for(&r, owners[i]);

		say(&r, &c);
		cr_expect_eq(hear(&r, &fds).kind, want[i], "%zu", i);
		packet_close_fds(&fds);
	}
	close_rig(&r);
}

/* Each has 64 MiB; one that ends makes room. */
Test(front_hostile, all_together_have_a_limit_of_memory)
{
	struct packet_fds fds = { .n = 0 };
	struct rig r;
	struct command c;
	struct reply reply;
	uint64_t first;

	open_rig_with(&r, 100 << 20);
	begin(&r);
	first = make(&r, &fds);
	packet_close_fds(&fds);
	c = ask_for(&r, 1001);
	say(&r, &c);
	reply = hear(&r, &fds);
	cr_expect_eq(reply.kind, REPLY_REFUSED);
	cr_expect(strstr(reply.err.text, "64M of the 100M"), "%s", reply.err.text);
	say(&r, &(struct command){ .kind = COMMAND_END, .context = first });
	cr_expect_eq(hear(&r, &fds).kind, REPLY_GONE);
	(void)make(&r, &fds);
	packet_close_fds(&fds);
	close_rig(&r);
}

Test(front_hostile, the_shared_page_cannot_be_written)
{
	struct packet_fds fds = { .n = 0 };
	cleanup_fd int again = -1;
	char path[64];
	struct rig r;
	int page;

	open_rig(&r);
	begin(&r);
	(void)make(&r, &fds);
	page = fds.fd[HANDED_SHARED];
	cr_expect_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, page, 0), MAP_FAILED);
	cr_expect_eq(write(page, "x", 1), -1);
	cr_expect_eq(ftruncate(page, 0), -1);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", page);
	again = open(path, O_RDWR | O_CLOEXEC);
	cr_expect_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0), MAP_FAILED);
	cr_expect_eq(write(again, "x", 1), -1);
	packet_close_fds(&fds);
	close_rig(&r);
}

/* ---- what a context hears -------------------------------------------------------------------- */

static struct context adopt(struct packet_fds *fds)
{
	struct handed what = { .cpus = 1, .terminals = true };
	struct cloche_err err = { 0 };
	struct context ctx;

	cr_assert_eq(context_adopt(&ctx, &what, fds->fd, &err), 0, "%s", err.text);
	fds->n = 0;
	return ctx;
}

static void go(struct context *ctx, const char *script)
{
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)(uintptr_t)script, NULL };
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct cloche_err err = { 0 };
	struct warden_msg heard;
	struct spec spec;

	spec_defaults(&spec);
	spec.argv = argv;
	spec.timeout_ns = 300 * NSEC_PER_SEC; /* no end of its own */
	cr_assert_eq(context_go(ctx, &spec, (int[]){ null, null, null }, false, &err), 0, "%s",
		     err.text);
	cr_assert_eq(context_recv(ctx, &heard, &err), 0, "%s", err.text);
	cr_assert_eq(heard.type, WARDEN_STARTED, "%u, %x: %s: %s", heard.type, heard.status,
		     ctx->plan.shared->err.stage, ctx->plan.shared->err.text);
}

static void expect_ended(struct context *ctx)
{
	struct cloche_err err = { 0 };
	struct warden_msg heard;

	cr_assert_eq(context_recv(ctx, &heard, &err), 0, "%s", err.text);
	cr_assert_eq(heard.type, WARDEN_ENDED);
}

static int exit_of(struct context *ctx, const char *script)
{
	struct cloche_err err = { 0 };
	struct warden_msg heard;

	go(ctx, script);
	cr_assert_eq(context_recv(ctx, &heard, &err), 0, "%s", err.text);
	cr_assert_eq(heard.type, WARDEN_ENDED);
	return heard.status;
}

/* The warden that was made last. */
static pid_t last_child(void)
{
	FILE *f = fopen("/proc/thread-self/children", "re");
	int pid = 0;

	while (f && fscanf(f, "%d", &pid) == 1)
		;
	cr_assert(f && pid);
	(void)fclose(f);
	return pid;
}

static void run_inside(struct context *ctx, const char *script)
{
	go(ctx, script);
	expect_ended(ctx);
}

/* Cgroups of its own choice would be those without limits; leaving would free the slot under the
 * launcher's feet. */
Test(front_hostile, the_warden_hears_go_and_nothing_else)
{
	static const uint32_t kinds[] = { WARDEN_RENEW,	  WARDEN_PROVE, WARDEN_LEAVE,
					  WARDEN_STARTED, WARDEN_ENDED, WARDEN_MESSAGES };
	struct rig r;

	open_rig(&r);
	begin(&r);
	for (size_t i = 0; i < 2 * sizeof(kinds) / sizeof(kinds[0]); i++) {
		const bool used = i % 2;
		struct warden_msg m = { .type = kinds[i / 2] }, heard;
		struct packet_fds fds = { .n = 0 };
		struct message_fds none;
		uint64_t number = make(&r, &fds);
		int control = fds.fd[HANDED_DRIVER], end;

		if (used) {
			struct context ctx = adopt(&fds);

			run_inside(&ctx, "true");
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
		say(&r, &(struct command){ .kind = COMMAND_END, .context = number });
		cr_expect_eq(hear(&r, &fds).kind, REPLY_GONE);
	}
	close_rig(&r);
}

/* A front that ends takes its contexts with it, and the next one begins with none. */
Test(front_hostile, the_next_front_knows_nothing_of_the_last)
{
	struct packet_fds fds = { .n = 0 };
	struct rig r;
	uint64_t number;
	int heard;

	open_rig(&r);
	begin(&r);
	number = make(&r, &fds);
	fd_close(&r.front);
	/* A warden that is being made has its other end, too, for a moment. */
	while ((heard = turn(&r)) == 0)
		;
	cr_expect_eq(heard, -EPIPE);
	drop(&r);
	cr_expect(launching_idle(r.launching));
	packet_close_fds(&fds);
	begin(&r);
	say(&r, &(struct command){ .kind = COMMAND_KILL, .context = number });
	cr_expect_eq(turn(&r), -EBADMSG);
	close_rig(&r);
}

/* ---- what is kept ---------------------------------------------------------------------------- */

/* COUNT, then KEEP: what comes of it. */
static struct reply keep(struct rig *r, uint64_t number, struct packet_fds *fds)
{
	say(r, &(struct command){ .kind = COMMAND_COUNT, .context = number });
	cr_assert_eq(hear(r, fds).kind, REPLY_COUNTED);
	say(r, &(struct command){ .kind = COMMAND_KEEP, .context = number });
	return hear(r, fds);
}

/* The socket of the first invocation leads to nobody in the second, also where its other end was
 * kept; and what the second one's brings is one GO. */
Test(front_hostile, who_drove_once_has_no_say_again)
{
	struct packet_fds fds = { .n = 0 };
	struct warden_msg m = { .type = WARDEN_GO }, heard;
	struct message_fds none;
	struct context ctx;
	struct rig r;
	uint64_t number;
	int old;

	open_rig(&r);
	begin(&r);
	number = make(&r, &fds);
	ctx = adopt(&fds);
	old = dup(ctx.control);
	run_inside(&ctx, "true");
	cr_assert_eq(keep(&r, number, &fds).kind, REPLY_KEPT);
	cr_assert_eq(fds.n, 1);
	context_adopt_again(&ctx, fds.fd[0]);
	cr_expect_eq(message_send(old, &m, NULL, NULL), -EPIPE);
	cr_expect_eq(message_recv(old, &heard, NULL, &none), -EPIPE);
	run_inside(&ctx, "true");
	cr_assert_eq(keep(&r, number, &fds).kind, REPLY_KEPT);
	cr_assert_eq(fds.n, 1);
	packet_close_fds(&fds);
	(void)close(old);
	context_disown(&ctx);
	close_rig(&r);
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
Test(front_hostile, what_is_not_clean_is_not_kept)
{
	struct rig r;

	open_rig(&r);
	begin(&r);
	for (size_t i = 0; i < sizeof(unclean) / sizeof(unclean[0]); i++) {
		struct packet_fds fds = { .n = 0 };
		uint64_t number = make(&r, &fds);
		struct context ctx = adopt(&fds);
		struct reply reply;

		if (unclean[i].script)
			go(&ctx, unclean[i].script);
		if (unclean[i].kill) {
			say(&r, &(struct command){ .kind = COMMAND_KILL, .context = number });
			cr_assert_eq(turn(&r), 0);
		}
		if (unclean[i].script)
			expect_ended(&ctx);
		reply = keep(&r, number, &fds);
		cr_expect_eq(reply.kind, REPLY_GONE, "%zu: %u", i, reply.kind);
		cr_expect_eq(reply.residue, (uint64_t)unclean[i].found, "%zu: %s", i,
			     residue_text((enum residue)reply.residue));
		cr_expect_eq(fds.n, 0);
		context_disown(&ctx);
	}
	close_rig(&r);
}

/* The descriptors of an invocation are worth one invocation: a second GO in it is the context's
 * end, and so is one that comes while it is looked at. */
Test(front_hostile, one_go_is_one_invocation)
{
	struct packet_fds fds = { .n = 0 };
	struct rig r;
	struct context ctx;
	struct warden_msg m = { .type = WARDEN_GO }, heard;
	struct cloche_err err = { 0 };
	uint64_t number;

	open_rig(&r);
	begin(&r);
	number = make(&r, &fds);
	ctx = adopt(&fds);
	go(&ctx, "sleep 300");
	(void)message_send(ctx.control, &m, NULL, NULL);
	cr_expect_eq(context_recv(&ctx, &heard, &err), -EPROTO);
	cr_expect_eq(keep(&r, number, &fds).kind, REPLY_GONE);
	context_disown(&ctx);
	close_rig(&r);
}

/* The front reads what was denied, and cannot answer it: of the listener it gets nothing, whatever
 * it asks for by, and the warden takes none from it. */
Test(front_hostile, a_listener_is_nobodys)
{
	static const uint32_t kinds[] = { WARDEN_STARTED, WARDEN_ENDED, WARDEN_GO,
					  WARDEN_MESSAGES };
	struct packet_fds fds = { .n = 0 };
	struct context ctx;
	struct rig r;

	test_needs("seccomp-listener");
	open_rig(&r);
	begin(&r);
	(void)make(&r, &fds);
	ctx = adopt(&fds);
	go(&ctx, "unshare -U true; unshare -U true; exit 0");
	cr_expect_eq(open_fds_listeners(0), 0);
	expect_ended(&ctx);
	cr_expect_eq(ctx.plan.shared->denials.total, 2);
	cr_expect_eq(ctx.plan.shared->denials.kinds[0].nr, SYS_unshare);
	context_disown(&ctx);
	for (size_t i = 0; i < 2 * sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct warden_msg m = { .type = kinds[i / 2], .fds = ~0U }, heard;
		struct message_fds with = { .fd = { r.front }, .n = 1 };
		struct cloche_err err = { 0 };
		uint64_t number = make(&r, &fds);

		ctx = adopt(&fds);
		if (i % 2)
			go(&ctx, "sleep 300");
		cr_assert_eq(message_send(ctx.control, &m, NULL, &with), 0);
		cr_expect_eq(context_recv(&ctx, &heard, &err), -EPROTO, "%u", m.type);
		cr_expect_eq(open_fds_listeners(0), 0);
		context_disown(&ctx);
		say(&r, &(struct command){ .kind = COMMAND_END, .context = number });
		cr_expect_eq(hear(&r, &fds).kind, REPLY_GONE);
	}
	close_rig(&r);
}

/* ---- blanks ---------------------------------------------------------------------------------- */

/* One was made for the asking; the next that is asked for is that one, and by the time that it
 * answers it is what it would have been. */
Test(front_hostile, who_asks_gets_a_blank_where_there_is_one)
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

	open_rig(&r);
	begin(&r);
	cr_expect_eq(launching_blanks(r.launching), 0);
	(void)make(&r, &fds);
	packet_close_fds(&fds);
	while (launching_blanks(r.launching) == 0)
		cr_assert_eq(turn(&r), 0);
	c = ask_for(&r, 1000);
	c.make.nofile = 77;
	c.make.pids = 9;
	c.make.tmp_bytes = 1 << 20;
	c.make.shm_bytes = 2 << 20;
	say(&r, &c);
	cr_assert_eq(turn(&r), 0);
	cr_expect_eq(launching_blanks(r.launching), 0, "it was not taken");
	reply = hear(&r, &fds);
	cr_assert_eq(reply.kind, REPLY_MADE, "%s", reply.err.text);
	ctx = adopt(&fds);
	cr_expect_eq(exit_of(&ctx, limits), 0);
	cr_expect_eq(keep(&r, c.context, &fds).kind, REPLY_KEPT);
	context_disown(&ctx);
	packet_close_fds(&fds);
	close_rig(&r);
}

/* It is nobody's, and nobody's death takes it. */
Test(front_hostile, a_dead_blank_is_not_given_away)
{
	struct packet_fds fds = { .n = 0 };
	struct rig r;
	pid_t pid;

	open_rig(&r);
	begin(&r);
	(void)make(&r, &fds);
	packet_close_fds(&fds);
	while (launching_blanks(r.launching) == 0)
		cr_assert_eq(turn(&r), 0);
	pid = last_child();
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
	(void)make(&r, &fds);
	packet_close_fds(&fds);
	close_rig(&r);
}

/* The host is short of memory: what is nobody's goes at once, and the front is to give up more. */
Test(front_hostile, pressure_is_passed_on)
{
	struct packet_fds fds = { .n = 0 };
	struct rig r;

	open_rig(&r);
	begin(&r);
	(void)make(&r, &fds);
	packet_close_fds(&fds);
	while (launching_blanks(r.launching) == 0)
		cr_assert_eq(turn(&r), 0);
	launching_press(r.launching);
	cr_expect_eq(hear(&r, &fds).kind, REPLY_PRESSED);
	while (launching_blanks(r.launching) > 0)
		cr_assert_eq(turn(&r), 0);
	close_rig(&r);
}
