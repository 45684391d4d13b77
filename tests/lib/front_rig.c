/* SPDX-License-Identifier: MIT */
/* A launcher and a front that is played: see front_rig.h. */
#include "tests/lib/front_rig.h"

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
#include "tests/lib/tmpdir.h"

/* As the daemon's loop has it. */
static int step(struct rig *r, const struct pollfd *fds)
{
	struct cloche_err err = { 0 };
	int code = launching_step(r->launching, fds, &err);

	launching_look_whether_alone(r->launching);
	return code;
}

/* One turn of the launcher's loop, for as long as something is to be waited for. */
int front_rig_turn(struct rig *r)
{
	struct pollfd fds[LAUNCHING_FDS(RIG_CONTEXTS)];
	unsigned n;
	int64_t until_ns = launching_wait(r->launching, fds, &n), left_ns;
	struct timespec left;

	left_ns = until_ns == INT64_MAX ? NSEC_PER_SEC * 10 : until_ns - clock_now_ns();
	left = ns_timespec(left_ns > 0 ? left_ns : 0);
	cr_assert_geq(ppoll(fds, n, &left, NULL), 0);
	return step(r, fds);
}

int front_rig_step_at_once(struct rig *r)
{
	struct pollfd fds[LAUNCHING_FDS(RIG_CONTEXTS)];
	unsigned n;

	(void)launching_wait(r->launching, fds, &n);
	cr_assert_geq(poll(fds, n, 0), 0);
	return step(r, fds);
}

void front_rig_connect(struct rig *r)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	launching_front(r->launching, pair[0]);
	r->front = pair[1];
}

void front_rig_drop(struct rig *r)
{
	fd_close(&r->front);
	launching_drop(r->launching);
	while (!launching_idle(r->launching))
		(void)front_rig_turn(r);
}

void front_rig_say(struct rig *r, const struct command *c)
{
	cr_assert_eq(packet_send(r->front, c, sizeof(*c), NULL), 0);
}

static void open_of(struct rig *r, uint64_t memory_bytes, int64_t silence_ns)
{
	const struct launching_options o = { .config = &r->config };
	struct cloche_err err = { 0 };

	if (geteuid() != 0)
		test_skip("needs root");
	*r = (struct rig){ .front = -1 };
	config_defaults(&r->config);
	r->dir = tmpdir_make();
	(void)snprintf(r->config.state, sizeof(r->config.state), "%s", r->dir);
	r->config.silence_ns = silence_ns ? silence_ns : r->config.silence_ns;
	r->config.contexts = RIG_CONTEXTS;
	r->config.per_owner.contexts = RIG_OF_ONE;
	r->config.memory_bytes = memory_bytes ? memory_bytes : r->config.memory_bytes;
	cr_assert_eq(launching_open(&o, &r->launching, &err), 0, "%s", err.text);
}

void front_rig_open_with(struct rig *r, uint64_t memory_bytes)
{
	open_of(r, memory_bytes, 0);
}

void front_rig_open_silent(struct rig *r)
{
	open_of(r, 0, 20 * NSEC_PER_MSEC);
}

void front_rig_open(struct rig *r)
{
	front_rig_open_with(r, 0);
}

/* The launcher is stepped until it has answered. */
struct reply front_rig_hear(struct rig *r, struct packet_fds *fds)
{
	struct reply reply = { .kind = ~0U };
	int n;

	while ((n = packet_recv(r->front, &reply, sizeof(reply), fds)) == -EAGAIN)
		cr_assert_eq(front_rig_turn(r), 0);
	cr_assert_eq(n, (int)sizeof(reply));
	return reply;
}

void front_rig_begin(struct rig *r)
{
	struct packet_fds none;

	front_rig_connect(r);
	front_rig_say(r, &(struct command){ .kind = COMMAND_READY });
	cr_assert_eq(front_rig_turn(r), 0);
	cr_assert(launching_ready(r->launching));
	cr_assert_eq(front_rig_hear(r, &none).kind, REPLY_ALONE);
}

void front_rig_close(struct rig *r)
{
	cleanup_free char *left = NULL;

	front_rig_drop(r);
	r->launching = launching_close(r->launching);
	cr_expect_eq(leftover_cgroups(&left), 0, "%s", left);
	tmpdir_free(&r->dir);
}

struct command front_rig_ask_for(struct rig *r, uint32_t owner)
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

uint64_t front_rig_make(struct rig *r, struct packet_fds *fds)
{
	struct command c = front_rig_ask_for(r, 1000);
	struct reply reply;

	front_rig_say(r, &c);
	reply = front_rig_hear(r, fds);
	cr_assert_eq(reply.kind, REPLY_MADE, "%s", reply.err.text);
	cr_assert_eq(reply.context, c.context);
	cr_assert_eq(fds->n, HANDED_FDS);
	return c.context;
}

struct context front_rig_adopt(struct packet_fds *fds)
{
	struct handed what = { .cpus = 1, .terminals = true };
	struct cloche_err err = { 0 };
	struct context ctx;

	cr_assert_eq(context_adopt(&ctx, &what, fds->fd, &err), 0, "%s", err.text);
	fds->n = 0;
	return ctx;
}

void front_rig_go(struct context *ctx, const char *script)
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

void front_rig_expect_ended(struct context *ctx)
{
	struct cloche_err err = { 0 };
	struct warden_msg heard;

	cr_assert_eq(context_recv(ctx, &heard, &err), 0, "%s", err.text);
	cr_assert_eq(heard.type, WARDEN_ENDED);
}

int front_rig_exit_of(struct context *ctx, const char *script)
{
	struct cloche_err err = { 0 };
	struct warden_msg heard;

	front_rig_go(ctx, script);
	cr_assert_eq(context_recv(ctx, &heard, &err), 0, "%s", err.text);
	cr_assert_eq(heard.type, WARDEN_ENDED);
	return heard.status;
}

/* The warden that was made last. */
pid_t front_rig_last_child(void)
{
	FILE *f = fopen("/proc/thread-self/children", "re");
	int pid = 0;

	while (f && fscanf(f, "%d", &pid) == 1)
		;
	cr_assert(f && pid);
	(void)fclose(f);
	return pid;
}

void front_rig_run_inside(struct context *ctx, const char *script)
{
	front_rig_go(ctx, script);
	front_rig_expect_ended(ctx);
}

/* COUNT, then KEEP: what comes of it. */
struct reply front_rig_keep(struct rig *r, uint64_t number, struct packet_fds *fds)
{
	front_rig_say(r, &(struct command){ .kind = COMMAND_COUNT, .context = number });
	cr_assert_eq(front_rig_hear(r, fds).kind, REPLY_COUNTED);
	front_rig_say(r, &(struct command){ .kind = COMMAND_KEEP, .context = number });
	return front_rig_hear(r, fds);
}
