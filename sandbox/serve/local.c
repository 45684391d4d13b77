/* SPDX-License-Identifier: MIT */
/* Which mount a descriptor is of, and whose that is: see local.h. */
#include "serve/local.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000U /* linux/stat.h, since 5.8 */
#endif

/* Without a question to the file system. */
static int mount_of(int fd, uint64_t *ret)
{
	struct statx st = { .stx_mask = 0 };

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) < 0)
		return -errno;
	if (!(st.stx_mask & STATX_MNT_ID))
		return -EOPNOTSUPP;
	*ret = st.stx_mnt_id;
	return 0;
}

int local_init(struct local *ret)
{
	cleanup_fd int file = memfd_create("local", MFD_CLOEXEC);
	cleanup_fd int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int ends[2], r;

	if (file < 0 || sock < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	r = mount_of(ends[0], &ret->mounts[0]);
	(void)close(ends[0]);
	(void)close(ends[1]);
	if (r == 0)
		r = mount_of(sock, &ret->mounts[1]);
	return r == 0 ? mount_of(file, &ret->mounts[2]) : r;
}

static bool is_kernels(const char *type)
{
	static const char *const types[] = { "ext2",	 "ext3",     "ext4",  "xfs",   "btrfs",
					     "zfs",	 "f2fs",     "tmpfs", "ramfs", "overlay",
					     "devpts",	 "devtmpfs", "vfat",  "exfat", "erofs",
					     "squashfs", "iso9660",  "proc" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return false;
}

/* proc(5): the number comes first, the type behind " - ". */
static bool is_mounted(uint64_t id)
{
	cleanup_file FILE *f = fopen("/proc/self/mountinfo", "re");
	cleanup_free char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		char *type = strstr(line, " - ");

		if (strtoull(line, NULL, 10) != id || !type)
			continue;
		type += 3;
		type[strcspn(type, " ")] = '\0';
		return is_kernels(type);
	}
	return false;
}

bool local_is(const struct local *local, int fd)
{
	uint64_t id = 0;

	if (mount_of(fd, &id) < 0)
		return false;
	for (int i = 0; i < LOCAL_KINDS; i++)
		if (local->mounts[i] == id)
			return true;
	return is_mounted(id);
}
