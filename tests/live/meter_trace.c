/* SPDX-License-Identifier: MIT */
/*
 * Recording: what a program did against what the recorder's file says, and the picture against the
 * kernel's sums. Needs root, BPF, cgroup2, and HELPERS (build/helpers).
 */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "bpf/meter_abi.h"
#include "tests/lib/meter_rig.h"
#include "trace/trace.h"
#include "trace/trace_json.h"
#include "trace/trace_recorder.h"
#include "trace/trace_spans.h"

#define ID "00000000-0000-4000-8000-000000000000"

/* Made so that its noise before the exec would show: it opens for writing and is denied. */
static int confine(char **argv, uint32_t answer)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

	rig_wait();
	(void)open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (seccomp_rule_add(ctx, answer, SCMP_SYS(mount), 0) || seccomp_load(ctx))
		return 3;
	seccomp_release(ctx);
	(void)syscall(SCMP_SYS(mount), 9, 9, 9, 9, 9);
	execv(argv[0], argv);
	return 127;
}

static int confined(void *arg)
{
	return confine(arg, SCMP_ACT_ERRNO(EPERM));
}

/* As a function's own filter may: the call is not made, and its caller is told that it was. */
static int deceived(void *arg)
{
	return confine(arg, SCMP_ACT_ERRNO(0));
}

struct recording {
	struct trace trace;
	struct meter_usage usage;
	uint64_t events;
	char *text;
};

static const char *helper_named(const char *name)
{
	static char path[512];
	const char *dir = getenv("HELPERS");

	(void)snprintf(path, sizeof(path), "%s/%s", dir ? dir : "build/helpers", name);
	cr_assert(!access(path, X_OK), "no '%s': make tests", path);
	return path;
}

static const char *helper(void)
{
	return helper_named("meter_work");
}

static void drain_until_end(struct trace_recorder *rec, struct child *c)
{
	struct pollfd fds[] = { { .fd = trace_recorder_fd(rec), .events = POLLIN },
				{ .fd = c->process.pidfd, .events = POLLIN } };
	struct cloche_err err = { 0 };

	while (!fds[1].revents) {
		cr_assert(poll(fds, 2, -1) > 0);
		if (fds[0].revents)
			cr_assert(!trace_recorder_drain(rec, 0, &err), "%s", err.text);
	}
}

static void record_as(struct rig *r, size_t ring_bytes, int (*as)(void *), char **argv,
		      struct recording *ret)
{
	struct cloche_err err = { 0 };
	struct trace_recorder *rec;
	size_t len;
	FILE *f = open_memstream(&ret->text, &len);
	struct child c;

	cr_assert(!trace_recorder_open(&rec, &r->meter, r->ctx.slot, f, ID, ring_bytes, &err), "%s",
		  err.text);
	rig_begin(r, true, true);
	c = rig_spawn(r, as, argv);
	rig_go(&c);
	drain_until_end(rec, &c);
	cr_assert_eq(rig_reap(&c, NULL), 0);
	ret->usage = rig_end_last(r);
	cr_assert(!trace_recorder_close(rec, &ret->usage, &ret->events, &err), "%s", err.text);
	f = fmemopen(ret->text, len, "r");
	cr_assert(!trace_json_read(f, "recording", &ret->trace, &err), "%s", err.text);
	fclose(f);
	cr_assert(ret->trace.ended);
}

static void record(struct rig *r, size_t ring_bytes, char **argv, struct recording *ret)
{
	record_as(r, ring_bytes, confined, argv, ret);
}

static void recording_free(struct recording *rec)
{
	trace_free(&rec->trace);
	free(rec->text);
}

static const struct trace_event *nth(const struct trace *t, uint32_t type, unsigned n)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->events[i].type == type && !n--)
			return &t->events[i];
	return NULL;
}

/* A call that is neither made nor denied by us is not on record, and the record says so. */
Test(meter_trace, an_answer_of_success_to_a_call_that_was_not_made_is_missed)
{
	char *argv[] = { (char *)helper(), "mount", "5", NULL };
	struct recording rec = { 0 };
	struct rig r;

	rig_open(&r, 0);
	record_as(&r, 0, deceived, argv, &rec);
	cr_expect_geq(rec.usage.missed, 5, "%lu missed", rec.usage.missed);
	cr_expect(!rec.trace.complete);
	cr_expect_null(nth(&rec.trace, METER_EV_DENIED, 0));
	recording_free(&rec);
	rig_close(&r);
}

