/* SPDX-License-Identifier: MIT */
/*
 * The table of what a launch needs of the host, the probes that are not about cgroups, and the
 * child that each of them runs in. The child sends its result in one write through a pipe; one
 * that dies without a word (a filter that kills, the alarm) is a feature that is missing.
 */
#include "base/inside.h"
#include "host/probe_use.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "host/host.h"
#include "host/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Five were too few for an emulated machine that verifies BPF programs. */
#define PROBE_LIMIT_S 30

int probe_say(struct probe_job *job, int code, const char *fmt, ...)
{
	struct probe_result *r = job->result;
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	(void)vsnprintf(r->detail, sizeof(r->detail), fmt, ap);
	va_end(ap);
	n = strlen(r->detail);
	if (code)
		(void)snprintf(r->detail + n, sizeof(r->detail) - n, ": %s", strerror(code));
	r->code = code;
	return code;
}

/* Raw, since fork(3) takes no flags; the child does nothing that libc would have to know of. */
pid_t probe_sleeper(unsigned long flags)
{
	long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);

	if (pid != 0)
		return (pid_t)pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		(void)pause();
}

void probe_end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

static int use_root(struct probe_job *job)
{
	if (geteuid() != 0)
		return probe_say(job, EPERM, "uid %u", geteuid());
	return probe_say(job, 0, "uid 0");
}

/* The first process behind unshare is the one that is in a new pid or time namespace. */
static int use_namespace(struct probe_job *job)
{
	pid_t pid;

	if (unshare((int)job->flag) < 0)
		return probe_say(job, errno, "unshare");
	pid = fork();
	if (pid < 0)
		return probe_say(job, errno, "fork");
	if (pid == 0)
		_exit(0);
	(void)waitpid(pid, NULL, 0);
	return probe_say(job, 0, "made");
}

/* A user namespace that maps the uid and gid of the last slot, which no context is likely to have:
 * its fd, or -errno. */
static int userns_open(struct probe_job *job)
{
	char path[64], map[64];
	pid_t pid = probe_sleeper(CLONE_NEWUSER);
	int fd = -1, code;

	if (pid < 0)
		return -probe_say(job, errno, "clone with CLONE_NEWUSER");
	(void)snprintf(map, sizeof(map), "1000 %u 1", slot_uid(SLOT_MAX - 1));
	(void)snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)pid);
	code = -file_write_text(AT_FDCWD, path, map, NULL);
	(void)snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)pid);
	if (code == 0)
		code = -file_write_text(AT_FDCWD, path, map, NULL);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	if (code == 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (code == 0 && fd < 0)
		code = errno;
	probe_end(pid);
	return code ? -probe_say(job, code, "map uid %u", slot_uid(SLOT_MAX - 1)) : fd;
}

static int use_userns(struct probe_job *job)
{
	cleanup_fd int fd = userns_open(job);

	if (fd < 0)
		return job->result->code;
	return probe_say(job, 0, "made, with host uid %u", slot_uid(SLOT_MAX - 1));
}

static int use_clone3(struct probe_job *job)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.pidfd = (uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		return probe_say(job, errno, "clone3");
	if (pid == 0)
		_exit(0);
	(void)waitpid((pid_t)pid, NULL, 0);
	return probe_say(job, 0, "a child with a pidfd");
}

static int use_pidfd(struct probe_job *job)
{
	pid_t pid = probe_sleeper(0);
	int fd, code = 0;

	if (pid < 0)
		return probe_say(job, errno, "fork");
	fd = pidfd_open(pid, 0);
	if (fd < 0)
		code = probe_say(job, errno, "pidfd_open");
	else if (pidfd_send_signal(fd, SIGKILL, NULL, 0) < 0)
		code = probe_say(job, errno, "pidfd_send_signal");
	probe_end(pid);
	return code ? code : probe_say(job, 0, "a child was killed by pidfd");
}

