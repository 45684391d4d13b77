/* SPDX-License-Identifier: MIT */
/* The run directory and its locks. */
#include "host/host.h"

#include "base/err.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/vfs.h>
#include <sys/mount.h>
#include <stdio.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>

int host_run_dir(struct cloche_err *err)
{
	cleanup_fd int fd = -1;
	struct stat st;

	fd = open(HOST_RUN_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		if (mkdir(HOST_RUN_DIR, 0700) < 0 && errno != EEXIST)
			return cloche_err_sys(err, errno, "make '%s'", HOST_RUN_DIR);
		fd = open(HOST_RUN_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd < 0)
		return cloche_err_sys(err, errno, "open '%s'", HOST_RUN_DIR);
	if (fstat(fd, &st) < 0)
		return cloche_err_sys(err, errno, "stat '%s'", HOST_RUN_DIR);
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return cloche_err_set(err, EPERM,
				      "'%s' belongs to uid %u with mode %03o: it must be "
				      "root's alone; remove it",
				      HOST_RUN_DIR, st.st_uid, st.st_mode & 0777);
	return TAKE_FD(fd);
}

int host_lock(int run_fd, const char *name, struct cloche_err *err)
{
	cleanup_fd int fd = openat(run_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return cloche_err_sys(err, errno, "open '%s/%s'", HOST_RUN_DIR, name);
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return cloche_err_sys(err, errno, "lock '%s/%s'", HOST_RUN_DIR, name);
	return TAKE_FD(fd);
}

int host_private_dir(const char *path, struct cloche_err *err)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return cloche_err_sys(err, errno, "make '%s'", path);
	if (mount(NULL, path, NULL, MS_PRIVATE, NULL) == 0)
		return 0;
	/* EINVAL: it is not a mount. */
	if (errno != EINVAL || mount(path, path, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, path, NULL, MS_PRIVATE, NULL) < 0)
		return cloche_err_sys(err, errno, "mount '%s' on itself", path);
	return 0;
}

int host_pin_open(int run_fd, const char *pin)
{
	int fd = openat(run_fd, pin, O_RDONLY | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0)
		return -errno;
	/* The empty file below a pin that is gone is no namespace. */
	if (fstatfs(fd, &fs) < 0 || fs.f_type != NSFS_MAGIC) {
		(void)close(fd);
		return -ENOENT;
	}
	return fd;
}

/*
 * A kernel may refuse a mount namespace's pin in a mount namespace other than the first: it takes
 * the new one for an ancestor when the number that it drew for it is lower (mnt_ns_loop; since 6.18
 * each CPU draws from its own range).
 */
void host_try_pin(const char *ns, const char *pin)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), HOST_RUN_DIR "/%s", pin);
	fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	(void)close(fd);
	(void)mount(ns, path, NULL, MS_BIND, NULL);
}

bool host_bpffs_is_mounted(void)
{
	struct statfs st;

	return !statfs(HOST_BPFFS, &st) && (unsigned long)st.f_type == BPF_FS_MAGIC;
}

int host_bpffs_lock(struct cloche_err *err)
{
	cleanup_fd int fd = -1;

	if (!host_bpffs_is_mounted() &&
	    mount("bpf", HOST_BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"))
		return cloche_err_sys(err, errno, "mount a BPF file system at '" HOST_BPFFS "'");
	fd = open(HOST_BPFFS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX))
		return cloche_err_sys(err, errno, "lock '" HOST_BPFFS "'");
	return TAKE_FD(fd);
}
