/* SPDX-License-Identifier: MIT */
/*
 * The warden, pid 1 of a context, by the library's own interface: what it holds, whom it serves,
 * what it hears. Several contexts are made by one process, and one context serves several callers,
 * as with a daemon and never with `cloche run`. Needs root.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "launch/launcher.h"
#include "launch/message.h"
#include "launch/spec.h"
#include "tests/lib/env.h"
#include "tests/lib/scene.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void fds_of(pid_t pid, struct open_fds *ret)
{
	cr_assert(open_fds_of(pid, ret), "%d: %m", (int)pid);
}

static bool is_in(const struct open_fds *set, int fd)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->fd[i] == fd)
			return true;
	return false;
}

/* The same open file, not another one of the same name. */
static bool same_open_file(int mine, pid_t pid, int its)
{
	long r = syscall(SYS_kcmp, getpid(), pid, KCMP_FILE, mine, its);

	if (r < 0 && errno == ENOSYS)
		test_skip("no kcmp(2) in this kernel");
	cr_assert_geq(r, 0, "kcmp: %m");
	return r == 0;
}

static void open_launcher(struct launcher *ret)
{
	struct cloche_err err = { 0 };

	cr_assert_eq(launcher_open(ret, &err), 0, "%s", err.text);
}

static void ask_for(struct spec *ret, char *const *argv)
{
	struct spec_host host;
	struct cloche_err err = { 0 };

	spec_host_read(&host);
	spec_defaults(ret);
	ret->argv = argv;
	cr_assert_eq(spec_check(ret, &host, &err), 0, "%s", err.text);
}

static void expect_message(struct context *ctx, enum warden_message type)
{
	struct cloche_err err = { 0 };
	struct warden_msg m;

	cr_assert_eq(context_recv(ctx, &m, &err), 0, "%s", err.text);
	cr_assert_eq(m.type, type, "%u: %s", m.type, ctx->plan.shared->err.text);
}

static void create(struct launcher *l, const struct spec *spec, struct context *ret)
{
	struct context_options how = { .clock = { .fd = -1 } };
	struct cloche_err err = { 0 };

	cr_assert_eq(context_create(l, spec, &how, ret, &err), 0, "%s", err.text);
}

static void go(struct context *ctx, const struct spec *spec, int out)
{
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const int streams[3] = { null, out < 0 ? null : out, null };
	struct cloche_err err = { 0 };

	cr_assert_eq(context_go(ctx, spec, streams, false, &err), 0, "%s", err.text);
}

/* With a function process that runs, all its streams /dev/null. */
static void start(struct launcher *l, const struct spec *spec, struct context *ret)
{
	create(l, spec, ret);
	go(ret, spec, -1);
	expect_message(ret, WARDEN_STARTED);
}

static void destroy(struct launcher *l, struct context *ctx)
{
	struct cloche_err err = { 0 };

	cr_expect_eq(context_destroy(l, ctx, &err), 0, "%s", err.text);
}

/* What all contexts of a launcher have in common. */
static void leave_out(struct open_fds *set, const struct launcher *l)
{
	struct open_fds common = { .n = 0 }, left = { .n = 0 };

	common.fd[common.n++] = l->run_fd;
	common.fd[common.n++] = l->null;
	common.fd[common.n++] = l->hierarchy.v2;
	common.fd[common.n++] = l->bounds.slots;
	for (int i = 0; i < CONTROLLER_N; i++)
		common.fd[common.n++] = l->hierarchy.ctl[i];
	for (int i = 0; i < BOUNDS_LINKS; i++)
		common.fd[common.n++] = l->bounds.links[i];
	for (size_t i = 0; i < set->n; i++)
		if (!is_in(&common, set->fd[i]))
			left.fd[left.n++] = set->fd[i];
	*set = left;
}

/*
 * Two contexts of one process: the second one's warden has nothing of what was open in its maker
 * before, which is the maker's own (its streams, a pipe) and the first context's: slot lock,
 * control socket, what it executes, cgroups, pidfd.
 */
