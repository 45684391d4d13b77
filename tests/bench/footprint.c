/* SPDX-License-Identifier: MIT */
/* Memory of idle functions, from /proc and their cgroups: see footprint.h. */
#include "footprint.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static FILE *open_of(pid_t pid, const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return fopen(path, "re");
}

static double read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	double n = 0;

	if (!f || fscanf(f, "%lf", &n) != 1)
		n = 0;
	if (f)
		(void)fclose(f);
	return n;
}

/* A line of /proc/PID/cgroup: by v1's memory controller, or by cgroup2, wherever that is. */
static double charged_by(char *line)
{
	char *controllers = strchr(line, ':'),
	     *group = controllers ? strchr(controllers + 1, ':') : NULL;
	char path[PATH_MAX + 64];
	double bytes = 0;

	if (!group)
		return 0;
	*group++ = '\0';
	group[strcspn(group, "\n")] = '\0';
	controllers++;
	if (strstr(controllers, "memory")) {
		(void)snprintf(path, sizeof(path), "/sys/fs/cgroup/memory%s/memory.usage_in_bytes",
			       group);
		bytes = read_number(path);
	} else if (!*controllers) {
		(void)snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.current", group);
		bytes = read_number(path);
	}
	return bytes / 1024;
}

static double charged(pid_t pid)
{
	FILE *f = open_of(pid, "cgroup");
	char line[PATH_MAX];
	double kib = 0;

	while (f && kib == 0 && fgets(line, sizeof(line), f))
		kib = charged_by(line);
	if (f)
		(void)fclose(f);
	return kib;
}

static void add(pid_t pid, struct footprint *sum)
{
	FILE *f = open_of(pid, "smaps_rollup");
	char line[200];

	while (f && fgets(line, sizeof(line), f)) {
		const char *at = strchr(line, ':');
		double kib = at ? strtod(at + 1, NULL) : 0;

		if (strncmp(line, "Rss:", 4) == 0)
			sum->rss += kib;
		else if (strncmp(line, "Pss:", 4) == 0)
			sum->pss += kib;
		else if (strncmp(line, "Private_Clean:", 14) == 0 ||
			 strncmp(line, "Private_Dirty:", 14) == 0)
			sum->own += kib;
	}
	if (f)
		(void)fclose(f);
	sum->charged += charged(pid);
	sum->n++;
}

static void look_at(pid_t pid, const char *program, struct footprint *sum)
{
	char path[64], exe[PATH_MAX];
	const char *name;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
	name = strrchr(exe, '/');
	if (name && strncmp(name + 1, program, strlen(program)) == 0)
		add(pid, sum);
}

/* Of the launcher the children are its front and the wardens, of these the functions. */
static void walk(pid_t parent, unsigned depth, const char *program, struct footprint *sum)
{
	char name[64];
	FILE *f;
	int child;

	(void)snprintf(name, sizeof(name), "task/%d/children", (int)parent);
	f = open_of(parent, name);
	while (f && fscanf(f, "%d", &child) == 1)
		if (depth)
			walk(child, depth - 1, program, sum);
		else
			look_at(child, program, sum);
	if (f)
		(void)fclose(f);
}

void footprint_read(pid_t launcher, const char *program, struct footprint *ret)
{
	*ret = (struct footprint){ 0 };
	walk(launcher, 1, program, ret);
	if (ret->n == 0)
		return;
	ret->rss /= ret->n;
	ret->pss /= ret->n;
	ret->own /= ret->n;
	ret->charged /= ret->n;
}
