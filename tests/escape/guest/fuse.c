/* SPDX-License-Identifier: MIT */
/*
 * A client whose files are on a file system of its own, which never answers when they are closed:
 * close(2) of one waits for ever, and cannot be killed. The daemon has such a file in its hands as
 * soon as it has the message, and serves all others as before. For who waits so, the machine must
 * be one that can be thrown away.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "serve/packet.h"
#include "tests/lib/daemon.h"
#include "tests/lib/leftovers.h"
#include "tests/lib/run.h"
#include "tests/lib/throwaway.h"

#define FILES_INO 2

/* ---- the file system ------------------------------------------------------------------------- */

static const struct fuse_attr root_attr = { .ino = FUSE_ROOT_ID,
					    .mode = S_IFDIR | 0755,
					    .nlink = 2 };
static const struct fuse_attr file_attr = { .ino = FILES_INO, .mode = S_IFREG | 0666, .nlink = 1 };

static void reply(int fuse, const struct fuse_in_header *to, int error, const void *body,
		  size_t len)
{
	char bytes[512];
	struct fuse_out_header head = { .len = (uint32_t)(sizeof(head) + len),
					.error = error,
					.unique = to->unique };

	memcpy(bytes, &head, sizeof(head));
	if (len)
		memcpy(bytes + sizeof(head), body, len);
	(void)!write(fuse, bytes, head.len);
}

static void answer(int fuse, const struct fuse_in_header *in)
{
	const struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION,
					    .minor = 31,
					    .max_write = 4096 };
	const struct fuse_entry_out entry = {
		.nodeid = FILES_INO, .entry_valid = 3600, .attr_valid = 3600, .attr = file_attr
	};
	const struct fuse_attr_out attr = { .attr_valid = 3600,
					    .attr = in->nodeid == FUSE_ROOT_ID ? root_attr
									       : file_attr };
	const struct fuse_open_out opened = { .fh = 1 };

	switch (in->opcode) {
	case FUSE_INIT:
		reply(fuse, in, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		reply(fuse, in, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		reply(fuse, in, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		reply(fuse, in, 0, &opened, sizeof(opened));
		break;
	/* What has no answer, and what gets none. */
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_INTERRUPT:
		break;
	default:
		reply(fuse, in, -ENOSYS, NULL, 0);
	}
}

static _Noreturn void serve_files(int fuse)
{
	static char bytes[65536 + 4096];
	ssize_t n;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while ((n = read(fuse, bytes, sizeof(bytes))) > 0 || errno == EINTR)
		if (n >= (ssize_t)sizeof(struct fuse_in_header))
			answer(fuse, (const struct fuse_in_header *)bytes);
	_exit(0);
}

/* Its server's pid. */
static pid_t mount_files(const char *at, const char *node)
{
	cleanup_run struct run run = { 0 };
	char options[128];
	pid_t pid;
	int fuse;

	RUN(&run, "modprobe", "fuse");
	cr_assert_eq(mknod(node, S_IFCHR | 0600, makedev(10, 229)), 0, "%m");
	fuse = open(node, O_RDWR | O_CLOEXEC);
	cr_assert(fuse >= 0, "/dev/fuse: %m");
	(void)snprintf(options, sizeof(options),
		       "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fuse);
	cr_assert_eq(mkdir(at, 0755), 0);
	cr_assert_eq(mount("cloche-test", at, "fuse", MS_NOSUID | MS_NODEV, options), 0, "%m");
	pid = fork();
	if (pid == 0)
		serve_files(fuse);
	(void)close(fuse);
	return pid;
}

/* ---- who hands it over ----------------------------------------------------------------------- */

static int knock(const struct daemon *d)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%.107s", d->control);
	return fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 ? fd : -1;
}

/* Says so, then waits for as long as the others to close its own. */
static pid_t hand(const struct daemon *d, const char *path, uid_t uid)
{
	int said[2];
	char c = 0;
	pid_t pid;

	cr_assert_eq(pipe2(said, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct packet_fds fds = { .n = 1 };
		int socket;

		if (setgid(uid) < 0 || setuid(uid) < 0)
			_exit(99);
		fds.fd[0] = open(path, O_WRONLY | O_CLOEXEC);
		socket = knock(d);
		c = fds.fd[0] >= 0 && socket >= 0 && packet_send(socket, "nonsense", 8, &fds) == 0;
		(void)!write(said[1], &c, 1);
		_exit(0);
	}
	(void)close(said[1]);
	cr_assert(read(said[0], &c, 1) == 1 && c == 1, "not handed over");
	(void)close(said[0]);
	return pid;
}

static void expect_served(const struct daemon *d)
{
	cleanup_run struct run run = { 0 };

	AS_USER(d, &run, "-q", "-m", "32M", "--cpu", "shared", "-t", "60s", "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
}

Test(escape_fuse, a_file_system_that_does_not_answer_holds_up_nobody_else)
{
	char at[600], node[600], path[700];
	pid_t front, other, server, hostile[4];
	struct daemon d;

	only_in_a_guest();
	daemon_prepare(&d);
	/* Whoever hangs is found out: and by that alone would the front be another. */
	daemon_reconfigure(&d, "silence: 20s\n");
	daemon_start(&d);
	front = daemon_front(&d);
	(void)snprintf(at, sizeof(at), "%s/mount", d.dir);
	(void)snprintf(node, sizeof(node), "%s/fuse", d.dir);
	(void)snprintf(path, sizeof(path), "%s/file", at);
	server = mount_files(at, node);
	for (size_t i = 0; i < 3; i++)
		hostile[i] = hand(&d, path, 1001);
	for (int i = 0; i < 3; i++)
		expect_served(&d);
	cr_expect_eq(daemon_front(&d), front, "the front hung");
	/* It can be told to end, too, and leaves behind what cannot. */
	cr_assert_eq(kill(d.pid, SIGTERM), 0);
	cr_expect_eq(process_status(d.pid), 0);
	daemon_start(&d);
	expect_served(&d);
	cr_expect_eq(kill(front, 0), 0, "nothing hung");
	/* Nor does one that is left by a launcher that was killed keep the next from serving. */
	hostile[3] = hand(&d, path, 1001);
	expect_served(&d);
	other = daemon_front(&d);
	daemon_kill(&d);
	daemon_start(&d);
	expect_served(&d);
	cr_expect_eq(kill(other, 0), 0, "nothing hung");
	/* When the file system is no more, all that waited for it end. */
	cr_assert_eq(kill(server, SIGKILL), 0);
	(void)process_status(server);
	for (size_t i = 0; i < 4; i++)
		(void)process_status(hostile[i]);
	while (kill(front, 0) == 0 || kill(other, 0) == 0)
		(void)poll(NULL, 0, 20);
	cr_expect_eq(umount2(at, MNT_DETACH), 0);
	daemon_stop(&d);
}
