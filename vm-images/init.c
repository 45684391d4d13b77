/* SPDX-License-Identifier: MIT */
/*
 * The first process of a test guest. It makes what a booted Debian host has (file systems, unified
 * cgroup v2 with every controller, a session's own cgroup, shared mount propagation), runs the one
 * command that the host asked for, and tells the host how that ended.
 *
 * Where things meet: the host attaches one NVMe controller with three namespaces, told apart by
 * their UUIDs (the order in which the kernel finds them is anybody's guess since 6.12): the root
 * file system (ext4, since that is what hosts have: idmapped mounts and pivot_root work on it), the
 * kernel's modules, and the job. A job is strings that end in NUL:
 *   nonce, "pipe" or "tty", working directory, number of arguments, the arguments.
 * Output goes to the host through I/O ports (QEMU's isa-debugcon), one each for standard output,
 * standard error and status: no driver, no interrupt, and what outsb has returned from has arrived.
 * The status line is "NONCE STATUS"; the host takes nothing else for an end. Without it (panic,
 * hang, power cut) the run has failed: there is no way to succeed by default.
 *
 * As /init of the initial RAM disk it first loads what lies in /modules in the order of the names
 * (kernels with NVMe or ext4 as modules), mounts the root and executes itself from there.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* boot.sh names the same ports to QEMU. */
enum port {
	PORT_EXIT = 0xf4,
	PORT_OUT = 0x500,
	PORT_ERR = 0x501,
	PORT_STATUS = 0x502,
};

#define NSID_ROOT    1
#define NSID_MODULES 2
#define NSID_JOB     3
#define SESSION	     "/sys/fs/cgroup/session.slice"

struct job {
	char nonce[64];
	bool tty;
	char *cwd;
	char **argv;
};

static void port_write(enum port port, const char *buf, size_t len)
{
	__asm__ volatile("rep outsb" : "+S"(buf), "+c"(len) : "d"(port) : "memory");
}

/* QEMU ends at once; a kernel that ignores the port is powered off the slow way. */
static _Noreturn void guest_end(void)
{
	outb(0x10, PORT_EXIT);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

/* Standard error is the console until the job starts, so the host shows this line. */
__attribute__((format(printf, 1, 2))) static _Noreturn void die(const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	dprintf(STDERR_FILENO, "guest init: ");
	va_start(ap, fmt);
	vdprintf(STDERR_FILENO, fmt, ap);
	va_end(ap);
	dprintf(STDERR_FILENO, ": %s\n", strerror(saved));
	tcdrain(STDERR_FILENO);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void mount_or_die(const char *src, const char *dst, const char *type, unsigned long flags,
			 const char *data)
{
	if (mkdir(dst, 0755) && errno != EEXIST)
		die("mkdir '%s'", dst);
	/* devtmpfs may be there already: the kernel mounts it when it is built so. */
	if (mount(src, dst, type, flags, data) && errno != EBUSY)
		die("mount '%s' on '%s'", src, dst);
}

/* ---- disks ----------------------------------------------------------------------------------- */

static bool device_is(const char *name, int nsid)
{
	char path[512], found[16] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/block/%s/nsid", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, found, sizeof(found) - 1) < 0)
		found[0] = '\0';
	close(fd);
	return atoi(found) == nsid;
}

static bool device_find(int nsid, char *dev, size_t size)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		snprintf(dev, size, "/dev/%s", entry->d_name);
		found = device_is(entry->d_name, nsid) && !access(dev, F_OK);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* The driver finds its disks in its own time; nothing announces them without a uevent daemon. */
static void device_wait(int nsid, char *dev, size_t size)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	for (int i = 0; !device_find(nsid, dev, size); i++) {
		if (i == 20000) {
			errno = ETIMEDOUT;
			die("find disk %d", nsid);
		}
		nanosleep(&ms, NULL);
	}
}

/* ---- initial RAM disk ----------------------------------------------------------------------- */

static void modules_load(const char *dir)
{
	struct dirent **names;
	char path[512];
	int n = scandir(dir, &names, NULL, alphasort);
	int fd;

	if (n < 0)
		die("read '%s'", dir);
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		/* 4 is MODULE_INIT_COMPRESSED_FILE: some kernels ship their modules as .xz. */
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", strstr(path, ".ko.") ? 4 : 0) &&
			       errno != EEXIST))
			die("load '%s'", path);
		close(fd);
	}
}

