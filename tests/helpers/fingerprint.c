/* SPDX-License-Identifier: MIT */
/*
 * fingerprint [NAMESPACE-LINK…]: prints what a context keeps its function to, as far as the
 * function can tell: identity, capabilities, limits, mounts, descriptors, signals, cgroups, and
 * which of the given links (mnt:[4026531840]) are its own as well. Two runs with the same options
 * print the same, whatever slot they had; a difference is a wall that is missing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

extern char **environ;

static void show_status(void)
{
	static const char *const keys[] = {
		"Uid:",	   "Gid:",    "Groups:",	  "NoNewPrivs:",  "Seccomp:",	"CapInh:",
		"CapPrm:", "CapEff:", "CapBnd:",	  "CapAmb:",	  "SigPnd:",	"ShdPnd:",
		"SigBlk:", "SigIgn:", "SigCgt:",	  "Umask:",	  "TracerPid:", "NSpid:",
		"NSsid:",  "NSpgid:", "Seccomp_filters:", "HugetlbPages:"
	};
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			if (strncmp(line, keys[i], strlen(keys[i])) == 0)
				(void)fputs(line, stdout);
	if (f)
		(void)fclose(f);
}

/* Inside and how many; the outside is another for each slot. */
static void show_map(const char *path)
{
	unsigned in, out, n;
	FILE *f = fopen(path, "re");

	while (f && fscanf(f, "%u %u %u", &in, &out, &n) == 3)
		printf("%s: %u is %s, %u of them\n", path, in,
		       out >= 1900000000 ? "a slot's" : "another's", n);
	if (f)
		(void)fclose(f);
}

static void show_limits(void)
{
	struct rlimit l;

	for (int i = 0; i < RLIMIT_NLIMITS; i++)
		if (getrlimit(i, &l) == 0)
			printf("rlimit %d: %llu %llu\n", i, (unsigned long long)l.rlim_cur,
			       (unsigned long long)l.rlim_max);
}

/* Without the ids, and without where on the host it comes from. */
#define MOUNTS_MAX 256

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The kernel lists them as they were made, which is by two processes at once. */
static void show_mounts(void)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096], at[1024], options[1024], *shown[MOUNTS_MAX];
	size_t n = 0;

	while (f && n < MOUNTS_MAX && fgets(line, sizeof(line), f)) {
		char *rest = strstr(line, " - ");

		if (sscanf(line, "%*s %*s %*s %*s %1023s %1023s", at, options) == 2 && rest &&
		    asprintf(&shown[n], "mount %s %s%s", at, options, rest) > 0)
			n++;
	}
	if (f)
		(void)fclose(f);
	qsort(shown, n, sizeof(*shown), by_text);
	for (size_t i = 0; i < n; i++) {
		(void)fputs(shown[i], stdout);
		free(shown[i]);
	}
}

static void show_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	const struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(d))
			printf("fd %s\n", e->d_name);
	if (d)
		(void)closedir(d);
}

static void show_dir(const char *path)
{
	struct dirent **names = NULL;
	int n = scandir(path, &names, NULL, alphasort);
	char at[512];
	struct stat st;

	for (int i = 0; i < n; i++) {
		(void)snprintf(at, sizeof(at), "%s/%s", path, names[i]->d_name);
		if (names[i]->d_name[0] != '.' && lstat(at, &st) == 0)
			printf("file %s: mode %o, %lld bytes\n", at, st.st_mode,
			       S_ISDIR(st.st_mode) ? 0LL : (long long)st.st_size);
		free(names[i]);
	}
	free(names);
}

static void show_file(const char *path, int lines_only)
{
	FILE *f = fopen(path, "re");
	char line[512];
	int n = 0;

	while (f && fgets(line, sizeof(line), f)) {
		n++;
		if (!lines_only)
			printf("%s: %s", path, line);
	}
	if (f && lines_only)
		printf("%s: %d lines\n", path, n);
	if (f)
		(void)fclose(f);
}

/* The own leaf: limits, and that it is where this process lives. Not the quota, which is set when
 * the function is running already. */
static void show_cgroup(void)
{
	static const char *const values[] = { "memory/memory.limit_in_bytes",
					      "memory/memory.memsw.limit_in_bytes",
					      "cpu/cpu.cfs_period_us",
					      "cpu/cpu.shares",
					      "pids/pids.max",
					      "memory.max",
					      "memory.swap.max",
					      "cpu.weight",
					      "pids.max" };
	static const char *const members[] = { "memory/tasks", "cpu/tasks", "pids/tasks",
					       "cgroup.procs" };
	char path[128];

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		(void)snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", values[i]);
		show_file(path, 0);
	}
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		(void)snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", members[i]);
		show_file(path, 1);
	}
	show_file("/proc/self/cgroup", 0);
}

static void show_network(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { .ifr_name = "lo" };
	FILE *f = fopen("/proc/net/dev", "re");
	char line[256], name[32];

	/* Two lines of heading. */
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " %31[^: |]:", name) == 1 && strchr(line, ':'))
			printf("interface %s\n", name);
	if (f)
		(void)fclose(f);
	if (ioctl(fd, SIOCGIFFLAGS, &r) == 0)
		printf("lo is %s\n", r.ifr_flags & IFF_UP ? "up" : "down");
	(void)close(fd);
}

static void show_namespaces(int n, char **links)
{
	static const char *const kinds[] = { "cgroup", "ipc",  "mnt",  "net",
					     "pid",    "time", "user", "uts" };
	char path[64], link[64];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *whose = "its own";
		ssize_t len;

		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i]);
		len = readlink(path, link, sizeof(link) - 1);
		link[len > 0 ? len : 0] = '\0';
		for (int k = 0; k < n; k++)
			if (strcmp(link, links[k]) == 0)
				whose = "the host's";
		printf("namespace %s: %s\n", kinds[i], len > 0 ? whose : "none");
	}
}

int main(int argc, char **argv)
{
	struct utsname u;
	cpu_set_t cpus;
	char cwd[1024];

	show_status();
	show_map("/proc/self/uid_map");
	show_map("/proc/self/gid_map");
	show_file("/proc/self/setgroups", 0);
	show_limits();
	show_mounts();
	show_fds();
	show_dir("");
	show_dir("/etc");
	show_dir("/dev");
	show_dir("/sys/fs/cgroup");
	show_cgroup();
	show_network();
	show_namespaces(argc - 1, argv + 1);
	for (char **e = environ; *e; e++)
		puts(*e);
	if (getcwd(cwd, sizeof(cwd)))
		puts(cwd);
	if (uname(&u) == 0)
		puts(u.nodename);
	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		printf("%d CPUs\n", CPU_COUNT(&cpus));
	printf("securebits %d, parent %d, session is %s\n", prctl(PR_GET_SECUREBITS),
	       (int)getppid(), getsid(0) == getpid() ? "its own" : "another's");
	printf("mount: %s\n",
	       mount("x", "/tmp", "tmpfs", 0, NULL) < 0 ? strerrorname_np(errno) : "done");
	return 0;
}
