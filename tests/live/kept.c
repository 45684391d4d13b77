/* SPDX-License-Identifier: MIT */
/*
 * A function process that is kept from one event to the next (run/kept.h), driven without a daemon:
 * that it does not run while it is paused, whose limits count when, that each part has one verdict
 * and figures of its own, which close. Needs root and HELPERS.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/kept_rig.h"
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

static void set_out(struct kept_rig *r)
{
	r->spec.net = NET_LOOPBACK;
	r->spec.api = true;
}

/* Events of others, one after the other, and CPU time of one's own: what could run would. */
static void let_time_pass(void)
{
	int64_t until_ns = clock_process_ns() + 20 * NSEC_PER_MSEC;

	while (clock_process_ns() < until_ns)
		(void)poll(NULL, 0, 0);
}

/* ---- it does not run ---- */

Test(kept, does_not_run_while_it_is_paused)
{
	static const char kinds[] = "ftva";
	struct kept_rig r;

	for (const char *kind = kinds; *kind; kind++) {
		uint64_t before, after;

		kept_rig_start(&r, NULL);
		r.timers = *kind == 'a';
		kept_rig_serve(&r, *kind);
		before = cgroup_cpu_ns(&kept_rig_ctx(&r)->plan.cgroup);
		let_time_pass();
		after = cgroup_cpu_ns(&kept_rig_ctx(&r)->plan.cgroup);
		/* A timer's signal may make it look, once, and go back to sleep. */
		cr_expect_leq(after - before, *kind == 'a' ? 1000000 : 0, "%c: %d ns", *kind,
			      (int)(after - before));
		kept_rig_serve(&r, 'e');
		kept_cancel(&r.kept);
		kept_rig_drive_to_end(&r);
		kept_rig_finish(&r);
	}
}

/* A child that writes for ever, to a pipe that is read until it is frozen in the midst of it. */
Test(kept, is_frozen_in_the_midst_of_a_write)
{
	static char many[1 << 16];
	struct kept_rig r;
	int n = 0;

	kept_rig_start(&r, NULL);
	kept_rig_resume(&r, 'w', LONG_NS);
	kept_rig_drive_to(&r, KEPT_RUNNING);
	cr_assert_eq(kept_rig_hear(r.from), 'w');
	for (int i = 0; i < 20; i++)
		cr_assert_gt(read(r.more, many, sizeof(many)), 0);
	kept_rig_pause(&r, VERDICT_OK);
	cr_assert_eq(fcntl(r.more, F_SETFL, O_NONBLOCK), 0);
	while (read(r.more, many, sizeof(many)) > 0)
		;
	cr_assert_eq(errno, EAGAIN);
	let_time_pass();
	cr_assert_eq(ioctl(r.more, FIONREAD, &n), 0);
	cr_expect_eq(n, 0, "%d bytes came while it was frozen", n);
	kept_rig_serve(&r, 'e');
	kept_cancel(&r.kept);
	kept_rig_drive_to_end(&r);
	kept_rig_finish(&r);
}

/* ---- its limits ---- */

Test(kept, deadline_is_that_of_each_part)
{
	struct kept_rig r;

	kept_rig_start(&r, NULL);
	/* Longer than an invocation may take: it does not count. */
	kept_rig_resume(&r, 'e', NSEC_PER_SEC);
	kept_rig_drive_to(&r, KEPT_RUNNING);
	cr_assert_eq(kept_rig_hear(r.from), 'e');
	kept_rig_pause(&r, VERDICT_OK);
	while (clock_now_ns() < kept_began_ns(&r.kept) + NSEC_PER_SEC)
		(void)poll(NULL, 0, 100);
	kept_rig_serve(&r, 'e');
	kept_rig_resume(&r, 'l', 30 * NSEC_PER_MSEC);
	kept_rig_expect_end(&r, VERDICT_TIMEOUT);
	cr_expect_geq(r.out.wall_ns, 30 * NSEC_PER_MSEC);
	cr_expect_geq(r.out.overshoot_ns, 0);
	kept_rig_expect_closed(&r);
	kept_rig_finish(&r);
}

