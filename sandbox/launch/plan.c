/* SPDX-License-Identifier: MIT */
/* Makes a plan: what is computed, looked up and opened for a context before there is a process. */
#include "launch/plan.h"

#include "base/err.h"
#include "base/fd.h"
#include "launch/asked_sockets.h"
#include "launch/attributes.h"
#include "launch/given.h"
#include "launch/profile.h"
#include "launch/spec.h"
#include "launch/stream_names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <fcntl.h>
#include <unistd.h>

/* With less room for descriptors denied calls are not reported. */
#define REPORT_NOFILE 64

_Static_assert(sizeof(((struct spec *)0)->cpus) == sizeof(cpu_set_t), "the same bits");

/* Those of this process, and of them those of the spec. */
static int read_cpus(const struct spec *spec, cpu_set_t *ret_all, cpu_set_t *ret_may,
		     struct cloche_err *err)
{
	cpu_set_t wanted;

	if (sched_getaffinity(0, sizeof(*ret_all), ret_all) < 0)
		return cloche_err_sys(err, errno, "sched_getaffinity");
	memcpy(&wanted, spec->cpus, sizeof(wanted));
	CPU_AND(ret_may, ret_all, &wanted);
	if (CPU_COUNT(ret_may) == 0)
		*ret_may = *ret_all;
	return 0;
}

/* So many CPUs as the share is worth, spread by slot: a runtime sizes its threads and heaps by what
 * it sees, and two contexts shall not meet on one CPU while another idles. */
static void choose_cpus(struct plan *plan, unsigned slot, const cpu_set_t *all,
			const cpu_set_t *may)
{
	int n = CPU_COUNT(may), skip = (int)(slot % (unsigned)n);

	CPU_ZERO(&plan->affinity);
	for (int cpu = 0, seen = 0; seen < 2 * n; cpu = (cpu + 1) % CPU_SETSIZE) {
		if (!CPU_ISSET(cpu, may))
			continue;
		if (seen++ >= skip && CPU_COUNT(&plan->affinity) < (int)plan->cpu.cpus)
			CPU_SET(cpu, &plan->affinity);
	}
	CPU_XOR(&plan->others, all, &plan->affinity);
}

int plan_cgroups(struct plan *plan, uint32_t which, struct cloche_err *err)
{
	const struct cgroup_limits limits = { .memory_bytes = plan->spec->memory_bytes,
					      .pids = plan->spec->pids,
					      .sockets = plan->spec->net != NET_NONE,
					      .cpu = &plan->cpu };

	return cgroup_create(plan->hierarchy, plan->slot.n, &limits, which, &plan->cgroup, err);
}

static enum policy_walls walls_for(const struct plan *plan)
{
	bool offline = plan->spec->net == NET_NONE;

	if (plan->terminals)
		return offline ? POLICY_WALLS_OFFLINE_TERMINAL : POLICY_WALLS_ONLINE_TERMINAL;
	return offline ? POLICY_WALLS_OFFLINE : POLICY_WALLS_ONLINE;
}

/* Sealed when it is mapped: by the descriptor it can be read, by those who inherit the mapping
 * written. */
static int seal_shared(struct plan *plan)
{
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

	return plan->shared_fd >= 0 && fcntl(plan->shared_fd, F_ADD_SEALS, seals) < 0 ? -errno : 0;
}

static int map_shared(struct plan *plan, struct cloche_err *err)
{
	int flags = MAP_SHARED | (plan->handed ? 0 : MAP_ANONYMOUS), r;

	plan->shared_fd =
		plan->handed ? memfd_create("context", MFD_CLOEXEC | MFD_ALLOW_SEALING) : -1;
	if (plan->handed &&
	    (plan->shared_fd < 0 || ftruncate(plan->shared_fd, sizeof(*plan->shared)) < 0))
		return cloche_err_sys(err, errno, "make a page (memfd)");
	plan->shared = mmap(NULL, sizeof(*plan->shared), PROT_READ | PROT_WRITE, flags,
			    plan->shared_fd, 0);
	if (plan->shared == MAP_FAILED) {
		plan->shared = NULL;
		return cloche_err_sys(err, ENOMEM, "map a page");
	}
	r = seal_shared(plan);
	return r < 0 ? cloche_err_sys(err, -r, "seal a page (memfd)") : 0;
}

/* What is the spec's alone, but for its root. */
static int fit(struct plan *plan, const struct spec *spec, struct cloche_err *err)
{
	cpu_set_t all = { 0 }, may = { 0 };
	int r = read_cpus(spec, &all, &may, err);

	if (r < 0)
		return r;
	plan->spec = spec;
	plan->cpu = cpu_limits_of(spec->cpu_mode, spec->memory_bytes, spec->cpu_milli,
				  (unsigned)CPU_COUNT(&may));
	choose_cpus(plan, plan->slot.n, &all, &may);
	r = profile_load(spec, walls_for(plan), &plan->policy, err);
	if (r < 0)
		return r;
	/* The listener is a descriptor in a table with those of the warden, a bind's each among
	 * them. */
	if (spec->nofile >= REPORT_NOFILE + spec->n_binds + plan->given)
		policy_report(&plan->policy);
	if (spec->net != NET_NONE && plan->policy.reports)
		plan->asked_most = asked_most_here(spec->memory_bytes);
	return 0;
}

int plan_make(struct plan *plan, int run_fd, const struct spec *spec, struct cloche_err *err)
{
	int r = 0;

	plan->spec = spec;
	plan->uid = slot_uid(plan->slot.n);
	plan->core_limit = attributes_core_limit();
	if (!plan->blank)
		r = fit(plan, spec, err);
	if (r < 0)
		return r;
	(void)snprintf(plan->id_map, sizeof(plan->id_map), "%d %u 1", PLAN_INNER_ID, plan->uid);
	r = rootfs_prepare(run_fd, spec, plan->uid, &plan->rootfs, err);
	if (r < 0)
		return r;
	if (plan->handed)
		plan->names = stream_names_table(run_fd);
	if (plan->given)
		r = given_prepare(plan->given, run_fd, &plan->owner, plan->uid, &plan->rootfs, err);
	if (r < 0)
		return r;
	plan->rootfs.blank = plan->blank;
	plan->rootfs.cpus = (unsigned)CPU_COUNT(&plan->affinity);
	return map_shared(plan, err);
}

int plan_dress(struct plan *plan, int run_fd, const struct spec *spec, struct cloche_err *err)
{
	int r = fit(plan, spec, err);

	plan->blank = plan->rootfs.blank = false;
	plan->rootfs.cpus = (unsigned)CPU_COUNT(&plan->affinity);
	if (r == 0)
		r = rootfs_prepare_own(run_fd, spec, plan->uid, &plan->rootfs, err);
	if (r == 0 && plan->given)
		r = given_prepare(plan->given, run_fd, &plan->owner, plan->uid, &plan->rootfs, err);
	return r;
}

void plan_free(struct plan *plan)
{
	fd_close(&plan->names);
	fd_close(&plan->shared_fd);
	rootfs_free(&plan->rootfs);
	policy_free(&plan->policy);
}
