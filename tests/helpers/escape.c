/* SPDX-License-Identifier: MIT */
/*
 * escape ATTACK [ARG]: what a hostile function would try, from inside. Each attack prints one line:
 * "got: …" when it had an effect, or "refused: …" with the reason. The same program run on the
 * host, where an attack must work, is the proof that it is one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int got(const char *what)
{
	printf("got: %s\n", what);
	return 0;
}

static int refused(void)
{
	printf("refused: %s\n", strerrorname_np(errno));
	return 0;
}

static int outcome(long r, const char *what)
{
	return r < 0 ? refused() : got(what);
}

/* ---- files ---- */

static int attack_read(const char *path)
{
	char c;
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, &c, 1);

	/* A mask over the file reads as empty. */
	return n == 0 ? puts("refused: empty") < 0 : outcome(n, path);
}

static bool is_null(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* What is covered by /dev/null can be written, and nothing comes of it. */
static int attack_write(const char *path)
{
	int fd = open(path, O_WRONLY);

	if (is_null(fd)) {
		(void)close(fd);
		fd = -1;
		errno = EACCES;
	}
	return outcome(fd, path);
}

static int attack_create(const char *path)
{
	return outcome(open(path, O_WRONLY | O_CREAT, 0600), path);
}

static int attack_mkdir(const char *path)
{
	return outcome(mkdir(path, 0700), path);
}

/* Up and out: more ".." than there are directories, then a file of the host. */
static int attack_climb(const char *path)
{
	char up[4096];

	(void)snprintf(up, sizeof(up), "%s%s", "../../../../../../../../../../../../../../../../",
		       path);
	return outcome(open(up, O_RDONLY), path);
}

/* chroot(2) into a directory below while standing above it: the classic way out of a chroot. */
static int attack_chroot(const char *path)
{
	if (chdir("/") < 0 || chroot("/tmp") < 0)
		return refused();
	return attack_climb(path);
}

/* Through the root, the working directory and the fds of every process in sight. */
static int attack_proc_root(const char *path)
{
	static const char *const doors[] = { "root", "cwd", "fd/3", "fd/4", "fd/5", "fd/6" };
	char door[512];

	errno = ENOENT;
	for (int pid = 1; pid < 64; pid++)
		for (size_t i = 0; i < sizeof(doors) / sizeof(doors[0]); i++) {
			(void)snprintf(door, sizeof(door), "/proc/%d/%s/%s", pid, doors[i], path);
			if (access(door, F_OK) == 0)
				return got(door);
		}
	return refused();
}

static int attack_mount(const char *arg)
{
	return outcome(mount("none", "/tmp", "tmpfs", 0, NULL), "a mount on /tmp");
}

static int attack_umount(const char *path)
{
	return outcome(umount2(path, MNT_DETACH), path);
}

/* A device node of one's own, here of the kernel's memory. */
static int attack_mknod(const char *path)
{
	return outcome(mknod(path, S_IFCHR | 0600, makedev(1, 1)), "a raw device");
}

/* ---- who I am ---- */

static int attack_ids(const char *arg)
{
	uid_t r, e, s;
	gid_t groups[64];
	int n = getgroups(64, groups);

	(void)getresuid(&r, &e, &s);
	printf("uids %u %u %u, gid %u, %d groups\n", r, e, s, getgid(), n);
	return 0;
}

static int attack_setuid(const char *arg)
{
	return outcome(setresuid(0, 0, 0), "uid 0");
}

/* Prints the effective uid: run as a set-user-ID file of root by someone else. */
static int attack_euid(const char *arg)
{
	printf("euid %u\n", geteuid());
	return 0;
}

/* For the proof that a set-user-ID file is one: runs it as a user without rights. */
static int attack_as_nobody(const char *path)
{
	if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		return 98;
	(void)execl(path, path, "euid", NULL);
	return 97;
}

static int attack_userns(const char *arg)
{
	pid_t pid;
	int status = 0;

	if (unshare(CLONE_NEWUSER) == 0)
		return got("a user namespace by unshare");
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(0);
	if (pid > 0 && waitpid(pid, &status, 0) == pid)
		return got("a user namespace by clone");
	return refused();
}

/* All namespaces that a door could open. */
static int attack_setns(const char *arg)
{
	static const char *const names[] = { "mnt", "pid", "net", "user", "ipc", "uts", "cgroup" };
	char path[64];
	int last = ENOENT;

	for (int pid = 1; pid < 64; pid++)
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			int fd;

			if (pid == getpid())
				continue;
			(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, names[i]);
			fd = open(path, O_RDONLY);
			if (fd >= 0 && setns(fd, 0) == 0)
				return got(path);
			if (errno != ENOENT)
				last = errno;
			if (fd >= 0)
				(void)close(fd);
		}
	errno = last;
	return refused();
}

