/* SPDX-License-Identifier: MIT */
/*
 * Starts a function process and sees to its end: see function.h.
 *
 * Its own process is watched by a pidfd, its deadline by a timer. Orphans of the function come to
 * the warden, too, and are reaped as they die, and denied calls are answered; but not while the
 * deadline is near or all are being killed: to wake for each of a crowd takes the CPU that they
 * need for dying. When its own process has ended, the rest is killed; when the cgroup is empty, it
 * is over.
 */
#include "launch/function.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/inside.h"
#include "host/prompt.h"
#include "launch/child.h"
#include "launch/cpu_time.h"
#include "launch/deadline.h"
#include "launch/lookup.h"
#include "launch/message.h"
#include "launch/order.h"
#include "launch/plan.h"
#include "launch/spawn.h"
#include "launch/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Orphans, between two looks at the rest. */
#define REAP_MAX 64

/* ---- the file that it executes, for the record ---------------------------------------------- */

struct command_file {
	int dir; /* the working directory */
	int fd;	 /* O_PATH; -1: unknown */
	int candidate;
	struct lookup way;
};

/* A tick is 1 to 10 ms: the file was just written, as by a compiler. */
static void wait_until_quiet(const struct lookup *way)
{
	for (int i = 0; i < 10 && !lookup_quiet(way); i++)
		(void)nanosleep(&(struct timespec){ .tv_nsec = NSEC_PER_MSEC }, NULL);
}

static bool look_at(struct command_file *c, const char *path)
{
	fd_close(&c->fd);
	c->fd = lookup(c->dir, path, &c->way);
	return c->fd >= 0 && S_ISREG(c->way.file.st_mode);
}

/* Before the function process is there. */
static void command_find(const struct plan *p, struct command_file *ret)
{
	char *const *path = p->order->candidates;

	ret->dir = inside_open(AT_FDCWD, p->order->workdir, O_PATH | O_DIRECTORY);
	while (*path && !look_at(ret, *path))
		path++;
	if (*path && !lookup_quiet(&ret->way)) {
		wait_until_quiet(&ret->way);
		if (!look_at(ret, *path) || !lookup_quiet(&ret->way))
			fd_close(&ret->fd);
	}
	if (!*path)
		fd_close(&ret->fd);
	ret->candidate = (int)(path - p->order->candidates);
	p->shared->executed_stat = ret->way.file;
}

/* Whether it was that file that the kernel executed. See lookup.h. */
static bool command_is_executed(const struct plan *p, const struct command_file *c)
{
	cleanup_fd int fd = -1;
	struct lookup now;

	if (c->fd < 0 || c->candidate != p->shared->exec_path)
		return false;
	fd = lookup(c->dir, p->order->candidates[c->candidate], &now);
	return fd >= 0 && lookup_same(&c->way, &now);
}