Test(warden, holds_nothing_of_another_context)
{
	char *const argv[] = { "sleep", "60", NULL };
	struct context first, second;
	struct launcher l;
	struct open_fds before, its;
	struct spec spec;
	int pipe[2];

	open_launcher(&l);
	ask_for(&spec, argv);
	cr_assert_eq(pipe2(pipe, O_CLOEXEC), 0);
	start(&l, &spec, &first);
	fds_of(0, &before);
	leave_out(&before, &l);
	cr_assert(is_in(&before, first.control) && is_in(&before, first.slot.fd) &&
		  is_in(&before, first.executed) && is_in(&before, pipe[1]));
	start(&l, &spec, &second);
	fds_of(second.warden.pid, &its);
	cr_assert_gt(its.n, 3);
	for (size_t i = 0; i < before.n; i++)
		for (size_t k = 0; k < its.n; k++)
			cr_expect(!same_open_file(before.fd[i], second.warden.pid, its.fd[k]),
				  "its %d is what its maker had open as %d before", its.fd[k],
				  before.fd[i]);
	destroy(&l, &second);
	destroy(&l, &first);
	launcher_close(&l);
	(void)close(pipe[0]);
	(void)close(pipe[1]);
}

/* ---- one context, several callers ---- */

static void prove(struct context *ctx)
{
	struct cloche_err err = { 0 };

	cr_assert_eq(context_send(ctx, WARDEN_PROVE, &err), 0, "%s", err.text);
	expect_message(ctx, WARDEN_PROVED);
}

/* Proved clean, with new cgroups; the kernel may say that the old ones are busy for a moment. */
static void make_new(struct launcher *l, struct context *ctx)
{
	struct cloche_err err = { 0 };
	int r;

	prove(ctx);
	while ((r = context_renew(l, ctx, &err)) == -EBUSY)
		(void)sched_yield();
	cr_assert_eq(r, 0, "%s", err.text);
}

/* All that one invocation writes, to the end of its stream, which comes though the context stays.
 */
static size_t serve(struct context *ctx, const struct spec *spec, char *ret, size_t size)
{
	int out[2];
	ssize_t k;
	size_t n = 0;

	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	go(ctx, spec, out[1]);
	(void)close(out[1]);
	while (n < size - 1 && (k = read(out[0], ret + n, size - 1 - n)) > 0)
		n += (size_t)k;
	ret[n] = '\0';
	(void)close(out[0]);
	expect_message(ctx, WARDEN_STARTED);
	expect_message(ctx, WARDEN_ENDED);
	return n;
}

/* Command, arguments, environment, directory and streams are the invocation's, not the context's;
 * nothing of one is there for the next. */
Test(warden, serves_different_commands_and_callers)
{
	char *const first[] = { "sh", "-c", "echo $0 $WHO $(pwd)", "one", NULL };
	char *const second[] = { "printenv", NULL };
	char *const who[] = { "WHO=alice", NULL }, *const nobody[] = { NULL };
	struct launcher l;
	struct context ctx;
	struct spec spec, other;
	char text[4096];

	open_launcher(&l);
	ask_for(&spec, first);
	spec.env = who;
	create(&l, &spec, &ctx);
	(void)serve(&ctx, &spec, text, sizeof(text));
	cr_expect_str_eq(text, "one alice /tmp\n");
	make_new(&l, &ctx);
	ask_for(&other, second);
	other.env = nobody;
	(void)serve(&ctx, &other, text, sizeof(text));
	cr_expect_not_null(strstr(text, "PATH="), "%s", text);
	cr_expect_null(strstr(text, "WHO"), "%s", text);
	make_new(&l, &ctx);
	spec.workdir = "/usr";
	(void)serve(&ctx, &spec, text, sizeof(text));
	cr_expect_str_eq(text, "one alice /usr\n");
	destroy(&l, &ctx);
	launcher_close(&l);
}

/* Proved and renewed as the driver of a metered context does; settled as cgroup_keep() has it. What
 * stayed. */
static uint32_t make_new_of(struct launcher *l, struct context *ctx, bool settled)
{
	struct cloche_err err = { 0 };
	uint32_t kept;
	int r;

	cr_assert_eq(context_prove(ctx, settled, &err), 0, "%s", err.text);
	expect_message(ctx, WARDEN_PROVED);
	kept = ctx->kept;
	while ((r = context_renew(l, ctx, &err)) == -EBUSY)
		(void)sched_yield();
	cr_assert_eq(r, 0, "%s", err.text);
	return kept;
}

static ino_t inode_of(int fd)
{
	struct stat st;

	cr_assert_eq(fstat(fd, &st), 0);
	return st.st_ino;
}

/* Of a host's cgroups those stay of which the next invocation learns nothing: never that of the
 * memory, and so none where there is but one. */