static _Noreturn void root_enter(void)
{
	char dev[512];

	mount_or_die("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=755");
	mount_or_die("sysfs", "/sys", "sysfs", 0, NULL);
	modules_load("/modules");
	device_wait(NSID_ROOT, dev, sizeof(dev));
	mount_or_die(dev, "/root", "ext4", 0, "noinit_itable");
	/* Left behind they would be hidden, but copied into every new mount namespace. */
	if (umount("/sys") || umount2("/dev", MNT_DETACH))
		die("unmount '/sys' and '/dev'");
	if (chdir("/root") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot("."))
		die("move '/root' to '/'");
	execl("/sbin/init", "init", NULL);
	die("execute '/sbin/init'");
}

/* ---- what a booted host has ------------------------------------------------------------------ */

static void file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("write '%s' to '%s'", text, path);
	close(fd);
}

static void mounts_make(void)
{
	const unsigned long quiet = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	char dev[512];

	/* systemd shares every mount with new namespaces; code that forgets so must fail here. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL))
		die("share '/'");
	mount_or_die("proc", "/proc", "proc", quiet, NULL);
	mount_or_die("sysfs", "/sys", "sysfs", quiet, NULL);
	mount_or_die("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=755");
	mount_or_die("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		     "gid=5,mode=620,ptmxmode=666");
	mount_or_die("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, NULL);
	mount_or_die("mqueue", "/dev/mqueue", "mqueue", quiet, NULL);
	mount_or_die("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755");
	mount_or_die("cgroup2", "/sys/fs/cgroup", "cgroup2", quiet, "nsdelegate");
	mount_or_die("bpf", "/sys/fs/bpf", "bpf", quiet, "mode=700");
	mount_or_die("tracefs", "/sys/kernel/tracing", "tracefs", quiet, NULL);
	mount_or_die("securityfs", "/sys/kernel/security", "securityfs", quiet, NULL);
	device_wait(NSID_MODULES, dev, sizeof(dev));
	mount_or_die(dev, "/usr/lib/modules", "ext4", MS_RDONLY, NULL);
}

/* Every controller for the root's children, and one of them for the job, as in a login session. */
static void cgroups_make(void)
{
	char names[512] = "", text[600] = "";
	char *save = NULL;
	int fd = open("/sys/fs/cgroup/cgroup.controllers", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, names, sizeof(names) - 1) <= 0)
		die("read '/sys/fs/cgroup/cgroup.controllers'");
	close(fd);
	for (char *name = strtok_r(names, " \n", &save); name; name = strtok_r(NULL, " \n", &save))
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "+%s ", name);
	file_write("/sys/fs/cgroup/cgroup.subtree_control", text);
	if (mkdir(SESSION, 0755))
		die("mkdir '%s'", SESSION);
}

static void network_up(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo))
		die("bring up 'lo'");
	close(fd);
}

static void host_make(void)
{
	const struct rlimit nofile = { .rlim_cur = 1024, .rlim_max = 524288 };

	umask(0);
	mounts_make();
	symlink("/proc/self/fd", "/dev/fd");
	symlink("/proc/self/fd/0", "/dev/stdin");
	symlink("/proc/self/fd/1", "/dev/stdout");
	symlink("/proc/self/fd/2", "/dev/stderr");
	umask(022);
	cgroups_make();
	network_up();
	sethostname("guest", 5);
	if (setrlimit(RLIMIT_NOFILE, &nofile))
		die("set RLIMIT_NOFILE");
}

/* ---- the job --------------------------------------------------------------------------------- */

static char *job_next(char **at, const char *end)
{
	char *start = *at;
	char *nul = memchr(start, '\0', (size_t)(end - start));

	if (!nul) {
		errno = EBADMSG;
		die("read the job");
	}
	*at = nul + 1;
	return start;
}

