/* SPDX-License-Identifier: MIT */
/*
 * memory [WORD ARG]…: uses memory of one kind after the other and gives it back.
 *   read PATH | drop PATH (out of the page cache) | map PATH (reads each page of it) | private PATH
 * (the same, writes to each) | spike MIB (of its own, for as short as it can) | file MIB (in /tmp,
 * removed) | shm MIB (in /dev/shm, cut short) | pipes MIB (full ones, closed) | miss N (looks for
 * so many files in /opt that are not there)
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096
#define MIB  (1UL << 20)

static char *map(const char *path, size_t *ret_size, int prot)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	char *p;

	if (fd < 0 || fstat(fd, &st))
		return NULL;
	*ret_size = (size_t)st.st_size;
	p = mmap(NULL, *ret_size, prot, MAP_PRIVATE, fd, 0);
	(void)close(fd);
	return p == MAP_FAILED ? NULL : p;
}

static int word_read(const char *arg)
{
	static char buf[64 << 10];
	int fd = open(arg, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return 1;
	do
		n = read(fd, buf, sizeof(buf));
	while (n > 0);
	(void)close(fd);
	return n < 0;
}

static int word_drop(const char *arg)
{
	int fd = open(arg, O_RDONLY);

	return fd < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) || close(fd);
}

static int word_map(const char *arg)
{
	size_t size;
	const volatile char *p = map(arg, &size, PROT_READ);

	for (size_t i = 0; p && i < size; i += PAGE)
		(void)p[i];
	return !p;
}

static int word_private(const char *arg)
{
	size_t size;
	volatile char *p = map(arg, &size, PROT_READ | PROT_WRITE);

	for (size_t i = 0; p && i < size; i += PAGE)
		p[i] = 1;
	return !p;
}

static int word_spike(const char *arg)
{
	size_t size = (size_t)atoi(arg) * MIB;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return p == MAP_FAILED || munmap(p, size);
}

/* In the kernel's own time: no page of it is the process's. */
static int fill(const char *path, size_t mib, int *ret_fd)
{
	static char buf[MIB];

	*ret_fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	for (size_t i = 0; i < mib; i++)
		if (write(*ret_fd, buf, sizeof(buf)) != sizeof(buf))
			return 1;
	return 0;
}

static int word_file(const char *arg)
{
	int fd, r = fill("/tmp/file", (size_t)atoi(arg), &fd);

	(void)close(fd);
	return unlink("/tmp/file") || r;
}

static int word_shm(const char *arg)
{
	int fd, r = fill("/dev/shm/file", (size_t)atoi(arg), &fd);

	return ftruncate(fd, 0) || close(fd) || r;
}

static int word_pipes(const char *arg)
{
	static char buf[MIB];
	int n = atoi(arg), ends[64][2];

	if (n > 64)
		return 1;
	for (int i = 0; i < n; i++)
		if (pipe(ends[i]) || fcntl(ends[i][1], F_SETPIPE_SZ, MIB) < 0 ||
		    write(ends[i][1], buf, MIB) != (ssize_t)MIB)
			return 1;
	for (int i = 0; i < n; i++) {
		(void)close(ends[i][0]);
		(void)close(ends[i][1]);
	}
	return 0;
}

static int word_miss(const char *arg)
{
	char path[64];

	for (int i = 0; i < atoi(arg); i++) {
		(void)snprintf(path, sizeof(path), "/opt/none-%d", i);
		if (!access(path, F_OK))
			return 1;
	}
	return 0;
}

static const struct {
	const char *name;
	int (*run)(const char *arg);
} words[] = {
	{ "read", word_read },	     { "drop", word_drop },   { "map", word_map },
	{ "private", word_private }, { "spike", word_spike }, { "file", word_file },
	{ "shm", word_shm },	     { "pipes", word_pipes }, { "miss", word_miss },
};

int main(int argc, char **argv)
{
	for (int a = 1; a + 1 < argc; a += 2) {
		size_t i = 0;

		while (i < sizeof(words) / sizeof(words[0]) && strcmp(argv[a], words[i].name) != 0)
			i++;
		if (i == sizeof(words) / sizeof(words[0]) || words[i].run(argv[a + 1])) {
			(void)fprintf(stderr, "memory: %s: %m\n", argv[a]);
			return 1;
		}
	}
	return 0;
}