Test(warden, cgroups_that_tell_nothing_stay)
{
	char *const one[] = { "true", NULL };
	char *const crowd[] = { "sh", "-c", "for i in 1 2 3 4; do sleep 0.1 & done; wait", NULL };
	const uint32_t pids = 1U << CONTROLLER_PIDS, memory = 1U << CONTROLLER_MEMORY;
	struct launcher l;
	struct context ctx;
	struct spec spec;
	char text[64];
	ino_t v2, mem;
	uint32_t kept;

	open_launcher(&l);
	ask_for(&spec, one);
	create(&l, &spec, &ctx);
	for (int i = 0; i < 4; i++) {
		bool settled = i != 2;

		ask_for(&spec, i == 3 ? crowd : one);
		spec.timeout_ns = 60 * NSEC_PER_SEC;
		(void)serve(&ctx, &spec, text, sizeof(text));
		v2 = inode_of(ctx.plan.cgroup.v2);
		mem = ctx.plan.cgroup.ctl[CONTROLLER_MEMORY];
		mem = mem == (ino_t)-1 ? 0 : inode_of((int)mem);
		kept = make_new_of(&l, &ctx, settled);
		cr_expect_not(kept & memory);
		if (l.hierarchy.ctl[CONTROLLER_MEMORY] < 0) {
			cr_expect_eq(kept, 0);
			cr_expect_neq(inode_of(ctx.plan.cgroup.v2), v2);
			continue;
		}
		cr_expect_neq(inode_of(ctx.plan.cgroup.ctl[CONTROLLER_MEMORY]), mem);
		cr_expect_eq(inode_of(ctx.plan.cgroup.v2) == v2, settled, "the %dth", i);
		if (faccessat(ctx.plan.cgroup.ctl[CONTROLLER_PIDS], "pids.peak", F_OK, 0) == 0)
			cr_expect_eq(kept & pids, settled && i < 3 ? pids : 0, "the %dth", i);
	}
	destroy(&l, &ctx);
	launcher_close(&l);
}

/* Nobody waits for a cgroup that cannot be removed: its user is told, and may come again. */
Test(warden, renewing_waits_for_nothing)
{
	char *const argv[] = { "echo", "one", NULL };
	struct cloche_err err = { 0 };
	struct launcher l;
	struct context ctx;
	struct spec spec;
	char text[64];

	open_launcher(&l);
	ask_for(&spec, argv);
	create(&l, &spec, &ctx);
	(void)serve(&ctx, &spec, text, sizeof(text));
	prove(&ctx);
	cr_assert_eq(mkdirat(ctx.plan.cgroup.v2, "busy", 0755), 0, "%m");
	for (int i = 0; i < 2; i++) {
		cr_expect_eq(context_renew(&l, &ctx, &err), -EBUSY, "%s", err.text);
		cr_assert_geq(ctx.plan.cgroup.v2, 0, "it can be tried again");
	}
	cr_assert_eq(unlinkat(ctx.plan.cgroup.v2, "busy", AT_REMOVEDIR), 0);
	while (context_renew(&l, &ctx, &err) == -EBUSY)
		(void)sched_yield();
	(void)serve(&ctx, &spec, text, sizeof(text));
	cr_expect_str_eq(text, "one\n");
	destroy(&l, &ctx);
	launcher_close(&l);
}

static size_t size_of(pid_t pid)
{
	char path[32];
	cleanup_file FILE *f = NULL;
	size_t pages = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	f = fopen(path, "re");
	cr_assert(f && fscanf(f, "%zu", &pages) == 1);
	return pages;
}

/* More than a message holds goes as a file in memory; it is gone afterwards. */
Test(warden, takes_long_orders_and_keeps_none)
{
	enum { LONG = 100000, N = 10 };
	char *argv[N + 5] = { "sh", "-c", "for i; do echo ${#i}; done", "sh" },
		       want[N * 7 + 1] = "";
	cleanup_free char *arg = malloc(LONG + 1);
	struct launcher l;
	struct context ctx;
	struct spec spec;
	char text[4096];
	struct open_fds fds;
	size_t pages = 0, n = 0;

	cr_assert_not_null(arg);
	memset(arg, 'x', LONG);
	arg[LONG] = '\0';
	for (int i = 0; i < N; i++) {
		argv[4 + i] = arg;
		(void)snprintf(want + i * 7, 8, "%d\n", LONG);
	}
	open_launcher(&l);
	ask_for(&spec, argv);
	create(&l, &spec, &ctx);
	for (int i = 0; i < 3; i++) {
		if (i)
			make_new(&l, &ctx);
		(void)serve(&ctx, &spec, text, sizeof(text));
		cr_expect_str_eq(text, want);
		fds_of(ctx.warden.pid, &fds);
		if (i == 1) {
			pages = size_of(ctx.warden.pid);
			n = fds.n;
		}
	}
	cr_expect_eq(size_of(ctx.warden.pid), pages);
	cr_expect_eq(fds.n, n);
	destroy(&l, &ctx);
	launcher_close(&l);
}

