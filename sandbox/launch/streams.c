/* SPDX-License-Identifier: MIT */
/* The kinds of standard streams: see streams.h. */
#include "launch/streams.h"

#include "base/err.h"
#include "base/quote.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

const char *const stream_names[3] = { "standard input", "standard output", "standard error" };

static int refuse(int as, const char *what, struct cloche_err *err)
{
	static const char *const mends[] = {
		"give it a file or a pipe, as in 'cat FILE | cloche run'",
		"give it a file or a pipe, as in 'cloche run | cat >FILE'",
		"give it a file or a pipe, as in 'cloche run 2>&1 | cat >FILE'"
	};

	return cloche_err_set(err, EINVAL, "%s is %s: %s", stream_names[as], what, mends[as]);
}

/* Not in linux/magic.h, or not in an old one. */
#define MQUEUE_FS  0x19800202
#define PID_FS	   0x50494446
#define CONFIG_FS  0x62656570
#define DMA_BUF_FS 0x444d4142

/* Files that look like others and are handles of something else: by ioctl(2), or by being written
 * to, they do more than to hold bytes. */
static const struct {
	uint32_t magic;
	bool readable; /* what is only open for reading is text */
	const char *what;
} kernel_files[] = {
	{ NSFS_MAGIC, false, "a namespace" },
	{ PID_FS, false, "a process (pidfd)" },
	{ MQUEUE_FS, false, "a message queue" },
	{ SECRETMEM_MAGIC, false, "secret memory" },
	{ DMA_BUF_FS, false, "a buffer of a device" },
	{ ANON_INODE_FS_MAGIC, false, "no file" },
	{ BPF_FS_MAGIC, false, "an object of BPF" },
	{ PROC_SUPER_MAGIC, true, "a file of /proc that is open for writing" },
	{ SYSFS_MAGIC, true, "a file of sysfs that is open for writing" },
	{ CGROUP_SUPER_MAGIC, true, "a cgroup's file that is open for writing" },
	{ CGROUP2_SUPER_MAGIC, true, "a cgroup's file that is open for writing" },
	{ DEBUGFS_MAGIC, true, "a file of debugfs that is open for writing" },
	{ TRACEFS_MAGIC, true, "a file of tracefs that is open for writing" },
	{ SECURITYFS_MAGIC, true, "a file of securityfs that is open for writing" },
	{ SELINUX_MAGIC, true, "a file of SELinux that is open for writing" },
	{ EFIVARFS_MAGIC, true, "a variable of the firmware that is open for writing" },
	{ BINFMTFS_MAGIC, true, "a file of binfmt_misc that is open for writing" },
	{ CONFIG_FS, true, "a file of configfs that is open for writing" },
};

static int look_at_file(int fd, int as, const struct stream *s, struct cloche_err *err)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return cloche_err_sys(err, errno, "look at %s", stream_names[as]);
	for (size_t i = 0; i < sizeof(kernel_files) / sizeof(kernel_files[0]); i++)
		if (kernel_files[i].magic == (uint32_t)fs.f_type &&
		    !(kernel_files[i].readable && !s->writes))
			return refuse(as, kernel_files[i].what, err);
	return 0;
}

static int look_at_device(int fd, int as, struct stream *s, struct cloche_err *err)
{
	static const unsigned harmless[] = { 3, 5, 7, 8, 9 }; /* null zero full random urandom */
	unsigned of = major(s->st.st_rdev), n = minor(s->st.st_rdev);
	struct termios t;
	char what[96];
	int pty;

	s->kind = STREAM_DEVICE;
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (of == 1 && n == harmless[i])
			return 0;
	s->kind = STREAM_TERMINAL;
	if (tcgetattr(fd, &t) < 0) {
		(void)snprintf(
			what, sizeof(what),
			"a device (%u:%u), and no terminal or /dev/null, zero, full, random, "
			"urandom",
			of, n);
		return refuse(as, what, err);
	}
	/* It opens the other side, and has what is typed and shown there. */
	if (ioctl(fd, TIOCGPTN, &pty) == 0)
		return refuse(as, "the master side of a terminal", err);
	return 0;
}

static int socket_option(int fd, int option)
{
	socklen_t len = sizeof(int);
	int v = -1;

	return getsockopt(fd, SOL_SOCKET, option, &v, &len) < 0 ? -1 : v;
}

/* Messages have limits that a pipe does not keep, and what listens is no stream. */
static int look_at_socket(int fd, int as, struct stream *s, struct cloche_err *err)
{
	int domain = socket_option(fd, SO_DOMAIN);

	s->kind = STREAM_SOCKET;
	if (domain != AF_UNIX && domain != AF_INET && domain != AF_INET6 && domain != AF_VSOCK)
		return refuse(as, "a socket of a family that carries no streams", err);
	if (socket_option(fd, SO_TYPE) != SOCK_STREAM)
		return refuse(as, "a socket for messages", err);
	if (socket_option(fd, SO_ACCEPTCONN) != 0)
		return refuse(as, "a socket that listens", err);
	return 0;
}

static int look_at_unknown(int fd, int as, struct cloche_err *err)
{
	char link[64], to[64] = "", shown[QUOTE_LEN], what[QUOTE_LEN + 32];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, to, sizeof(to) - 1);
	to[n > 0 ? n : 0] = '\0';
	(void)snprintf(what, sizeof(what), "no file (%s)", quote(shown, to));
	return refuse(as, what, err);
}

int stream_look(int fd, int as, struct stream *ret, struct cloche_err *err)
{
	struct stream s = { .kind = STREAM_FILE };
	int flags = fcntl(fd, F_GETFL), r;

	if (flags < 0 || fstat(fd, &s.st) < 0)
		return cloche_err_set(err, EBADF, "%s is closed: give it /dev/null",
				      stream_names[as]);
	if (flags & O_PATH)
		return refuse(as, "a place (O_PATH) and not open", err);
	s.reads = (flags & O_ACCMODE) != O_WRONLY;
	s.writes = (flags & O_ACCMODE) != O_RDONLY;
	s.appends = flags & O_APPEND;
	switch (s.st.st_mode & S_IFMT) {
	case S_IFREG:
		r = look_at_file(fd, as, &s, err);
		break;
	case S_IFIFO:
		s.kind = STREAM_PIPE;
		r = 0;
		break;
	case S_IFSOCK:
		r = look_at_socket(fd, as, &s, err);
		break;
	case S_IFCHR:
		r = look_at_device(fd, as, &s, err);
		break;
	case S_IFDIR:
		r = refuse(as, "a directory", err);
		break;
	case S_IFBLK:
		r = refuse(as, "a block device", err);
		break;
	default:
		r = look_at_unknown(fd, as, err);
	}
	if (r == 0)
		*ret = s;
	return r;
}

bool stream_same_place(const struct stream *a, int a_fd, const struct stream *b, int b_fd)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == STREAM_TERMINAL)
		return a->st.st_rdev == b->st.st_rdev;
	/* With an offset of its own each writes over the other. */
	if (a->kind == STREAM_FILE)
		return a_fd == b_fd ||
		       syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a_fd, b_fd) == 0;
	return a->kind != STREAM_DEVICE && a->st.st_dev == b->st.st_dev &&
	       a->st.st_ino == b->st.st_ino;
}