Test(meter_trace, tells_what_was_done)
{
	char file[64];
	char *argv[] = { (char *)helper(), "write", file, "read", "/dev/zero", "udp",
			 "40213",	   "mount", "3",  "fork", "2",	       "write",
			 "/nonexistent/x", NULL };
	const struct trace_event *e;
	struct cloche_err err = { 0 };
	struct recording rec = { 0 };
	struct rig r;

	(void)snprintf(file, sizeof(file), "/tmp/cloche-meter-trace-%d", (int)getpid());
	rig_open(&r, 0);
	cr_assert(!meter_watch_network(&r.meter, r.leaf, &err), "%s", err.text);
	record(&r, 0, argv, &rec);
	cr_assert(!unlink(file));
	cr_assert_eq(rec.usage.lost, 0);
	cr_assert(rec.trace.complete);
	cr_assert_leq(rec.trace.n, rec.events);

	e = nth(&rec.trace, METER_EV_EXEC, 0);
	cr_assert(e && !nth(&rec.trace, METER_EV_EXEC, 1));
	cr_assert_eq(e->at_ns, rec.trace.begin_ns);
	cr_assert_str_eq(e->text, helper());
	cr_assert_eq(e->argc, 13);
	cr_assert_str_eq(e->argv[12], "/nonexistent/x");

	e = nth(&rec.trace, METER_EV_OPEN, 0);
	cr_assert(e && strcmp(e->text, file) == 0, "%s", e ? e->text : "no open");
	cr_assert_geq((int64_t)e->value, 3);
	cr_assert_eq(e->arg & O_ACCMODE, O_WRONLY);
	e = nth(&rec.trace, METER_EV_OPEN, 1);
	cr_assert(e && strcmp(e->text, "/nonexistent/x") == 0);
	cr_assert_eq((int64_t)e->value, -ENOENT);
	cr_assert_null(nth(&rec.trace, METER_EV_OPEN, 2));

	e = nth(&rec.trace, METER_EV_BIND, 0);
	cr_assert(e && strcmp(e->text, "127.0.0.1") == 0 && e->value == 40213);
	e = nth(&rec.trace, METER_EV_CONNECT, 0);
	cr_assert(e && strcmp(e->text, "127.0.0.1") == 0 && e->value == 40213);

	for (unsigned i = 0; i < 3; i++) {
		e = nth(&rec.trace, METER_EV_DENIED, i);
		cr_assert(e && strcmp(e->text, "mount") == 0 && (int64_t)e->value == -EPERM);
		cr_assert(e->args[0] == 1 && e->args[1] == 2 && e->args[2] == 3 && e->args[4] == 5);
	}
	cr_assert_null(nth(&rec.trace, METER_EV_DENIED, 3));
	cr_assert(nth(&rec.trace, METER_EV_FORK, 1) && !nth(&rec.trace, METER_EV_FORK, 2));
	cr_assert(nth(&rec.trace, METER_EV_EXIT, 2) && !nth(&rec.trace, METER_EV_EXIT, 3));
	recording_free(&rec);
	rig_close(&r);
}