Test(kept, init_has_a_verdict_of_its_own)
{
	struct kept_rig r;

	kept_rig_ask(&r, "fails");
	kept_rig_begin(&r);
	kept_rig_expect_end(&r, VERDICT_INIT_ERROR);
	kept_rig_finish(&r);
	kept_rig_ask(&r, "hangs");
	r.spec.timeout_ns = 30 * NSEC_PER_MSEC;
	kept_rig_begin(&r);
	kept_rig_expect_end(&r, VERDICT_INIT_TIMEOUT);
	kept_rig_finish(&r);
	kept_rig_ask(&r, NULL);
	r.argv[0] = "/tmp/none";
	kept_rig_begin(&r);
	kept_rig_expect_end(&r, VERDICT_LAUNCH_ERROR);
	cr_expect_str_eq(r.out.err.stage, "exec");
	kept_rig_finish(&r);
}

/* At the share of 64 MiB, 5 ms of CPU time take 140 ms. Others may leave it even less. */
static void expect_quota(const struct kept_rig *r)
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
	struct kept_rig r;

	kept_rig_start(&r, "busy");
	kept_rig_expect_closed(&r);
	cr_expect_eq(r.out.usage.throttled_periods, 0);
	cr_expect_eq(r.out.metered.usage.quota_ns, 0);
	kept_rig_serve(&r, 'b');
	kept_rig_expect_closed(&r);
	expect_quota(&r);
	kept_cancel(&r.kept);
	kept_rig_drive_to_end(&r);
	kept_rig_finish(&r);
}

/* The same, where it is a part of an invocation; and it may take longer. */
Test(kept, init_that_is_invoked_has_its_quota)
{
	struct kept_rig r;

	kept_rig_ask(&r, "busy");
	r.spec.init_invoked = true;
	r.spec.timeout_ns = 60 * NSEC_PER_SEC;
	kept_rig_begin(&r);
	kept_rig_drive_to(&r, KEPT_RUNNING);
	cr_assert_eq(kept_rig_hear(r.from), 'n');
	kept_rig_pause(&r, VERDICT_OK);
	expect_quota(&r);
	kept_cancel(&r.kept);
	kept_rig_drive_to_end(&r);
	kept_rig_finish(&r);
}

Test(kept, cpu_time_counts_for_each_part)
{
	int64_t limit_ns = 400 * NSEC_PER_MSEC, used_ns = 0;
	struct kept_rig r;

	kept_rig_ask(&r, NULL);
	r.spec.memory_bytes = 512 << 20;
	r.spec.cpu_time_ns = limit_ns;
	kept_rig_begin(&r);
	kept_rig_drive_to(&r, KEPT_RUNNING);
	cr_assert_eq(kept_rig_hear(r.from), 'n');
	kept_rig_pause(&r, VERDICT_OK);
	while (used_ns < limit_ns + NSEC_PER_MSEC) {
		kept_rig_serve(&r, 'b');
		used_ns += (int64_t)r.out.on_cpu_ns;
	}
	kept_rig_resume(&r, 'l', LONG_NS);
	kept_rig_expect_end(&r, VERDICT_CPU_TIMEOUT);
	kept_rig_finish(&r);
}

Test(kept, denied_calls_count_for_each_part)
{
	struct kept_rig r;

	kept_rig_start(&r, NULL);
	for (int i = 0; i < 3; i++) {
		kept_rig_serve(&r, 'd');
		cr_expect_eq(denials_all(&r.out.denials), 1);
		kept_rig_serve(&r, 'e');
		cr_expect_eq(denials_all(&r.out.denials), 0);
	}
	kept_cancel(&r.kept);
	kept_rig_drive_to_end(&r);
	kept_rig_finish(&r);
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
	struct kept_rig r;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		kept_rig_start(&r, NULL);
		kept_rig_serve(&r, 'e');
		kept_rig_resume(&r, rows[i].event, LONG_NS);
		kept_rig_expect_end(&r, rows[i].verdict);
		cr_expect_eq(r.out.status, rows[i].status, "%c: %x", rows[i].event, r.out.status);
		kept_rig_expect_closed(&r);
		kept_rig_finish(&r);
	}
}