static void job_read(struct job *job)
{
	static char buf[256 * 1024];
	char *at = buf;
	ssize_t len = 0, n;
	char dev[512];
	int argc, fd;

	device_wait(NSID_JOB, dev, sizeof(dev));
	fd = open(dev, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("open '%s'", dev);
	while ((n = read(fd, buf + len, sizeof(buf) - (size_t)len)) > 0)
		len += n;
	if (n < 0)
		die("read '%s'", dev);
	close(fd);
	snprintf(job->nonce, sizeof(job->nonce), "%s", job_next(&at, buf + len));
	job->tty = !strcmp(job_next(&at, buf + len), "tty");
	job->cwd = job_next(&at, buf + len);
	argc = atoi(job_next(&at, buf + len));
	job->argv = calloc((size_t)argc + 1, sizeof(*job->argv));
	if (argc < 1 || !job->argv)
		die("read %d arguments", argc);
	for (int i = 0; i < argc; i++)
		job->argv[i] = job_next(&at, buf + len);
}

static _Noreturn void job_exec(const struct job *job, int out, int err)
{
	char *env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"HOME=/root", "LANG=C.UTF-8", "TERM=linux", NULL };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* The ports would be inherited, and a host's processes have none. */
	ioperm(PORT_EXIT, 4, 0);
	ioperm(PORT_OUT, 3, 0);
	file_write(SESSION "/cgroup.procs", "0");
	setsid();
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	dup2(job->tty ? out : open("/dev/null", O_RDONLY), STDIN_FILENO);
	if (job->tty)
		ioctl(STDIN_FILENO, TIOCSCTTY, 0);
	close_range(3, ~0U, 0);
	if (chdir(job->cwd)) {
		dprintf(STDERR_FILENO, "guest init: enter '%s': %s\n", job->cwd, strerror(errno));
		_exit(125);
	}
	environ = env;
	execvp(job->argv[0], job->argv);
	dprintf(STDERR_FILENO, "guest init: execute '%s': %s\n", job->argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* True while the pipe may still bring something; blocks no longer than poll said it need not. */
static bool pipe_relay(struct pollfd *from, enum port to)
{
	char buf[4096];
	ssize_t n = read(from->fd, buf, sizeof(buf));

	if (n > 0) {
		port_write(to, buf, (size_t)n);
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	from->fd = -1;
	return false;
}

/* Wait for the job's status, reaping orphans on the way; -1: it runs on. */
static int job_reap(pid_t pid)
{
	int status, found = -1;
	pid_t dead;

	while ((dead = waitpid(-1, &status, WNOHANG)) > 0) {
		if (dead != pid)
			continue;
		found = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
	return found;
}

static void child_noticed(int sig)
{
	(void)sig;
}

static int job_watch(pid_t pid, int out, int err)
{
	struct pollfd fds[2] = { { .fd = out, .events = POLLIN }, { .fd = err, .events = POLLIN } };
	sigset_t open_mask;
	int status;

	sigprocmask(SIG_SETMASK, NULL, &open_mask);
	sigdelset(&open_mask, SIGCHLD);
	while ((status = job_reap(pid)) < 0) {
		if (ppoll(fds, 2, NULL, &open_mask) <= 0)
			continue;
		pipe_relay(&fds[0], PORT_OUT);
		pipe_relay(&fds[1], PORT_ERR);
	}
	/* What is left in the pipes is the command's; whoever else could still add is ended. */
	kill(-1, SIGKILL);
	while (pipe_relay(&fds[0], PORT_OUT))
		;
	while (pipe_relay(&fds[1], PORT_ERR))
		;
	return status;
}

static int job_run(const struct job *job)
{
	struct sigaction act = { .sa_handler = child_noticed };
	int out[2] = { -1, -1 }, err[2] = { -1, -1 };
	sigset_t chld;
	pid_t pid;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	sigaction(SIGCHLD, &act, NULL);
	if (job->tty)
		out[1] = err[1] = open("/dev/ttyS1", O_RDWR | O_CLOEXEC | O_NOCTTY);
	else if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		die("make pipes");
	if (out[1] < 0)
		die("open '/dev/ttyS1'");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid)
		job_exec(job, out[1], err[1]);
	close(out[1]);
	if (job->tty)
		return job_watch(pid, -1, -1);
	close(err[1]);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	return job_watch(pid, out[0], err[0]);
}

static long uptime_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(void)
{
	struct job job = { 0 };
	long user_ms;
	char line[128];
	int n;

	if (getpid() != 1) {
		fprintf(stderr, "guest init: only of use as the first process of a guest\n");
		return 125;
	}
	if (!access("/modules", F_OK))
		root_enter();
	user_ms = uptime_ms();
	host_make();
	job_read(&job);
	if (ioperm(PORT_EXIT, 4, 1) || ioperm(PORT_OUT, 3, 1))
		die("open the I/O ports");
	n = snprintf(line, sizeof(line), "up %ld %ld\n", user_ms, uptime_ms());
	port_write(PORT_STATUS, line, (size_t)n);
	n = job_run(&job);
	n = snprintf(line, sizeof(line), "%s %d\n", job.nonce, n);
	port_write(PORT_STATUS, line, (size_t)n);
	guest_end();
}
