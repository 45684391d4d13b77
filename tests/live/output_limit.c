/* SPDX-License-Identifier: MIT */
/*
 * The output limit is the warden's: whatever its driver does, or that it does nothing, no byte more
 * gets through, and none of those that may is lost.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "tests/lib/run.h"
#include "tests/lib/scene.h"

static const struct context_options kept = { .clock.fd = -1 };

struct ends {
	int read, write;
};

static struct ends pipe_open(void)
{
	int p[2];

	cr_assert_eq(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0, "%m");
	return (struct ends){ p[0], p[1] };
}

static void pipe_close(struct ends *e)
{
	fd_close(&e->read);
	fd_close(&e->write);
}

/* All that is in it now. */
static size_t take_all(int fd)
{
	static char buf[65536];
	size_t all = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		all += (size_t)n;
	cr_assert(n == 0 || errno == EAGAIN, "%m");
	return all;
}

/* Both streams into that pipe, or one into each. */
static void begin(struct scene *s, const char *script, uint64_t limit, int out, int err)
{
	scene_ask(s, script, 300 * NSEC_PER_SEC);
	s->spec.output_bytes = limit;
	s->out = out;
	s->err = err;
	scene_begin(s, &kept);
}

static void expect_message(struct scene *s, enum warden_message type)
{
	struct cloche_err err = { 0 };
	struct warden_msg m;

	cr_assert_eq(context_recv(&s->ctx, &m, &err), 0, "%s", err.text);
	cr_assert_eq(m.type, type, "%u", m.type);
}

Test(output_limit, holds_while_nobody_drives)
{
	struct ends p = pipe_open();
	struct scene s;

	begin(&s, "yes & yes >&2 & wait", 1000, p.write, p.write);
	scene_hear_end(&s);
	cr_expect_eq(shared_ended_by(s.ctx.plan.shared), ENDED_BY_OUTPUT);
	cr_expect_eq(s.ended.flags, WARDEN_CUT);
	cr_expect_eq(take_all(p.read), 1000);
	scene_finish(&s);
	pipe_close(&p);
}

Test(output_limit, is_one_for_both_streams)
{
	struct ends out = pipe_open(), err = pipe_open();
	struct scene s;

	begin(&s, "yes & yes >&2 & wait", 100000, out.write, err.write);
	scene_hear_end(&s);
	cr_expect_eq(shared_ended_by(s.ctx.plan.shared), ENDED_BY_OUTPUT);
	cr_expect(s.ended.flags & WARDEN_CUT);
	if (s.ended.flags & WARDEN_MORE) {
		size_t early = take_all(out.read) + take_all(err.read);

		expect_message(&s, WARDEN_PASSED);
		cr_expect_eq(early + take_all(out.read) + take_all(err.read), 100000);
	} else {
		cr_expect_eq(take_all(out.read) + take_all(err.read), 100000);
	}
	scene_finish(&s);
	pipe_close(&out);
	pipe_close(&err);
}

/* Just as much as may be is no cut. */
Test(output_limit, may_be_used_up)
{
	struct ends p = pipe_open();
	struct scene s;

	begin(&s, "head -c 1000 /dev/zero", 1000, p.write, p.write);
	scene_hear_end(&s);
	cr_expect_eq(s.ended.flags, 0);
	cr_expect_eq(shared_ended_by(s.ctx.plan.shared), ENDED_BY_ITSELF);
	cr_expect_eq(take_all(p.read), 1000);
	scene_finish(&s);
	pipe_close(&p);
}

/* More than its driver's pipe holds, whose reader comes after the end. */
Test(output_limit, what_fits_is_kept_for_a_slow_reader)
{
	struct ends p = pipe_open();
	struct scene s;
	size_t early;

	begin(&s, "head -c 100000 /dev/zero", 1000000, p.write, p.write);
	scene_hear_end(&s);
	cr_expect_eq(s.ended.flags, WARDEN_MORE);
	early = take_all(p.read);
	expect_message(&s, WARDEN_PASSED);
	cr_expect_eq(early + take_all(p.read), 100000);
	scene_finish(&s);
	pipe_close(&p);
}

/* Its reader is waited for as long as its driver does. */
Test(output_limit, the_rest_is_dropped_for_the_next_invocation)
{
	struct ends p = pipe_open();
	struct cloche_err err = { 0 };
	struct scene s;

	begin(&s, "head -c 100000 /dev/zero", 1000000, p.write, p.write);
	scene_hear_end(&s);
	cr_expect_eq(s.ended.flags, WARDEN_MORE);
	cr_assert_eq(context_send(&s.ctx, WARDEN_PROVE, &err), 0, "%s", err.text);
	expect_message(&s, WARDEN_PROVED);
	cr_expect_lt(take_all(p.read), 100000);
	scene_finish(&s);
	pipe_close(&p);
}

/* What a write to it may hold up is not written to. */
Test(output_limit, takes_nothing_but_pipes)
{
	struct cloche_err err = { 0 };
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct scene s;

	scene_ask(&s, "echo hi", 300 * NSEC_PER_SEC);
	s.spec.output_bytes = 1000;
	cr_assert_eq(context_create(&s.launcher, &s.spec, &kept, &s.ctx, &err), 0, "%s", err.text);
	cr_assert_eq(context_go(&s.ctx, &s.spec, (int[]){ null, null, null }, false, &err), 0);
	expect_message(&s, WARDEN_FAILED);
	expect_has(s.ctx.plan.shared->err.text, "an output limit is for pipes only");
	scene_finish(&s);
}

/* As without one; by a pipe that is another than the caller's. */
Test(output_limit, streams_open_by_name)
{
	static const char script[] = "echo a >/dev/stdout && echo b >/proc/self/fd/1 && "
				     "echo c >/dev/stderr && ! (: </dev/stdout) 2>/dev/null";
	cleanup_run struct run run = { 0 };

	CLOCHE(&run, "run", "-q", "--output-limit", "1K", "--", "sh", "-c", script);
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect_str_eq(run.out, "a\nb\n");
	cr_expect_str_eq(run.err, "c\n");
}
