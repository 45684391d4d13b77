/* SPDX-License-Identifier: MIT */
/* Gives a test an /etc of its own. See own_etc.h. */
#include "tests/lib/own_etc.h"

#include "tests/lib/images.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

void own_etc(void)
{
	cr_assert(unshare(CLONE_NEWNS) == 0 &&
			  mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0,
		  "make a mount namespace: %s", strerror(errno));
	cr_assert(mount("etc", "/etc", "tmpfs", 0, "mode=755") == 0 &&
			  mount("cache", "/var/cache", "tmpfs", 0, "mode=755") == 0,
		  "mount: %s", strerror(errno));
	etc_file("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0644);
	etc_file("/etc/group", "root:x:0:\n", 0644);
}

void etc_dir(const char *path, mode_t mode)
{
	cr_assert((mkdir(path, mode) == 0 || errno == EEXIST) && chmod(path, mode) == 0, "%s: %s",
		  path, strerror(errno));
}

void etc_file(const char *path, const char *text, mode_t mode)
{
	char folder[512];

	for (const char *p = path + 1; (p = strchr(p, '/')); p++) {
		(void)snprintf(folder, sizeof(folder), "%.*s", (int)(p - path), path);
		(void)mkdir(folder, 0755);
	}
	PUT(path, text);
	cr_assert_eq(chmod(path, mode), 0, "%s: %s", path, strerror(errno));
}

void etc_link(const char *to, const char *path)
{
	cr_assert_eq(symlink(to, path), 0, "%s: %s", path, strerror(errno));
}
