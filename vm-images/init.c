/* SPDX-License-Identifier: MIT */
/*
 * The first process of a test guest. It makes what a booted Debian host has (file systems, unified
 * cgroup v2 with every controller, a session's own cgroup, shared mount propagation), runs the one
 * command that the host asked for, and tells the host how that ended.
 *
 * Where things meet: the host attaches two disks, told apart by their serial (the order in which
 * the kernel finds them is anybody's guess): the root file system (ext4, since that is what hosts
 * have: idmapped mounts and pivot_root work on it) and the kernel's modules. The job comes through
 * QEMU's firmware configuration device. It is strings that end in NUL:
 *   nonce, time of day in ns, "pipe" or "tty" with rows and columns, working directory, number of
 *   arguments, the arguments.
 * Output goes to the host through I/O ports (QEMU's isa-debugcon), one each for standard output,
 * standard error and status: no driver, no interrupt, and what outsb has returned from has arrived.
 * Of the lines of status the host takes none but "NONCE STATUS" for an end. Without it (panic,
 * hang, power cut) the run has failed: there is no way to succeed by default. Before it come
 *   "waiting"  if there was no job yet,
 *   "user"     when user space has its job and begins,
 *   "command"  when the command is about to start.
 *
 * As /init of the initial RAM disk it first loads what lies in /modules in the order of the names,
 * and waits for a job. There machine.sh takes its snapshot: whatever differs from guest to guest
 * comes after it, the disks (/modules.late has the driver that looks at them), the time of day, the
 * random numbers. Then it mounts the root and executes itself from there.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
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
	PORT_FW_SELECT = 0x510,
	PORT_FW_DATA = 0x511,
};

#define SESSION "/sys/fs/cgroup/session.slice"

struct job {
	char *nonce;
	long long now_ns; /* CLOCK_REALTIME of the host when it made the job */
	bool tty;
	struct winsize size; /* all 0: not known */
	char *cwd;
	char **argv;
};

/* Standard error is the console until the job starts, so the host shows this line. */
__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...)
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

static void port_write(enum port port, const char *buf, size_t len)
{
	__asm__ volatile("rep outsb" : "+S"(buf), "+c"(len) : "d"(port) : "memory");
}

static void status_write(const char *line)
{
	port_write(PORT_STATUS, line, strlen(line));
}

static void ports_open(int on)
{
	if (ioperm(PORT_EXIT, 4, on) || ioperm(PORT_OUT, 3, on) || ioperm(PORT_FW_SELECT, 2, on))
		die("open the I/O ports");
}

/* QEMU ends at once; a kernel that ignores the port is powered off the slow way. */
static _Noreturn void guest_end(void)
{
	outb(0x10, PORT_EXIT);
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

/* ---- the job ------------------------------------------------------------------------------- */

/* docs/specs/fw_cfg.rst of QEMU: what is selected is read byte by byte, numbers are big-endian. */
#define FW_DIRECTORY 0x19
#define FW_JOB	     "opt/cloche/job"

struct fw_file {
	uint32_t size;
	uint16_t select;
	uint16_t reserved;
	char name[56];
};

static void fw_read(void *buf, size_t len)
{
	__asm__ volatile("rep insb" : "+D"(buf), "+c"(len) : "d"(PORT_FW_DATA) : "memory");
}

static bool fw_find(const char *name, struct fw_file *file)
{
	uint32_t count = 0;

	outw(FW_DIRECTORY, PORT_FW_SELECT);
	fw_read(&count, sizeof(count));
	for (count = ntohl(count); count; count--) {
		fw_read(file, sizeof(*file));
		if (!strcmp(file->name, name))
			return true;
	}
	return false;
}

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

/* False: there is none yet. */
static bool job_read(struct job *job)
{
	struct fw_file file = { 0 };
	char *at, *end, *mode;
	int argc;

	/* Twice, as the first look may have begun before the snapshot, in another directory. */
	if (!fw_find(FW_JOB, &file) || !fw_find(FW_JOB, &file))
		return false;
	at = malloc(ntohl(file.size));
	if (!at)
		die("read a job of %u bytes", ntohl(file.size));
	end = at + ntohl(file.size);
	outw(ntohs(file.select), PORT_FW_SELECT);
	fw_read(at, (size_t)(end - at));
	job->nonce = job_next(&at, end);
	job->now_ns = atoll(job_next(&at, end));
	mode = job_next(&at, end);
	job->tty = !strncmp(mode, "tty", 3);
	job->size = (struct winsize){ 0 };
	sscanf(mode, "%*s %hu %hu", &job->size.ws_row, &job->size.ws_col);
	job->cwd = job_next(&at, end);
	argc = atoi(job_next(&at, end));
	job->argv = calloc((size_t)argc + 1, sizeof(*job->argv));
	if (argc < 1 || !job->argv)
		die("read %d arguments", argc);
	for (int i = 0; i < argc; i++)
		job->argv[i] = job_next(&at, end);
	return true;
}

/*
 * For a second the kernel measures its clock's rate against another clock, which QEMU stops at
 * another moment when it takes a snapshot. Kernels without the processor's clock do nothing of it.
 * One that does not come to an end gives no snapshot.
 */
static void clock_settle(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	char name[32] = "tsc-early";
	int fd;

	for (int i = 0; !strncmp(name, "tsc-early", 9); i++) {
		if (i == 20000) {
			errno = ETIMEDOUT;
			die("wait for the clock source");
		}
		nanosleep(&ms, NULL);
		fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource",
			  O_RDONLY | O_CLOEXEC);
		if (fd < 0 || read(fd, name, sizeof(name)) < 0)
			die("read the clock source");
		close(fd);
	}
}

