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
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3 /* linux/wait.h, since 5.4 */
#endif

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

static _Noreturn void make(const struct listener *l, const struct seccomp_notif *call)
{
	const __u64 *args = call->data.args;
	int fd, r;

	if (own_fds_only(l->fd, l->plan->at.proc) < 0)
		_exit(EXIT_FAILURE);
	fd = asked_socket(l->plan, (int)args[0], (int)args[1], (int)args[2]);
	r = fd < 0 ? fd : give(l->fd, call, fd);
	r = answer(l->fd, call->id, r < 0 ? r : 0, r < 0 ? 0 : r);
	_exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* The last one where there are no more than usual, and so none that a function's process would have
 * got, as that of the next is the one behind that of the last. */
#define MAKER_NUMBER 32767

/* With 0 as the signal of its end it is nothing that a wait for children meets which does not ask
 * for such (__WALL). */
static int start_maker(struct listener *l, const struct seccomp_notif *call)
{
	pid_t number = MAKER_NUMBER, pid;
	int pidfd = -1;
	struct clone_args args = { .flags = CLONE_PIDFD,
				   .pidfd = (__u64)(uintptr_t)&pidfd,
				   .set_tid = (__u64)(uintptr_t)&number,
				   .set_tid_size = 1 };

	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	/* It is taken, or there are fewer. */
	if (pid < 0 && (errno == EEXIST || errno == EINVAL)) {
		args.set_tid_size = 0;
		args.set_tid = 0;
		pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	}
	if (pid == 0)
		make(l, call);
	if (pid < 0)
		return -errno;
	l->maker = pid;
	l->maker_end = pidfd;
	l->made_for = call->id;
	return 0;
}

/* Waits for its end, which it is at or which was sent to it. */
static bool has_made(struct listener *l)
{
	siginfo_t info = { .si_code = 0 };
	int r;

	do
		r = waitid(P_PIDFD, (id_t)l->maker_end, &info, WEXITED | __WALL);
	while (r < 0 && errno == EINTR);
	l->maker = 0;
	fd_close(&l->maker_end);
	return r == 0 && info.si_code == CLD_EXITED && info.si_status == EXIT_SUCCESS;
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
	return l->deserted || l->maker ? -1 : l->fd;
}

int listener_made(const struct listener *l)
{
	return l->maker_end;
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
	return start_maker(l, &call) < 0 ? answer(l->fd, call.id, -EAFNOSUPPORT, 0) : 0;
}

int listener_reap(struct listener *l)
{
	return has_made(l) ? 0 : answer(l->fd, l->made_for, -EAFNOSUPPORT, 0);
}

void listener_close(struct listener *l)
{
	if (l->maker) {
		(void)syscall(SYS_pidfd_send_signal, l->maker_end, SIGKILL, NULL, 0);
		(void)has_made(l);
	}
	fd_close(&l->fd);
}