Test(kept, is_killed_while_it_is_paused)
{
	struct kept_rig r;

	kept_rig_start(&r, NULL);
	kept_rig_serve(&r, 'i');
	cr_assert(context_kill(kept_rig_ctx(&r)));
	kept_rig_drive_to_end(&r);
	cr_expect(r.kept.machine.idle);
	cr_expect_eq(r.out.verdict, VERDICT_OK, "what was over before is not changed by it");
	cr_expect(!kept_resume(&r.kept, LONG_NS, clock_now_ns(), &r.out));
	kept_rig_finish(&r);
}

/* It ends at the moment at which it is to be paused: before or after it is frozen, one end. */
Test(kept, ends_as_it_is_paused)
{
	for (int i = 0; i < 20; i++) {
		struct kept_rig r;

		kept_rig_start(&r, NULL);
		kept_rig_resume(&r, 'x', LONG_NS);
		kept_rig_drive_to(&r, KEPT_RUNNING);
		kept_pause(&r.kept, VERDICT_OK);
		while (kept_state(&r.kept) != KEPT_OVER && kept_state(&r.kept) != KEPT_IDLE)
			kept_rig_step(&r);
		cr_expect(r.kept.whole);
		cr_expect_eq(r.out.verdict, VERDICT_OK, "%s", verdict_text(r.out.verdict));
		if (kept_state(&r.kept) == KEPT_IDLE) {
			r.out = (struct outcome){ .err = { 0 } };
			/* Or it has ended since, and that is nobody's invocation. */
			if (kept_resume(&r.kept, LONG_NS, clock_now_ns(), &r.out))
				kept_rig_expect_end(&r, VERDICT_ERROR);
			else
				kept_rig_drive_to_end(&r);
		}
		kept_rig_finish(&r);
	}
}

Test(kept, is_cancelled)
{
	struct kept_rig r;

	kept_rig_start(&r, NULL);
	kept_rig_resume(&r, 'l', LONG_NS);
	kept_rig_drive_to(&r, KEPT_RUNNING);
	kept_cancel(&r.kept);
	kept_rig_expect_end(&r, VERDICT_CANCELLED);
	kept_rig_finish(&r);
}