/* The events of a complete trace draw exactly what the kernel added up. */
static void check_picture(unsigned quota_us, char **argv)
{
	uint64_t sum[PARTS] = { 0 }, on_cpu = 0;
	struct recording rec = { 0 };
	struct trace_span *s;
	struct trace_part *p;
	struct rig r;
	size_t n, m;

	rig_open(&r, quota_us);
	record(&r, 0, argv, &rec);
	cr_assert_eq(rec.usage.lost, 0);
	cr_assert(rec.trace.complete);
	cr_assert(!trace_spans(&rec.trace, &s, &n));
	cr_assert(!trace_parts(&rec.trace, s, n, &p, &m));
	for (size_t i = 0; i < m; i++)
		sum[p[i].part] += p[i].to_ns - p[i].from_ns;
	for (size_t i = 0; i < n; i++)
		if (s[i].state == SPAN_RUNNING)
			on_cpu += s[i].to_ns - s[i].from_ns;
	cr_assert_eq(on_cpu, rec.usage.on_cpu_ns + (uint64_t)rec.usage.stolen_ns);
	/* Where the kernel hid a switch, who waited for whom meanwhile was booked by guess. */
	if (!rec.usage.unseen) {
		cr_assert_eq(sum[PART_BUSY], rec.usage.busy_ns, "%" PRId64 " ns more",
			     (int64_t)(sum[PART_BUSY] - rec.usage.busy_ns));
		cr_assert_eq(sum[PART_IDLE], rec.usage.idle_ns);
		cr_assert_eq(sum[PART_QUOTA], rec.usage.quota_ns, "%" PRId64 " ns more",
			     (int64_t)(sum[PART_QUOTA] - rec.usage.quota_ns));
		cr_assert_eq(sum[PART_CONTENTION], rec.usage.contention_ns);
	}
	free(p);
	free(s);
	recording_free(&rec);
	rig_close(&r);
}

Test(meter_trace, the_picture_is_the_sum)
{
	char *argv[] = { (char *)helper(), "burn", "5",	   "fork", "20",
			 "threads",	   "20",   "burn", "5",	   NULL };

	check_picture(0, argv);
}

/* A second thread's execve(2) ends the first one and takes its number: two numbers, three threads.
 */
Test(meter_trace, the_picture_survives_an_exec_by_a_thread)
{
	char *argv[] = { (char *)helper(), "burn", "2",		  "thread-exec", "burn", "2",
			 "fork",	   "3",	   "thread-exec", "burn",	 "2",	 NULL };

	check_picture(0, argv);
}

/* Some leave their CPU for it, some wait already, some wake up while it holds. */
Test(meter_trace, the_picture_of_a_quota)
{
	char *argv[] = { (char *)helper(), "crew", "4", NULL };

	check_picture(5000, argv);
}

/* Whoever traces switches the watching of system calls on; the last one to leave, off. */
Test(meter_trace, system_calls_are_watched_only_while_tracing)
{
	struct cloche_err err = { 0 };
	struct meter m = METER_INIT;
	char path[192];
	int a, b;

	cr_assert(!meter_open(&m, "cloche-meter-test-watch", &err), "%s", err.text);
	(void)snprintf(path, sizeof(path), "%s/exit", m.path);
	cr_assert(access(path, F_OK));
	a = meter_trace_on(&m, &err);
	cr_assert(a >= 0 && !access(path, F_OK), "%s", err.text);
	b = meter_trace_on(&m, &err);
	cr_assert(b >= 0, "%s", err.text);
	meter_trace_off(&m, &a);
	cr_assert(!access(path, F_OK), "somebody still traces");
	meter_trace_sweep(&m);
	cr_assert(!access(path, F_OK), "somebody still traces");
	/* Killed: the lock goes, the links stay until the next one leaves or looks. */
	close(b);
	a = meter_trace_on(&m, &err);
	meter_trace_off(&m, &a);
	cr_assert(access(path, F_OK));
	a = meter_trace_on(&m, &err);
	close(a);
	cr_assert(!access(path, F_OK));
	meter_trace_sweep(&m);
	cr_assert(access(path, F_OK));
	meter_trace_sweep(&m);
	meter_close(&m);
	cr_assert(!meter_remove("cloche-meter-test-watch", NULL));
	cr_assert(access(m.path, F_OK));
}

/*
 * A million denied calls from two processes, more than a thousand in a millisecond where the
 * machine makes as many: what is read and what is counted as lost is what was made, to the event.
 * Beside the denials: the exec, one fork, two exits, and for each switch away one back (but the
 * last one of the first process, which was on its CPU when the record began).
 */
