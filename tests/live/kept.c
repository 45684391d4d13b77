/* SPDX-License-Identifier: MIT */
/*
 * A function process that is kept from one event to the next (run/kept.h), driven without a daemon:
 * that it does not run while it is paused, whose limits count when, that each part has one verdict
 * and figures of its own, which close. Needs root and HELPERS.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "launch/spec.h"
#include "run/keeper.h"
#include "run/kept.h"
#include "run/metering.h"
#include "run/outcome.h"
#include "run/powers.h"
#include "tests/lib/env.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_NS (60 * NSEC_PER_SEC)
#define LONG_NS	    (60 * NSEC_PER_SEC)

struct rig {
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

static struct context *ctx_of(struct rig *r)
{
	return &r->keeper.ctx;
}

static void step(struct rig *r)
{
	struct pollfd fds[KEPT_FDS];
	int64_t until_ns = kept_wait(&r->kept, fds);
	int64_t left_ns = until_ns == KEPT_NEVER ? PATIENCE_NS : until_ns - clock_now_ns();
	struct timespec left = ns_timespec(left_ns > 0 ? left_ns : 0);
	int n = ppoll(fds, KEPT_FDS, &left, NULL);

	cr_assert(n > 0 || until_ns != KEPT_NEVER, "nothing happens in state %d",
		  (int)kept_state(&r->kept));
	kept_step(&r->kept, fds);
}

static void drive_to(struct rig *r, enum kept_state state)
{
	while (kept_state(&r->kept) != state) {
		cr_assert_neq(kept_state(&r->kept), KEPT_OVER, "%s, %x: %s: %s",
			      verdict_text(r->out.verdict), r->out.status, r->out.err.stage,
			      r->out.err.text);
		step(r);
	}
}

static void drive_to_end(struct rig *r)
{
	while (kept_state(&r->kept) != KEPT_OVER)
		step(r);
}

static char hear(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c = 0;

	cr_assert_eq(poll(&p, 1, (int)(PATIENCE_NS / NSEC_PER_MSEC)), 1, "it says nothing");
	cr_assert_eq(read(fd, &c, 1), 1);
	return c;
}

static void ask(struct rig *r, const char *helper_arg)
{
	struct cloche_err err = { 0 };
	struct spec_host host;

	memset(r, 0, sizeof(*r));
	r->helper = env_helper("kept");
	r->argv[0] = "/tmp/kept";
	r->argv[1] = (char *)(uintptr_t)helper_arg;
	spec_host_read(&host);
	spec_defaults(&r->spec);
	r->spec.argv = r->argv;
	r->spec.kept = true;
	r->spec.timeout_ns = 10 * NSEC_PER_SEC;
	r->spec.memory_bytes = 64 << 20;
	r->spec.n_binds = 1;
	r->spec.binds = calloc(1, sizeof(struct bind_spec));
	*(struct bind_spec *)(uintptr_t)r->spec.binds =
		(struct bind_spec){ .src = r->helper, .dst = "/tmp/kept" };
	cr_assert_eq(spec_check(&r->spec, &host, &err), 0, "%s", err.text);
}

static void set_out(struct rig *r)
{
	r->spec.net = NET_LOOPBACK;
	r->spec.api = true;
}

static void begin(struct rig *r)
{
	struct keeper_options o = { .spec = &r->spec,
				    .launcher = &r->launcher,
				    .metering = &r->metering };
	int in[2], out[2], more[2];
	struct kept_options k = { .spec = &r->spec, .requested_ns = clock_now_ns() };
	struct cloche_err err = { 0 };

	cr_assert_eq(launcher_open(&r->launcher, &err), 0, "%s", err.text);
	cr_assert_eq(metering_open(&r->metering, METERING_AUTO, r->launcher.hierarchy.v2, &err), 0,
		     "%s", err.text);
	cr_assert_eq(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC) | pipe2(more, O_CLOEXEC), 0);
	r->to = in[1];
	r->from = out[0];
	r->more = more[0];
	cr_assert_eq(keeper_make(&r->keeper, &o, &err), 0, "%s", err.text);
	keeper_invoked(&r->keeper);
	powers_local_init(&r->powers, ctx_of(r), &r->metering);
	k.powers = &r->powers.powers;
	k.streams = (int[]){ in[0], out[1], more[1] };
	kept_begin(&r->kept, ctx_of(r), &k, &r->out);
	(void)close(in[0]);
	(void)close(out[1]);
	(void)close(more[1]);
}

/* Init is over. */
static void pause_it(struct rig *r, enum verdict answered)
{
	drive_to(r, KEPT_RUNNING);
	kept_pause(&r->kept, answered);
	drive_to(r, KEPT_IDLE);
	cr_assert(r->kept.whole);
	cr_assert_eq(r->out.verdict, answered, "%s", verdict_text(r->out.verdict));
	/* What was before and will be after is not in it. */
	cr_expect_gt(r->out.wall_ns, 0);
	if (!r->timers)
		cr_expect_leq(r->out.wall_ns, clock_now_ns() - kept_began_ns(&r->kept));
}

