/* SPDX-License-Identifier: MIT */
/* Begins, restarts and ends the daemon: see daemon.h. */
#include "serve/daemon.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/tick.h"
#include "host/host.h"
#include "host/slot.h"
#include "launch/attributes.h"
#include "serve/config.h"
#include "serve/handover.h"
#include "serve/heir.h"
#include "serve/launching.h"
#include "serve/own_filter.h"
#include "serve/request.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* A front that comes to its end so often, so fast, will not live longer the next time. */
#define QUICK_NS    NSEC_PER_SEC
#define QUICK_MAX   10
#define DYING_TRIES 100
#define LOCK_TRIES  1000
#define FRONT_BYTES (16 << 20)
/* Who waits at the control socket to be let in, one behind the other: who floods it has others wait
 * for so many of his, and no more. The kernel has the rest wait each for himself. */
#define LINE	    32
#define DYING_MS    10
#define CONTEXT_FDS 40
#define USUAL_FDS   1024
/* Above the grace: for the front to answer and to write what there is to write. */
#define PATIENCE_NS (10 * NSEC_PER_SEC)

struct daemon {
	const struct daemon_options *opt;
	const struct config *config; /* what counts now */
	struct config *reloaded;     /* the same, when it is ours; NULL */
	struct launching *launching;
	struct pollfd *fds; /* signals, then the launching's, then knocks */
	struct pollfd *knocks;
	int state, lock, control, metrics, home, signals;
	bool bound, metered; /* the sockets' names are ours */
	uid_t uid;	     /* of the front */
	gid_t gid;
	struct process front;
	int64_t front_ns; /* its beginning */
	unsigned quick;	  /* fronts that ended at once */
	bool served, stopping;
	int64_t stop_ns; /* when it is to have come to an end */
};

/* ---- what it needs --------------------------------------------------------------------------- */

static void find_user(struct daemon *d)
{
	cleanup_file FILE *f = fopen("/etc/passwd", "re");
	struct passwd *pw = NULL;

	d->uid = d->gid = SLOT_UID_FRONT;
	while (f && (pw = fgetpwent(f)) && strcmp(pw->pw_name, "cloche") != 0)
		;
	if (pw && pw->pw_uid && pw->pw_gid) {
		d->uid = pw->pw_uid;
		d->gid = pw->pw_gid;
	}
}

static bool is_dead(pid_t pid)
{
	cleanup_fd int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = { .fd = fd, .events = POLLIN };

	return fd < 0 ? errno == ESRCH : poll(&ended, 1, 0) != 0;
}

/* Who has it, by what it wrote; -1: nothing is known. */
static pid_t who_locks(int lock)
{
	char text[16] = "";
	long pid = pread(lock, text, sizeof(text) - 1, 0) > 0 ? strtol(text, NULL, 10) : -1;

	return pid > 0 && pid <= INT_MAX ? (pid_t)pid : -1;
}

/* What a launcher that was killed was just making may have the lock a moment longer than it. */
static int lock_state(struct daemon *d, struct cloche_err *err)
{
	char text[16];
	int len;

	for (int i = 0; flock(d->lock, LOCK_EX | LOCK_NB) < 0; i++) {
		bool held = errno == EWOULDBLOCK;
		pid_t who = who_locks(d->lock);

		if (!held || who < 0 || i == LOCK_TRIES || !is_dead(who))
			return cloche_err_set(
				err, EBUSY,
				"another daemon serves with the state directory '%.200s'",
				d->config->state);
		(void)poll(NULL, 0, DYING_MS);
	}
	len = snprintf(text, sizeof(text), "%d\n", getpid());
	if (ftruncate(d->lock, 0) < 0 || pwrite(d->lock, text, (size_t)len, 0) != len)
		return cloche_err_sys(err, errno, "write '%.200s/lock'", d->config->state);
	return 0;
}

