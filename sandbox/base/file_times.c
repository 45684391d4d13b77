/* SPDX-License-Identifier: MIT */
/* File systems by what their times are worth: see file_times.h. */
#include "base/file_times.h"

#include <linux/magic.h>
#include <sys/vfs.h>

/* Not in linux/magic.h. */
#define XFS_MAGIC 0x58465342U /* "XFSB", of fs/xfs */
#define ZFS_MAGIC 0x2fc12fc1U

enum file_times file_times_of(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return FILE_TIMES_UNKNOWN;
	switch ((unsigned long)fs.f_type) {
	case EXT4_SUPER_MAGIC:
	case XFS_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case ZFS_MAGIC:
	case F2FS_SUPER_MAGIC:
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
	case OVERLAYFS_SUPER_MAGIC:
		return FILE_TIMES_KERNEL;
	case SQUASHFS_MAGIC:
	case EROFS_SUPER_MAGIC_V1:
	case ISOFS_SUPER_MAGIC:
		return FILE_TIMES_FIXED;
	default:
		return FILE_TIMES_UNKNOWN;
	}
}