static void start(struct rig *r, const char *helper_arg)
{
	ask(r, helper_arg);
	begin(r);
	drive_to(r, KEPT_RUNNING);
	cr_assert_eq(hear(r->from), 'n');
	pause_it(r, VERDICT_OK);
}

/* The event is there before it goes on. */
static void resume(struct rig *r, char event, int64_t timeout_ns)
{
	cr_assert_eq(write(r->to, &event, 1), 1);
	r->out = (struct outcome){ .err = { 0 } };
	cr_assert(kept_resume(&r->kept, timeout_ns, clock_now_ns(), &r->out));
}

static void serve(struct rig *r, char event)
{
	resume(r, event, LONG_NS);
	drive_to(r, KEPT_RUNNING);
	cr_assert_eq(hear(r->from), event);
	pause_it(r, VERDICT_OK);
}

static void finish(struct rig *r)
{
	struct cloche_err err = { 0 };

	metering_disarm(&r->metering);
	cr_expect_eq(context_destroy(&r->launcher, ctx_of(r), &err), 0, "%s", err.text);
	metering_close(&r->metering);
	launcher_close(&r->launcher);
	(void)close(r->to);
	(void)close(r->from);
	(void)close(r->more);
	free((void *)(uintptr_t)r->spec.binds);
	free(r->helper);
}

static void expect_end(struct rig *r, enum verdict verdict)
{
	drive_to_end(r);
	cr_expect(r->kept.whole);
	cr_expect_eq(r->out.verdict, verdict, "%s, not %s: %s", verdict_text(r->out.verdict),
		     verdict_text(verdict), r->out.err.text);
}

/* Events of others, one after the other, and CPU time of one's own: what could run would. */
static void let_time_pass(void)
{
	int64_t until_ns = clock_process_ns() + 20 * NSEC_PER_MSEC;

	while (clock_process_ns() < until_ns)
		(void)poll(NULL, 0, 0);
}

static void expect_closed(const struct rig *r)
{
	const struct meter_usage *m = outcome_metered(&r->out);

	cr_assert_not_null(m, "%s", r->out.metered.why);
	cr_expect_eq(m->wall_ns, m->busy_ns + m->waiting_ns + m->idle_ns);
	cr_expect_eq((uint64_t)r->out.wall_ns, m->wall_ns);
	cr_expect(m->complete);
}

/* ---- it does not run ---- */

Test(kept, does_not_run_while_it_is_paused)
{
	static const char kinds[] = "ftva";
	struct rig r;

	for (const char *kind = kinds; *kind; kind++) {
		uint64_t before, after;

		start(&r, NULL);
		r.timers = *kind == 'a';
		serve(&r, *kind);
		before = cgroup_cpu_ns(&ctx_of(&r)->plan.cgroup);
		let_time_pass();
		after = cgroup_cpu_ns(&ctx_of(&r)->plan.cgroup);
		/* A timer's signal may make it look, once, and go back to sleep. */
		cr_expect_leq(after - before, *kind == 'a' ? 1000000 : 0, "%c: %d ns", *kind,
			      (int)(after - before));
		serve(&r, 'e');
		kept_cancel(&r.kept);
		drive_to_end(&r);
		finish(&r);
	}
}

