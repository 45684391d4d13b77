/* SPDX-License-Identifier: MIT */
/* What `cloche doctor` says of the BPF meter; its probes cannot: they know nothing of meters. */
#include "cli/doctor_meter.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "host/probe.h"
#include "meter/meter.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

/* Long enough for some thousand events on an idle host, too short to be waited for. */
#define LISTEN_NS  (100 * NSEC_PER_MSEC)
#define SLEEPS	   400
#define SLOTS_WORD "%u of %u slots in use"

const struct probe doctor_meter_probe = {
	.name = "bpf meter",
	.consequence = "figures that only BPF can give are null; --meter required and --trace "
		       "do not work",
};

/* The kernel counts the time of BPF programs only while somebody asks. Sleeps make switches. */
static double event_cost(void)
{
	cleanup_fd int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	struct meter_state first, last;
	const struct timespec nap = ns_timespec(LISTEN_NS / SLEEPS);

	if (stats < 0 || meter_state(&first, METER_NAME, NULL) < 0)
		return -1;
	for (int i = 0; i < SLEEPS; i++)
		(void)nanosleep(&nap, NULL);
	if (meter_state(&last, METER_NAME, NULL) < 0 || last.runs <= first.runs)
		return -1;
	return (double)(last.run_ns - first.run_ns) / (double)(last.runs - first.runs);
}

void doctor_meter_run(struct doctor_meter *ret, struct probe_result *result)
{
	struct meter meter = METER_INIT;
	struct cloche_err err = { 0 };
	int r = meter_open(&meter, METER_NAME, &err);

	*ret = (struct doctor_meter){ .event_ns = -1 };
	*result = (struct probe_result){ .code = -r };
	if (r < 0) {
		(void)snprintf(result->detail, sizeof(result->detail), "%.150s", err.text);
		(void)snprintf(result->mend, sizeof(result->mend),
			       "run as root with CAP_BPF and CAP_PERFMON on a kernel with "
			       "CONFIG_DEBUG_INFO_BTF");
		return;
	}
	ret->known = meter_state(&ret->state, METER_NAME, &err) == 0;
	if (ret->known)
		ret->event_ns = event_cost();
	meter_close(&meter);
	if (!ret->known)
		(void)snprintf(result->detail, sizeof(result->detail), "loaded");
	else if (ret->event_ns < 0)
		(void)snprintf(result->detail, sizeof(result->detail),
			       "%u programs at %.60s, " SLOTS_WORD, ret->state.programs,
			       ret->state.path, ret->state.slots_armed, ret->state.slots);
	else
		(void)snprintf(result->detail, sizeof(result->detail),
			       "%u programs at %.60s, " SLOTS_WORD ", %.0f ns an event",
			       ret->state.programs, ret->state.path, ret->state.slots_armed,
			       ret->state.slots, ret->event_ns);
}
