/* SPDX-License-Identifier: MIT */
/*
 * Builds the root template and pins its mount namespace (see rootfs.h). All of this runs once after
 * a boot or when one of the copied files changed on the host, under a lock.
 */
#include "launch/rootfs.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"
#include "host/host.h"
#include "launch/bootstraps.h"
#include "launch/etc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#define NS_DIR	     HOST_RUN_DIR "/ns"
#define BUILD	     "/run/cloche/ns" /* covered by the skeleton's tmpfs, in the builder's namespace */
#define TEMPLATE_REV 8

static const struct {
	const char *name, *text;
} written[] = {
	{ "passwd", "root:x:0:0:root:/root:/usr/sbin/nologin\n"
		    "function:x:1000:1000:function:/tmp:/bin/sh\n"
		    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n" },
	{ "group", "root:x:0:\nfunction:x:1000:\nnogroup:x:65534:\n" },
	{ "hosts", "127.0.0.1 localhost\n127.0.1.1 cloche\n::1 localhost\n" },
	{ "hostname", "cloche\n" },
	{ "nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n" },
	{ "resolv.conf", "" },
};

static bool is_absent(int code)
{
	return code == ENOENT || code == ENOTDIR || code == ELOOP;
}

static int template_key(uint64_t *ret, struct cloche_err *err)
{
	uint64_t h = hash_fnv_u64(hash_fnv_u64(HASH_FNV_START, TEMPLATE_REV), bootstraps_hash);
	struct stat st;
	int r = etc_key(&h, err);

	if (r < 0)
		return r;
	if (stat("/usr", &st) < 0)
		return cloche_err_sys(err, errno, "look at '/usr'");
	*ret = hash_fnv_u64(hash_fnv_u64(h, st.st_dev), st.st_ino);
	return 0;
}

static int make_file_mode(const char *path, const void *data, size_t len, mode_t mode)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (fd < 0)
		return -errno;
	return write(fd, data, len) == (ssize_t)len ? 0 : -EIO;
}

static int make_file(const char *path, const char *data, size_t len)
{
	return make_file_mode(path, data, len, 0644);
}

static int bind_ro(const char *from, const char *to, struct cloche_err *err)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
		.propagation = MS_PRIVATE,
	};

	if (mount(from, to, NULL, MS_BIND | MS_REC, NULL) < 0)
		return cloche_err_sys(err, errno, "bind '%s'", from);
	if (mount_setattr(AT_FDCWD, to, AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return cloche_err_sys(err, errno, "make '%s' read-only (mount_setattr)", from);
	return 0;
}

static int build_etc(struct cloche_err *err)
{
	char to[96];

	for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++) {
		(void)snprintf(to, sizeof(to), BUILD "/etc/%s", written[i].name);
		if (make_file(to, written[i].text, strlen(written[i].text)) < 0)
			return cloche_err_sys(err, EIO, "write '%s'", to);
	}
	if (symlink("/proc/self/mounts", BUILD "/etc/mtab") < 0)
		return cloche_err_sys(err, errno, "link /etc/mtab");
	return etc_build(BUILD, err);
}

static int build_runtime(struct cloche_err *err)
{
	char to[96];

	for (const struct bootstrap *b = bootstraps; b->name; b++) {
		(void)snprintf(to, sizeof(to), BUILD BOOTSTRAPS_DIR "/%s", b->name);
		if (make_file_mode(to, b->bytes, b->len, 0755) < 0)
			return cloche_err_sys(err, EIO, "write '%s'", to);
	}
	return 0;
}

