/* SPDX-License-Identifier: MIT */
/*
 * hoard OBJECT MAX [PROCESSES]: makes kernel objects of one kind until the kernel refuses or its
 * cgroup's memory is nearly full, at most MAX of them, by as many processes where a limit is each
 * process's own; says how many there are and what ended it; holds them all until its standard input
 * ends, and then lets go of everything at once.
 *
 *	hoard --list
 *
 * Whatever it makes is meant to hurt the kernel that it runs on: in a guest only.
 */
#include "hoard/hoard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct hoard_object *const tables[] = { hoard_files, hoard_sockets, hoard_others,
						     NULL };

/* What all processes share. */
static struct {
	unsigned long made, max, near;
	int error;
} * all;

static int usage_fd = -1;

/* The objects are held best by somebody who is not killed for them: what is charged ends here. */
static int memory_is_full(void)
{
	char text[32] = "";

	if (usage_fd < 0 || pread(usage_fd, text, sizeof(text) - 1, 0) <= 0)
		return 0;
	return strtoul(text, NULL, 10) >= all->near;
}

static void memory_watch(void)
{
	static const char *const now[] = { "/sys/fs/cgroup/memory.current",
					   "/sys/fs/cgroup/memory/memory.usage_in_bytes" };
	static const char *const max[] = { "/sys/fs/cgroup/memory.max",
					   "/sys/fs/cgroup/memory/memory.limit_in_bytes" };
	char text[32] = "";

	for (int i = 0; i < 2 && usage_fd < 0; i++) {
		int fd = open(max[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			continue;
		if (read(fd, text, sizeof(text) - 1) > 0)
			usage_fd = open(now[i], O_RDONLY | O_CLOEXEC);
		(void)close(fd);
	}
	all->near = strtoul(text, NULL, 10) / 16 * 15;
}

/* Returns how many it has made. */
static unsigned make_all(const struct hoard_object *o, unsigned process)
{
	unsigned i = 0;

	for (; all->made < all->max; i++, all->made++) {
		/* The first ones may be megabytes each, as where there are thousands they are not.
		 */
		bool look = i < 64 || i % 16 == 0;
		int r = look && memory_is_full() ? HOARD_MEMORY : o->make(process, i);

		if (r < 0) {
			all->error = r;
			break;
		}
	}
	return i;
}

static int hoard(const struct hoard_object *o, unsigned processes)
{
	for (unsigned n = 0; n < processes; n++) {
		int told[2];
		char c;
		pid_t pid;

		all->error = 0;
		if (pipe(told) < 0 || (pid = fork()) < 0) {
			all->error = -errno;
			break;
		}
		if (pid == 0) {
			(void)close(told[0]);
			c = make_all(o, n) > 0;
			(void)!write(told[1], &c, 1);
			(void)close(told[1]);
			for (;;)
				(void)pause();
		}
		(void)close(told[1]);
		if (read(told[0], &c, 1) != 1)
			all->error = HOARD_KILLED;
		(void)close(told[0]);
		if (all->error == HOARD_KILLED || all->error == HOARD_MEMORY || !c ||
		    all->made >= all->max)
			break;
	}
	return all->error;
}

static const char *why(int error)
{
	if (error == HOARD_MEMORY)
		return "memory";
	if (error == HOARD_KILLED)
		return "killed";
	return error == 0 ? "enough" : strerrorname_np(-error);
}

static const struct hoard_object *find(const char *name)
{
	for (size_t t = 0; tables[t]; t++)
		for (const struct hoard_object *o = tables[t]; o->name; o++)
			if (strcmp(o->name, name) == 0)
				return o;
	return NULL;
}

int main(int argc, char **argv)
{
	const struct hoard_object *o;
	unsigned processes;
	char c;

	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (size_t t = 0; tables[t]; t++)
			for (o = tables[t]; o->name; o++)
				puts(o->name);
		return 0;
	}
	o = argc >= 3 ? find(argv[1]) : NULL;
	if (!o)
		return 2;
	processes = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
	all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED)
		return 3;
	all->max = strtoul(argv[2], NULL, 10);
	memory_watch();
	if (processes == 0)
		(void)make_all(o, 0);
	else
		(void)hoard(o, processes);
	/* No stdio: it would want a descriptor's memory. */
	(void)dprintf(STDOUT_FILENO, "%lu %s\n", all->made, why(all->error));
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	return 0;
}