/* ---- the end, and who keeps the deadline ---- */

static struct context_options plain = { .clock = { .fd = -1 } };

static void begin(struct scene *s, const struct context_options *how, const char *script,
		  int64_t timeout_ns)
{
	scene_ask(s, script, timeout_ns);
	scene_begin(s, how);
}

Test(warden, tells_the_end_when_nothing_is_left)
{
	struct scene s;

	begin(&s, &plain, "sleep 60 & sleep 60 & exit 3", 60 * NSEC_PER_SEC);
	scene_hear_end(&s);
	cr_expect_eq(s.ended.flags, WARDEN_LEFT);
	cr_expect(WIFEXITED(s.ended.status) && WEXITSTATUS(s.ended.status) == 3);
	cr_expect_not(context_kill(&s.ctx), "it was over");
	scene_finish(&s);
}

Test(warden, keeps_the_deadline)
{
	struct scene s;

	begin(&s, &plain, "sleep 60 & sleep 60", NSEC_PER_SEC / 5);
	scene_hear_end(&s);
	cr_expect_eq(s.ended.flags, 0);
	cr_expect_eq(shared_ended_by(s.ctx.plan.shared), ENDED_BY_DEADLINE);
	cr_expect_eq(s.ended.deadline_ns, s.started.at_ns + NSEC_PER_SEC / 5);
	cr_expect_geq(s.ended.dead_ns, s.ended.deadline_ns);
	cr_expect_not(context_kill(&s.ctx), "the deadline was first");
	scene_finish(&s);
}

/* It says that it kills, and is held up before it does: what was the cause stays the cause, and the
 * deadline the deadline. */
Test(warden, keeps_the_deadline_of_what_the_launcher_was_to_kill)
{
	struct scene s;

	begin(&s, &plain, "sleep 60 & sleep 60", NSEC_PER_SEC / 5);
	cr_assert(shared_claim(s.ctx.plan.shared, ENDED_BY_LAUNCHER));
	scene_hear_end(&s);
	cr_expect_eq(s.ended.flags, 0);
	cr_expect_geq(s.ended.dead_ns, s.started.at_ns + NSEC_PER_SEC / 5);
	scene_finish(&s);
}

/* Orphans in a crowd, all the time, so that there is always one to reap. */
Test(warden, keeps_the_deadline_among_orphans)
{
	struct scene s;

	begin(&s, &plain, "while :; do (: & : & : &) done", NSEC_PER_SEC / 2);
	scene_hear_end(&s);
	cr_expect_eq(s.ended.flags, 0);
	cr_expect_eq(shared_ended_by(s.ctx.plan.shared), ENDED_BY_DEADLINE);
	scene_finish(&s);
}

/* What the clock says is in a file: how late after the exec it began, -1: it has not. Each question
 * is counted. */
struct answer {
	int64_t begin_ns;
	uint64_t asked;
};

static int say_began(int fd, unsigned slot, int64_t *ret_ns)
{
	struct answer answer;

	if (pread(fd, &answer, sizeof(answer), 0) != sizeof(answer))
		return -EIO;
	answer.asked++;
	if (pwrite(fd, &answer, sizeof(answer), 0) != sizeof(answer))
		return -EIO;
	*ret_ns = answer.begin_ns;
	return answer.begin_ns > 0;
}

static void write_said(int fd, int64_t begin_ns)
{
	struct answer answer = { .begin_ns = begin_ns };

	cr_assert_eq(pwrite(fd, &answer, sizeof(answer), 0), sizeof(answer));
}

/* What the clock does not know of is as if it were not there. */
static int say_nothing(int fd, unsigned slot, uint64_t *ret)
{
	return -ENODATA;
}

static int say_used(int fd, unsigned slot, uint64_t *ret_ns)
{
	return pread(fd, ret_ns, sizeof(*ret_ns), 0) == sizeof(*ret_ns) ? 1 : -EIO;
}

