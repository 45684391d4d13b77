/* SPDX-License-Identifier: MIT */
/*
 * Proves that a context is clean and sets its counters back. See proof.h. It looks by descriptors
 * that the warden has kept, as a root's author may move names, and reads nothing that a function
 * wrote.
 */
#include "launch/proof.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "launch/network.h"
#include "launch/plan.h"
#include "launch/rootfs_places.h"
#include "launch/spec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

const char *residue_text(enum residue residue)
{
	static const char *const text[] = {
		[RESIDUE_NONE] = "nothing",
		[RESIDUE_PROCESS] = "a process was left",
		[RESIDUE_TMP] = "files were left in /tmp",
		[RESIDUE_SHM] = "files were left in /dev/shm",
		[RESIDUE_SYSV] = "a System V IPC object was left",
		[RESIDUE_MQUEUE] = "a POSIX message queue was left",
		[RESIDUE_KEYRING] = "a key was left in the session keyring",
		[RESIDUE_NETWORK] = "a TCP connection was left",
		[RESIDUE_SOCKET] = "a Unix socket was left",
		[RESIDUE_PIDS] = "its process numbers cannot begin anew",
		[RESIDUE_THREAD] = "its process has more than one thread",
		[RESIDUE_ATTRIBUTES] = "its scheduling was changed",
		[RESIDUE_KILLED] = "its processes were killed",
		[RESIDUE_UNKNOWN] = "it could not be proved clean",
	};

	return residue <= RESIDUE_UNKNOWN ? text[residue] : text[RESIDUE_UNKNOWN];
}

/* The way to a bind's mount point begins with it. Such an entry of /tmp is ours and stays ours: in
 * a sticky directory the function cannot remove or rename what is root's. */
static bool leads_to_bind(const struct rootfs *fs, const char *dir, const char *name)
{
	size_t dir_len = strlen(dir);

	for (size_t i = 0; fs && i < fs->n_binds; i++) {
		const char *dst = fs->binds[i].dst;

		if (strncmp(dst, dir, dir_len) != 0 || dst[dir_len] != '/')
			continue;
		if (file_is_below(dst + dir_len + 1, name))
			return true;
	}
	return false;
}

/* The mount at path, whose binds' mount points do not count when they are ours. */
static bool dir_empty(int mount, const char *path, const struct rootfs *ours, bool *ok)
{
	cleanup_fd int fd = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char buf[512];
	long n = fd < 0 ? -1 : 1;

	while (n > 0) {
		struct dirent64 *e;

		n = syscall(SYS_getdents64, fd, buf, sizeof(buf));
		for (long at = 0; at < n; at += e->d_reclen) {
			e = (void *)(buf + at);
			if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
			    !leads_to_bind(ours, path, e->d_name))
				return false;
		}
	}
	*ok = n >= 0;
	return true;
}

static bool sysv_empty(bool *ok)
{
	struct shm_info shm;
	struct msginfo msg;
	struct seminfo sem;
	int a = shmctl(0, SHM_INFO, (void *)&shm);
	int b = msgctl(0, MSG_INFO, (void *)&msg);
	int c = semctl(0, 0, SEM_INFO, &sem);

	*ok = a >= 0 && b >= 0 && c >= 0;
	if (!*ok && errno == ENOSYS) {
		*ok = true; /* a kernel without them has none */
		return true;
	}
	return *ok && shm.used_ids == 0 && msg.msgpool == 0 && sem.semusz == 0;
}

/* The namespace's queues show as files of the mqueue file system. The mount is left for later: the
 * last close of one that is nowhere waits for a grace period of RCU, 0.1 ms (measured). */
static bool mqueue_empty(int *ret_mount, bool *ok)
{
	cleanup_fd int fs = fsopen("mqueue", FSOPEN_CLOEXEC);

	*ok = true;
	if (fs < 0) {
		*ok = errno == ENODEV; /* a kernel without them has none */
		return *ok;
	}
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		*ret_mount = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	*ok = *ret_mount >= 0;
	return *ok && dir_empty(*ret_mount, "", NULL, ok);
}