/* ---- other processes ---- */

/* The pids that /proc shows, but for our own. */
static int attack_pids(const char *arg)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	int n = 0;

	while (dir && (e = readdir(dir)))
		if (atoi(e->d_name) > 0 && atoi(e->d_name) != getpid())
			n++;
	printf("%d others\n", n);
	return 0;
}

static int attack_ptrace(const char *pid)
{
	return outcome(ptrace(PTRACE_ATTACH, atoi(pid), NULL, NULL), "a tracee");
}

static int attack_memory(const char *pid)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%s/mem", pid);
	return outcome(open(path, O_RDWR), path);
}

static int attack_kill(const char *pid)
{
	return outcome(kill(atoi(pid), SIGKILL), "a kill");
}

/* Everyone that we may signal, and then whether we are still served. */
static int attack_kill_all(const char *arg)
{
	(void)signal(SIGTERM, SIG_IGN);
	return outcome(kill(-1, SIGTERM), "a kill of someone");
}

/* ---- what is shared with the host ---- */

/* An abstract socket that is bound on the host. */
static int attack_abstract(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t len = strlen(name);

	memcpy(at.sun_path + 1, name, len);
	return outcome(connect(fd, (struct sockaddr *)&at,
			       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len)),
		       "a connection");
}

/* What is open beyond standard input, output and error. */
static int attack_fds(const char *arg)
{
	int n = 0;

	for (int fd = 3; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("%sfd %d", n++ ? ", " : "", fd);
	printf("%s\n", n ? "" : "none");
	return 0;
}

static int attack_keyring(const char *name)
{
	return outcome(
		syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", name, 0),
		"the key");
}

static int attack_sysv(const char *key)
{
	return outcome(syscall(SYS_shmget, atoi(key), 0, 0), "the segment");
}

static int attack_host_name(const char *name)
{
	return outcome(sethostname(name, strlen(name)), "the host's name");
}

static int attack_interfaces(const char *arg)
{
	FILE *f = fopen("/proc/net/dev", "re");
	char line[512];
	int lo = 0, others = 0;

	while (f && fgets(line, sizeof(line), f)) {
		lo += strstr(line, "lo:") != NULL;
		others += strchr(line, ':') != NULL && strstr(line, "lo:") == NULL;
	}
	printf("%d lo, %d others\n", lo, others);
	return 0;
}

/* ---- bombs ---- */

/* Opens until it is refused, in as many processes as it gets; only outside forces end it. */
static int attack_fd_bomb(const char *arg)
{
	if (getpid() > 64)
		return 98; /* not in a pid namespace of its own: no place for a bomb */
	while (fork() > 0)
		;
	while (open("/dev/null", O_RDONLY) >= 0)
		;
	while (pause() < 0)
		;
	return 99;
}

/* Memory that belongs to no process: only the cgroup can hold it. */
static int attack_memfd_bomb(const char *arg)
{
	static char page[1 << 16];

	if (getpid() > 64)
		return 98;
	memset(page, 1, sizeof(page));
	for (;;) {
		int fd = memfd_create("bomb", 0);

		if (fd < 0)
			return refused();
		for (int i = 0; i < 64; i++)
			if (write(fd, page, sizeof(page)) < 0)
				return refused();
	}
}

static const struct {
	const char *name;
	int (*run)(const char *arg);
} attacks[] = {
	{ "read", attack_read },
	{ "write", attack_write },
	{ "create", attack_create },
	{ "mkdir", attack_mkdir },
	{ "climb", attack_climb },
	{ "chroot", attack_chroot },
	{ "proc-root", attack_proc_root },
	{ "mount", attack_mount },
	{ "umount", attack_umount },
	{ "mknod", attack_mknod },
	{ "ids", attack_ids },
	{ "setuid", attack_setuid },
	{ "euid", attack_euid },
	{ "as-nobody", attack_as_nobody },
	{ "userns", attack_userns },
	{ "setns", attack_setns },
	{ "pids", attack_pids },
	{ "ptrace", attack_ptrace },
	{ "memory", attack_memory },
	{ "kill", attack_kill },
	{ "kill-all", attack_kill_all },
	{ "abstract", attack_abstract },
	{ "fds", attack_fds },
	{ "keyring", attack_keyring },
	{ "sysv", attack_sysv },
	{ "hostname", attack_host_name },
	{ "interfaces", attack_interfaces },
	{ "fd-bomb", attack_fd_bomb },
	{ "memfd-bomb", attack_memfd_bomb },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(attacks) / sizeof(attacks[0]); i++)
		if (strcmp(argv[1], attacks[i].name) == 0)
			return attacks[i].run(argc > 2 ? argv[2] : "");
	(void)fprintf(stderr, "usage: escape ATTACK [ARG]\n");
	return 96;
}