/* By the cgroup where there is no clock; of what sleeps there is hardly any used. */
Test(warden, keeps_the_limit_of_cpu_time)
{
	static const struct {
		const char *script;
		enum ended_by why;
	} rows[] = {
		{ "while :; do :; done", ENDED_BY_CPU_TIME },
		{ "while :; do (: & :); done", ENDED_BY_CPU_TIME },
		{ "exec sleep 60", ENDED_BY_DEADLINE },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* An emulated guest uses a good deal of it for the exec. */
		const int64_t limit_ns =
			rows[i].why == ENDED_BY_DEADLINE ? 2 * NSEC_PER_SEC : NSEC_PER_SEC / 5;
		uint64_t used_ns;
		struct scene s;

		scene_ask(&s, rows[i].script,
			  rows[i].why == ENDED_BY_DEADLINE ? 4 * NSEC_PER_SEC : 300 * NSEC_PER_SEC);
		s.spec.cpu_time_ns = limit_ns;
		scene_begin(&s, &plain);
		scene_hear_end(&s);
		used_ns = cgroup_cpu_ns(&s.ctx.plan.cgroup) - (uint64_t)s.started.cpu_ns;
		cr_expect_eq(shared_ended_by(s.ctx.plan.shared), rows[i].why, "%s", rows[i].script);
		cr_expect_eq(used_ns >= (uint64_t)limit_ns, rows[i].why == ENDED_BY_CPU_TIME, "%s",
			     rows[i].script);
		scene_finish(&s);
	}
}

Test(warden, counts_the_cpu_time_that_the_clock_knows)
{
	cleanup_fd int fd = memfd_create("clock", MFD_CLOEXEC);
	struct context_options how = { .clock = { .fd = fd,
						  .began = say_began,
						  .used = say_used,
						  .asked_from = say_nothing } };
	uint64_t used_ns = NSEC_PER_SEC / 5 - 1;
	struct scene s;

	cr_assert_eq(pwrite(fd, &used_ns, sizeof(used_ns), 0), sizeof(used_ns));
	scene_ask(&s, "exec sleep 300", 300 * NSEC_PER_SEC);
	s.spec.cpu_time_ns = NSEC_PER_SEC / 5;
	scene_begin(&s, &how);
	used_ns++;
	cr_assert_eq(pwrite(fd, &used_ns, sizeof(used_ns), 0), sizeof(used_ns));
	scene_hear_end(&s);
	cr_expect_eq(shared_ended_by(s.ctx.plan.shared), ENDED_BY_CPU_TIME);
	scene_finish(&s);
}

Test(warden, counts_from_the_beginning_that_the_clock_knows)
{
	cleanup_fd int fd = memfd_create("clock", MFD_CLOEXEC);
	struct context_options how = { .clock = { .fd = fd,
						  .began = say_began,
						  .used = say_nothing,
						  .asked_from = say_nothing } };
	int64_t timeout_ns = NSEC_PER_SEC / 2;
	struct scene s;

	write_said(fd, 0);
	begin(&s, &how, "sleep 60", timeout_ns);
	write_said(fd, s.started.at_ns + NSEC_PER_SEC / 10);
	scene_hear_end(&s);
	cr_expect_eq(s.ended.flags, 0);
	cr_expect_eq(shared_ended_by(s.ctx.plan.shared), ENDED_BY_DEADLINE);
	cr_expect_eq(s.ended.deadline_ns, s.started.at_ns + NSEC_PER_SEC / 10 + timeout_ns);
	scene_finish(&s);
}

/* Neither a clock that never knows, nor one that knows of something earlier, is waited for without
 * end. */
Test(warden, waits_so_long_for_a_beginning_and_no_longer)
{
	cleanup_fd int fd = memfd_create("clock", MFD_CLOEXEC);
	struct context_options how = { .clock = { .fd = fd,
						  .began = say_began,
						  .used = say_nothing,
						  .asked_from = say_nothing } };

	for (int64_t begin_ns = 0; begin_ns < 2; begin_ns++) {
		struct answer answer;
		struct scene s;

		write_said(fd, begin_ns);
		begin(&s, &how, "sleep 60", NSEC_PER_SEC / 50);
		scene_hear_end(&s);
		cr_expect_eq(s.ended.flags, 0);
		cr_expect_eq(shared_ended_by(s.ctx.plan.shared), ENDED_BY_DEADLINE);
		cr_expect_geq(s.ended.dead_ns - s.started.at_ns, 11 * (NSEC_PER_SEC / 50));
		cr_assert_eq(pread(fd, &answer, sizeof(answer), 0), sizeof(answer));
		cr_expect_eq(answer.asked, 11);
		scene_finish(&s);
	}
}