static int build_dev(struct cloche_err *err)
{
	static const struct {
		const char *name;
		unsigned major, minor;
	} nodes[] = { { "null", 1, 3 },	  { "zero", 1, 5 },    { "full", 1, 7 },
		      { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 } };
	static const char *const links[][2] = { { "/proc/self/fd", "fd" },
						{ "/proc/self/fd/0", "stdin" },
						{ "/proc/self/fd/1", "stdout" },
						{ "/proc/self/fd/2", "stderr" },
						{ "pts/ptmx", "ptmx" } };
	char path[64];

	if (mount("dev", BUILD "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "size=64K,mode=755") < 0)
		return cloche_err_sys(err, errno, "mount /dev");
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		(void)snprintf(path, sizeof(path), BUILD "/dev/%s", nodes[i].name);
		if (mknod(path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) < 0 ||
		    chmod(path, 0666) < 0)
			return cloche_err_sys(err, errno, "make /dev/%s", nodes[i].name);
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		(void)snprintf(path, sizeof(path), BUILD "/dev/%s", links[i][1]);
		if (symlink(links[i][0], path) < 0)
			return cloche_err_sys(err, errno, "link /dev/%s", links[i][1]);
	}
	/* /dev/pts is each context's own; empty as here it covers what of /proc is masked. */
	if (mkdir(BUILD "/dev/shm", 0755) < 0 || mkdir(BUILD "/dev/pts", 0755) < 0)
		return cloche_err_sys(err, errno, "make /dev/shm and /dev/pts");
	if (mount(NULL, BUILD "/dev", NULL,
		  MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NOEXEC, NULL) < 0)
		return cloche_err_sys(err, errno, "make /dev read-only");
	return 0;
}

int rootfs_repeat_top(const char *stage, const char *const names[], size_t n,
		      int (*dir)(const char *from, const char *to, struct cloche_err *err),
		      struct cloche_err *err)
{
	char from[32], to[64], link[128];

	for (size_t i = 0; i < n; i++) {
		ssize_t len;
		int r;

		(void)snprintf(from, sizeof(from), "/%s", names[i]);
		(void)snprintf(to, sizeof(to), "%s/%s", stage, names[i]);
		len = readlink(from, link, sizeof(link) - 1);
		if (len > 0) {
			link[len] = '\0';
			if (symlink(link, to) < 0)
				return cloche_err_sys(err, errno, "link '%s'", from);
			continue;
		}
		/* EINVAL: it is there and no link. */
		if (errno == ENOENT)
			continue;
		if (len < 0 && errno != EINVAL)
			return cloche_err_sys(err, errno, "read '%s'", from);
		if (mkdir(to, 0755) < 0)
			return cloche_err_sys(err, errno, "make '%s'", to);
		r = dir(from, to, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int build_top(struct cloche_err *err)
{
	static const char *const top[] = {
		"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"
	};

	return rootfs_repeat_top(BUILD, top, sizeof(top) / sizeof(top[0]), bind_ro, err);
}

/* What /sys/devices/system/cpu/online may say: as many as a context has, so numbered that programs
 * which count them count right. */
static int write_online(struct cloche_err *err)
{
	char path[64], text[16];

	for (int n = 1; n <= ROOTFS_ONLINE_MAX; n++) {
		int len = n == 1 ? snprintf(text, sizeof(text), "0\n")
				 : snprintf(text, sizeof(text), "0-%d\n", n - 1);

		(void)snprintf(path, sizeof(path), BUILD "/sys/" ROOTFS_ONLINE "/%d", n);
		if (make_file(path, text, (size_t)len) < 0)
			return cloche_err_sys(err, EIO, "write '%s'", path);
	}
	return 0;
}

static int build_sys(struct cloche_err *err)
{
	static const char *const cpu = "/sys/devices/system/cpu";
	static const char *const dirs[] = { BUILD "/sys/devices",
					    BUILD "/sys/devices/system",
					    BUILD "/sys/devices/system/cpu",
					    BUILD "/sys/" ROOTFS_ONLINE,
					    BUILD "/sys/fs",
					    BUILD "/sys/fs/cgroup",
					    BUILD "/sys/fs/cgroup/cpu",
					    BUILD "/sys/fs/cgroup/cpuacct",
					    BUILD "/sys/fs/cgroup/cpuset",
					    BUILD "/sys/fs/cgroup/memory",
					    BUILD "/sys/fs/cgroup/pids" };

	if (mount("sys", BUILD "/sys", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=512K,mode=755") < 0)
		return cloche_err_sys(err, errno, "mount /sys");
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (mkdir(dirs[i], 0755) < 0)
			return cloche_err_sys(err, errno, "make '%s'", dirs[i]);
	if (write_online(err) < 0)
		return -err->code;
	if (access(cpu, F_OK) == 0) {
		if (bind_ro(cpu, BUILD "/sys/devices/system/cpu", err) < 0)
			return -err->code;
	} else if (!is_absent(errno)) {
		return cloche_err_sys(err, errno, "look at '%s'", cpu);
	}
	if (mount(NULL, BUILD "/sys", NULL,
		  MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return cloche_err_sys(err, errno, "make /sys read-only");
	return 0;
}

static int build(struct cloche_err *err)
{
	static const char *const dirs[] = { "etc",	 "dev",	       "proc",	   "sys",
					    "tmp",	 "mnt",	       "opt",	   "run",
					    "home",	 "root",       "media",	   "srv",
					    "var",	 "var/tmp",    "var/task", "var/lib",
					    "var/cache", "var/runtime" };
	char path[64];
	int r;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return cloche_err_sys(err, errno, "make a mount namespace");
	if (mount("root", BUILD, "tmpfs", MS_NOSUID | MS_NODEV, "size=8M,mode=755") < 0)
		return cloche_err_sys(err, errno, "mount the root template");
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		(void)snprintf(path, sizeof(path), BUILD "/%s", dirs[i]);
		if (mkdir(path, 0755) < 0)
			return cloche_err_sys(err, errno, "make '%s'", path);
	}
	r = build_top(err);
	if (r == 0)
		r = build_etc(err);
	if (r == 0)
		r = build_runtime(err);
	if (r == 0)
		r = build_dev(err);
	if (r == 0)
		r = build_sys(err);
	if (r < 0)
		return r;
	if (chdir(BUILD) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return cloche_err_sys(err, errno, "pivot into the root template");
	if (mount(NULL, "/", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) <
	    0)
		return cloche_err_sys(err, errno, "make the root template read-only");
	return 0;
}

/* Templates of other keys go; contexts that run in copies of them are not touched. */
static void try_remove_others(const char *keep)
{
	DIR *d = opendir(NS_DIR);
	struct dirent *e;
	char path[sizeof(NS_DIR) + sizeof(e->d_name) + 1];

	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, "root-", 5) != 0 || strcmp(e->d_name, keep) == 0)
			continue;
		(void)snprintf(path, sizeof(path), NS_DIR "/%s", e->d_name);
		(void)umount2(path, MNT_DETACH);
		(void)unlink(path);
	}
	if (d)
		(void)closedir(d);
}

/* A child builds and waits while its namespace is opened and pinned from here; returns its fd. */
static int build_and_pin(const char *pin, struct cloche_err *err)
{
	int up[2], down[2];
	struct cloche_err result = { 0 };
	char ns[32];
	ssize_t n;
	pid_t pid;
	int r;

	if (pipe2(up, O_CLOEXEC) < 0)
		return cloche_err_sys(err, errno, "pipe2");
	if (pipe2(down, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		return cloche_err_sys(err, errno, "fork the builder of the root template");
	if (pid == 0) {
		(void)close(down[1]);
		(void)umask(022);
		(void)build(&result);
		if (write(up[1], &result, sizeof(result)) < 0)
			_exit(1);
		_exit(read(down[0], ns, 1) < 0);
	}
	(void)close(up[1]);
	(void)close(down[0]);
	n = read(up[0], &result, sizeof(result));
	r = n != sizeof(result) ? cloche_err_set(err, EIO, "the builder of the root template died")
	    : result.code	? (*err = result, -result.code)
				: 0;
	if (r == 0) {
		(void)snprintf(ns, sizeof(ns), "/proc/%d/ns/mnt", pid);
		r = open(ns, O_RDONLY | O_CLOEXEC);
		if (r < 0)
			r = cloche_err_sys(err, errno, "open '%s'", ns);
		else
			host_try_pin(ns, pin);
	}
	(void)close(down[1]);
	(void)close(up[0]);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}

int rootfs_template(int run_fd, struct cloche_err *err)
{
	cleanup_fd int lock = -1;
	uint64_t key = 0;
	char pin[32];
	int fd, r;

	r = template_key(&key, err);
	if (r < 0)
		return r;
	(void)snprintf(pin, sizeof(pin), "ns/root-%016llx", (unsigned long long)key);
	fd = host_pin_open(run_fd, pin);
	if (fd >= 0)
		return fd;
	lock = host_lock(run_fd, "setup.lock", err);
	if (lock < 0)
		return lock;
	fd = host_pin_open(run_fd, pin);
	if (fd >= 0)
		return fd;
	/* A mount namespace can only be pinned on such a mount. */
	r = host_private_dir(NS_DIR, err);
	if (r < 0)
		return r;
	try_remove_others(pin + 3);
	fd = build_and_pin(pin, err);
	return fd < 0 ? cloche_err_wrap(err, "build the root template") : fd;
}
