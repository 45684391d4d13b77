/* SPDX-License-Identifier: MIT */
/*
 * What is there of contexts on this machine, by name: taken before and after, the difference is
 * what leaked. It looks at the kernel's own lists and asks cloche nothing. Mounts and files
 * that a first run makes for all later ones are in both and cancel out.
 */
#include "census.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"

/* nftw takes no argument: where it writes; set for the length of one census. */
static struct census *walk_census;
static bool walk_failed;

static const char *const kind_names[CENSUS_KINDS] = { "cgroups", "mounts", "namespaces",
						      "processes", "files" };

static int census_add(struct census *census, enum census_kind kind, const char *name)
{
	typeof(census->lists[0]) *list = &census->lists[kind];

	if (list->len == list->cap) {
		size_t cap = list->cap ? 2 * list->cap : 64;
		char **grown = reallocarray(list->names, cap, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		list->names = grown;
		list->cap = cap;
	}
	list->names[list->len] = strdup(name);
	return list->names[list->len] ? (int)(list->len++, 0) : -ENOMEM;
}

/* "cloche" as a whole name anywhere in the path: the parent and all below it. */
static bool path_is_ours(const char *path)
{
	for (const char *at = strstr(path, "/cloche"); at; at = strstr(at + 1, "/cloche")) {
		if (at[7] == '/' || at[7] == '\0')
			return true;
	}
	return false;
}

static int visit_cgroup(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (type == FTW_D && path_is_ours(path) && census_add(walk_census, CENSUS_CGROUP, path) < 0)
		walk_failed = true;
	return 0;
}

static int visit_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (census_add(walk_census, CENSUS_FILE, path) < 0)
		walk_failed = true;
	return 0;
}

static int names_collect(struct census *census, const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	char path[PATH_MAX];
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while (r == 0 && (entry = readdir(d))) {
		if (!strstr(entry->d_name, "cloche"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		r = census_add(census, CENSUS_FILE, path);
	}
	closedir(d);
	return r;
}

static int mounts_collect(struct census *census, const char *file, const char *prefix)
{
	cleanup_file FILE *f = fopen(file, "re");
	char line[4096], name[4400];

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		/* Behind the two ids and the device, which differ from census to census. */
		int at = 0;

		(void)sscanf(line, "%*d %*d %*s %n", &at);
		line[strcspn(line, "\n")] = '\0';
		snprintf(name, sizeof(name), "%s%s", prefix, line + at);
		if (census_add(census, CENSUS_MOUNT, name) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* The mounts inside a mount namespace that is pinned at `path`, looked at by a child that enters
 * it: they are in nobody's /proc. The list was opened beforehand: in there is no /proc. */
static int pinned_collect(struct census *census, const char *path)
{
	cleanup_fd int ns = open(path, O_RDONLY | O_CLOEXEC);
	char list[64], prefix[PATH_MAX + 32];
	int ready[2], hold[2], r = -EIO;
	pid_t pid;
	char c = 0;

	if (ns < 0 || pipe2(ready, O_CLOEXEC) < 0)
		return -errno;
	cleanup_fd int ready_in = ready[0], ready_out = ready[1];
	if (pipe2(hold, O_CLOEXEC) < 0)
		return -errno;
	cleanup_fd int hold_in = hold[0], hold_out = hold[1];

	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		(void)close(hold_out);
		if (setns(ns, CLONE_NEWNS) < 0)
			_exit(1);
		_exit(write(ready_out, &c, 1) == 1 && read(hold_in, &c, 1) == 0 ? 0 : 1);
	}
	fd_close(&ready_out);
	if (read(ready_in, &c, 1) == 1) {
		snprintf(list, sizeof(list), "/proc/%d/mountinfo", (int)pid);
		snprintf(prefix, sizeof(prefix), "in %s: ", path);
		r = mounts_collect(census, list, prefix);
	}
	fd_close(&hold_out);
	(void)waitpid(pid, &(int){ 0 }, 0);
	return r;
}

static int pins_collect(struct census *census)
{
	cleanup_file FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096], root[256], at[PATH_MAX];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*d %*d %*s %255s %4095s", root, at) == 2 &&
		    !strncmp(root, "mnt:[", 5) && !strncmp(at, "/run/cloche/", 12)) {
			int r = pinned_collect(census, at);

			if (r < 0)
				return r;
		}
	}
	return f ? 0 : -errno;
}

