/* SPDX-License-Identifier: MIT */
/*
 * The listener of a policy, which is the warden's alone, and the children that make what is asked
 * for: who holds it and for how long, that insistence is ended where nobody drives, and that who is
 * slow to take a socket holds up no deadline. Needs root and HELPERS.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/process.h"
#include "launch/proof.h"
#include "tests/lib/env.h"
#include "tests/lib/scene.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define INSIDE	 "/opt/inside"
#define LOOPBACK "/opt/loopback"

static const struct context_options plain = { .clock = { .fd = -1 } };

static void ask(struct scene *s, const char *script, enum net_mode net, int64_t timeout_ns)
{
	static struct bind_spec binds[] = { { .dst = INSIDE }, { .dst = LOOPBACK } };

	test_needs("seccomp-listener");
	scene_ask(s, script, timeout_ns);
	s->spec.net = net;
	/* As long as the test is. */
	binds[0].src = env_helper("inside");
	binds[1].src = env_helper("loopback");
	s->spec.binds = binds;
	s->spec.n_binds = 2;
}

Test(listener, nobody_has_it_but_the_warden)
{
	struct scene s;

	ask(&s, "sleep 60", NET_NONE, NSEC_PER_SEC / 2);
	scene_begin(&s, &plain);
	cr_expect_eq(open_fds_listeners(0), 0);
	cr_expect_eq(open_fds_listeners(s.ctx.warden.pid), 1);
	scene_hear_end(&s);
	cr_expect_eq(open_fds_listeners(s.ctx.warden.pid), 0);
	scene_finish(&s);
}

/* From the word that it runs to its end nobody looks at it. */
Test(listener, who_insists_is_ended_where_nobody_drives)
{
	const struct denials *d;
	struct scene s;

	ask(&s, "exec " INSIDE " deny 1000000", NET_NONE, 300 * NSEC_PER_SEC);
	scene_begin(&s, &plain);
	scene_hear_end(&s);
	d = &s.ctx.plan.shared->denials;
	cr_expect_eq(shared_ended_by(s.ctx.plan.shared), ENDED_BY_DENIALS);
	cr_expect_eq(denials_all(d), DENIALS_MAX + 1);
	cr_expect_eq(d->kinds[0].nr, SYS_mount);
	cr_expect_eq(d->kinds[0].args[4], 5);
	cr_expect_not(context_kill(&s.ctx), "the warden was first");
	scene_finish(&s);
}

/* What one invocation was denied is not the next one's. */
Test(listener, each_invocation_has_its_own_count)
{
	struct scene s;

	ask(&s, INSIDE " deny 3; " LOOPBACK " again 1", NET_LOOPBACK, 60 * NSEC_PER_SEC);
	scene_begin(&s, &plain);
	for (int i = 0; i < 3; i++) {
		const struct denials *d = &s.ctx.plan.shared->denials;
		const int streams[3] = { s.launcher.null, s.launcher.null, s.launcher.null };
		struct cloche_err err = { 0 };
		struct warden_msg m;

		scene_hear_end(&s);
		cr_expect(WIFEXITED(s.ended.status) && WEXITSTATUS(s.ended.status) == 0);
		cr_expect_eq(d->total, 3);
		cr_expect_eq(d->n, 1);
		cr_expect_eq(d->made, 1);
		cr_assert_eq(context_send(&s.ctx, WARDEN_PROVE, &err), 0, "%s", err.text);
		cr_assert_eq(context_recv(&s.ctx, &m, &err), 0, "%s", err.text);
		cr_assert_eq(m.residue, RESIDUE_NONE, "%s", residue_text(m.residue));
		cr_assert_eq(context_renew(&s.launcher, &s.ctx, &err), 0, "%s", err.text);
		cr_assert_eq(context_go(&s.ctx, &s.spec, streams, false, &err), 0, "%s", err.text);
		cr_assert_eq(context_recv(&s.ctx, &s.started, &err), 0, "%s", err.text);
		cr_assert_eq(s.started.type, WARDEN_STARTED);
	}
	scene_hear_end(&s);
	scene_finish(&s);
}

/* ---- the maker ---- */