/* A child that writes for ever, to a pipe that is read until it is frozen in the midst of it. */
Test(kept, is_frozen_in_the_midst_of_a_write)
{
	static char many[1 << 16];
	struct rig r;
	int n = 0;

	start(&r, NULL);
	resume(&r, 'w', LONG_NS);
	drive_to(&r, KEPT_RUNNING);
	cr_assert_eq(hear(r.from), 'w');
	for (int i = 0; i < 20; i++)
		cr_assert_gt(read(r.more, many, sizeof(many)), 0);
	pause_it(&r, VERDICT_OK);
	cr_assert_eq(fcntl(r.more, F_SETFL, O_NONBLOCK), 0);
	while (read(r.more, many, sizeof(many)) > 0)
		;
	cr_assert_eq(errno, EAGAIN);
	let_time_pass();
	cr_assert_eq(ioctl(r.more, FIONREAD, &n), 0);
	cr_expect_eq(n, 0, "%d bytes came while it was frozen", n);
	serve(&r, 'e');
	kept_cancel(&r.kept);
	drive_to_end(&r);
	finish(&r);
}

/* ---- its limits ---- */

Test(kept, deadline_is_that_of_each_part)
{
	struct rig r;

	start(&r, NULL);
	/* Longer than an invocation may take: it does not count. */
	resume(&r, 'e', NSEC_PER_SEC);
	drive_to(&r, KEPT_RUNNING);
	cr_assert_eq(hear(r.from), 'e');
	pause_it(&r, VERDICT_OK);
	while (clock_now_ns() < kept_began_ns(&r.kept) + NSEC_PER_SEC)
		(void)poll(NULL, 0, 100);
	serve(&r, 'e');
	resume(&r, 'l', 30 * NSEC_PER_MSEC);
	expect_end(&r, VERDICT_TIMEOUT);
	cr_expect_geq(r.out.wall_ns, 30 * NSEC_PER_MSEC);
	cr_expect_geq(r.out.overshoot_ns, 0);
	expect_closed(&r);
	finish(&r);
}

Test(kept, init_has_a_verdict_of_its_own)
{
	struct rig r;

	ask(&r, "fails");
	begin(&r);
	expect_end(&r, VERDICT_INIT_ERROR);
	finish(&r);
	ask(&r, "hangs");
	r.spec.timeout_ns = 30 * NSEC_PER_MSEC;
	begin(&r);
	expect_end(&r, VERDICT_INIT_TIMEOUT);
	finish(&r);
	ask(&r, NULL);
	r.argv[0] = "/tmp/none";
	begin(&r);
	expect_end(&r, VERDICT_LAUNCH_ERROR);
	cr_expect_str_eq(r.out.err.stage, "exec");
	finish(&r);
}

/* At the share of 64 MiB, 5 ms of CPU time take 140 ms. Others may leave it even less. */
static void expect_quota(const struct rig *r)
{
	const struct meter_usage *u = &r->out.metered.usage;

	cr_expect((r->out.usage.throttled_periods > 0 && u->quota_ns > 0) ||
			  u->contention_ns > 50 * NSEC_PER_MSEC,
		  "%llu periods, quota %llu, others %llu ns",
		  (unsigned long long)r->out.usage.throttled_periods,
		  (unsigned long long)u->quota_ns, (unsigned long long)u->contention_ns);
}

/* But in init. */
Test(kept, init_has_no_quota_and_what_follows_has)
{
	struct rig r;

	start(&r, "busy");
	expect_closed(&r);
	cr_expect_eq(r.out.usage.throttled_periods, 0);
	cr_expect_eq(r.out.metered.usage.quota_ns, 0);
	serve(&r, 'b');
	expect_closed(&r);
	expect_quota(&r);
	kept_cancel(&r.kept);
	drive_to_end(&r);
	finish(&r);
}

