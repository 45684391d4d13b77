/* SPDX-License-Identifier: MIT */
/* Answers and counts what the policy denies: see denials.h. */
#include "run/denials.h"

#include "base/clock.h"
#include "base/fd.h"
#include "launch/asked_sockets.h"
#include "launch/launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

static void count(struct denials *d, const struct seccomp_data *call)
{
	d->total++;
	for (size_t i = 0; i < d->n; i++) {
		struct denial *k = &d->kinds[i];

		if (k->nr == call->nr && k->arch == call->arch &&
		    memcmp(k->args, call->args, sizeof(k->args)) == 0) {
			k->count++;
			return;
		}
	}
	if (d->n == DENIALS_KINDS) {
		d->unnamed++;
		return;
	}
	d->kinds[d->n] = (struct denial){ .arch = call->arch, .nr = call->nr, .count = 1 };
	memcpy(d->kinds[d->n].args, call->args, sizeof(call->args));
	d->n++;
}

uint64_t denials_all(const struct denials *d)
{
	return d->total + d->overtaken;
}

static void wake(int sig)
{
}

/*
 * Waits until the caller of the call has taken the descriptor, for which it must come to a CPU; it
 * may have none left of its share, or make others take it all. A deadline does not wait for it: at
 * that time a signal comes, and again, as the first may have come before the wait began.
 */
static int give(int listener, struct seccomp_notif_addfd *add, int64_t until_ns)
{
	const struct sigaction awake = { .sa_handler = wake };
	const struct itimerspec at = { .it_value = ns_timespec(until_ns),
				       .it_interval = { .tv_nsec = NSEC_PER_MSEC } };
	struct sigevent by = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGURG };
	struct sigaction action;
	sigset_t urgent, mask;
	timer_t timer;
	int r;

	(void)sigemptyset(&urgent);
	(void)sigaddset(&urgent, SIGURG);
	if (timer_create(CLOCK_MONOTONIC, &by, &timer) < 0)
		return -errno;
	(void)sigaction(SIGURG, &awake, &action);
	(void)sigprocmask(SIG_UNBLOCK, &urgent, &mask);
	r = timer_settime(timer, TIMER_ABSTIME, &at, NULL) < 0 ? -errno : -EINTR;
	while (r == -EINTR) {
		r = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, add);
		r = r < 0 ? -errno : r;
		if (r == -EINTR && clock_now_ns() >= until_ns)
			break;
	}
	(void)timer_delete(timer);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	(void)sigaction(SIGURG, &action, NULL);
	return r;
}

/* In the caller's place. -EPERM: it is a denied call. Not in one with the answer, since 5.14, as
 * one that is interrupted could then not be answered otherwise. */
static int give_socket(const struct denials *d, const struct context *ctx, int64_t until_ns,
		       const struct seccomp_notif *call)
{
	struct seccomp_notif_addfd add = { .id = call->id };
	const __u64 *args = call->data.args;
	cleanup_fd int fd = -1;
	int r;

	if (call->data.nr != SYS_socket || d->made >= MADE_MAX ||
	    !policy_asks(&ctx->plan.policy, &call->data))
		return -EPERM;
	fd = asked_socket(ctx, (int)args[0], (int)args[1], (int)args[2]);
	if (fd < 0)
		return fd;
	add.srcfd = (__u32)fd;
	add.newfd_flags = args[1] & SOCK_CLOEXEC ? O_CLOEXEC : 0;
	r = give(ctx->listener, &add, until_ns);
	return r >= 0 || r == -EMFILE ? r : -EAFNOSUPPORT;
}

int denials_take(struct denials *denials, const struct context *ctx, int64_t until_ns)
{
	int listener = ctx->listener;
	/* The kernel wants it zeroed. Its structures may grow; these ioctls carry their size. */
	struct seccomp_notif call = { 0 };
	struct seccomp_notif_resp answer = { 0 };
	int r;

	/* ENOENT: who called has died meanwhile, or a signal came. */
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
		return errno == EINTR || errno == ENOENT ? 0 : -errno;
	/* Handed out in their order: a number left out was taken back. */
	if (denials->next_id && call.id > denials->next_id)
		denials->overtaken += call.id - denials->next_id;
	denials->next_id = call.id + 1;
	r = give_socket(denials, ctx, until_ns, &call);
	/* What is not there in this number is no denial of the policy's. */
	if (r == -EPERM)
		count(denials, &call.data);
	else
		denials->made++;
	answer.error = r < 0 ? r : 0;
	answer.val = r < 0 ? 0 : r;
	answer.id = call.id;
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}