static void job_wait(struct job *job)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	if (job_read(job))
		return;
	clock_settle();
	status_write("waiting\n");
	while (!job_read(job))
		nanosleep(&ms, NULL);
}

/* What guests that go on from one snapshot would share: the time it was taken, and all randomness.
 */
static void snapshot_leave(const struct job *job)
{
	const struct timespec now = { .tv_sec = job->now_ns / 1000000000,
				      .tv_nsec = job->now_ns % 1000000000 };
	struct {
		struct rand_pool_info head;
		char seed[64];
	} pool = { .head = { .entropy_count = 8 * sizeof(pool.seed),
			     .buf_size = sizeof(pool.seed) } };
	int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);

	snprintf(pool.seed, sizeof(pool.seed), "%s", job->nonce);
	if (clock_settime(CLOCK_REALTIME, &now))
		die("set the clock to %lld ns", job->now_ns);
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool) || ioctl(fd, RNDRESEEDCRNG))
		die("seed '/dev/urandom'");
	close(fd);
}

/* ---- disks ----------------------------------------------------------------------------------- */

static bool device_is(const char *name, const char *serial)
{
	char path[512], found[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/block/%s/serial", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, found, sizeof(found) - 1) < 0)
		found[0] = '\0';
	close(fd);
	return !strcmp(found, serial);
}

static bool device_find(const char *serial, char *dev, size_t size)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		snprintf(dev, size, "/dev/%s", entry->d_name);
		found = device_is(entry->d_name, serial) && !access(dev, F_OK);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* The driver finds its disks in its own time; nothing announces them without a uevent daemon. */
static void device_wait(const char *serial, char *dev, size_t size)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	for (int i = 0; !device_find(serial, dev, size); i++) {
		if (i == 20000) {
			errno = ETIMEDOUT;
			die("find disk '%s'", serial);
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
	struct job job;
	char dev[512];

	mount_or_die("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=755");
	mount_or_die("sysfs", "/sys", "sysfs", 0, NULL);
	modules_load("/modules");
	job_wait(&job);
	status_write("user\n");
	snapshot_leave(&job);
	modules_load("/modules.late");
	device_wait("root", dev, sizeof(dev));
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
	device_wait("modules", dev, sizeof(dev));
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

/* ---- the command ----------------------------------------------------------------------------- */

static _Noreturn void job_exec(const struct job *job, int out, int err)
{
	char *env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"HOME=/root", "LANG=C.UTF-8", "TERM=linux", NULL };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* The ports would be inherited, and a host's processes have none. */
	ports_open(0);
	file_write(SESSION "/cgroup.procs", "0");
	setsid();
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	dup2(job->tty ? out : open("/dev/null", O_RDONLY), STDIN_FILENO);
	if (job->tty) {
		struct termios mode;

		ioctl(STDIN_FILENO, TIOCSCTTY, 0);
		/* The host's terminal, behind QEMU, makes CR LF of a line's end: once is enough. */
		if (!tcgetattr(STDIN_FILENO, &mode)) {
			mode.c_oflag &= ~(tcflag_t)ONLCR;
			tcsetattr(STDIN_FILENO, TCSANOW, &mode);
		}
		ioctl(STDIN_FILENO, TIOCSWINSZ, &job->size);
	}
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

int main(void)
{
	struct job job;
	char line[128];
	int status;

	if (getpid() != 1) {
		fprintf(stderr, "guest init: only of use as the first process of a guest\n");
		return 125;
	}
	ports_open(1);
	if (!access("/modules", F_OK))
		root_enter();
	host_make();
	if (!job_read(&job))
		die("find the job");
	status_write("command\n");
	status = job_run(&job);
	snprintf(line, sizeof(line), "%s %d\n", job.nonce, status);
	status_write(line);
	guest_end();
}
