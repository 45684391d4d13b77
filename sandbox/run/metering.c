/* SPDX-License-Identifier: MIT */
/* Puts the BPF meter beside a context: see metering.h. */
#include "run/metering.h"

#include "base/err.h"
#include "launch/launcher.h"
#include "policy/policy.h"
#include "run/outcome.h"
#include "trace/trace.h"
#include "trace/trace_recorder.h"
#include "trace/trace_store.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bpf/meter_abi.h"

/* In mode auto an error is a reason. */
static int error_or_reason(struct metering *m, int r, const struct cloche_err *why)
{
	if (r == 0)
		return 0;
	(void)snprintf(m->why, sizeof(m->why), "the BPF meter cannot be used: %.100s", why->text);
	return m->mode == METERING_REQUIRED ? r : 0;
}

void metering_off(struct metering *m, const char *why)
{
	*m = (struct metering){ .mode = METERING_OFF, .meter = METER_INIT, .tracing = -1 };
	(void)snprintf(m->why, sizeof(m->why), "%s", why);
}

int metering_open(struct metering *m, enum metering_mode mode, int parent, struct cloche_err *err)
{
	struct cloche_err own = { 0 };
	int r;

	if (!err)
		err = &own; /* the reason is wanted, who asks or not */
	*m = (struct metering){ .mode = mode, .meter = METER_INIT, .tracing = -1 };
	r = meter_open(&m->meter, METER_NAME, err);
	if (r == 0) {
		m->opened = true;
		meter_trace_sweep(&m->meter);
		r = meter_watch_network(&m->meter, parent, err);
	}
	return error_or_reason(m, r, err);
}

void metering_close(struct metering *m)
{
	metering_disarm(m);
	if (m->opened) {
		meter_trace_off(&m->meter, &m->tracing);
		meter_close(&m->meter);
	}
	m->opened = false;
}

void metering_try_have(struct metering *m, int v2)
{
	if (m->opened && !m->why[0])
		return;
	metering_close(m);
	(void)metering_open(m, METERING_AUTO, v2, NULL);
}

struct plan_clock metering_clock(const struct metering *m)
{
	return (struct plan_clock){ .fd = m->opened ? m->meter.slots : -1,
				    .began = meter_began,
				    .used = meter_used,
				    .asked_from = meter_asked_from };
}

int metering_arm(struct metering *m, const struct context *ctx, struct cloche_err *err)
{
	struct stat st;
	int r;

	if (m->why[0])
		return 0;
	if (fstat(ctx->plan.cgroup.v2, &st) < 0)
		r = cloche_err_sys(err, errno, "stat the context's cgroup");
	else
		r = meter_arm(&m->slot, &m->meter, ctx->slot.n, st.st_ino, err);
	m->armed = r == 0;
	m->settled = false;
	m->policy = &ctx->plan.policy;
	return error_or_reason(m, r, err);
}

void metering_disarm(struct metering *m)
{
	if (m->armed)
		(void)meter_disarm(&m->slot, NULL);
	m->armed = false;
}