static int open_state(struct daemon *d, struct cloche_err *err)
{
	const char *path = d->config->state;
	int r;

	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return cloche_err_sys(err, errno, "make '%.200s'", path);
	d->state = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->state < 0)
		return cloche_err_sys(err, errno, "open '%.200s'", path);
	d->lock = openat(d->state, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (d->lock < 0)
		return cloche_err_sys(err, errno, "open '%.200s/lock'", path);
	r = lock_state(d, err);
	if (r < 0)
		return r;
	if (mkdirat(d->state, "daemon", 0700) < 0 && errno != EEXIST)
		return cloche_err_sys(err, errno, "make '%.200s/daemon'", path);
	d->home = openat(d->state, "daemon", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d->home < 0)
		return cloche_err_sys(err, errno, "have '%.200s/daemon'", path);
	return heir_take(d->home, d->uid, d->gid, err);
}

/* Somebody listens: the launcher that made the socket, which the kernel names. Where that is dead
 * it is but a front of its that cannot die (see dies). */
static bool connects(const struct sockaddr_un *to)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct ucred who = { .pid = 0 };
	socklen_t len = sizeof(who);

	if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
		return false;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 || who.pid <= 0 ||
	       !is_dead(who.pid);
}

/* The front of a daemon that was killed dies a moment after it. */
static bool still_connects(const struct sockaddr_un *to)
{
	for (int i = 0; i < DYING_TRIES; i++) {
		if (!connects(to))
			return false;
		(void)poll(NULL, 0, DYING_MS);
	}
	return true;
}

