/* SPDX-License-Identifier: MIT */
/* Files of a context's cgroups that are read again and again: see cgroup_counts.h. */
#include "launch/cgroup_counts.h"

#include "base/fd.h"
#include "base/file.h"
#include "launch/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	enum controller of;
	const char *name;
	int flags;
} files[CGROUP_COUNTS] = {
	[CGROUP_CPU_STAT] = { CONTROLLER_CPU, "cpu.stat", O_RDONLY },
	[CGROUP_PIDS_EVENTS] = { CONTROLLER_PIDS, "pids.events", O_RDONLY },
	[CGROUP_PIDS_PEAK] = { CONTROLLER_PIDS, "pids.peak", O_RDONLY },
	[CGROUP_PIDS_CURRENT] = { CONTROLLER_PIDS, "pids.current", O_RDONLY },
	[CGROUP_CPUACCT_USAGE] = { CONTROLLER_CPUACCT, "cpuacct.usage", O_WRONLY },
	[CGROUP_CPUACCT_STAT] = { CONTROLLER_CPUACCT, "cpuacct.stat", O_RDONLY },
	[CGROUP_OOM_KILLS] = { CONTROLLER_MEMORY, NULL, O_RDONLY },
};

static const char *name_of(const struct cgroup *cg, enum cgroup_count what)
{
	if (what == CGROUP_OOM_KILLS)
		return cg->ctl[CONTROLLER_MEMORY] >= 0 ? "memory.oom_control" : "memory.events";
	return files[what].name;
}

static int dir_of(const struct cgroup *cg, enum cgroup_count what)
{
	int dir = cg->ctl[files[what].of];

	return dir >= 0 ? dir : cg->v2;
}

/* On unified v2 there is but one leaf. */
static bool is_of(const struct cgroup *cg, enum cgroup_count what, uint32_t which)
{
	return which & (cg->ctl[files[what].of] >= 0 ? 1U << files[what].of : CGROUP_V2);
}

void cgroup_counts_close(struct cgroup *cg, uint32_t which)
{
	for (int i = 0; i < CGROUP_COUNTS; i++)
		if (is_of(cg, (enum cgroup_count)i, which))
			fd_close(&cg->counts[i]);
}

static void open_one(struct cgroup *cg, enum cgroup_count what)
{
	if (cg->counts[what] < 0)
		cg->counts[what] =
			openat(dir_of(cg, what), name_of(cg, what), files[what].flags | O_CLOEXEC);
}

void cgroup_counts_open(struct cgroup *cg)
{
	for (int i = 0; i < CGROUP_OOM_KILLS; i++)
		if (cg->ctl[files[i].of] >= 0)
			open_one(cg, (enum cgroup_count)i);
}

void cgroup_counts_open_used(struct cgroup *cg)
{
	static const enum cgroup_count read_each_time[] = { CGROUP_CPU_STAT, CGROUP_PIDS_EVENTS,
							    CGROUP_PIDS_PEAK, CGROUP_OOM_KILLS };

	for (size_t i = 0; i < sizeof(read_each_time) / sizeof(read_each_time[0]); i++)
		open_one(cg, read_each_time[i]);
}

uint64_t cgroup_keyed(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) == 0 && line[len] == ' ')
			return strtoull(line + len + 1, NULL, 10);
	}
	return UINT64_MAX;
}

int cgroup_count_read(const struct cgroup *cg, enum cgroup_count what, char *text, size_t size)
{
	ssize_t n;

	if (cg->counts[what] < 0)
		return file_read_text(dir_of(cg, what), name_of(cg, what), text, size, NULL);
	n = pread(cg->counts[what], text, size - 1, 0);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return 0;
}

uint64_t cgroup_count_of(const struct cgroup *cg, enum cgroup_count what)
{
	char text[64], *end;
	uint64_t n;

	if (cgroup_count_read(cg, what, text, sizeof(text)) < 0)
		return UINT64_MAX;
	errno = 0;
	n = strtoull(text, &end, 10);
	return errno || end == text ? UINT64_MAX : n;
}

uint64_t cgroup_oom_kills(const struct cgroup *cg)
{
	char text[512];

	return cgroup_count_read(cg, CGROUP_OOM_KILLS, text, sizeof(text)) < 0
		       ? UINT64_MAX
		       : cgroup_keyed(text, "oom_kill");
}

uint64_t cgroup_pids_denied(const struct cgroup *cg)
{
	char text[128];

	return cgroup_count_read(cg, CGROUP_PIDS_EVENTS, text, sizeof(text)) < 0
		       ? UINT64_MAX
		       : cgroup_keyed(text, "max");
}
