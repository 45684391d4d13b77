/* SPDX-License-Identifier: MIT */
/* What hangs on a descriptor, a file or an inode. */
#include "hoard.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define BIG_FILE "/usr/bin/python3"

static int told(long r)
{
	return r < 0 ? -errno : 0;
}

static const char *name_of(unsigned process, unsigned i)
{
	static char path[64];

	(void)snprintf(path, sizeof(path), "/tmp/%u-%u", process, i);
	return path;
}

/* A file of one's own under /tmp, or -1. */
static int scratch(unsigned process, unsigned i)
{
	return open(name_of(process, i), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

/* ---- one descriptor each ---- */

static int null_make(unsigned process, unsigned i)
{
	return told(open("/dev/null", O_RDWR));
}

static int usr_make(unsigned process, unsigned i)
{
	return told(open(BIG_FILE, O_RDONLY));
}

static int usr_read_make(unsigned process, unsigned i)
{
	char c;
	int fd = open(BIG_FILE, O_RDONLY);

	return fd < 0 ? -errno : told(pread(fd, &c, 1, 4096L * i));
}

static int sysfs_make(unsigned process, unsigned i)
{
	return told(open("/sys/devices/system/cpu/online", O_RDONLY));
}

static int cgroupfs_make(unsigned process, unsigned i)
{
	int fd = open("/sys/fs/cgroup/memory.stat", O_RDONLY);
	char c;

	if (fd < 0)
		fd = open("/sys/fs/cgroup/memory/memory.stat", O_RDONLY);
	return fd < 0 ? -errno : told(read(fd, &c, 1));
}

static int proc_make(unsigned process, unsigned i)
{
	char c;
	int fd = open("/proc/self/maps", O_RDONLY);

	return fd < 0 ? -errno : told(read(fd, &c, 1));
}

static int mounts_make(unsigned process, unsigned i)
{
	char c;
	int fd = open("/proc/self/mountinfo", O_RDONLY);

	return fd < 0 ? -errno : told(read(fd, &c, 1));
}

static int namespace_make(unsigned process, unsigned i)
{
	static const char *const names[] = { "/proc/self/ns/net", "/proc/self/ns/mnt",
					     "/proc/self/ns/ipc" };

	return told(open(names[i % 3], O_RDONLY));
}

/* The address space of a process that is no more. */
static int dead_mm_make(unsigned process, unsigned i)
{
	char path[32], c;
	int fd, gate[2];
	pid_t pid;

	if (pipe(gate) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		(void)close(gate[1]);
		(void)!read(gate[0], &c, 1);
		_exit(0);
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	fd = pid < 0 ? -1 : open(path, O_RDONLY);
	if (fd < 0)
		fd = -errno;
	(void)close(gate[0]);
	(void)close(gate[1]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return fd < 0 ? fd : 0;
}

static int eventfd_make(unsigned process, unsigned i)
{
	return told(eventfd(0, 0));
}

static int timerfd_make(unsigned process, unsigned i)
{
	struct itimerspec at = { .it_value = { .tv_sec = 1000000 } };
	int fd = timerfd_create(CLOCK_REALTIME, 0);

	return fd < 0 ? -errno
		      : told(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at,
					     NULL));
}

static int signalfd_make(unsigned process, unsigned i)
{
	sigset_t set;

	(void)sigfillset(&set);
	return told(signalfd(-1, &set, 0));
}

static int epoll_make(unsigned process, unsigned i)
{
	return told(epoll_create1(0));
}

static int epoll_items_make(unsigned process, unsigned i)
{
	enum { EACH = 500 };
	static int files[EACH], at;
	struct epoll_event ev = { .events = EPOLLIN };

	if (i == 0)
		for (int k = 0; k < EACH; k++)
			files[k] = eventfd(0, 0);
	if (i % EACH == 0)
		at = epoll_create1(0);
	return at < 0 ? -errno : told(epoll_ctl(at, EPOLL_CTL_ADD, files[i % EACH], &ev));
}

static int pidfd_make(unsigned process, unsigned i)
{
	return told(syscall(SYS_pidfd_open, getpid(), 0));
}

static int memfd_make(unsigned process, unsigned i)
{
	char name[240];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	return told(memfd_create(name, MFD_ALLOW_SEALING));
}

static int inotify_make(unsigned process, unsigned i)
{
	return told(inotify_init1(0));
}

static int inotify_watch_make(unsigned process, unsigned i)
{
	static int at = -1;
	int fd = scratch(process, i);

	if (at < 0)
		at = inotify_init1(0);
	if (fd < 0 || at < 0)
		return -errno;
	(void)close(fd);
	return told(inotify_add_watch(at, name_of(process, i), IN_ALL_EVENTS));
}

/* As many events as there is room for, in as many queues. */
static int inotify_event_make(unsigned process, unsigned i)
{
	static int touched = -1;
	int at = inotify_init1(0);

	if (touched < 0)
		touched = scratch(process, 0);
	if (at < 0 || touched < 0 || inotify_add_watch(at, "/tmp", IN_ALL_EVENTS) < 0)
		return -errno;
	for (int k = 0; k < 20; k++) {
		(void)pwrite(touched, "x", 1, 0);
		(void)utimensat(AT_FDCWD, name_of(process, 0), NULL, 0);
	}
	return 0;
}

static int dnotify_make(unsigned process, unsigned i)
{
	int fd = open("/tmp", O_RDONLY | O_DIRECTORY);

	return fd < 0 ? -errno : told(fcntl(fd, F_NOTIFY, (long)(DN_CREATE | DN_MULTISHOT)));
}

static int owner_make(unsigned process, unsigned i)
{
	int fd = open("/dev/null", O_RDWR);

	return fd < 0 ? -errno : told(fcntl(fd, F_SETOWN, getpid()));
}

static int async_make(unsigned process, unsigned i)
{
	int fds[2], on = 1;

	(void)signal(SIGIO, SIG_IGN);
	return pipe(fds) < 0 ? -errno : told(ioctl(fds[0], FIOASYNC, &on));
}

/* A set of credentials of its own in each file. */
static int cred_make(unsigned process, unsigned i)
{
	struct {
		uint32_t version;
		int pid;
	} head = { 0x20080522, 0 };
	uint32_t none[6] = { 0 };

	if (syscall(SYS_capset, &head, none) < 0)
		return -errno;
	return told(open("/dev/null", O_RDWR));
}

/* ---- pipes ---- */

static int pipe_make(unsigned process, unsigned i)
{
	int fds[2];

	return told(pipe(fds));
}

static int pipe_full_make(unsigned process, unsigned i)
{
	static char page[4096];
	int fds[2];

	if (pipe2(fds, O_NONBLOCK) < 0)
		return -errno;
	while (write(fds[1], page, sizeof(page)) > 0)
		;
	return 0;
}

static int pipe_big_make(unsigned process, unsigned i)
{
	int fds[2];

	return pipe(fds) < 0 ? -errno : told(fcntl(fds[1], F_SETPIPE_SZ, 1 << 20));
}

static int fifo_make(unsigned process, unsigned i)
{
	return mkfifo(name_of(process, i), 0600) < 0 ? -errno
						     : told(open(name_of(process, i), O_RDWR));
}

/* Pages of files that others have read: they are nobody's here. */
static char (*usr_files)[128];
static unsigned n_usr_files;
static uint64_t usr_at;
static unsigned usr_file;

static int usr_see(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (type == FTW_F && S_ISREG(st->st_mode) && st->st_size > 65536 && strlen(path) < 128 &&
	    n_usr_files < 500)
		(void)snprintf(usr_files[n_usr_files++], 128, "%s", path);
	return 0;
}

/* The next 64 KiB of the host's files, each once in all processes; a descriptor at them or -1. */
static int usr_next(unsigned process, loff_t *ret_at)
{
	static int fd = -1;
	struct stat st;

	if (!usr_files) {
		usr_files = mmap(NULL, 500 * 128, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		(void)nftw("/usr", usr_see, 16, FTW_PHYS);
		usr_file = process;
	}
	while (usr_file < n_usr_files) {
		if (fd < 0)
			fd = open(usr_files[usr_file], O_RDONLY);
		if (fd >= 0 && fstat(fd, &st) == 0 && usr_at + 65536 <= (uint64_t)st.st_size) {
			*ret_at = (loff_t)usr_at;
			usr_at += 65536;
			return fd;
		}
		if (fd >= 0)
			(void)close(fd);
		fd = -1;
		usr_at = 0;
		usr_file += 50;
	}
	errno = ENODATA;
	return -1;
}

static int splice_make(unsigned process, unsigned i)
{
	loff_t at = 0;
	int fds[2], fd = usr_next(process, &at);

	if (fd < 0 || pipe(fds) < 0)
		return -errno;
	return told(splice(fd, &at, fds[1], NULL, 65536, SPLICE_F_NONBLOCK));
}

static int sendfile_make(unsigned process, unsigned i)
{
	loff_t at = 0;
	int fds[2], fd = usr_next(process, &at);

	if (fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	return told(sendfile(fds[1], fd, &at, 65536));
}

/* ---- locks ---- */

static int range_make(int fd, int command, short type, unsigned i)
{
	struct flock l = { .l_type = type, .l_start = 2L * i, .l_len = 1 };

	return fd < 0 ? -errno : told(fcntl(fd, command, &l));
}

/* The kernel walks a file's list for each: more would take minutes, and so many tell enough. */
static int few_make(unsigned most, int fd, int command, short type, unsigned i)
{
	return i >= most ? -E2BIG : range_make(fd, command, type, i);
}

static int posix_all_make(unsigned process, unsigned i)
{
	static int fd = -1;

	if (i == 0)
		fd = scratch(process, 0);
	return range_make(fd, F_SETLK, F_WRLCK, i);
}

static int ofd_all_make(unsigned process, unsigned i)
{
	static int fd = -1;

	if (i == 0)
		fd = scratch(process, 0);
	return range_make(fd, F_OFD_SETLK, F_WRLCK, i);
}

static int read_all_make(unsigned process, unsigned i)
{
	static int fd = -1;

	if (i == 0)
		fd = open(BIG_FILE, O_RDONLY);
	return range_make(fd, F_OFD_SETLK, F_RDLCK, i);
}

static int posix_lock_make(unsigned process, unsigned i)
{
	static int fd = -1;

	if (i == 0)
		fd = scratch(process, 0);
	return few_make(600, fd, F_SETLK, F_WRLCK, i);
}

static int ofd_lock_make(unsigned process, unsigned i)
{
	static int fd = -1;

	if (i == 0)
		fd = scratch(process, 0);
	return few_make(600, fd, F_OFD_SETLK, F_WRLCK, i);
}

/* A few in each of many files. */
static int spread_lock_make(unsigned process, unsigned i)
{
	static int fds[512];

	if (i < 512)
		fds[i] = scratch(process, i);
	return few_make(10, fds[i % 512], F_OFD_SETLK, F_WRLCK, i / 512);
}

/* Unlocking the middle of a lock makes two of it. */
static int split_lock_make(unsigned process, unsigned i)
{
	struct flock l = { .l_type = F_WRLCK };
	static int fd = -1;

	if (i == 0) {
		fd = scratch(process, 0);
		(void)fcntl(fd, F_OFD_SETLK, &l);
	}
	return few_make(600, fd, F_OFD_SETLK, F_UNLCK, i + 1);
}

static int read_lock_make(unsigned process, unsigned i)
{
	static int fd = -1;

	if (i == 0)
		fd = open(BIG_FILE, O_RDONLY);
	/* All processes' locks are in one list. */
	return few_make(200, fd, F_OFD_SETLK, F_RDLCK, i);
}

/* On a file that somebody else opened: standard input. */
static int stream_lock_make(unsigned process, unsigned i)
{
	return few_make(9000, STDIN_FILENO, F_SETLK, F_RDLCK, i);
}

static int flock_make(unsigned process, unsigned i)
{
	int fd = i ? open(name_of(process, 0), O_RDWR) : scratch(process, 0);

	return fd < 0 ? -errno : told(flock(fd, LOCK_SH | LOCK_NB));
}

/* Not held: a file for each, made, locked and closed. */
static int let_go_make(unsigned process, unsigned i)
{
	int fd = scratch(process, i), r;

	if (fd < 0)
		return -errno;
	r = i % 2 ? told(flock(fd, LOCK_EX)) : range_make(fd, F_SETLK, F_WRLCK, 0);
	(void)close(fd);
	(void)unlink(name_of(process, i));
	return r;
}

/* Four at a time, that lock and unlock ranges of the same eight files a thousand times each. */
static int crowd_make(unsigned process, unsigned i)
{
	int status, r = 0;

	for (unsigned k = 0; k < 4; k++)
		if (fork() == 0) {
			for (unsigned n = 0; n < 1000; n++) {
				int fd = scratch(process, n % 8);
				struct flock l = { .l_type = F_WRLCK,
						   .l_start = k / 2,
						   .l_len = 1 };

				(void)fcntl(fd, F_SETLKW, &l);
				l.l_type = F_UNLCK;
				if (n % 3)
					(void)fcntl(fd, F_SETLK, &l);
				(void)close(fd);
			}
			_exit(0);
		}
	while (wait(&status) > 0)
		r |= status;
	return r ? -EINTR : 0;
}

static int lease_make(unsigned process, unsigned i)
{
	int fd = scratch(process, i);

	return fd < 0 ? -errno : told(fcntl(fd, F_SETLEASE, F_WRLCK));
}

/* ---- inodes and names ---- */

static int tmpfs_file_make(unsigned process, unsigned i)
{
	int fd = scratch(process, i);

	return fd < 0 ? -errno : close(fd);
}

static int tmpfs_dir_make(unsigned process, unsigned i)
{
	return told(mkdir(name_of(process, i), 0700));
}

static int symlink_make(unsigned process, unsigned i)
{
	char to[128];

	memset(to, 'x', 127);
	to[127] = '\0';
	return told(symlink(to, name_of(process, i)));
}

static int long_symlink_make(unsigned process, unsigned i)
{
	char to[4000];

	memset(to, 'x', sizeof(to) - 1);
	to[sizeof(to) - 1] = '\0';
	return told(symlink(to, name_of(process, i)));
}

static int hard_link_make(unsigned process, unsigned i)
{
	if (i == 0 && scratch(process, 0) < 0)
		return -errno;
	return told(linkat(AT_FDCWD, strdup(name_of(process, 0)), AT_FDCWD, name_of(process, i + 1),
			   0));
}

static int xattr_make(unsigned process, unsigned i)
{
	static char value[60000];
	char name[32];

	if (i == 0 && scratch(process, 0) < 0)
		return -errno;
	(void)snprintf(name, sizeof(name), "user.%u", i);
	return told(setxattr(name_of(process, 0), name, value, sizeof(value), 0));
}

/* A list of 4,000 users for each file. */
static int acl_make(unsigned process, unsigned i)
{
	enum { USERS = 4000 };
	static struct {
		uint32_t version;
		struct {
			uint16_t tag, perm;
			uint32_t id;
		} e[USERS + 4];
	} acl;
	int fd = scratch(process, i), r;

	acl.version = 2;
	for (unsigned k = 0; k < USERS + 4; k++) {
		acl.e[k].tag = k == 0		? 1
			       : k <= USERS	? 2
			       : k == USERS + 1 ? 4
			       : k == USERS + 2 ? 16
						: 32;
		acl.e[k].perm = 6;
		acl.e[k].id = k > 0 && k <= USERS ? 1000 : UINT32_MAX;
	}
	r = fd < 0 ? -errno : told(fsetxattr(fd, "system.posix_acl_access", &acl, sizeof(acl), 0));
	(void)close(fd);
	return r;
}

static int negative_make(unsigned process, unsigned i)
{
	char path[300];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/usr/%u-%0200u", process, i);
	return stat(path, &st) < 0 && errno == ENOENT ? 0 : -errno;
}

const struct hoard_object hoard_files[] = {
	{ "file-null", null_make },
	{ "file-usr", usr_make },
	{ "file-usr-read", usr_read_make },
	{ "file-sysfs", sysfs_make },
	{ "file-cgroupfs", cgroupfs_make },
	{ "file-proc-maps", proc_make },
	{ "file-proc-mountinfo", mounts_make },
	{ "file-namespace", namespace_make },
	{ "file-dead-mm", dead_mm_make },
	{ "file-own-cred", cred_make },
	{ "eventfd", eventfd_make },
	{ "timerfd", timerfd_make },
	{ "signalfd", signalfd_make },
	{ "epoll", epoll_make },
	{ "epoll-items", epoll_items_make },
	{ "pidfd", pidfd_make },
	{ "memfd", memfd_make },
	{ "inotify", inotify_make },
	{ "inotify-watch", inotify_watch_make },
	{ "inotify-event", inotify_event_make },
	{ "dnotify", dnotify_make },
	{ "file-owner", owner_make },
	{ "file-async", async_make },
	{ "pipe", pipe_make },
	{ "pipe-full", pipe_full_make },
	{ "pipe-big", pipe_big_make },
	{ "fifo", fifo_make },
	{ "pipe-of-usr", splice_make },
	{ "socket-of-usr", sendfile_make },
	{ "lock-posix-all", posix_all_make },
	{ "lock-ofd-all", ofd_all_make },
	{ "lock-read-only-all", read_all_make },
	{ "lock-posix", posix_lock_make },
	{ "lock-ofd", ofd_lock_make },
	{ "lock-spread", spread_lock_make },
	{ "lock-split", split_lock_make },
	{ "lock-read-only", read_lock_make },
	{ "lock-stream", stream_lock_make },
	{ "lock-flock", flock_make },
	{ "lock-let-go", let_go_make },
	{ "lock-crowd", crowd_make },
	{ "lease", lease_make },
	{ "tmpfs-file", tmpfs_file_make },
	{ "tmpfs-dir", tmpfs_dir_make },
	{ "tmpfs-symlink", symlink_make },
	{ "tmpfs-symlink-long", long_symlink_make },
	{ "tmpfs-link", hard_link_make },
	{ "tmpfs-xattr", xattr_make },
	{ "tmpfs-acl", acl_make },
	{ "dentry-negative", negative_make },
	{ .name = NULL },
};