static bool keyring_empty(bool *ok)
{
	long n = syscall(SYS_keyctl, KEYCTL_READ, KEY_SPEC_SESSION_KEYRING, NULL, 0);

	*ok = n >= 0 || errno == ENOSYS;
	return n <= 0;
}

/* Below its heading, such a file of /proc/net has a line for each; -1: it cannot be read. */
static int lines_of(int proc, const char *path)
{
	char buf[512];
	cleanup_fd int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;
	int lines = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : -1; /* a kernel without them has none */
	while (n > 0) {
		n = read(fd, buf, sizeof(buf));
		for (ssize_t i = 0; i < n; i++)
			lines += buf[i] == '\n';
	}
	return n < 0 || lines < 1 ? -1 : lines - 1;
}

/* Sockets whose descriptors travel in each other's queues outlive all processes, with their names,
 * until the kernel collects them: at the end of any other socket. */
static int unix_sockets(int proc)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	(void)close(fd);
	return lines_of(proc, "net/unix");
}

int proof_fresh_keyring(struct cloche_err *err)
{
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
		return cloche_err_sys(err, errno, "join a new session keyring");
	return 0;
}

/* What is there and should not be. Connections outlive their processes, too: TIME_WAIT keeps a port
 * for a minute, and an address that the next one can read. */
static int connections_of(const struct plan *p)
{
	int four = lines_of(p->at.proc, "net/tcp"), six = lines_of(p->at.proc, "net/tcp6");

	return four < 0 || six < 0 ? -1 : four + six;
}

static enum residue look_at_scratch(const struct plan *p)
{
	bool ok = true, all = true;

	if (!dir_empty(p->at.tmp, "/tmp", &p->rootfs, &ok))
		return RESIDUE_TMP;
	all &= ok;
	if (!dir_empty(p->at.shm, "/dev/shm", &p->rootfs, &ok))
		return RESIDUE_SHM;
	return all && ok ? RESIDUE_NONE : RESIDUE_UNKNOWN;
}

enum residue proof_look(struct plan *p, bool files, bool connections)
{
	enum residue found = files ? look_at_scratch(p) : RESIDUE_NONE;
	bool ok = true, all = true;
	int n;

	if (found != RESIDUE_NONE)
		return found;
	if (!sysv_empty(&ok) && ok)
		return RESIDUE_SYSV;
	all &= ok;
	if (!mqueue_empty(&p->at.seen, &ok) && ok)
		return RESIDUE_MQUEUE;
	all &= ok;
	if (!keyring_empty(&ok) && ok)
		return RESIDUE_KEYRING;
	all &= ok;
	n = unix_sockets(p->at.proc);
	if (n > 0)
		return RESIDUE_SOCKET;
	all &= n == 0;
	n = connections && p->spec->net != NET_NONE ? connections_of(p) : 0;
	if (n > 0)
		return RESIDUE_NETWORK;
	all &= n == 0;
	return all ? RESIDUE_NONE : RESIDUE_UNKNOWN;
}

/* The function's own number is the one behind the warden's. (/proc/sys/kernel/ns_last_pid: a kernel
 * with CONFIG_CHECKPOINT_RESTORE.) Of the network, what a loopback has counted cannot be set back.
 */
static enum residue begin_anew(struct plan *p, uint32_t kept)
{
	if (file_write_text(p->at.proc, "sys/kernel/ns_last_pid", "1", NULL) < 0)
		return RESIDUE_PIDS;
	if (unshare(CLONE_NEWIPC) < 0 || proof_fresh_keyring(NULL) < 0 ||
	    rootfs_retire(&p->rootfs, kept, &p->at) < 0)
		return RESIDUE_UNKNOWN;
	if (p->spec->net == NET_NONE)
		return RESIDUE_NONE;
	return unshare(CLONE_NEWNET) < 0 || network_loopback(p->at.proc, p->uid, NULL) < 0
		       ? RESIDUE_UNKNOWN
		       : RESIDUE_NONE;
}

enum residue proof_make(struct plan *plan, uint32_t kept)
{
	enum residue residue;

	while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
		;
	if (waitpid(-1, NULL, WNOHANG | __WALL) == 0)
		return RESIDUE_PROCESS;
	residue = proof_look(plan, true, true);
	return residue == RESIDUE_NONE ? begin_anew(plan, kept) : residue;
}
