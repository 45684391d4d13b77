/* SPDX-License-Identifier: MIT */
/* The parts of a plan that are mere computation: what to exec, with which environment. */
#include "launch/plan.h"

#include "base/fd.h"
#include "launch/spec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

int plan_paths(struct plan *plan, const struct spec *spec, struct cloche_err *err)
{
	if (make_env(plan, spec->env) < 0 || make_candidates(plan, spec->argv[0]) < 0)
		return cloche_err_sys(err, ENOMEM, "plan the launch");
	(void)snprintf(plan->id_map, sizeof(plan->id_map), "%d %u 1", PLAN_INNER_ID, plan->uid);
	return 0;
}
