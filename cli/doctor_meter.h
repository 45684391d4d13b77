/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_DOCTOR_METER_H
#define CLOCHE_CLI_DOCTOR_METER_H

#include "meter/meter_state.h"

#include <stdbool.h>
#include <stddef.h>

struct probe;
struct probe_result;

/* The meter as one more check of `cloche doctor`: tried by loading it, or finding it loaded. */
struct doctor_meter {
	bool known; /* the rest is there */
	struct meter_state state;
	double event_ns; /* mean time of a program's run, here and now; < 0: not to be had */
};

extern const struct probe doctor_meter_probe;

void doctor_meter_run(struct doctor_meter *ret, struct probe_result *result);

#endif
