/* SPDX-License-Identifier: MIT */
/* Cgroups that cannot be taken away yet, and who finds them again. Needs root. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "host/hierarchy.h"
#include "host/slot.h"
#include "launch/cgroup.h"
#include "launch/launcher.h"
#include "launch/limits.h"
#include "launch/sweep.h"
#include "tests/lib/env.h"
#include "tests/lib/leftovers.h"

static int clean_already(unsigned n, void *arg, struct cloche_err *err)
{
	return sweep_slot(n, arg, err);
}

/* Of several hierarchies one may be busy for longer than the others. Whoever is killed then leaves
 * it, and the sweep looks on cgroup2: were that gone, each later run would wait for the rest. */
Test(sweep, what_is_busy_is_found_by_the_next_one)
{
	struct cpu_limits cpu = cpu_limits_of(CPU_SHARED, 0, 0, 1);
	const struct cgroup_limits limits = { .memory_bytes = 32 << 20, .pids = 8, .cpu = &cpu };
	struct cgroup cg = CGROUP_NONE;
	struct cloche_err err = { 0 };
	struct launcher l;
	struct slot slot;
	int busy;

	if (geteuid() != 0)
		test_skip("needs root");
	cr_assert_eq(launcher_open(&l, &err), 0, "%s", err.text);
	cr_assert_eq(slot_take(l.run_fd, NULL, clean_already, &l.hierarchy, &slot, &err), 0, "%s",
		     err.text);
	cr_assert_eq(cgroup_create(&l.hierarchy, slot.n, &limits, CGROUP_ALL, &cg, &err), 0, "%s",
		     err.text);
	busy = cg.ctl[CONTROLLER_CPU] >= 0 ? cg.ctl[CONTROLLER_CPU] : cg.v2;
	cr_assert_eq(mkdirat(busy, "busy", 0755), 0);
	cr_expect_lt(cgroup_remove(&l.hierarchy, &cg, CGROUP_ALL, &err), 0);
	cr_expect_eq(faccessat(l.hierarchy.v2, cg.name, F_OK, 0), 0, "nobody finds the rest");
	cr_assert_eq(unlinkat(busy, "busy", AT_REMOVEDIR), 0);
	cgroup_close(&cg);
	cr_expect_eq(sweep_slot(slot.n, &l.hierarchy, &err), 0, "%s", err.text);
	slot_release(&slot, true);
	cr_expect_null(leftover_of_slot((int)slot.n));
	launcher_close(&l);
}