/* "Key:" of /proc/PID/status as a number, -1 when the process is gone. */
static long long status_get(const char *pid, const char *key)
{
	char path[64], line[256];
	long long value;

	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	cleanup_file FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		size_t len = strlen(key);

		if (!strncmp(line, key, len) && sscanf(line + len, ": %lld", &value) == 1)
			return value;
	}
	return -1;
}

static bool link_is(const char *pid, const char *what, const char *other)
{
	char a[64], b[PATH_MAX], c[PATH_MAX];
	ssize_t n, m;

	snprintf(a, sizeof(a), "/proc/%s/%s", pid, what);
	n = readlink(a, b, sizeof(b));
	m = readlink(other, c, sizeof(c));
	return n > 0 && n == m && !memcmp(b, c, (size_t)n);
}

static bool is_supervisor(const char *pid)
{
	char path[64], exe[PATH_MAX];
	const char *name;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n <= 0)
		return false;
	exe[n] = '\0';
	name = strrchr(exe, '/');
	/* A context's pid 1 runs the same program, but in a pid namespace of its own. */
	return name && !strncmp(name, "/cloche", 7) && link_is(pid, "ns/pid", "/proc/self/ns/pid");
}

static bool is_supervised(const char *pid)
{
	char up[24];
	long long parent = status_get(pid, "PPid");

	for (int depth = 0; parent > 1 && depth < 64; depth++) {
		snprintf(up, sizeof(up), "%lld", parent);
		if (is_supervisor(up))
			return true;
		parent = status_get(up, "PPid");
	}
	return parent == -1; /* went while we looked: it did not survive */
}

static bool is_context(const char *pid)
{
	long long uid = status_get(pid, "Uid");
	char path[64], line[PATH_MAX];

	if (uid >= CONTEXT_UID_FIRST && uid <= CONTEXT_UID_LAST)
		return true;
	snprintf(path, sizeof(path), "/proc/%s/cgroup", pid);
	cleanup_file FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (strstr(line, "/cloche/"))
			return true;
	}
	/* A pid 1 that lost its supervisor before it joined anything. */
	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	if (readlink(path, line, sizeof(line)) <= 0 || link_is(pid, "ns/pid", "/proc/self/ns/pid"))
		return false;
	line[PATH_MAX - 1] = '\0';
	return strstr(line, "/cloche") != NULL;
}

static int process_collect(struct census *census, const char *pid)
{
	static const char *const kinds[] = { "cgroup", "ipc",  "mnt",  "net",
					     "pid",    "time", "user", "uts" };
	char path[64], name[128], comm[32] = "?";

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	cleanup_file FILE *f = fopen(path, "re");
	if (f && fgets(comm, sizeof(comm), f))
		comm[strcspn(comm, "\n")] = '\0';
	snprintf(name, sizeof(name), "pid %s (%s), uid %lld", pid, comm, status_get(pid, "Uid"));
	if (census_add(census, CENSUS_PROCESS, name) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		char self[64];
		ssize_t n;

		snprintf(path, sizeof(path), "ns/%s", kinds[i]);
		snprintf(self, sizeof(self), "/proc/self/ns/%s", kinds[i]);
		if (link_is(pid, path, self))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/ns/%s", pid, kinds[i]);
		n = readlink(path, name, sizeof(name) - 1);
		if (n <= 0)
			continue;
		name[n] = '\0';
		if (census_add(census, CENSUS_NAMESPACE, name) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* A process that has ended and waits for its parent's look: it does nothing any more. */
static bool is_dead(const char *pid)
{
	cleanup_file FILE *f = NULL;
	char path[64], line[256], state = '?';

	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f) && sscanf(line, "State: %c", &state) != 1)
		;
	return state == '?' || state == 'Z' || state == 'X'; /* '?': gone meanwhile */
}

/* It runs as the uid of a slot: a function's process, not a pid 1 on its way out. */
static bool is_function(const char *pid)
{
	return status_get(pid, "Uid") >= 1900000000;
}

static int processes_collect(struct census *census, bool all)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int r = 0;

	if (!proc)
		return -errno;
	while (r == 0 && (entry = readdir(proc))) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		if (is_context(entry->d_name) && !is_supervisor(entry->d_name) &&
		    !is_supervised(entry->d_name) &&
		    (all || (is_function(entry->d_name) && !is_dead(entry->d_name))))
			r = process_collect(census, entry->d_name);
	}
	closedir(proc);
	return r;
}