Test(meter_trace, a_flood_is_counted_to_the_event, .timeout = 120)
{
	char *argv[] = { (char *)helper(), "flood", "1000000", NULL };
	struct recording rec = { 0 };
	uint64_t made;
	struct rig r;

	rig_open(&r, 0);
	record(&r, 65536, argv, &rec);
	made = 1000000 + 1 + 1 + 2 - 1 +
	       2 * (rec.usage.switches_voluntary + rec.usage.switches_forced);
	cr_assert_eq(rec.events + rec.usage.lost, made, "%lu read, %lu lost, %lu made, %lu missed",
		     rec.events, rec.usage.lost, made, rec.usage.missed);
	cr_assert_eq(rec.trace.complete, !rec.usage.lost);
	recording_free(&rec);
	rig_close(&r);
}

/* Memory that another thread rewrites while the call waits hides nothing: what the call did is on
 * record, if without the address that it had. */
Test(meter_trace, a_rewritten_argument_hides_no_call)
{
	static const uint32_t types[] = { METER_EV_OPEN, METER_EV_CONNECT };
	static char *const what[] = { "open", "connect" };
	char path[64];
	char *argv[] = { (char *)helper_named("liar"), NULL, path, NULL };
	struct rig r;

	(void)snprintf(path, sizeof(path), "/tmp/cloche-meter-liar-%d", (int)getpid());
	for (int i = 0; i < 2; i++) {
		struct recording rec = { 0 };
		const struct trace_event *e;
		unsigned n = 0;

		argv[1] = what[i];
		rig_open(&r, 0);
		record(&r, 0, argv, &rec);
		cr_assert_eq(unlink(path), 0);
		while (nth(&rec.trace, types[i], n))
			n++;
		cr_assert_eq(n, i + 1U, "%s: %u", what[i], n);
		e = nth(&rec.trace, types[i], 0);
		cr_assert(strstr(e->text, path) && (int64_t)e->value >= 0);
		recording_free(&rec);
		rig_close(&r);
	}
}

/* Unix sockets, by path and by abstract name. */
Test(meter_trace, unix_sockets_are_named)
{
	char path[64], abstract[64], want[80];
	char *argv[] = { (char *)helper(), "unix", path, "unix", abstract, NULL };
	const struct trace_event *e;
	struct recording rec = { 0 };
	struct rig r;

	(void)snprintf(path, sizeof(path), "/tmp/cloche-meter-trace-%d.sock", (int)getpid());
	(void)snprintf(abstract, sizeof(abstract), "@cloche-meter-%d", (int)getpid());
	rig_open(&r, 0);
	record(&r, 0, argv, &rec);
	for (unsigned i = 0; i < 4; i++) {
		(void)snprintf(want, sizeof(want), "unix:%s", i < 2 ? path : abstract);
		e = nth(&rec.trace, i % 2 ? METER_EV_CONNECT : METER_EV_BIND, i / 2);
		cr_assert(e && strcmp(e->text, want) == 0, "%s instead of %s",
			  e ? e->text : "nothing", want);
	}
	recording_free(&rec);
	rig_close(&r);
}

Test(meter_trace, dirt_in_a_number_hides_no_call)
{
	char file[64];
	char *argv[] = { (char *)helper(), "wide", file, NULL };
	const struct trace_event *e;
	struct recording rec = { 0 };
	struct rig r;

	(void)snprintf(file, sizeof(file), "/tmp/cloche-meter-wide-%d", (int)getpid());
	rig_open(&r, 0);
	record(&r, 0, argv, &rec);
	cr_assert(!unlink(file));
	e = nth(&rec.trace, METER_EV_OPEN, 0);
	cr_assert(e && strcmp(e->text, file) == 0, "%s", e ? e->text : "no open");
	recording_free(&rec);
	rig_close(&r);
}

/* What returns from a handler has no number. */
Test(meter_trace, a_handled_signal_leaves_it_complete)
{
	char *argv[] = { (char *)helper(), "handle", "10", "handle", "10", NULL };
	struct rig r;

	rig_open(&r, 0);
	for (int i = 0; i < 5; i++) {
		struct recording rec = { 0 };

		record(&r, 0, argv, &rec);
		cr_assert(rec.trace.complete);
		recording_free(&rec);
	}
	rig_close(&r);
}

/* ---- switches that the kernel hides ---- */

static int blind_fds[3]; /* what the helper has as 60, 61 and 62 */

