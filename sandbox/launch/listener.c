/* SPDX-License-Identifier: MIT */
/* Answers and counts what the policy denies, has sockets made that are asked for: see listener.h.
 */
#include "launch/listener.h"

#include "base/fd.h"
#include "launch/asked_sockets.h"
#include "launch/own_fds.h"
#include "launch/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ENOENT: who asked is dead. EINPROGRESS: it has its answer, and did not come to take it yet. */
static int answer(int listener, uint64_t id, int error, int value)
{
	/* The kernel wants it zeroed. Its structures may grow; these ioctls carry their size. */
	struct seccomp_notif_resp answer = { .id = id, .error = error, .val = value };

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0 && errno != ENOENT &&
			       errno != EINPROGRESS
		       ? -errno
		       : 0;
}

/* ---- the maker ------------------------------------------------------------------------------ */

/* Not in one with the answer (since 5.14): one that is interrupted could then not be answered
 * otherwise. Waits until the caller of the call has taken it. */
static int give(int listener, const struct seccomp_notif *call, int fd)
{
	struct seccomp_notif_addfd add = { .id = call->id,
					   .srcfd = (__u32)fd,
					   .newfd_flags = call->data.args[1] & SOCK_CLOEXEC
								  ? O_CLOEXEC
								  : 0 };
	int r = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);

	if (r < 0)
		return errno == EMFILE ? -EMFILE : -EAFNOSUPPORT;
	return r;
}

static int make(const struct listener *l, const struct seccomp_notif *call)
{
	const __u64 *args = call->data.args;
	int fd = asked_socket(l->plan, (int)args[0], (int)args[1], (int)args[2]);
	int r = fd < 0 ? fd : give(l->fd, call, fd);

	if (fd >= 0)
		(void)close(fd);
	return answer(l->fd, call->id, r < 0 ? r : 0, r < 0 ? 0 : r);
}

/* Until the warden closes its end, or kills. A word for each: that it was answered. */
static _Noreturn void make_all(const struct listener *l, int from, int to)
{
	const int own[] = { l->fd, l->plan->at.proc, from, to };
	struct seccomp_notif call;

	if (own_fds_only(own, sizeof(own) / sizeof(own[0])) < 0)
		_exit(EXIT_FAILURE);
	while (read(from, &call, sizeof(call)) == sizeof(call))
		if (make(l, &call) < 0 || write(to, "", 1) != 1)
			break;
	_exit(EXIT_FAILURE);
}

/* The last one where there are no more than usual, and so none that a function's process would have
 * got, as that of the next is the one behind that of the last. */
#define MAKER_NUMBER 32767

/* As fork(2), but with 0 as the signal of its end: so it is nothing that a wait for children meets
 * which does not ask for such (__WALL). */
static pid_t clone_maker(int *ret_pidfd)
{
	pid_t number = MAKER_NUMBER, pid;
	struct clone_args args = { .flags = CLONE_PIDFD,
				   .pidfd = (__u64)(uintptr_t)ret_pidfd,
				   .set_tid = (__u64)(uintptr_t)&number,
				   .set_tid_size = 1 };

	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	/* It is taken, or there are fewer. */
	if (pid < 0 && (errno == EEXIST || errno == EINVAL)) {
		args.set_tid_size = 0;
		args.set_tid = 0;
		pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	}
	return pid;
}

/* By pipes, as a socket would be one of the function's network. */
static int start_maker(struct listener *l)
{
	int there[2] = { -1, -1 }, back[2] = { -1, -1 }, r = 0;
	struct process maker = PROCESS_NONE;

	if (pipe2(there, O_CLOEXEC) < 0 || pipe2(back, O_CLOEXEC) < 0)
		r = -errno;
	if (r == 0) {
		maker.pid = clone_maker(&maker.pidfd);
		if (maker.pid == 0)
			make_all(l, there[0], back[1]);
		r = maker.pid < 0 ? -errno : 0;
	}
	fd_close(&there[0]);
	fd_close(&back[1]);
	if (r < 0) {
		fd_close(&there[1]);
		fd_close(&back[0]);
		return r;
	}
	l->maker = maker;
	l->to_maker = there[1];
	l->from_maker = back[0];
	return 0;
}

static void end_maker(struct listener *l)
{
	if (!process_is(&l->maker))
		return;
	process_kill(&l->maker);
	while (waitpid(l->maker.pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	process_close(&l->maker);
	fd_close(&l->to_maker);
	fd_close(&l->from_maker);
}

static int have_made(struct listener *l, const struct seccomp_notif *call)
{
	if (!process_is(&l->maker) && start_maker(l) < 0)
		return answer(l->fd, call->id, -EAFNOSUPPORT, 0);
	l->made_for = call->id;
	l->making = true;
	/* Where it has died, that is seen by its other pipe. */
	(void)!write(l->to_maker, call, sizeof(*call));
	return 0;
}

/* ---- the warden's part ---------------------------------------------------------------------- */

void listener_open(struct listener *ret, const struct plan *plan, int fd, bool clocked)
{
	*ret = LISTENER_NONE;
	ret->plan = plan;
	ret->fd = fd;
	ret->clocked = clocked;
}

int listener_asked(const struct listener *l)
{
	return l->deserted || l->making ? -1 : l->fd;
}

int listener_made(const struct listener *l)
{
	return l->from_maker;
}

/* Handed out in their order: a number left out was taken back. */
static void count_overtaken(struct listener *l, uint64_t id)
{
	const struct plan_clock *clock = &l->plan->clock;
	struct denials *d = &l->plan->shared->denials;

	if (!l->next_id && l->clocked &&
	    clock->asked_from(clock->fd, l->plan->slot.n, &l->next_id) <= 0)
		l->next_id = 0;
	if (l->next_id && id > l->next_id)
		d->overtaken += id - l->next_id;
	l->next_id = id + 1;
}

static bool may_be_made(const struct listener *l, const struct seccomp_data *call)
{
	return call->nr == SYS_socket && l->plan->shared->denials.made < LISTENER_MADE_MAX &&
	       policy_asks(&l->plan->policy, call);
}

int listener_take(struct listener *l, short revents)
{
	struct denials *d = &l->plan->shared->denials;
	struct seccomp_notif call = { 0 };

	if (!(revents & POLLIN)) {
		l->deserted = true; /* POLLHUP */
		return 0;
	}
	/* There is one, or was, and so nothing is waited for. ENOENT: who called has died
	 * meanwhile, or a signal came. */
	if (ioctl(l->fd, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
		return errno == EINTR || errno == ENOENT ? 0 : -errno;
	count_overtaken(l, call.id);
	if (!may_be_made(l, &call.data)) {
		denials_add(d, &call.data);
		return answer(l->fd, call.id, -EPERM, 0);
	}
	/* What is not there in this number is no denial of the policy's. */
	d->made++;
	return have_made(l, &call);
}

int listener_hear(struct listener *l)
{
	bool making = l->making;
	char word;

	l->making = false;
	if (read(l->from_maker, &word, 1) == 1)
		return 0;
	end_maker(l);
	return making ? answer(l->fd, l->made_for, -EAFNOSUPPORT, 0) : 0;
}

void listener_close(struct listener *l)
{
	end_maker(l);
	fd_close(&l->fd);
}