/* By our policy, or with the errors of a filter that this whole host's session is under. */
bool metering_may_deny(const struct meter_event_denied *d, const void *arg)
{
	struct seccomp_data call = { .nr = (int)d->ev.arg, .arch = d->arch };
	uint32_t error = (uint32_t)(0 - d->ev.value), answer;

	memcpy(call.args, d->args, sizeof(call.args));
	answer = policy_answer(arg, &call);
	/* With SIGSYS: a process can send itself one that looks like the policy's. */
	if (!d->ev.value)
		return (answer & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_TRAP ||
		       (answer & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_KILL_THREAD ||
		       (answer & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_KILL_PROCESS;
	/* A signal came before the listener's answer. */
	if (error == EINTR || trace_is_restart(d->ev.value))
		return (answer & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_USER_NOTIF;
	/* What was not made in the function's place. */
	if (policy_asks(arg, &call) && (error == EMFILE || error == EAFNOSUPPORT))
		return true;
	return error == EPERM || error == ENOSYS ||
	       ((answer & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO &&
		(answer & SECCOMP_RET_DATA) == error);
}

static int start_recorder(struct metering *m, const struct metering_trace *to,
			  const char *request_id, struct cloche_err *err)
{
	int r;

	if (!to->file && !to->kept && !to->live) {
		meter_trace_off(&m->meter, &m->tracing);
		return 0;
	}
	/* To attach what looks at system calls right after it was detached takes 10 ms. */
	if (m->tracing < 0)
		m->tracing = meter_trace_on(&m->meter, NULL);
	r = trace_recorder_open(&m->recorder, &m->meter, m->slot.slot, to->file, request_id, 0,
				err);
	/* Nobody who watches may harm what is watched. */
	if (r < 0)
		return to->file || to->kept ? r : 0;
	trace_recorder_check(m->recorder, metering_may_deny, m->policy);
	m->filed = to->file != NULL;
	m->function = to->function;
	if (to->kept)
		trace_recorder_keep(m->recorder, to->kept, TRACE_STORE_ONE_BYTES);
	if (to->live)
		trace_recorder_show(m->recorder, to->live);
	return 0;
}

int metering_begin(struct metering *m, const struct metering_trace *to, const char *request_id,
		   struct cloche_err *err)
{
	int r;

	m->begun = m->parted = false;
	if (!m->armed) {
		if (to->file)
			(void)fclose(to->file);
		return 0;
	}
	r = start_recorder(m, to, request_id, err);
	if (r == 0)
		r = meter_begin(&m->slot, true, m->recorder != NULL, err);
	m->begun = r == 0;
	if (r < 0 && m->recorder) {
		(void)trace_recorder_close(m->recorder, NULL, NULL, NULL);
		m->recorder = NULL;
	}
	return error_or_reason(m, r, err);
}

int metering_trace(struct metering *m, struct cloche_err *err)
{
	if (!m->begun)
		return cloche_err_set(err, ENODATA, "%s",
				      m->why[0] ? m->why : "the BPF meter did not begin");
	return m->parted ? meter_trace(&m->slot, err) : meter_begin(&m->slot, true, true, err);
}

/* A few at a time: the function can make them faster than they are written. */
#define DRAIN_MAX 256

bool metering_drain(struct metering *m)
{
	/* What cannot be written shows at the end, when the file is closed. */
	return m->recorder && trace_recorder_drain(m->recorder, DRAIN_MAX, NULL) > 0;
}

/* From the last beginning to when they went on they were frozen, and from when they were again.
 * begin_ns: of the first. */
static void take_out_frozen(struct meter_usage *u, uint64_t begin_ns, int64_t resumed_ns,
			    int64_t paused_ns)
{
	uint64_t before = resumed_ns > 0 && (uint64_t)resumed_ns > begin_ns
				  ? (uint64_t)resumed_ns - begin_ns
				  : 0;
	uint64_t after = paused_ns > 0 && (uint64_t)paused_ns < u->end_ns
				 ? u->end_ns - (uint64_t)paused_ns
				 : 0;

	if (before)
		u->begin_ns = (uint64_t)resumed_ns;
	usage_take_out(u, before + after);
}

bool metering_at_rest(const struct metering *m)
{
	return !m->begun || meter_at_rest(&m->slot);
}

void metering_part(struct metering *m, int64_t resumed_ns, int64_t paused_ns, struct metered *ret)
{
	uint64_t begin_ns = m->slot.begin_ns;
	const char *why = m->why;
	struct cloche_err err;

	*ret = (struct metered){ 0 };
	m->parted = true;
	if (m->begun && meter_next(&m->slot, &ret->usage, &err) == 0) {
		why = ret->usage.began ? NULL : "the BPF meter saw it execute nothing";
		take_out_frozen(&ret->usage, begin_ns, resumed_ns, paused_ns);
	} else if (m->begun) {
		why = "the BPF meter lost this invocation";
		m->begun = false;
	}
	ret->known = !why;
	(void)snprintf(ret->why, sizeof(ret->why), "%s", why ? why : "");
}

void metering_end(struct metering *m, int64_t resumed_ns, struct metered *ret)
{
	uint64_t begin_ns = m->slot.begin_ns;
	const char *why = m->why;
	struct cloche_err err;

	*ret = (struct metered){ 0 };
	if (m->begun && meter_end(&m->slot, &ret->usage, &err) == 0)
		why = ret->usage.began ? NULL : "the BPF meter saw it execute nothing";
	else if (m->begun)
		why = "the BPF meter lost this invocation";
	ret->known = !why;
	(void)snprintf(ret->why, sizeof(ret->why), "%s", why ? why : "");
	if (!why)
		take_out_frozen(&ret->usage, begin_ns, resumed_ns, 0);
	m->begun = false;
	m->settled = !why && ret->usage.ended;
}

void metering_finish(struct metering *m, const char *verdict, struct metered *ret)
{
	int r;

	if (!m->recorder)
		return;
	(void)trace_recorder_drain(m->recorder, 0, NULL);
	ret->usage.missed += trace_recorder_unseen(m->recorder);
	trace_recorder_tell(m->recorder, m->function, verdict);
	r = trace_recorder_close(m->recorder, ret->known ? &ret->usage : NULL, &ret->events, NULL);
	ret->traced = r == 0 && m->filed;
	ret->trace_code = -r;
	m->recorder = NULL;
}