/* The same, where it is a part of an invocation; and it may take longer. */
Test(kept, init_that_is_invoked_has_its_quota)
{
	struct rig r;

	ask(&r, "busy");
	r.spec.init_invoked = true;
	r.spec.timeout_ns = 60 * NSEC_PER_SEC;
	begin(&r);
	drive_to(&r, KEPT_RUNNING);
	cr_assert_eq(hear(r.from), 'n');
	pause_it(&r, VERDICT_OK);
	expect_quota(&r);
	kept_cancel(&r.kept);
	drive_to_end(&r);
	finish(&r);
}

Test(kept, cpu_time_counts_for_each_part)
{
	int64_t limit_ns = 400 * NSEC_PER_MSEC, used_ns = 0;
	struct rig r;

	ask(&r, NULL);
	r.spec.memory_bytes = 512 << 20;
	r.spec.cpu_time_ns = limit_ns;
	begin(&r);
	drive_to(&r, KEPT_RUNNING);
	cr_assert_eq(hear(r.from), 'n');
	pause_it(&r, VERDICT_OK);
	while (used_ns < limit_ns + NSEC_PER_MSEC) {
		serve(&r, 'b');
		used_ns += (int64_t)r.out.on_cpu_ns;
	}
	resume(&r, 'l', LONG_NS);
	expect_end(&r, VERDICT_CPU_TIMEOUT);
	finish(&r);
}

Test(kept, denied_calls_count_for_each_part)
{
	struct rig r;

	start(&r, NULL);
	for (int i = 0; i < 3; i++) {
		serve(&r, 'd');
		cr_expect_eq(denials_all(&r.out.denials), 1);
		serve(&r, 'e');
		cr_expect_eq(denials_all(&r.out.denials), 0);
	}
	kept_cancel(&r.kept);
	drive_to_end(&r);
	finish(&r);
}

/* ---- its end ---- */

Test(kept, ends_in_one_verdict)
{
	static const struct {
		char event;
		enum verdict verdict;
		int status;
	} rows[] = {
		{ 'x', VERDICT_ERROR, 0 },
		{ 'X', VERDICT_ERROR, 3 << 8 },
		{ 'o', VERDICT_OOM, SIGKILL },
	};
	struct rig r;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start(&r, NULL);
		serve(&r, 'e');
		resume(&r, rows[i].event, LONG_NS);
		expect_end(&r, rows[i].verdict);
		cr_expect_eq(r.out.status, rows[i].status, "%c: %x", rows[i].event, r.out.status);
		expect_closed(&r);
		finish(&r);
	}
}

Test(kept, is_killed_while_it_is_paused)
{
	struct rig r;

	start(&r, NULL);
	serve(&r, 'i');
	cr_assert(context_kill(ctx_of(&r)));
	drive_to_end(&r);
	cr_expect(r.kept.machine.idle);
	cr_expect_eq(r.out.verdict, VERDICT_OK, "what was over before is not changed by it");
	cr_expect(!kept_resume(&r.kept, LONG_NS, clock_now_ns(), &r.out));
	finish(&r);
}

/* It ends at the moment at which it is to be paused: before or after it is frozen, one end. */
Test(kept, ends_as_it_is_paused)
{
	for (int i = 0; i < 20; i++) {
		struct rig r;

		start(&r, NULL);
		resume(&r, 'x', LONG_NS);
		drive_to(&r, KEPT_RUNNING);
		kept_pause(&r.kept, VERDICT_OK);
		while (kept_state(&r.kept) != KEPT_OVER && kept_state(&r.kept) != KEPT_IDLE)
			step(&r);
		cr_expect(r.kept.whole);
		cr_expect_eq(r.out.verdict, VERDICT_OK, "%s", verdict_text(r.out.verdict));
		if (kept_state(&r.kept) == KEPT_IDLE) {
			r.out = (struct outcome){ .err = { 0 } };
			/* Or it has ended since, and that is nobody's invocation. */
			if (kept_resume(&r.kept, LONG_NS, clock_now_ns(), &r.out))
				expect_end(&r, VERDICT_ERROR);
			else
				drive_to_end(&r);
		}
		finish(&r);
	}
}

Test(kept, is_cancelled)
{
	struct rig r;

	start(&r, NULL);
	resume(&r, 'l', LONG_NS);
	drive_to(&r, KEPT_RUNNING);
	kept_cancel(&r.kept);
	expect_end(&r, VERDICT_CANCELLED);
	finish(&r);
}