/* By SIGTERM, with a grace and no more; or at once, which is no limit's doing. */
Test(kept, is_dismissed_or_stopped)
{
	for (int how = 0; how < 3; how++) {
		struct kept_rig r;

		kept_rig_start(&r, NULL);
		kept_rig_serve(&r, how == 1 ? 'e' : 'i');
		cr_assert(how == 2 ? kept_stop(&r.kept)
				   : kept_dismiss(&r.kept, how ? LONG_NS : 20 * NSEC_PER_MSEC));
		kept_rig_drive_to_end(&r);
		cr_expect_eq(r.kept.seen.status, how == 1 ? SIGTERM : SIGKILL);
		cr_expect_eq(shared_ended_by(kept_rig_ctx(&r)->plan.shared) == ENDED_BY_ITSELF,
			     how > 0);
		cr_expect_eq(r.out.verdict, VERDICT_OK, "what was over before is not changed");
		kept_rig_finish(&r);
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
static pid_t add_one_that_waits(struct kept_rig *r)
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
	ready[0] = openat(kept_rig_ctx(r)->plan.cgroup.v2, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	cr_assert_eq(write(ready[0], pid, (size_t)n), n, "%m");
	(void)close(ready[0]);
	return child;
}

Test(kept, who_cannot_be_frozen_is_killed)
{
	int status, probe = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct kept_rig r;
	pid_t child;

	if (probe < 0)
		test_skip("no userfaultfd(2) here");
	(void)close(probe);
	kept_rig_start(&r, NULL);
	child = add_one_that_waits(&r);
	kept_rig_resume(&r, 'e', LONG_NS);
	kept_rig_drive_to(&r, KEPT_RUNNING);
	cr_assert_eq(kept_rig_hear(r.from), 'e');
	kept_pause(&r.kept, VERDICT_OK);
	kept_rig_expect_end(&r, VERDICT_TIMEOUT);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%x", status);
	kept_rig_finish(&r);
}

/* ---- its figures ---- */

#define PARTS	 50
#define EXACT_NS 2000 /* of one part, two clocks that are each read to a microsecond */

Test(kept, figures_close_in_each_part)
{
	static const char events[] = "ebsetbms";
	uint64_t metered = 0, counted = 0, all, begin, peak_of_m = 0, of_b = 0;
	int less = 0;
	struct kept_rig r;

	kept_rig_start(&r, NULL);
	kept_rig_expect_closed(&r);
	/* The loading of the policy, 0.1 ms, is init's by the kernel's counter alone. */
	begin = cgroup_cpu_ns(&kept_rig_ctx(&r)->plan.cgroup);
	for (int i = 0; i < PARTS; i++) {
		char event = events[i % (int)(sizeof(events) - 1)];
		const struct meter_usage *m = &r.out.metered.usage;

		kept_rig_serve(&r, event);
		kept_rig_expect_closed(&r);
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
	all = cgroup_cpu_ns(&kept_rig_ctx(&r)->plan.cgroup) - begin;
	cr_expect_eq(counted, all);
	cr_expect_leq(metered, all + PARTS * EXACT_NS, "%lu of %lu ns", metered, all);
	cr_expect_geq(metered + PARTS * EXACT_NS, all, "%lu of %lu ns", metered, all);
	kept_cancel(&r.kept);
	kept_rig_drive_to_end(&r);
	kept_rig_finish(&r);
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

static char answer(struct kept_rig *r, char event)
{
	char c;

	kept_rig_resume(r, event, LONG_NS);
	kept_rig_drive_to(r, KEPT_RUNNING);
	c = kept_rig_hear(r->from);
	kept_rig_pause(r, VERDICT_OK);
	return c;
}

Test(kept, has_its_code_and_layers)
{
	for (size_t n = 1; n <= 2; n++) {
		char *layers[2] = { make_layer("1", n == 1 ? 0600 : 0644), make_layer("2", 0644) };
		struct kept_rig r;

		kept_rig_ask(&r, NULL);
		r.spec.code_at = env_need("HELPERS");
		r.spec.layers_at = (const char *const *)layers;
		r.spec.n_layers = n;
		r.spec.workdir = "/var/task";
		r.argv[0] = "/var/task/kept";
		kept_rig_begin(&r);
		kept_rig_drive_to(&r, KEPT_RUNNING);
		cr_assert_eq(kept_rig_hear(r.from), 'n');
		kept_rig_pause(&r, VERDICT_OK);
		cr_expect_eq(answer(&r, 'r'), n == 1 ? '1' : '2');
		cr_expect_eq(answer(&r, 'k'), 'R');
		kept_cancel(&r.kept);
		kept_rig_drive_to_end(&r);
		kept_rig_finish(&r);
		tmpdir_free(&layers[0]);
		tmpdir_free(&layers[1]);
	}
}

/* ---- the Runtime API ---- */

Test(kept, listens_where_it_looks_for_the_runtime_api)
{
	struct kept_rig r;
	struct pollfd p;
	int fd;

	kept_rig_ask(&r, NULL);
	set_out(&r);
	kept_rig_begin(&r);
	kept_rig_drive_to(&r, KEPT_RUNNING);
	cr_assert_eq(kept_rig_hear(r.from), 'n');
	cr_assert_geq(kept_rig_ctx(&r)->api, 0);
	kept_rig_pause(&r, VERDICT_OK);
	kept_rig_resume(&r, 'p', LONG_NS);
	kept_rig_drive_to(&r, KEPT_RUNNING);
	cr_expect_eq(kept_rig_hear(r.from), 'N', "it has taken the port of the API");
	kept_rig_pause(&r, VERDICT_OK);
	kept_rig_resume(&r, 'c', LONG_NS);
	kept_rig_drive_to(&r, KEPT_RUNNING);
	p = (struct pollfd){ .fd = kept_rig_ctx(&r)->api, .events = POLLIN };
	cr_assert_eq(poll(&p, 1, (int)(PATIENCE_NS / NSEC_PER_MSEC)), 1);
	fd = accept4(kept_rig_ctx(&r)->api, NULL, NULL, SOCK_CLOEXEC);
	cr_assert_geq(fd, 0, "%m");
	cr_assert_eq(write(fd, "Z", 1), 1);
	cr_expect_eq(kept_rig_hear(r.from), 'Z');
	kept_rig_pause(&r, VERDICT_OK);
	(void)close(fd);
	kept_cancel(&r.kept);
	kept_rig_drive_to_end(&r);
	kept_rig_finish(&r);
}