static int open_control(struct daemon *d, struct cloche_err *err)
{
	const char *path = d->config->control;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct stat st;

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return cloche_err_set(err, EEXIST, "'%s' is there and no socket", path);
	if (still_connects(&at))
		return cloche_err_set(err, EADDRINUSE, "another daemon serves at '%s'", path);
	(void)unlink(path);
	d->control = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->control < 0 || bind(d->control, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return cloche_err_sys(err, errno, "make the control socket '%s'", path);
	d->bound = true;
	if (chmod(path, d->config->control_mode) < 0 || listen(d->control, LINE) < 0)
		return cloche_err_sys(err, errno, "make the control socket '%s'", path);
	return 0;
}

/* Who may write to it may connect: nobody before it is root's group's. */
static int open_metrics(struct daemon *d, struct cloche_err *err)
{
	const struct config *c = d->config;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct stat st;

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", c->metrics);
	if (lstat(c->metrics, &st) == 0 && !S_ISSOCK(st.st_mode))
		return cloche_err_set(err, EEXIST, "'%s' is there and no socket", c->metrics);
	(void)unlink(c->metrics);
	d->metrics = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->metrics < 0 || bind(d->metrics, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return cloche_err_sys(err, errno, "make the socket '%s'", c->metrics);
	d->metered = true;
	if (chmod(c->metrics, 0600) < 0 ||
	    (c->metrics_grouped &&
	     (chown(c->metrics, 0, c->metrics_gid) < 0 || chmod(c->metrics, 0660) < 0)) ||
	    listen(d->metrics, 16) < 0)
		return cloche_err_sys(err, errno, "make the socket '%s'", c->metrics);
	return 0;
}

/* The directory is root's alone; whoever knows the socket's name may pass. */
static int let_pass(const struct config *c, struct cloche_err *err)
{
	cleanup_fd int run = host_run_dir(err);

	if (run < 0)
		return run;
	if (strcmp(c->control, CONTROL_PATH) == 0 && fchmod(run, 0711) < 0)
		return cloche_err_sys(err, errno, "let clients pass '" HOST_RUN_DIR "'");
	return 0;
}

static int open_signals(struct daemon *d, struct cloche_err *err)
{
	sigset_t set;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGCHLD, SIG_DFL);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	d->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (d->signals < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return cloche_err_sys(err, errno, "watch for signals");
	tick_allow();
	return 0;
}

/* ---- what it does without -------------------------------------------------------------------- */

/* All that it takes to make a context, count and take it away; for ever. */
static const int kept[] = {
	CAP_CHOWN,     CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,     CAP_FSETID,
	CAP_KILL,      CAP_SETGID,	 CAP_SETUID,	      CAP_SETPCAP,    CAP_SETFCAP,
	CAP_NET_ADMIN, CAP_SYS_ADMIN,	 CAP_SYS_CHROOT,      CAP_SYS_PTRACE, CAP_MKNOD,
	CAP_SYS_NICE,  CAP_SYS_RESOURCE, CAP_IPC_LOCK,	      CAP_BPF,	      CAP_PERFMON
};

static bool is_kept(int cap)
{
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (kept[i] == cap)
			return true;
	return false;
}

static int drop_capabilities(struct cloche_err *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { 0 };

	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (!is_kept(cap) && prctl(PR_CAPBSET_DROP, cap) < 0 && errno != EINVAL)
			return cloche_err_sys(err, errno, "give a capability up");
	if (syscall(SYS_capget, &head, caps) < 0)
		return cloche_err_sys(err, errno, "capget");
	for (int cap = 0; cap < 64; cap++) {
		struct __user_cap_data_struct *c = &caps[cap / 32];
		uint32_t bit = is_kept(cap) ? 0 : 1U << cap % 32;

		c->permitted &= ~bit;
		c->effective = c->permitted;
		c->inheritable = 0;
	}
	if (syscall(SYS_capset, &head, caps) < 0)
		return cloche_err_sys(err, errno, "capset");
	return 0;
}

/* Nobody out there is spoken to, by front or launcher. */
static int leave_network(struct cloche_err *err)
{
	return unshare(CLONE_NEWNET) < 0 ? cloche_err_sys(err, errno, "leave the host's network")
					 : 0;
}

/* Others' contexts end with this process; and each has some thirty descriptors in it. */
static void try_be_able(unsigned contexts)
{
	cleanup_fd int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	rlim_t wanted = USUAL_FDS + (rlim_t)contexts * CONTEXT_FDS;
	struct rlimit l;

	(void)attributes_try_outlive(proc);
	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return;
	l.rlim_cur = l.rlim_max;
	if (l.rlim_max < wanted) {
		const struct rlimit more = { .rlim_cur = wanted, .rlim_max = wanted };

		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			return;
	}
	(void)setrlimit(RLIMIT_NOFILE, &l);
}

/* ---- the front ------------------------------------------------------------------------------- */

/* In the child. Users that came since it was read have numbers lent, too. */
static int config_now(const struct daemon *d)
{
	cleanup_free struct config *config = malloc(sizeof(*config));

	if (!config)
		return -ENOMEM;
	*config = *d->config;
	(void)subordinates_read(SUBORDINATES_PATH, &config->subordinates, NULL);
	return handover_config(config);
}

/* In the child. */
static _Noreturn void become_front(const struct daemon *d, int socket)
{
	enum { PROGRAM = 5, ALL };
	int fds[ALL] = { socket, d->control, d->home, config_now(d), d->metrics, d->opt->front };
	char uid[12], gid[12];
	char *argv[DAEMON_ARGS + 1] = {
		(char *)"cloched", [DAEMON_ARG_VERSION] = (char *)CLOCHE_VERSION,
		[DAEMON_ARG_UID] = uid, [DAEMON_ARG_GID] = gid
	};

	(void)snprintf(uid, sizeof(uid), "%u", d->uid);
	(void)snprintf(gid, sizeof(gid), "%u", d->gid);
	(void)unsetenv("NOTIFY_SOCKET");
	/* First out of the way of each other. */
	for (int i = 0; i < ALL; i++)
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 16);
	for (int i = 0; i < PROGRAM; i++)
		if (dup2(fds[i], DAEMON_FD_LAUNCHER + i) < 0)
			_exit(EXIT_FAILURE);
	if (syscall(SYS_close_range, DAEMON_FD_METRICS + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		(void)fexecve(fds[PROGRAM], argv, environ);
	_exit(EXIT_FAILURE);
}

static int start_front(struct daemon *d, struct cloche_err *err)
{
	const int room = FRONT_BYTES;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return cloche_err_sys(err, errno, "socketpair");
	/* For what all clients may ask for at once: that it cannot say it is its end. */
	(void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	pid = fork();
	if (pid == 0)
		become_front(d, pair[1]);
	(void)close(pair[1]);
	if (pid < 0) {
		(void)close(pair[0]);
		return cloche_err_sys(err, errno, "start the front (fork)");
	}
	d->front = process_open(pid);
	d->front_ns = clock_now_ns();
	launching_front(d->launching, pair[0]);
	return 0;
}

/* It has ended, or is to. One of whose threads closes a file of somebody's FUSE cannot, as long as
 * that one likes. */
static bool dies(const struct process *front)
{
	struct pollfd end = { .fd = front->pidfd, .events = POLLIN };

	return front->pidfd < 0 || poll(&end, 1, DYING_TRIES * DYING_MS) == 1;
}

static void end_front(struct daemon *d)
{
	int status = 0;

	if (!process_is(&d->front))
		return;
	process_kill(&d->front);
	launching_drop(d->launching);
	if (!dies(&d->front)) {
		d->opt->say("the front cannot die (a file system of a client's does not answer): "
			    "left behind");
		process_close(&d->front);
		return;
	}
	(void)process_reap(&d->front, &status);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		d->opt->say("the front was killed for a system call that it may not make "
			    "('cloche policy show front')");
	/* One that wants to be replaced exits with 0. */
	d->quick = status && clock_now_ns() - d->front_ns < QUICK_NS ? d->quick + 1 : 0;
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* What was made by the old one stays as it is, and is said. */
static void keep_what_stands(const struct daemon *d, struct config *changed)
{
	const struct config *c = d->config;
	char text[160];

	if (strcmp(c->control, changed->control) != 0 || c->control_mode != changed->control_mode)
		d->opt->say("control, control_mode: they count from the next start on");
	if (strcmp(c->state, changed->state) != 0)
		d->opt->say("state: it counts from the next start on");
	if (strcmp(c->metrics, changed->metrics) != 0 ||
	    c->metrics_grouped != changed->metrics_grouped ||
	    c->metrics_gid != changed->metrics_gid)
		d->opt->say("metrics, metrics_group: they count from the next start on");
	memcpy(changed->metrics, c->metrics, sizeof(c->metrics));
	memcpy(changed->control, c->control, sizeof(c->control));
	changed->control_mode = c->control_mode;
	memcpy(changed->state, c->state, sizeof(c->state));
	if (changed->contexts <= d->opt->config->contexts)
		return;
	(void)snprintf(text, sizeof(text),
		       "contexts: %u count from the next start on; now there may be %u",
		       changed->contexts, d->opt->config->contexts);
	d->opt->say(text);
	changed->contexts = d->opt->config->contexts;
}

/* The whole of it, or nothing. */
static void reload(struct daemon *d)
{
	struct config *changed = calloc(1, sizeof(*changed));
	struct cloche_err err = { 0 };
	char text[sizeof(err.text) + 64];
	int r = changed ? d->opt->reload(changed, &err) : cloche_err_sys(&err, ENOMEM, "read it");

	if (r < 0 || !changed) {
		(void)snprintf(text, sizeof(text), "the configuration stays as it was: %s",
			       err.text);
		d->opt->say(text);
		free(changed);
		return;
	}
	keep_what_stands(d, changed);
	launching_change(d->launching, changed);
	free(d->reloaded);
	d->config = d->reloaded = changed;
	d->opt->say("the configuration is read anew");
}

static void on_signal(struct daemon *d)
{
	struct signalfd_siginfo info;

	if (read(d->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP) {
		reload(d);
		return;
	}
	if (!d->stopping)
		d->opt->stops();
	/* Who asks twice has no patience. */
	if (d->stopping || !launching_ready(d->launching)) {
		d->stopping = true;
		end_front(d);
		return;
	}
	d->stopping = true;
	d->stop_ns = clock_now_ns() + d->config->grace_ns + PATIENCE_NS;
	launching_stop(d->launching, d->config->grace_ns);
}

static void wait_for(struct daemon *d)
{
	int64_t until_ns, left_ns;
	struct timespec left;
	unsigned n;

	d->fds[0] = (struct pollfd){ .fd = d->signals, .events = POLLIN };
	until_ns = launching_wait(d->launching, d->fds + 1, &n);
	if (d->stopping && process_is(&d->front) && d->stop_ns < until_ns)
		until_ns = d->stop_ns;
	left_ns = until_ns == INT64_MAX ? 0 : until_ns - clock_now_ns();
	left = ns_timespec(left_ns > 0 ? left_ns : 0);
	/* A client that nobody sees to, where the front has nothing else to show its life by. */
	d->knocks = &d->fds[1 + n];
	*d->knocks = (struct pollfd){ .fd = launching_owed(d->launching) ? -1 : d->control,
				      .events = POLLIN };
	if (ppoll(d->fds, n + 2, until_ns == INT64_MAX ? NULL : &left, NULL) < 0)
		for (unsigned i = 0; i < n + 2; i++)
			d->fds[i].revents = 0;
}

static void step(struct daemon *d)
{
	struct cloche_err err = { 0 };
	char text[sizeof(err.text) + 32];

	if (d->fds[0].revents)
		on_signal(d);
	if (d->knocks->revents && !d->stopping)
		launching_knocked(d->launching);
	if (launching_step(d->launching, d->fds + 1, &err) < 0) {
		(void)snprintf(text, sizeof(text), "the front is ended: %s", err.text);
		if (!d->stopping || err.code != EPIPE)
			d->opt->say(text);
		end_front(d);
	}
	if (d->stopping && process_is(&d->front) && clock_now_ns() >= d->stop_ns)
		end_front(d);
	if (launching_ready(d->launching) && !d->served) {
		d->served = true;
		d->opt->serves();
	}
	launching_look_whether_alone(d->launching);
}

static int serve(struct daemon *d, struct cloche_err *err)
{
	int r = 0;

	while (r == 0 && !(d->stopping && !process_is(&d->front) && launching_idle(d->launching))) {
		if (!d->stopping && !process_is(&d->front)) {
			if (d->quick >= QUICK_MAX) {
				r = cloche_err_set(err, EPROTO, "the front ends again and again");
				d->stopping = true;
				break;
			}
			r = start_front(d, err);
			continue;
		}
		wait_for(d);
		step(d);
	}
	/* Also what failed leaves nothing. */
	end_front(d);
	while (!launching_idle(d->launching)) {
		struct cloche_err none = { 0 };

		wait_for(d);
		(void)launching_step(d->launching, d->fds + 1, &none);
	}
	return r;
}

static void close_all(struct daemon *d)
{
	d->launching = launching_close(d->launching);
	if (d->bound)
		(void)unlink(d->config->control);
	if (d->metered)
		(void)unlink(d->config->metrics);
	fd_close(&d->control);
	fd_close(&d->metrics);
	fd_close(&d->signals);
	fd_close(&d->home);
	fd_close(&d->state);
	fd_close(&d->lock);
	free(d->fds);
	free(d->reloaded);
}

int daemon_run(const struct daemon_options *options, struct cloche_err *err)
{
	const struct config *c = options->config;
	const struct launching_options how = { .config = c, .say = options->say };
	struct daemon d = { .opt = options,
			    .config = c,
			    .state = -1,
			    .lock = -1,
			    .control = -1,
			    .metrics = -1,
			    .home = -1,
			    .signals = -1,
			    .front = PROCESS_NONE };
	int r = 0;

	if (geteuid() != 0)
		return cloche_err_set(err, EPERM, "the daemon needs root; try sudo");
	find_user(&d);
	d.fds = calloc(2 + LAUNCHING_FDS(c->contexts), sizeof(*d.fds));
	if (!d.fds)
		r = cloche_err_sys(err, ENOMEM, "begin");
	if (r == 0)
		r = open_signals(&d, err);
	if (r == 0)
		r = open_state(&d, err);
	if (r == 0)
		r = let_pass(c, err);
	if (r == 0)
		r = leave_network(err);
	if (r == 0)
		r = drop_capabilities(err);
	if (r == 0)
		r = own_filter_launcher(err);
	try_be_able(c->contexts);
	if (r == 0)
		r = launching_open(&how, &d.launching, err);
	if (r == 0)
		r = open_control(&d, err);
	if (r == 0)
		r = open_metrics(&d, err);
	if (r == 0)
		r = serve(&d, err);
	close_all(&d);
	return r;
}