/* By SIGTERM, with a grace and no more; or at once, which is no limit's doing. */
Test(kept, is_dismissed_or_stopped)
{
	for (int how = 0; how < 3; how++) {
		struct rig r;

		start(&r, NULL);
		serve(&r, how == 1 ? 'e' : 'i');
		cr_assert(how == 2 ? kept_stop(&r.kept)
				   : kept_dismiss(&r.kept, how ? LONG_NS : 20 * NSEC_PER_MSEC));
		drive_to_end(&r);
		cr_expect_eq(r.kept.seen.status, how == 1 ? SIGTERM : SIGKILL);
		cr_expect_eq(shared_ended_by(ctx_of(&r)->plan.shared) == ENDED_BY_ITSELF, how > 0);
		cr_expect_eq(r.out.verdict, VERDICT_OK, "what was over before is not changed");
		finish(&r);
	}
}

/* ---- who cannot be frozen ---- */

/* Waits for a page that does not come, in the kernel, where only a kill reaches it. */
static _Noreturn void wait_in_kernel(int ready)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register all = { .range = { .start = (uintptr_t)page, .len = 4096 },
				       .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct iovec from = { page, 1 }, to = { &(char){ 0 }, 1 };

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0 || ioctl(fd, UFFDIO_REGISTER, &all) < 0)
		_exit(3);
	(void)close(ready);
	(void)process_vm_readv(getpid(), &to, 1, &from, 1, 0);
	_exit(4);
}