/* ---- what is said out of turn ---- */

enum said {
	SAID_GO,
	SAID_RENEW,
	SAID_PROVE,
	SAID_LEAVE,
	SAID_ANSWER,
	SAID_UNKNOWN,
	SAID_SHORT,
	SAID_MORE,
	SAID_WITH_FD
};

/* The state that the context is in when something is said, which fits into none of them. */
static const struct {
	const char *what;
	enum said said;
	enum { WHILE_RENEWED, WHILE_RUNNING, WHILE_USED } when;
} wrongs[] = {
	{ "go, of nothing", SAID_GO, WHILE_RENEWED },
	{ "go, to one that runs", SAID_GO, WHILE_RUNNING },
	{ "go, unproved", SAID_GO, WHILE_USED },
	{ "renew, twice", SAID_RENEW, WHILE_RENEWED },
	{ "renew, unproved", SAID_RENEW, WHILE_USED },
	{ "prove, unused", SAID_PROVE, WHILE_RENEWED },
	{ "prove, running", SAID_PROVE, WHILE_RUNNING },
	{ "leave, running", SAID_LEAVE, WHILE_RUNNING },
	{ "its own words", SAID_ANSWER, WHILE_USED },
	{ "no word", SAID_UNKNOWN, WHILE_USED },
	{ "half a message", SAID_SHORT, WHILE_USED },
	{ "more than a message", SAID_MORE, WHILE_USED },
	{ "a descriptor that is not asked for", SAID_WITH_FD, WHILE_USED },
};

static void say(int socket, enum said said)
{
	struct {
		struct warden_msg m;
		char more[8];
	} text = { .m = { .type = WARDEN_PROVE } };
	struct message_fds fds = { .fd = { STDIN_FILENO }, .n = said == SAID_WITH_FD };
	static const enum warden_message types[] = {
		[SAID_GO] = WARDEN_GO,	      [SAID_RENEW] = WARDEN_RENEW,
		[SAID_LEAVE] = WARDEN_LEAVE,  [SAID_PROVE] = WARDEN_PROVE,
		[SAID_ANSWER] = WARDEN_ENDED, [SAID_UNKNOWN] = WARDEN_MESSAGES + 7,
	};
	size_t len = sizeof(text.m);

	if (said <= SAID_UNKNOWN)
		text.m.type = types[said];
	if (said == SAID_SHORT)
		len--;
	if (said == SAID_MORE)
		len = sizeof(text);
	if (said == SAID_WITH_FD)
		cr_assert_eq(message_send(socket, &text.m, NULL, &fds), 0);
	else
		cr_assert_eq(send(socket, &text, len, MSG_NOSIGNAL), (ssize_t)len, "%m");
}

Test(warden, ends_when_it_is_told_something_out_of_turn)
{
	char *const argv[] = { "cat", NULL };
	struct launcher l;
	struct spec spec;

	open_launcher(&l);
	ask_for(&spec, argv);
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		struct cloche_err err = { 0 };
		struct context ctx;
		struct warden_msg m;
		int in[2];

		create(&l, &spec, &ctx);
		cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
		if (wrongs[i].when != WHILE_RENEWED) {
			cr_assert_eq(context_go(&ctx, &spec, (int[]){ in[0], in[1], in[1] }, false,
						&err),
				     0, "%s", err.text);
			expect_message(&ctx, WARDEN_STARTED);
		}
		(void)close(in[0]);
		if (wrongs[i].when == WHILE_USED) {
			cr_assert(context_kill(&ctx));
			expect_message(&ctx, WARDEN_ENDED);
		}
		(void)close(in[1]);
		say(ctx.control, wrongs[i].said);
		cr_expect(context_recv(&ctx, &m, &err) < 0, "%s: it goes on", wrongs[i].what);
		cr_expect_eq(err.code, EPROTO, "%s: %s", wrongs[i].what, err.text);
		cr_expect_eq(waitpid(ctx.warden.pid, NULL, 0), ctx.warden.pid, "%s: it lives",
			     wrongs[i].what);
		cr_expect_eq(cgroup_populated(&ctx.plan.cgroup), 0, "%s: a function lives",
			     wrongs[i].what);
		process_close(&ctx.warden);
		destroy(&l, &ctx);
	}
	launcher_close(&l);
}
