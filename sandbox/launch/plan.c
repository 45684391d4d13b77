/* SPDX-License-Identifier: MIT */
/* Makes a plan: what to exec and with which environment, the limits, the policy, the cgroups and
 * the root. No process is made here. */
#include "launch/plan.h"

#include "launch/attributes.h"
#include "launch/spec.h"
#include "launch/stream_names.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* With less room for descriptors denied calls are not reported. */
#define REPORT_NOFILE 64

/* Nothing of the caller's environment gets in. */
static const char *const standard_env[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp",
	"LANG=C.UTF-8", "TZ=UTC"
};
#define N_ENV (sizeof(standard_env) / sizeof(standard_env[0]))

static void strings_free(char **list)
{
	for (char **s = list; s && *s; s++)
		free(*s);
	free(list);
}

void plan_free(struct plan *plan)
{
	strings_free(plan->candidates);
	strings_free(plan->env);
	plan->candidates = plan->env = NULL;
	rootfs_free(&plan->rootfs);
	policy_free(&plan->policy);
	if (plan->shared)
		(void)munmap(plan->shared, sizeof(*plan->shared));
	plan->shared = NULL;
}

/* Along the PATH that the function gets, as env(1) does; an empty element is the working directory.
 */
static int make_candidates(struct plan *plan, const char *name)
{
	const char *path = "";
	size_t n = 1;

	for (char **e = plan->env; *e; e++)
		if (strncmp(*e, "PATH=", 5) == 0)
			path = *e + 5;
	for (const char *at = path; *at; at++)
		n += *at == ':';
	plan->candidates = calloc(n + 1, sizeof(char *));
	if (!plan->candidates)
		return -ENOMEM;
	/* An empty name is no file; along the search path it would name the directories. */
	if (strchr(name, '/') || !*name) {
		plan->candidates[0] = strdup(name);
		return plan->candidates[0] ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		int len = (int)strcspn(path, ":");

		if (asprintf(&plan->candidates[i], "%.*s/%s", len ? len : 1, len ? path : ".",
			     name) < 0) {
			plan->candidates[i] = NULL;
			return -ENOMEM;
		}
		path += len + (path[len] == ':');
	}
	return 0;
}

static bool same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return strncmp(a, b, n) == 0 && b[n] == '=';
}

/* The last of several with one name wins, as in a shell; standard ones give way to the user's. */
static int make_env(struct plan *plan, char *const *user)
{
	size_t n = 0, out = 0;

	while (user && user[n])
		n++;
	plan->env = calloc(n + N_ENV + 1, sizeof(char *));
	if (!plan->env)
		return -ENOMEM;
	for (size_t i = 0; i < N_ENV + n; i++) {
		const char *e = i < N_ENV ? standard_env[i] : user[i - N_ENV];
		size_t at = 0;

		while (at < out && !same_name(plan->env[at], e))
			at++;
		free(plan->env[at]);
		plan->env[at] = strdup(e);
		if (!plan->env[at])
			return -ENOMEM;
		out += at == out;
	}
	return 0;
}

static int compute_paths(struct plan *plan, const struct spec *spec, struct cloche_err *err)
{
	if (make_env(plan, spec->env) < 0 || make_candidates(plan, spec->argv[0]) < 0)
		return cloche_err_sys(err, ENOMEM, "plan the launch");
	(void)snprintf(plan->id_map, sizeof(plan->id_map), "%d %u 1", PLAN_INNER_ID, plan->uid);
	return 0;
}

/* So many CPUs as the share is worth, spread by slot: a runtime sizes its threads and heaps by what
 * it sees, and two contexts shall not meet on one CPU while another idles. */
static int choose_cpus(struct plan *plan, unsigned slot, struct cloche_err *err)
{
	cpu_set_t all;
	int n, skip;

	CPU_ZERO(&plan->affinity);
	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return cloche_err_sys(err, errno, "sched_getaffinity");
	if (CPU_COUNT(&all) <= (int)plan->cpu.cpus) {
		plan->affinity = all;
		return 0;
	}
	n = CPU_COUNT(&all);
	skip = (int)(slot % (unsigned)n);
	for (int cpu = 0, seen = 0; seen < 2 * n; cpu = (cpu + 1) % CPU_SETSIZE) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		if (seen++ >= skip && CPU_COUNT(&plan->affinity) < (int)plan->cpu.cpus)
			CPU_SET(cpu, &plan->affinity);
	}
	return 0;
}

int plan_cgroups(struct plan *plan, struct cloche_err *err)
{
	const struct cgroup_limits limits = { .memory_bytes = plan->spec->memory_bytes,
					      .pids = plan->spec->pids,
					      .sockets = plan->spec->net != NET_NONE,
					      .cpu = &plan->cpu };

	return cgroup_create(plan->hierarchy, plan->slot.n, &limits, &plan->cgroup, err);
}

static enum policy_walls walls_for(const struct plan *plan)
{
	bool offline = plan->spec->net == NET_NONE, terminal = false;

	for (int i = 0; i < 3; i++)
		terminal |=
			stream_is_foreign_terminal(plan->streams[i] >= 0 ? plan->streams[i] : i);
	if (terminal)
		return offline ? POLICY_WALLS_OFFLINE_TERMINAL : POLICY_WALLS_ONLINE_TERMINAL;
	return offline ? POLICY_WALLS_OFFLINE : POLICY_WALLS_ONLINE;
}

int plan_make(struct plan *plan, int run_fd, const struct spec *spec, struct cloche_err *err)
{
	struct spec_host host;
	int r;

	spec_host_read(&host);
	plan->spec = spec;
	plan->uid = slot_uid(plan->slot.n);
	plan->cpu = cpu_limits_of(spec->cpu_mode, spec->memory_bytes, spec->cpu_milli, host.cpus);
	plan->core_limit = attributes_core_limit();
	r = choose_cpus(plan, plan->slot.n, err);
	if (r < 0)
		return r;
	r = policy_load(spec->policy, walls_for(plan), &plan->policy, err);
	if (r < 0)
		return r;
	/* The listener is a descriptor in a table with those of the warden, a bind's each among
	 * them. */
	if (spec->nofile >= REPORT_NOFILE + spec->n_binds)
		policy_report(&plan->policy);
	r = compute_paths(plan, spec, err);
	if (r < 0)
		return r;
	r = plan_cgroups(plan, err);
	if (r < 0)
		return r;
	r = rootfs_prepare(run_fd, spec, &plan->cgroup, plan->uid, &plan->rootfs, err);
	if (r < 0)
		return r;
	plan->rootfs.cpus = (unsigned)CPU_COUNT(&plan->affinity);
	plan->shared = mmap(NULL, sizeof(*plan->shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (plan->shared == MAP_FAILED) {
		plan->shared = NULL;
		return cloche_err_sys(err, ENOMEM, "map a page");
	}
	return 0;
}
