/* SPDX-License-Identifier: MIT */
/* Keeps a process and drives it: see kept_rig.h. */
#include "tests/lib/kept_rig.h"

#include "base/clock.h"
#include "base/err.h"
#include "tests/lib/env.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_NS (60 * NSEC_PER_SEC)
#define LONG_NS	    (60 * NSEC_PER_SEC)

void kept_rig_step(struct kept_rig *r)
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

void kept_rig_drive_to(struct kept_rig *r, enum kept_state state)
{
	while (kept_state(&r->kept) != state) {
		cr_assert_neq(kept_state(&r->kept), KEPT_OVER, "%s, %x: %s: %s",
			      verdict_text(r->out.verdict), r->out.status, r->out.err.stage,
			      r->out.err.text);
		kept_rig_step(r);
	}
}

void kept_rig_drive_to_end(struct kept_rig *r)
{
	while (kept_state(&r->kept) != KEPT_OVER)
		kept_rig_step(r);
}

char kept_rig_hear(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c = 0;

	cr_assert_eq(poll(&p, 1, (int)(PATIENCE_NS / NSEC_PER_MSEC)), 1, "it says nothing");
	cr_assert_eq(read(fd, &c, 1), 1);
	return c;
}

void kept_rig_ask(struct kept_rig *r, const char *helper_arg)
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

void kept_rig_begin(struct kept_rig *r)
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
	powers_local_init(&r->powers, kept_rig_ctx(r), &r->metering);
	k.powers = &r->powers.powers;
	k.streams = (int[]){ in[0], out[1], more[1] };
	kept_begin(&r->kept, kept_rig_ctx(r), &k, &r->out);
	(void)close(in[0]);
	(void)close(out[1]);
	(void)close(more[1]);
}

/* Init is over. */
void kept_rig_pause(struct kept_rig *r, enum verdict answered)
{
	kept_rig_drive_to(r, KEPT_RUNNING);
	kept_pause(&r->kept, answered);
	kept_rig_drive_to(r, KEPT_IDLE);
	cr_assert(r->kept.whole);
	cr_assert_eq(r->out.verdict, answered, "%s", verdict_text(r->out.verdict));
	/* What was before and will be after is not in it. */
	cr_expect_gt(r->out.wall_ns, 0);
	if (!r->timers)
		cr_expect_leq(r->out.wall_ns, clock_now_ns() - kept_began_ns(&r->kept));
}

void kept_rig_start(struct kept_rig *r, const char *helper_arg)
{
	kept_rig_ask(r, helper_arg);
	kept_rig_begin(r);
	kept_rig_drive_to(r, KEPT_RUNNING);
	cr_assert_eq(kept_rig_hear(r->from), 'n');
	kept_rig_pause(r, VERDICT_OK);
}

void kept_rig_resume(struct kept_rig *r, char event, int64_t timeout_ns)
{
	cr_assert_eq(write(r->to, &event, 1), 1);
	r->out = (struct outcome){ .err = { 0 } };
	cr_assert(kept_resume(&r->kept, timeout_ns, clock_now_ns(), &r->out));
}

void kept_rig_serve(struct kept_rig *r, char event)
{
	kept_rig_resume(r, event, LONG_NS);
	kept_rig_drive_to(r, KEPT_RUNNING);
	cr_assert_eq(kept_rig_hear(r->from), event);
	kept_rig_pause(r, VERDICT_OK);
}

void kept_rig_finish(struct kept_rig *r)
{
	struct cloche_err err = { 0 };

	metering_disarm(&r->metering);
	cr_expect_eq(context_destroy(&r->launcher, kept_rig_ctx(r), &err), 0, "%s", err.text);
	metering_close(&r->metering);
	launcher_close(&r->launcher);
	(void)close(r->to);
	(void)close(r->from);
	(void)close(r->more);
	free((void *)(uintptr_t)r->spec.binds);
	free(r->helper);
}

void kept_rig_expect_end(struct kept_rig *r, enum verdict verdict)
{
	kept_rig_drive_to_end(r);
	cr_expect(r->kept.whole);
	cr_expect_eq(r->out.verdict, verdict, "%s, not %s: %s", verdict_text(r->out.verdict),
		     verdict_text(verdict), r->out.err.text);
}

void kept_rig_expect_closed(const struct kept_rig *r)
{
	const struct meter_usage *m = outcome_metered(&r->out);

	cr_assert_not_null(m, "%s", r->out.metered.why);
	cr_expect_eq(m->wall_ns, m->busy_ns + m->waiting_ns + m->idle_ns);
	cr_expect_eq((uint64_t)r->out.wall_ns, m->wall_ns);
	cr_expect(m->complete);
}
