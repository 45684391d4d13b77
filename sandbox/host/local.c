/* SPDX-License-Identifier: MIT */
/* Which mount a descriptor is of, and whose that is: see local.h. */
#include "host/local.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Of the table of mounts, at a time. */
#define LINES_LEN 16384

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

int local_init(struct local *ret, int mountinfo)
{
	cleanup_fd int file = memfd_create("local", MFD_CLOEXEC);
	cleanup_fd int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int ends[2], r;

	if (file < 0 || sock < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	*ret = (struct local){ .mountinfo = mountinfo };
	r = mount_of(ends[0], &ret->mounts[0]);
	(void)close(ends[0]);
	(void)close(ends[1]);
	if (r == 0)
		r = mount_of(sock, &ret->mounts[1]);
	return r == 0 ? mount_of(file, &ret->mounts[2]) : r;
}

struct known {
	const char *type;
	uint32_t magic; /* statfs(2) */
	bool keeps;	/* files of users */
};

/* Not in linux/magic.h. */
#define XFS_MAGIC 0x58465342
#define ZFS_MAGIC 0x2fc12fc1

static const struct known types[] = {
	{ "ext2", EXT2_SUPER_MAGIC, true },	 { "ext3", EXT3_SUPER_MAGIC, true },
	{ "ext4", EXT4_SUPER_MAGIC, true },	 { "xfs", XFS_MAGIC, true },
	{ "btrfs", BTRFS_SUPER_MAGIC, true },	 { "zfs", ZFS_MAGIC, true },
	{ "f2fs", F2FS_SUPER_MAGIC, true },	 { "tmpfs", TMPFS_MAGIC, true },
	{ "ramfs", RAMFS_MAGIC, true },		 { "overlay", OVERLAYFS_SUPER_MAGIC, true },
	{ "vfat", MSDOS_SUPER_MAGIC, true },	 { "exfat", EXFAT_SUPER_MAGIC, true },
	{ "erofs", EROFS_SUPER_MAGIC_V1, true }, { "squashfs", SQUASHFS_MAGIC, true },
	{ "iso9660", ISOFS_SUPER_MAGIC, true },	 { "devpts", DEVPTS_SUPER_MAGIC, false },
	{ "proc", PROC_SUPER_MAGIC, false },	 { "devtmpfs", TMPFS_MAGIC, false },
};
#define N_TYPES (sizeof(types) / sizeof(types[0]))

static const struct known *find_type(const char *type)
{
	for (size_t i = 0; i < N_TYPES; i++)
		if (strcmp(type, types[i].type) == 0)
			return &types[i];
	return NULL;
}

bool local_may_be(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < N_TYPES; i++)
		if (types[i].magic == (uint32_t)fs.f_type)
			return true;
	return false;
}

/* proc(5): the number comes first, the type behind " - ". */
static bool is_of_line(char *line, uint64_t id, const struct known **ret)
{
	char *type = strstr(line, " - ");

	if (strtoull(line, NULL, 10) != id || !type)
		return false;
	type += 3;
	type[strcspn(type, " ")] = '\0';
	*ret = find_type(type);
	return true;
}

/* NULL: it is none of ours, or nothing is known of its file system. */
static const struct known *find_mount(int mountinfo, uint64_t id)
{
	char text[LINES_LEN + 1];
	const struct known *found = NULL;
	size_t have = 0;
	ssize_t n;

	/* From its beginning the kernel tells how it is now. */
	if (lseek(mountinfo, 0, SEEK_SET) != 0)
		return NULL;
	/* A line that is longer than that is of nobody whom one wants to know. */
	while (have < LINES_LEN && (n = read(mountinfo, text + have, LINES_LEN - have)) > 0) {
		char *line = text, *end;

		have += (size_t)n;
		text[have] = '\0';
		for (; (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			if (is_of_line(line, id, &found))
				return found;
		}
		have -= (size_t)(line - text);
		memmove(text, line, have);
	}
	return NULL;
}

/* A number of a mount that is gone may be another's by now. */
static void forget_if_changed(struct local *l)
{
	struct pollfd changed = { .fd = l->mountinfo, .events = POLLPRI };

	if (poll(&changed, 1, 0) != 0)
		l->n_seen = 0;
}

static bool was_seen(const struct local *l, uint64_t id)
{
	for (unsigned i = 0; i < l->n_seen && i < LOCAL_SEEN; i++)
		if (l->seen[i] == id)
			return true;
	return false;
}

bool local_is(struct local *local, int fd)
{
	uint64_t id = 0;

	if (mount_of(fd, &id) < 0)
		return false;
	for (int i = 0; i < LOCAL_KINDS; i++)
		if (local->mounts[i] == id)
			return true;
	forget_if_changed(local);
	if (was_seen(local, id))
		return true;
	if (!find_mount(local->mountinfo, id))
		return false;
	local->seen[local->n_seen++ % LOCAL_SEEN] = id;
	return true;
}

bool local_is_memory(const struct local *local, int fd)
{
	uint64_t id = 0;

	return mount_of(fd, &id) == 0 && local->mounts[2] == id;
}

bool local_keeps(int fd)
{
	cleanup_fd int mountinfo = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	const struct known *found;
	uint64_t id = 0;

	if (mountinfo < 0 || mount_of(fd, &id) < 0)
		return false;
	found = find_mount(mountinfo, id);
	return found && found->keeps;
}