/* The first number behind `key` in a file; -1 when there is none. */
static long number_read(const char *path, const char *key)
{
	cleanup_file FILE *f = fopen(path, "re");
	char line[512];
	long value;

	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, strlen(key)) &&
		    sscanf(line + strlen(key), " %ld", &value) == 1)
			return value;
	}
	return -1;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int census_survivors(struct census *ret, struct cloche_err *err)
{
	struct census census = { 0 };
	int r = processes_collect(&census, false);

	if (r < 0) {
		census_free(&census);
		return cloche_err_sys(err, -r, "look for survivors");
	}
	*ret = census;
	return 0;
}

static int lists_collect(struct census *census)
{
	int r = 0;

	walk_census = census;
	walk_failed = false;
	(void)nftw("/sys/fs/cgroup", visit_cgroup, 16, FTW_PHYS);
	(void)nftw("/run/cloche", visit_file, 16, FTW_PHYS);
	walk_census = NULL;
	if (walk_failed)
		return -ENOMEM;
	r = names_collect(census, "/tmp");
	if (r == 0)
		r = names_collect(census, "/dev/shm");
	if (r == 0)
		r = mounts_collect(census, "/proc/self/mountinfo", "");
	if (r == 0)
		r = pins_collect(census);
	return r == 0 ? processes_collect(census, true) : r;
}

int census_take(struct census *ret, struct cloche_err *err)
{
	struct census census = { 0 };
	int r = lists_collect(&census);

	if (r < 0) {
		census_free(&census);
		return cloche_err_sys(err, -r, "take the census");
	}
	for (int k = 0; k < CENSUS_KINDS; k++) {
		if (census.lists[k].len)
			qsort(census.lists[k].names, census.lists[k].len, sizeof(char *),
			      compare_names);
	}
	census.open_files = number_read("/proc/sys/fs/file-nr", "");
	census.net_namespaces = number_read("/proc/slabinfo", "net_namespace");
	census.dying_cgroups = number_read("/sys/fs/cgroup/cgroup.stat", "nr_dying_descendants");
	if (census.dying_cgroups < 0)
		census.dying_cgroups =
			number_read("/sys/fs/cgroup/unified/cgroup.stat", "nr_dying_descendants");
	*ret = census;
	return 0;
}

void census_free(struct census *census)
{
	for (int k = 0; k < CENSUS_KINDS; k++) {
		for (size_t i = 0; i < census->lists[k].len; i++)
			free(census->lists[k].names[i]);
		free(census->lists[k].names);
	}
	*census = (struct census){ 0 };
}

/* Both lists are sorted and may hold a name more than once (mounts over mounts). */
static size_t kind_compare(const struct census *before, const struct census *after,
			   enum census_kind kind, bool quiet)
{
	size_t i = 0, j = 0, fresh = 0, n = before->lists[kind].len;

	for (; j < after->lists[kind].len; j++) {
		const char *name = after->lists[kind].names[j];

		while (i < n && strcmp(before->lists[kind].names[i], name) < 0)
			i++;
		if (i < n && !strcmp(before->lists[kind].names[i], name)) {
			i++;
			continue;
		}
		if (fresh++ < 10 && !quiet)
			printf("  left over (%s): %s\n", kind_names[kind], name);
	}
	if (fresh > 10 && !quiet)
		printf("  left over (%s): … and %zu more\n", kind_names[kind], fresh - 10);
	return fresh;
}

size_t census_new(const struct census *before, const struct census *after)
{
	size_t fresh = 0;

	for (int k = 0; k < CENSUS_KINDS; k++)
		fresh += kind_compare(before, after, (enum census_kind)k, true);
	return fresh;
}

size_t census_compare(const struct census *before, const struct census *after)
{
	size_t fresh = 0;

	for (int k = 0; k < CENSUS_KINDS; k++)
		fresh += kind_compare(before, after, (enum census_kind)k, false);
	for (int k = 0; k < CENSUS_KINDS; k++)
		printf("  %-12s before %6zu   after %6zu\n", kind_names[k], before->lists[k].len,
		       after->lists[k].len);
	printf("  %-12s before %6ld   after %6ld   (whole machine)\n", "open files",
	       before->open_files, after->open_files);
	printf("  %-12s before %6ld   after %6ld   (whole machine, freed late)\n", "net ns slab",
	       before->net_namespaces, after->net_namespaces);
	printf("  %-12s before %6ld   after %6ld   (whole machine, freed late)\n", "dying cgroups",
	       before->dying_cgroups, after->dying_cgroups);
	fflush(stdout);
	return fresh;
}