/* Beside the function's own processes, as one of them that hangs in the kernel would be. */
static pid_t add_one_that_waits(struct rig *r)
{
	char pid[16], end;
	int ready[2], n;
	pid_t child;

	cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
	child = fork();
	if (child == 0)
		wait_in_kernel(ready[1]);
	(void)close(ready[1]);
	cr_assert_eq(read(ready[0], &end, 1), 0);
	(void)close(ready[0]);
	n = snprintf(pid, sizeof(pid), "%d", (int)child);
	ready[0] = openat(ctx_of(r)->plan.cgroup.v2, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	cr_assert_eq(write(ready[0], pid, (size_t)n), n, "%m");
	(void)close(ready[0]);
	return child;
}

Test(kept, who_cannot_be_frozen_is_killed)
{
	int status, probe = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct rig r;
	pid_t child;

	if (probe < 0)
		test_skip("no userfaultfd(2) here");
	(void)close(probe);
	start(&r, NULL);
	child = add_one_that_waits(&r);
	resume(&r, 'e', LONG_NS);
	drive_to(&r, KEPT_RUNNING);
	cr_assert_eq(hear(r.from), 'e');
	kept_pause(&r.kept, VERDICT_OK);
	expect_end(&r, VERDICT_TIMEOUT);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%x", status);
	finish(&r);
}

/* ---- its figures ---- */

#define PARTS	 50
#define EXACT_NS 2000 /* of one part, two clocks that are each read to a microsecond */

Test(kept, figures_close_in_each_part)
{
	static const char events[] = "ebsetbms";
	uint64_t metered = 0, counted = 0, all, begin, peak_of_m = 0, of_b = 0;
	int less = 0;
	struct rig r;

	start(&r, NULL);
	expect_closed(&r);
	/* The loading of the policy, 0.1 ms, is init's by the kernel's counter alone. */
	begin = cgroup_cpu_ns(&ctx_of(&r)->plan.cgroup);
	for (int i = 0; i < PARTS; i++) {
		char event = events[i % (int)(sizeof(events) - 1)];
		const struct meter_usage *m = &r.out.metered.usage;

		serve(&r, event);
		expect_closed(&r);
		metered += m->on_cpu_ns;
		counted += r.out.usage.cpu_ns;
		/* It is 5 ms of CPU time and what it takes to begin a thread, or no more than that.
		 */
		if (event == 'b') {
			cr_expect_geq(m->on_cpu_ns, 4900000);
			of_b = m->on_cpu_ns;
		}
		if (event == 'e' && of_b)
			less += m->on_cpu_ns < of_b ? 1 : -1;
		if (event == 's')
			cr_expect_geq(m->idle_ns, 1900000);
		if (event == 'm')
			peak_of_m = m->memory_peak_bytes;
		else if (m->memory_known && peak_of_m)
			cr_expect_lt(m->memory_peak_bytes, peak_of_m);
	}
	/* A machine that is emulated on a busy one may take as long for nothing, now and then. */
	cr_expect_gt(less, 0);
	/* The kernel's counter is in microseconds; nothing of it is in no part, or in two. */
	all = cgroup_cpu_ns(&ctx_of(&r)->plan.cgroup) - begin;
	cr_expect_eq(counted, all);
	cr_expect_leq(metered, all + PARTS * EXACT_NS, "%lu of %lu ns", metered, all);
	cr_expect_geq(metered + PARTS * EXACT_NS, all, "%lu of %lu ns", metered, all);
	kept_cancel(&r.kept);
	drive_to_end(&r);
	finish(&r);
}

/* ---- its code ---- */

/* Of two the last is on top, and what only the first has shows. Nobody but root may read it there;
 * of several that cannot be helped. */
static char *make_layer(const char *which, mode_t mode)
{
	char *dir = tmpdir_make();
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/which", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, which, 1), 1);
	(void)close(fd);
	cr_assert_eq(chmod(dir, mode == 0600 ? 0700 : 0755), 0);
	return dir;
}

static char answer(struct rig *r, char event)
{
	char c;

	resume(r, event, LONG_NS);
	drive_to(r, KEPT_RUNNING);
	c = hear(r->from);
	pause_it(r, VERDICT_OK);
	return c;
}

Test(kept, has_its_code_and_layers)
{
	for (size_t n = 1; n <= 2; n++) {
		char *layers[2] = { make_layer("1", n == 1 ? 0600 : 0644), make_layer("2", 0644) };
		struct rig r;

		ask(&r, NULL);
		r.spec.code_at = env_need("HELPERS");
		r.spec.layers_at = (const char *const *)layers;
		r.spec.n_layers = n;
		r.spec.workdir = "/var/task";
		r.argv[0] = "/var/task/kept";
		begin(&r);
		drive_to(&r, KEPT_RUNNING);
		cr_assert_eq(hear(r.from), 'n');
		pause_it(&r, VERDICT_OK);
		cr_expect_eq(answer(&r, 'r'), n == 1 ? '1' : '2');
		cr_expect_eq(answer(&r, 'k'), 'R');
		kept_cancel(&r.kept);
		drive_to_end(&r);
		finish(&r);
		tmpdir_free(&layers[0]);
		tmpdir_free(&layers[1]);
	}
}

/* ---- the Runtime API ---- */

Test(kept, listens_where_it_looks_for_the_runtime_api)
{
	struct rig r;
	struct pollfd p;
	int fd;

	ask(&r, NULL);
	set_out(&r);
	begin(&r);
	drive_to(&r, KEPT_RUNNING);
	cr_assert_eq(hear(r.from), 'n');
	cr_assert_geq(ctx_of(&r)->api, 0);
	pause_it(&r, VERDICT_OK);
	resume(&r, 'p', LONG_NS);
	drive_to(&r, KEPT_RUNNING);
	cr_expect_eq(hear(r.from), 'N', "it has taken the port of the API");
	pause_it(&r, VERDICT_OK);
	resume(&r, 'c', LONG_NS);
	drive_to(&r, KEPT_RUNNING);
	p = (struct pollfd){ .fd = ctx_of(&r)->api, .events = POLLIN };
	cr_assert_eq(poll(&p, 1, (int)(PATIENCE_NS / NSEC_PER_MSEC)), 1);
	fd = accept4(ctx_of(&r)->api, NULL, NULL, SOCK_CLOEXEC);
	cr_assert_geq(fd, 0, "%m");
	cr_assert_eq(write(fd, "Z", 1), 1);
	cr_expect_eq(hear(r.from), 'Z');
	pause_it(&r, VERDICT_OK);
	(void)close(fd);
	kept_cancel(&r.kept);
	drive_to_end(&r);
	finish(&r);
}