/* It attaches the program itself: so it is on its CPU then, whoever ran in between. */
static int blind(void *arg)
{
	char *argv[] = { arg, "wait", "60", "attach", "62", "burn", "2", "wait", "60", NULL };

	for (int i = 0; i < 3; i++)
		if (dup2(blind_fds[i], 60 + i) < 0)
			return 3;
	execv(argv[0], argv);
	return 127;
}

/* The program on sched_switch, and its link, whose pin is gone. */
static int switches_take(const struct meter *m, int *ret_link)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);
	char pin[192];
	int program;

	(void)snprintf(pin, sizeof(pin), "%s/meter_switch", m->path);
	*ret_link = bpf_obj_get(pin);
	cr_assert(*ret_link >= 0 && !bpf_obj_get_info_by_fd(*ret_link, &info, &len), "'%s': %m",
		  pin);
	program = bpf_prog_get_fd_by_id(info.prog_id);
	cr_assert(program >= 0 && !unlink(pin));
	return program;
}

static void record_blind(struct rig *r, struct recording *ret)
{
	int to[2], from[2], link, program = switches_take(&r->meter, &link);
	struct cloche_err err = { 0 };
	struct trace_recorder *rec;
	struct child c;
	size_t len;
	long said;
	FILE *f = open_memstream(&ret->text, &len);

	cr_assert(!pipe2(to, O_CLOEXEC) && !pipe2(from, O_CLOEXEC));
	memcpy(blind_fds, (int[]){ to[0], from[1], program }, sizeof(blind_fds));
	cr_assert(!trace_recorder_open(&rec, &r->meter, r->ctx.slot, f, ID, 0, &err), "%s",
		  err.text);
	rig_begin(r, true, true);
	c = rig_spawn(r, blind, (void *)helper());
	rig_await_sleep(&c);
	close(link);
	cr_assert_eq(write(to[1], "", 1), 1);
	cr_assert_eq(read(from[0], &said, sizeof(said)), sizeof(said));
	/* With the child's the link would go before the child's last switch. */
	link = (int)syscall(SYS_pidfd_getfd, c.process.pidfd, said, 0);
	cr_assert(link >= 0, "pidfd_getfd: %m");
	cr_assert_eq(write(to[1], "", 1), 1);
	cr_assert_eq(rig_reap(&c, NULL), 0);
	ret->usage = rig_end_last(r);
	close(link);
	close(program);
	cr_assert(!trace_recorder_close(rec, &ret->usage, &ret->events, &err), "%s", err.text);
	f = fmemopen(ret->text, len, "r");
	cr_assert(!trace_json_read(f, "recording", &ret->trace, &err), "%s", err.text);
	fclose(f);
}

/* That a thread came on a CPU is known at the latest when it leaves it: by its CPU clock. */
Test(meter_trace, a_hidden_switch_is_made_up)
{
	struct recording rec = { 0 };
	uint64_t on_cpu = 0, unseen = 0;
	struct trace_span *s;
	struct rig r;
	size_t n;

	rig_open_alone(&r, "cloche-meter-test-blind");
	record_blind(&r, &rec);
	for (size_t i = 0; i < rec.trace.n; i++)
		unseen += rec.trace.events[i].type == METER_EV_ON &&
			  rec.trace.events[i].arg & METER_ON_UNSEEN;
	cr_expect_geq(rec.usage.unseen, 1);
	cr_expect_eq(unseen, rec.usage.unseen);
	cr_expect_eq(rec.usage.missed, 0);
	cr_expect(rec.trace.complete);
	cr_assert(!trace_spans(&rec.trace, &s, &n));
	for (size_t i = 0; i < n; i++)
		if (s[i].state == SPAN_RUNNING)
			on_cpu += s[i].to_ns - s[i].from_ns;
	cr_expect_eq(on_cpu, rec.usage.on_cpu_ns + (uint64_t)rec.usage.stolen_ns,
		     "%" PRIu64 ", %" PRIu64 " + %" PRId64, on_cpu, rec.usage.on_cpu_ns,
		     rec.usage.stolen_ns);
	cr_expect_geq(rec.usage.busy_ns, 2 * NSEC_PER_MSEC);
	free(s);
	recording_free(&rec);
	rig_close(&r);
}