/* The warden's child that is no process of the function's; 0: there is none now. */
static struct process maker_of(const struct scene *s)
{
	char path[64], text[512] = "", *at = text, *end;
	pid_t warden = s->ctx.warden.pid;
	cleanup_file FILE *f = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)warden, (int)warden);
	f = fopen(path, "re");
	cr_assert(f != NULL, "%s: %m", path);
	if (!fgets(text, sizeof(text), f))
		return PROCESS_NONE;
	/* The first is the function's own, which outlives all others here. */
	(void)strtol(at, &at, 10);
	return strtol(at, &end, 10) > 0 ? process_open((pid_t)strtol(at, &end, 10)) : PROCESS_NONE;
}

static bool stops(const struct process *p)
{
	char path[64], text[512];

	if (!process_is(p) || p->pidfd < 0 ||
	    syscall(SYS_pidfd_send_signal, p->pidfd, SIGSTOP, NULL, 0) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)p->pid);
	for (;;) {
		cleanup_file FILE *f = fopen(path, "re");
		char *state;

		if (!f || !fgets(text, sizeof(text), f))
			return false;
		state = strrchr(text, ')');
		if (state && strncmp(state, ") T", 3) == 0)
			return true;
		if (state && strncmp(state, ") Z", 3) == 0)
			return false;
	}
}

/* One that was stopped when it held no more than it needs: the listener, /proc, two pipes, the
 * socket. None:
 * the function has ended. */
static struct process stop_maker(const struct scene *s)
{
	struct open_fds fds;

	while (cgroup_populated(&s->ctx.plan.cgroup) > 0) {
		struct process p = maker_of(s);
		bool stopped = stops(&p);

		if (stopped && open_fds_of(p.pid, &fds) && fds.n <= 5 &&
		    open_fds_listeners(p.pid) == 1)
			return p;
		if (stopped)
			(void)syscall(SYS_pidfd_send_signal, p.pidfd, SIGCONT, NULL, 0);
		process_close(&p);
	}
	return PROCESS_NONE;
}

static bool is_in_cgroup(const struct scene *s, pid_t pid)
{
	char procs[4096] = "", text[32];
	cleanup_fd int fd = openat(s->ctx.plan.cgroup.v2, "cgroup.procs", O_RDONLY | O_CLOEXEC);

	cr_assert(fd >= 0 && read(fd, procs + 1, sizeof(procs) - 2) > 0, "%m");
	procs[0] = '\n';
	(void)snprintf(text, sizeof(text), "\n%d\n", (int)pid);
	return strstr(procs, text);
}

/* Whoever could not come to give what was asked for for ever: the warden goes on, and it is ended
 * with the invocation. It shares neither cgroup nor numbers with the function. */
Test(listener, a_maker_that_stands_still_holds_up_no_deadline, .timeout = 120)
{
	struct process maker;
	struct scene s;

	ask(&s, "exec " LOOPBACK " again 100000000", NET_LOOPBACK, 3 * NSEC_PER_SEC);
	scene_begin(&s, &plain);
	maker = stop_maker(&s);
	cr_assert(process_is(&maker));
	cr_expect_not(is_in_cgroup(&s, maker.pid));
	scene_hear_end(&s);
	cr_expect_eq(shared_ended_by(s.ctx.plan.shared), ENDED_BY_DEADLINE);
	cr_expect_lt(kill(maker.pid, 0), 0, "it lives");
	cr_expect_eq(open_fds_listeners(s.ctx.warden.pid), 0);
	process_close(&maker);
	scene_finish(&s);
}

/* One that dies is no answer that nobody ever gets. */
Test(listener, a_maker_that_dies_is_an_answer, .timeout = 120)
{
	struct process maker;
	struct scene s;

	/* Until there is none for it. */
	ask(&s, "exec " LOOPBACK " again 100000000", NET_LOOPBACK, 300 * NSEC_PER_SEC);
	scene_begin(&s, &plain);
	/* It may have given its own answer already. */
	do {
		maker = stop_maker(&s);
		process_kill(&maker);
		process_close(&maker);
	} while (cgroup_populated(&s.ctx.plan.cgroup) > 0);
	scene_hear_end(&s);
	cr_expect(WIFEXITED(s.ended.status) && WEXITSTATUS(s.ended.status) == 1, "%x",
		  (unsigned)s.ended.status);
	cr_expect_eq(s.ctx.plan.shared->denials.total, 0, "that it asked too often is another end");
	scene_finish(&s);
}