static int use_close_range(struct probe_job *job)
{
	int fd = dup(STDIN_FILENO);

	/* Whoever starts us may have closed standard input. */
	if (fd < 0)
		fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return probe_say(job, errno, "open '/'");
	if (syscall(SYS_close_range, (unsigned)fd, (unsigned)fd, 0u) < 0)
		return probe_say(job, errno, "close_range");
	if (fcntl(fd, F_GETFD) >= 0)
		return probe_say(job, ENOSYS, "close_range closed nothing");
	return probe_say(job, 0, "closed one");
}

static int use_openat2(struct probe_job *job)
{
	cleanup_fd int fd = inside_open(AT_FDCWD, "/", O_PATH | O_DIRECTORY);

	if (fd < 0)
		return probe_say(job, -fd, "openat2 '/'");
	return probe_say(job, 0, "a path was walked in a root");
}

/* A namespace whose mounts the host never sees. */
static int own_mounts(struct probe_job *job)
{
	if (unshare(CLONE_NEWNS) < 0)
		return probe_say(job, errno, "unshare the mounts");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return probe_say(job, errno, "make the mounts private");
	return 0;
}

static int usr_clone(struct probe_job *job)
{
	int fd;

	if (own_mounts(job) != 0)
		return -1;
	fd = open_tree(AT_FDCWD, "/usr", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (fd < 0)
		(void)probe_say(job, errno, "open_tree '/usr'");
	return fd;
}

/* Out of this namespace and back. */
static int use_setns(struct probe_job *job)
{
	cleanup_fd int fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return probe_say(job, errno, "open '/proc/self/ns/mnt'");
	if (unshare(CLONE_NEWNS) < 0)
		return probe_say(job, errno, "unshare the mounts");
	if (setns(fd, CLONE_NEWNS) < 0)
		return probe_say(job, errno, "setns");
	return probe_say(job, 0, "a mount namespace was entered");
}

static int use_open_tree(struct probe_job *job)
{
	cleanup_fd int fd = usr_clone(job);

	if (fd < 0)
		return job->result->code;
	if (move_mount(fd, "", AT_FDCWD, "/tmp", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return probe_say(job, errno, "move_mount to '/tmp'");
	return probe_say(job, 0, "/usr was mounted a second time");
}

/* Where no tree can be cloned, what the call says to a bad descriptor tells whether it is there. */
static int use_mount_setattr(struct probe_job *job)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID };
	cleanup_fd int fd = usr_clone(job);
	unsigned flags = AT_EMPTY_PATH | AT_RECURSIVE;

	if (mount_setattr(fd, "", flags, &attr, sizeof(attr)) == 0)
		return probe_say(job, 0, "/usr was made read-only");
	if (fd < 0 && errno == EBADF)
		return probe_say(job, 0, "answers");
	return probe_say(job, errno, "mount_setattr");
}

static int use_idmap(struct probe_job *job)
{
	cleanup_fd int userns = userns_open(job);
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	cleanup_fd int tree = -1;

	if (userns < 0 || own_mounts(job) != 0)
		return job->result->code;
	tree = open_tree(AT_FDCWD, "/usr", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return probe_say(job, errno, "open_tree '/usr'");
	attr.userns_fd = (uint64_t)userns;
	if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return probe_say(job, errno, "map the owners of '/usr'");
	return probe_say(job, 0, "the owners of /usr were mapped");
}

static int use_tmpfs(struct probe_job *job)
{
	if (own_mounts(job) != 0)
		return job->result->code;
	if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=1777") < 0)
		return probe_say(job, errno, "mount a tmpfs");
	return probe_say(job, 0, "mounted");
}

/* /proc belongs to the pid namespace of the one who mounts it: to be done by its first process. */
static int use_proc(struct probe_job *job)
{
	int status = 0;
	pid_t pid;

	if (own_mounts(job) != 0)
		return job->result->code;
	if (unshare(CLONE_NEWPID) < 0)
		return probe_say(job, errno, "unshare");
	pid = fork();
	if (pid < 0)
		return probe_say(job, errno, "fork");
	if (pid == 0)
		_exit(mount("proc", "/tmp", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=2")
			      ? errno
			      : 0);
	(void)waitpid(pid, &status, 0);
	if (status)
		return probe_say(job, WIFEXITED(status) ? WEXITSTATUS(status) : EINTR,
				 "mount a proc with hidepid");
	return probe_say(job, 0, "mounted, with hidepid");
}

/* Refuses one harmless call with an errno of ours, and sees that errno. */
static int use_seccomp(struct probe_job *job)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return probe_say(job, errno, "set no_new_privs");
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
		return probe_say(job, errno, "load a filter");
	if (syscall(SYS_getppid) != -1 || errno != EXDEV)
		return probe_say(job, ENOSYS, "a filter was loaded and did nothing");
	return probe_say(job, 0, "a call was refused");
}

/* A kernel without keyrings has none to keep apart. */
static int use_keyring(struct probe_job *job)
{
	if (syscall(SYS_keyctl, 1L /* KEYCTL_JOIN_SESSION_KEYRING */, NULL) >= 0)
		return probe_say(job, 0, "joined a new one");
	if (errno == ENOSYS)
		return probe_say(job, 0, "this kernel has no keyrings");
	return probe_say(job, errno, "join a new one");
}

static int use_usr(struct probe_job *job)
{
	cleanup_fd int fd = open("/usr/bin", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? probe_say(job, errno, "open '/usr/bin'") : probe_say(job, 0, "present");
}

/* Looks, as host_run_dir would, and makes nothing. */
static int use_run_dir(struct probe_job *job)
{
	struct stat st;

	if (lstat(HOST_RUN_DIR, &st) < 0) {
		if (errno != ENOENT || access("/run", W_OK) < 0)
			return probe_say(job, errno, "make " HOST_RUN_DIR);
		return probe_say(job, 0, "absent; the first run makes it");
	}
	if (!S_ISDIR(st.st_mode))
		return probe_say(job, ENOTDIR, "open " HOST_RUN_DIR);
	if (st.st_uid != 0 || (st.st_mode & 022))
		return probe_say(job, EPERM, "belongs to uid %u with mode %03o", st.st_uid,
				 st.st_mode & 0777);
	if (access(HOST_RUN_DIR, W_OK) < 0)
		return probe_say(job, errno, "write in " HOST_RUN_DIR);
	return probe_say(job, 0, HOST_RUN_DIR);
}

#define MEND_KERNEL "apt-get install linux-image-amd64 && reboot"
#define MEND_CGROUP2 \
	"mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified"

static const struct row {
	struct probe probe;
	int (*use)(struct probe_job *job);
	unsigned long flag;
	const char *word; /* a controller, or the word in user.max_…_namespaces */
	const char *mend;
	bool cgroup;
} rows[] = {
	{ { "root", true, "nobody else may make contexts" },
	  use_root,
	  .mend = "sudo cloche doctor" },
	{ { "user namespace", true, "the function would have a uid of the host" },
	  use_userns,
	  .word = "user",
	  .mend = MEND_KERNEL },
	{ { "pid namespace", true, "the function would see the host's processes" },
	  use_namespace,
	  .flag = CLONE_NEWPID,
	  .word = "pid",
	  .mend = MEND_KERNEL },
	{ { "mount namespace", true, "the function would see the host's files" },
	  use_namespace,
	  .flag = CLONE_NEWNS,
	  .word = "mnt",
	  .mend = MEND_KERNEL },
	{ { "net namespace", true, "the function would have the host's network" },
	  use_namespace,
	  .flag = CLONE_NEWNET,
	  .word = "net",
	  .mend = MEND_KERNEL },
	{ { "ipc namespace", true, "the function would share the host's IPC objects" },
	  use_namespace,
	  .flag = CLONE_NEWIPC,
	  .word = "ipc",
	  .mend = MEND_KERNEL },
	{ { "uts namespace", true, "the function would share the host's name" },
	  use_namespace,
	  .flag = CLONE_NEWUTS,
	  .word = "uts",
	  .mend = MEND_KERNEL },
	{ { "cgroup namespace", true, "the function would see the host's cgroups" },
	  use_namespace,
	  .flag = CLONE_NEWCGROUP,
	  .word = "cgroup",
	  .mend = MEND_KERNEL },
	{ { "time namespace", false, "contexts share the host's" },
	  use_namespace,
	  .flag = CLONE_NEWTIME,
	  .word = "time",
	  .mend = MEND_KERNEL },
	{ { "clone3", true, "no context can be made" }, use_clone3, .mend = MEND_KERNEL },
	{ { "pidfd", false, "contexts are killed by their number, as unreaped children" },
	  use_pidfd,
	  .mend = MEND_KERNEL },
	{ { "close_range", true, "descriptors of the caller would be inherited" },
	  use_close_range,
	  .mend = MEND_KERNEL },
	{ { "openat2", true, "links inside a root could lead out of it" },
	  use_openat2,
	  .mend = MEND_KERNEL },
	{ { "cgroup2 tree", true, "contexts have no identity and cannot be killed as one" },
	  probe_use_cgroup2,
	  .mend = MEND_CGROUP2,
	  .cgroup = true },
	{ { "clone into cgroup", true, "no context is born in its cgroup" },
	  probe_use_into_cgroup,
	  .mend = MEND_KERNEL,
	  .cgroup = true },
	{ { "cgroup.kill", false,
	    "runs are ended with pid 1 of their context, which then tells no rusage" },
	  probe_use_cgroup_kill,
	  .mend = MEND_KERNEL,
	  .cgroup = true },
	{ { "cpu controller", true, "no CPU limit" },
	  probe_use_controller,
	  .word = "cpu",
	  .mend = MEND_KERNEL,
	  .cgroup = true },
	{ { "memory controller", true, "no memory limit" },
	  probe_use_controller,
	  .word = "memory",
	  .mend = MEND_KERNEL,
	  .cgroup = true },
	{ { "pids controller", true, "no limit of processes" },
	  probe_use_controller,
	  .word = "pids",
	  .mend = MEND_KERNEL,
	  .cgroup = true },
	{ { "bpf device program", true, "device access cannot be denied" },
	  probe_use_device_bpf,
	  .mend = MEND_KERNEL,
	  .cgroup = true },
	{ { "bpf bounds", true, "locks and connections take the host's memory without a bound" },
	  probe_use_bounds,
	  .mend = MEND_KERNEL },
	{ { "tmpfs", true, "no /tmp and no root file system" }, use_tmpfs, .mend = MEND_KERNEL },
	{ { "proc", true, "no /proc inside" }, use_proc, .mend = MEND_KERNEL },
	{ { "setns", true, "no context can enter its root file system" },
	  use_setns,
	  .mend = MEND_KERNEL },
	{ { "fsopen", true, "no /tmp and no /proc inside" },
	  probe_use_fsopen,
	  .mend = MEND_KERNEL },
	{ { "open_tree, move_mount", true, "no root file system can be put together" },
	  use_open_tree,
	  .mend = MEND_KERNEL },
	{ { "mount_setattr", true, "the root file system could be written to" },
	  use_mount_setattr,
	  .mend = MEND_KERNEL },
	{ { "idmapped mounts", false,
	    "private code must be readable by everybody (chmod -R o+rX)" },
	  use_idmap,
	  .mend = MEND_KERNEL },
	{ { "seccomp filter", true, "no policy can be enforced" },
	  use_seccomp,
	  .mend = MEND_KERNEL },
	{ { "seccomp listener", false, "denied calls are not named in the report" },
	  probe_use_listener,
	  .mend = MEND_KERNEL },
	{ { "cpu affinity", false, "runtimes count all CPUs of the host" },
	  probe_use_affinity,
	  .mend = MEND_KERNEL },
	{ { "session keyring", true, "the function would share the caller's keys" },
	  use_keyring,
	  .mend = "sysctl -w kernel.keys.maxkeys=2000" },
	{ { "/usr/bin", true, "no programs inside" },
	  use_usr,
	  .mend = "apt-get install coreutils" },
	{ { "run directory", true, "no context can be named" },
	  use_run_dir,
	  .mend = "rm -r " HOST_RUN_DIR },
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

size_t probe_count(void)
{
	return N_ROWS;
}

const struct probe *probe_at(size_t i)
{
	return &rows[i].probe;
}

/* The command depends on why: a limit, rights that are lacking, or a kernel that cannot. */
static void result_mend(const struct row *row, struct probe_result *r)
{
	if (r->code == 0)
		r->mend[0] = '\0';
	else if (r->code == ENOSPC && row->use != probe_use_controller && row->word)
		(void)snprintf(r->mend, sizeof(r->mend), "sysctl -w user.max_%s_namespaces=16384",
			       row->word);
	else if (geteuid() != 0 && (r->code == EPERM || r->code == EACCES))
		(void)snprintf(r->mend, sizeof(r->mend), "sudo cloche doctor");
	else if (r->code == EROFS)
		(void)snprintf(r->mend, sizeof(r->mend), "%s",
			       row->use == use_run_dir ? "mount -o remount,rw /run"
						       : "mount -o remount,rw /sys/fs/cgroup");
	else if ((r->code == EPERM || r->code == EACCES) && row->use != use_run_dir)
		(void)snprintf(r->mend, sizeof(r->mend),
			       "run on the host itself, or: docker run --privileged");
	else if (r->code == ENOENT && row->use == probe_use_controller)
		(void)snprintf(r->mend, sizeof(r->mend),
			       "mkdir -p /sys/fs/cgroup/%s && mount -t cgroup -o %s none "
			       "/sys/fs/cgroup/%s",
			       row->word, row->word, row->word);
	else if (r->code == ENOENT && row->cgroup && row->use != probe_use_cgroup_kill)
		(void)snprintf(r->mend, sizeof(r->mend), "%s", MEND_CGROUP2);
	else
		(void)snprintf(r->mend, sizeof(r->mend), "%s", row->mend);
}

_Noreturn static void child_run(const struct row *row, pid_t owner, int out)
{
	struct probe_result result = { .code = EINVAL };
	struct probe_job job = {
		.flag = row->flag,
		.word = row->word,
		.owner = owner,
		.result = &result,
	};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGALRM, SIG_DFL);
	(void)alarm(PROBE_LIMIT_S);
	(void)row->use(&job);
	_exit(write(out, &result, sizeof(result)) == (ssize_t)sizeof(result) ? 0 : 1);
}

/* Reads what the child says and waits for its end. */
static void child_hear(pid_t pid, int in, struct probe_result *ret)
{
	struct probe_job job = { .result = ret };
	int status = 0;
	ssize_t n;

	do
		n = read(in, ret, sizeof(*ret));
	while (n < 0 && errno == EINTR);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n == (ssize_t)sizeof(*ret))
		return;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		(void)probe_say(&job, ETIMEDOUT, "no answer within %d s", PROBE_LIMIT_S);
	else
		(void)probe_say(&job, EIO, "the probe died with status %#x", (unsigned)status);
}

int probe_run(size_t i, struct probe_result *ret, struct cloche_err *err)
{
	const struct row *row = &rows[i];
	struct probe_result result = { 0 };
	sigset_t stop, before;
	int p[2];
	pid_t pid, self = getpid();

	if (pipe2(p, O_CLOEXEC) < 0)
		return cloche_err_sys(err, errno, "pipe");
	(void)sigemptyset(&stop);
	(void)sigaddset(&stop, SIGINT);
	(void)sigaddset(&stop, SIGTERM);
	(void)sigaddset(&stop, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &stop, &before);
	pid = fork();
	if (pid == 0)
		child_run(row, self, p[1]);
	fd_close(&p[1]);
	if (pid < 0)
		(void)cloche_err_sys(err, errno, "fork");
	else
		child_hear(pid, p[0], &result);
	fd_close(&p[0]);
	if (pid > 0 && row->cgroup && result.code)
		probe_cgroup_sweep(self);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return err ? -err->code : -EAGAIN;
	result_mend(row, &result);
	*ret = result;
	return 0;
}
