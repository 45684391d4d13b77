/* SPDX-License-Identifier: MIT */
/* Looks for what dead runs left: see leftovers.h. */
#include "tests/lib/leftovers.h"

#include "base/fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* A slot's lock can be had only when its owner is dead or done; while we hold it nobody takes the
 * slot, so a cgroup that is there now was left. */
static bool cgroup_left(int slots, const char *path)
{
	long n = strtol(strrchr(path, '/') + 1, NULL, 10);
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = n, .l_len = 1 };
	bool left;

	if (fcntl(slots, F_OFD_SETLK, &l) < 0)
		return false;
	left = access(path, F_OK) == 0;
	l.l_type = F_UNLCK;
	(void)fcntl(slots, F_OFD_SETLK, &l);
	return left;
}

/* ---- what a test leaves on purpose ------------------------------------------------------------
 */

static int expected = -1;

static int take(int how)
{
	const char *parent = getenv("TMPDIR");
	char path[512];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/cloche-leftovers",
		       parent && *parent ? parent : "/tmp");
	fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	cr_assert(fd >= 0 && flock(fd, how) == 0, "%s: %m", path);
	return fd;
}

void leftovers_begin(void)
{
	if (expected < 0)
		expected = take(LOCK_EX);
}

void leftovers_end(void)
{
	if (expected >= 0)
		(void)close(expected);
	expected = -1;
}

/* ---- what is left -----------------------------------------------------------------------------
 */

size_t leftover_cgroups(char **first)
{
	cleanup_fd int others = expected < 0 ? take(LOCK_SH) : -1;
	cleanup_fd int slots = open("/run/cloche/slots", O_RDWR | O_CLOEXEC);
	size_t count = 0;
	glob_t found = { 0 };

	*first = NULL;
	if (slots < 0) {
		cr_assert_eq(errno, ENOENT, "/run/cloche/slots: %m");
		return 0; /* nothing was ever run */
	}
	(void)glob("/sys/fs/cgroup/cloche/[0-9]*", GLOB_ONLYDIR, NULL, &found);
	(void)glob("/sys/fs/cgroup/*/cloche/[0-9]*", GLOB_ONLYDIR | GLOB_APPEND, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		if (!cgroup_left(slots, found.gl_pathv[i]))
			continue;
		count++;
		if (!*first)
			*first = strdup(found.gl_pathv[i]);
	}
	globfree(&found);
	return count;
}

char *leftover_of_slot(int slot)
{
	cleanup_fd int slots = open("/run/cloche/slots", O_RDWR | O_CLOEXEC);
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1 };
	char pattern[64], byte = 0, *what = NULL;
	glob_t found = { 0 };

	cr_assert(slots >= 0, "/run/cloche/slots: %m");
	if (fcntl(slots, F_OFD_SETLK, &l) < 0)
		return NULL;
	(void)snprintf(pattern, sizeof(pattern), "/sys/fs/cgroup/cloche/%d", slot);
	(void)glob(pattern, GLOB_ONLYDIR, NULL, &found);
	(void)snprintf(pattern, sizeof(pattern), "/sys/fs/cgroup/*/cloche/%d", slot);
	(void)glob(pattern, GLOB_ONLYDIR | GLOB_APPEND, NULL, &found);
	cr_assert_geq(pread(slots, &byte, 1, slot), 0);
	if (found.gl_pathc > 0)
		what = strdup(found.gl_pathv[0]);
	else if (byte)
		cr_assert(asprintf(&what, "the byte of slot %d", slot) > 0);
	globfree(&found);
	return what;
}

/* What is made by whichever run comes first and found by the others may come and go at any time. */
static bool is_cache(const char *path)
{
	return strstr(path, "/cloche/images") || strstr(path, "/cloche/image-configs/") ||
	       strstr(path, "/cloche/policies/") || strstr(path, "/cloche/code") ||
	       strstr(path, "/cloche/ns/root-") || strstr(path, "/cloche/ns/idmap-") ||
	       strcmp(path, "/run/cloche/hierarchies") == 0;
}

char *leftover_state(void)
{
	cleanup_file FILE *f = fopen("/proc/self/mountinfo", "re");
	static const char *const patterns[] = { "/run/cloche/*", "/run/cloche/*/*" };
	glob_t found = { 0 };
	char line[4096], at[1024], *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	cr_assert(f && out);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%*s %*s %*s %*s %1023s", at) == 1 &&
		    strncmp(at, "/run/cloche", 11) == 0 && !is_cache(at))
			(void)fprintf(out, "mount %s\n", at);
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		(void)glob(patterns[i], i ? GLOB_APPEND : 0, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++)
		if (!is_cache(found.gl_pathv[i]))
			(void)fprintf(out, "%s\n", found.gl_pathv[i]);
	globfree(&found);
	cr_assert_eq(fclose(out), 0);
	return text;
}

static bool environ_has(const char *path, const char *pair)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	char buf[8192];
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (n <= 0)
		return false;
	buf[n] = '\0';
	for (char *at = buf; at < buf + n; at += strlen(at) + 1)
		if (strcmp(at, pair) == 0)
			return true;
	return false;
}

size_t leftover_processes(const char *pair)
{
	size_t count = 0;
	glob_t found = { 0 };

	(void)glob("/proc/[0-9]*/environ", 0, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++)
		count += environ_has(found.gl_pathv[i], pair);
	globfree(&found);
	return count;
}