static void command_forget(struct command_file *c)
{
	fd_close(&c->dir);
	fd_close(&c->fd);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void time_add(struct timeval *to, const struct timeval *by)
{
	to->tv_sec += by->tv_sec;
	to->tv_usec += by->tv_usec;
	if (to->tv_usec >= 1000000) {
		to->tv_sec++;
		to->tv_usec -= 1000000;
	}
}

static void rusage_add(struct rusage *to, const struct rusage *by)
{
	time_add(&to->ru_utime, &by->ru_utime);
	time_add(&to->ru_stime, &by->ru_stime);
	to->ru_minflt += by->ru_minflt;
	to->ru_majflt += by->ru_majflt;
	to->ru_nvcsw += by->ru_nvcsw;
	to->ru_nivcsw += by->ru_nivcsw;
}

/* One that is dead, of any or of the function's own; as wait4(2). */
static pid_t reap(struct function *f, pid_t which, int options)
{
	struct rusage usage;
	int status;
	pid_t got;

	do
		got = wait4(which, &status, options, &usage);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return got;
	rusage_add(&f->end.usage, &usage);
	if (got == f->pid) {
		f->end.status = status;
		f->pid = 0;
	}
	return got;
}

/* Those of a crowd that are killed die one by one, and come to us at their parents' death; who has
 * no child any more is alone. Its work is what the function has piled up. */
static void reap_rest(struct function *f)
{
	if (reap(f, -1, WNOHANG) < 0)
		return;
	prompt_end();
	f->prompt = false;
	while (reap(f, -1, 0) >= 0)
		;
}

static bool is_over(struct function *f)
{
	if (cgroup_populated(&f->plan->cgroup) > 0)
		return false;
	f->end.dead_ns = clock_now_ns();
	pause_forget(f);
	listener_close(&f->listener);
	reap_rest(f);
	fd_close(&f->pidfd);
	return true;
}

/* The function's own process is reaped: what it has left ends with it. Without cgroup.kill that is
 * when the warden does. */
static bool end_rest(struct function *f)
{
	bool by_itself;

	f->end.at_ns = clock_now_ns();
	f->dying = true;
	f->more = false;
	for (int i = 0; i < FUNCTION_WATCHED; i++)
		f->watched[i].fd = -1;
	f->watched[FUNCTION_EMPTY].fd = f->plan->cgroup.events;
	f->end.deadline_ns = f->deadline_ns;
	by_itself = shared_claim(f->plan->shared, ENDED_BY_ITSELF);
	if (is_over(f))
		return true;
	if (by_itself)
		f->end.flags |= WARDEN_LEFT;
	/* Also when the launcher was first: it may have been stopped since. */
	if (!f->killed && cgroup_kill(&f->plan->cgroup) < 0)
		return true;
	return is_over(f);
}

static bool on_end(struct function *f)
{
	if (f->pid && reap(f, f->pid, 0) < 0)
		_exit(EXIT_FAILURE);
	return end_rest(f);
}

void function_watch_piles(struct function *f, bool watched)
{
	f->watched[FUNCTION_ORPHANS].fd = watched ? f->orphans : -1;
	f->watched[FUNCTION_ASKED].fd = watched ? listener_asked(&f->listener) : -1;
	f->watched[FUNCTION_MADE].fd = watched ? listener_made(&f->listener) : -1;
	output_watch(watched ? &f->output : &OUTPUT_NONE, f->watched + FUNCTION_OUTPUT);
	f->more &= watched;
}

void function_be_prompt(struct function *f)
{
	const cpu_set_t *others = &f->plan->others;

	prompt_try_begin(false);
	f->prompt = true;
	if (CPU_COUNT(others) > 0)
		(void)sched_setaffinity(0, sizeof(*others), others);
}

void function_kill(struct function *f, enum ended_by why)
{
	if (shared_claim(f->plan->shared, why) && why == ENDED_BY_DEADLINE &&
	    f->pause.state == PAUSE_FREEZING)
		f->end.flags |= WARDEN_UNFROZEN;
	/* Also when the launcher was first: it may have been stopped since. */
	deadline_kill(f);
	f->killed = true;
	f->watched[FUNCTION_DEADLINE].fd = f->watched[FUNCTION_CPU_TIME].fd = -1;
	f->watched[FUNCTION_EMPTY].fd = -1;
	function_watch_piles(f, false);
}

/* Orphans and questions may come in crowds; for these nobody else is held up. */
static void take_turns(struct function *f)
{
	if (f->scarce)
		return;
	prompt_end();
	f->prompt = false;
	if (deadline_set(f) < 0 || cpu_time_set(f) < 0)
		_exit(EXIT_FAILURE);
}

static void on_orphans(struct function *f)
{
	struct signalfd_siginfo info;
	int i = 0;

	/* EAGAIN: there are more of them than the last one told of. */
	if (read(f->orphans, &info, sizeof(info)) < 0 && errno != EAGAIN)
		_exit(EXIT_FAILURE);
	for (; i < REAP_MAX && !f->near && f->pid && reap(f, -1, WNOHANG) > 0; i++)
		if (f->prompt && f->pid)
			take_turns(f);
	f->more = i == REAP_MAX && !f->near;
}

/* It could not be answered, and whoever asks waits for ever. */
static void check_answered(const struct function *f, int r)
{
	struct cloche_err *err = &f->plan->shared->err;

	if (r == 0)
		return;
	(void)cloche_err_sys(err, -r, "answer a denied system call");
	_exit(EXIT_FAILURE);
}

static void on_asked(struct function *f, short revents)
{
	if (f->prompt)
		take_turns(f);
	if (f->near)
		return;
	check_answered(f, listener_take(&f->listener, revents));
	function_watch_piles(f, true);
	if (denials_all(&f->plan->shared->denials) > DENIALS_MAX)
		function_kill(f, ENDED_BY_DENIALS);
}

static void on_made(struct function *f)
{
	check_answered(f, listener_hear(&f->listener));
	function_watch_piles(f, true);
}

void function_check_output(const struct function *f)
{
	if (f->output.code == 0)
		return;
	(void)cloche_err_sys(&f->plan->shared->err, f->output.code,
			     "pass on what the function wrote");
	_exit(EXIT_FAILURE);
}

static void on_output(struct function *f)
{
	bool over;

	if (f->prompt)
		take_turns(f);
	if (f->near)
		return;
	over = output_move(&f->output);
	function_check_output(f);
	if (over)
		function_kill(f, ENDED_BY_OUTPUT);
	else
		function_watch_piles(f, true);
}

static void look_whether_frozen(struct function *f)
{
	struct cloche_err *err = &f->plan->shared->err;

	if (pause_look(f, err) < 0)
		_exit(EXIT_FAILURE);
}

/* Whether it is waited for, and there. */
static bool is_there(const struct function *f, int what)
{
	return f->watched[what].fd >= 0 && f->watched[what].revents;
}

static bool is_output_there(const struct function *f)
{
	bool any = false;

	for (int i = 0; i < OUTPUT_FDS; i++)
		any |= is_there(f, FUNCTION_OUTPUT + i);
	return any;
}

int64_t function_patience(const struct function *f)
{
	if (f->more)
		return 0;
	return f->pause.state == PAUSE_FREEZING && !f->killed ? pause_patience(f) : FUNCTION_NO_END;
}

bool function_step(struct function *f)
{
	if (f->dying)
		return is_over(f);
	/* The end first: what ended before its deadline was looked at did not time out. */
	if (f->watched[FUNCTION_END].revents)
		return on_end(f);
	if (f->watched[FUNCTION_DEADLINE].revents)
		deadline_step(f);
	if (is_there(f, FUNCTION_CPU_TIME))
		cpu_time_step(f);
	if (is_there(f, FUNCTION_MADE))
		on_made(f);
	if (is_there(f, FUNCTION_ASKED))
		on_asked(f, f->watched[FUNCTION_ASKED].revents);
	if (is_output_there(f))
		on_output(f);
	if (f->more || is_there(f, FUNCTION_ORPHANS))
		on_orphans(f);
	if (f->pause.state == PAUSE_FREEZING && !f->killed)
		look_whether_frozen(f);
	return f->pid == 0 && end_rest(f);
}

/* ---- the beginning -------------------------------------------------------------------------- */

int function_open(struct function *ret, const struct plan *plan, struct cloche_err *err)
{
	struct function f = { .plan = plan,
			      .orphans = -1,
			      .timer = -1,
			      .cpu_timer = -1,
			      .pidfd = -1,
			      .pause = PAUSE_START,
			      .api = -1,
			      .listener = LISTENER_NONE,
			      .output = OUTPUT_NONE };
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return cloche_err_sys(err, errno, "block SIGCHLD");
	f.orphans = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (f.orphans < 0)
		return cloche_err_sys(err, errno, "watch for SIGCHLD (signalfd)");
	f.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (f.timer >= 0)
		f.cpu_timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (f.cpu_timer < 0)
		return cloche_err_sys(err, errno, "make the limits' timers (timerfd_create)");
	*ret = f;
	return 0;
}

/*
 * Runtimes count CPUs by it; it protects nothing, the quota is what holds. The function process has
 * it from us: it would be born elsewhere, and to move a process that runs takes a thread of the
 * kernel's there. We are mostly where the function before was.
 */
static void try_go_to_its_cpus(const struct plan *p)
{
	if (sched_setaffinity(0, sizeof(p->affinity), &p->affinity) < 0)
		p->shared->lacks |= LACK_AFFINITY;
}

static void try_leave_its_cpus(const struct plan *p)
{
	cpu_set_t all;

	CPU_OR(&all, &p->affinity, &p->others);
	(void)sched_setaffinity(0, sizeof(all), &all);
}

static int birth(struct function *f, struct cloche_err *err)
{
	struct shared *shared = f->plan->shared;
	pid_t pid;

	try_go_to_its_cpus(f->plan);
	pid = spawn(f->plan->cgroup.v2, &f->pidfd, child_main, f->plan);
	try_leave_its_cpus(f->plan);
	if (pid < 0) {
		(void)cloche_err_sys(err, -pid, "clone3 into the cgroup (CLONE_INTO_CGROUP)");
		return cloche_err_stage(err, "clone");
	}
	f->pid = pid;
	if (err->code == 0 && shared->exec_ns == 0) {
		(void)cloche_err_set(err, ECHILD,
				     "the function process was killed before it could execute "
				     "the command");
		(void)cloche_err_stage(err, "set-up");
	}
	return -err->code;
}

/* What it may use, from now on. Not before: what the launch used is not the function's, and a small
 * quota would stretch it to seconds. */
static int set_limits(struct function *f, struct cloche_err *err)
{
	const struct plan *p = f->plan;
	bool without = p->spec->kept && !p->order->init_invoked;
	int r = without ? 0 : cgroup_set_quota(&p->cgroup, &p->cpu, err);

	f->pause.quota = !without;
	/* The call of execve: we may be here before the new image is in place (the kernel ends a
	 * vfork early in the exec), and so before the first instruction. */
	f->start_ns = p->shared->exec_ns;
	f->timeout_ns = p->order->timeout_ns;
	f->deadline_ns = f->start_ns + f->timeout_ns;
	if (r == 0) {
		r = deadline_set(f);
		if (r == 0)
			r = cpu_time_set(f);
		if (r < 0)
			(void)cloche_err_sys(err, -r, "set the time limit");
	}
	return r < 0 ? cloche_err_stage(err, "limits") : 0;
}

/* With the file that it executes, where that is known; and the socket of its API. */
static void tell_started(struct function *f, const struct command_file *file)
{
	const struct plan *p = f->plan;
	struct warden_msg m = { .type = WARDEN_STARTED,
				.at_ns = p->shared->exec_ns,
				.cpu_ns = p->shared->exec_cpu_ns };
	struct message_fds fds = { .n = 0 };

	if (command_is_executed(p, file)) {
		m.fds |= WARDEN_FD_EXECUTED;
		fds.fd[fds.n++] = file->fd;
	}
	if (f->api >= 0) {
		m.fds |= WARDEN_FD_API;
		fds.fd[fds.n++] = f->api;
	}
	/* Whoever drove it is gone; with the warden goes the context. */
	if (message_send(p->driver, &m, NULL, &fds) < 0)
		_exit(EXIT_FAILURE);
}

static void watch(struct function *f)
{
	for (int i = 0; i < FUNCTION_WATCHED; i++)
		f->watched[i] = (struct pollfd){ .fd = -1,
						 .events = i == FUNCTION_EMPTY ? POLLPRI : POLLIN };
	f->watched[FUNCTION_END].fd = f->pidfd;
	f->watched[FUNCTION_DEADLINE].fd = f->timer;
	function_watch_piles(f, true);
}

static void begin_anew(struct function *f)
{
	struct shared *shared = f->plan->shared;

	f->end = (struct warden_msg){ .type = WARDEN_ENDED };
	f->pid = 0;
	f->waits = 0;
	f->near = f->scarce = f->more = f->dying = f->killed = false;
	f->pause = PAUSE_START;
	shared->resumed_ns = shared->paused_ns = 0;
	denials_clear(&shared->denials);
	shared->err.code = 0;
	shared->listener = -1;
	shared->exec_ns = 0;
	/* Where it is born in its cpu cgroup it might wait for ever for the group's real time. */
	prompt_try_begin(f->plan->cgroup.tasks[CONTROLLER_CPU] >= 0);
	f->prompt = true;
}

bool function_start(struct function *f, bool clocked)
{
	const struct plan *p = f->plan;
	struct cloche_err *err = &p->shared->err;
	struct command_file file = { .fd = -1 };
	int r;

	begin_anew(f);
	f->clocked = clocked;
	f->cpu_before_ns = p->order->cpu_time_ns ? cgroup_cpu_ns(&p->cgroup) : 0;
	command_find(p, &file);
	r = birth(f, err);
	listener_open(&f->listener, p, p->shared->listener, clocked);
	if (r == 0) {
		watch(f);
		r = set_limits(f, err);
		if (r < 0)
			deadline_kill(f);
	}
	if (r == 0)
		tell_started(f, &file);
	fd_close(&f->api);
	command_forget(&file);
	if (r == 0)
		return true;
	f->end.type = WARDEN_FAILED;
	if (f->pid && reap(f, f->pid, 0) < 0)
		_exit(EXIT_FAILURE);
	reap_rest(f);
	listener_close(&f->listener);
	fd_close(&f->pidfd);
	return false;
}
