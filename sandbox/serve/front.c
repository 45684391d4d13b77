/* SPDX-License-Identifier: MIT */
/* The front's loop, and how it becomes what it is: see front.h. */
#include "serve/front.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/tick.h"
#include "function/function_store.h"
#include "serve/changing.h"
#include "serve/client.h"
#include "serve/closer.h"
#include "serve/command.h"
#include "serve/config.h"
#include "serve/door.h"
#include "serve/function_visit.h"
#include "serve/handover.h"
#include "serve/hashing.h"
#include "serve/image_visit.h"
#include "serve/metrics.h"
#include "serve/own_filter.h"
#include "serve/packet.h"
#include "serve/request.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- clients --------------------------------------------------------------------------------- */

void front_tell(struct front *f, const struct command *c)
{
	front_tell_make(f, c, NULL);
}

void front_tell_make(struct front *f, const struct command *c, const struct sock_filter *insns)
{
	int r = packet_send_with(f->launcher, c, sizeof(*c), insns,
				 COMMAND_BARE_LEN(c->make.bare_n), NULL);

	if (r < 0)
		(void)sd_event_exit(f->event, r);
}

uint64_t front_number(struct front *f)
{
	return ++f->last_number;
}

void front_owner_name(struct front *f, uid_t uid, char ret[static OWNER_NAME_LEN])
{
	if (f->old)
		owner_name(uid, ret);
	else
		owner_name_again(&f->names, uid, ret);
}

void front_look_whether_done(struct front *f)
{
	if ((!f->stopping && !f->old) || f->clients || f->image_visits ||
	    (f->function_visits && !f->over))
		return;
	/* Of one that makes room for another clients come all the time, and wait for that. */
	if (f->stopping && !f->over) {
		held_dismiss(f);
		if (dismissing_any(&f->dismissing))
			return;
	}
	if (!f->stopping)
		f->say("/etc/passwd has changed: another front takes over, which sees it");
	(void)sd_event_exit(f->event, 0);
}

static void take_out(struct front *f, struct client *c)
{
	for (struct client **at = &f->clients; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			if (!c->next)
				f->clients_end = at;
			f->n_clients--;
			break;
		}
}

void front_forget(struct front *f, struct client *c)
{
	take_out(f, c);
	front_look_whether_done(f);
}

void front_asks_again(struct front *f, struct client *c)
{
	take_out(f, c);
	c->next = NULL;
	*f->clients_end = c;
	f->clients_end = &c->next;
	f->n_clients++;
}

unsigned front_waiting(const struct front *f, const struct pool_kind *kind, const struct client *c)
{
	unsigned n = 0;

	for (const struct client *at = f->clients; at && at != c; at = at->next)
		n += at->waiting && pool_same_kind(&at->kind, kind);
	return n;
}

/* One new one at a time: whether there is room is known when it is made. */
void front_note_busy(struct front *f, const struct held_kind *kind)
{
	if (f->n_busy < FRONT_BUSY)
		f->busy[f->n_busy++] = *kind;
}

static bool is_busy(const struct front *f, const struct pool_kind *kind)
{
	for (unsigned i = 0; i < f->n_busy; i++)
		if (memcmp(&f->busy[i], kind->bytes, sizeof(f->busy[i])) == 0)
			return true;
	return false;
}

void front_retry(struct front *f, bool room)
{
	bool may_make = true;
	struct client *next;

	/* Another turn within this one is a newer look at the same. */
	f->n_busy = 0;
	for (struct client *c = f->clients; c; c = next) {
		next = c->next;
		c->full = c->full && !room;
		if (c->waiting && !c->full && !(c->queued && is_busy(f, &c->kind)))
			client_retry(c, &may_make);
	}
	if (room)
		image_visits_retry(f);
}

void front_listed(struct front *f)
{
	struct client *next;

	for (struct client *c = f->clients; c; c = next) {
		next = c->next;
		if (c->listing)
			client_list(c);
	}
	metrics_listed(f->metrics);
}

unsigned front_queued(const struct front *f, uid_t uid)
{
	unsigned n = 0;

	for (const struct client *c = f->clients; c; c = c->next)
		n += c->queued && c->uid == uid;
	return n;
}

/* ---- the launcher ---------------------------------------------------------------------------- */

static int on_grace_over(sd_event_source *s, uint64_t usec, void *arg)
{
	struct front *f = arg;
	struct client *next;

	for (struct client *c = f->clients; c; c = next) {
		next = c->next;
		client_cancel(c);
	}
	f->over = true;
	function_visits_leave(f);
	front_look_whether_done(f);
	return 0;
}

static void stop(struct front *f, uint64_t grace_ns)
{
	struct client *next;

	f->stopping = true;
	door_close(f);
	for (struct client *c = f->clients; c; c = next) {
		next = c->next;
		client_hurry(c);
	}
	image_visits_end(f);
	function_visits_end(f);
	held_dismiss(f);
	if (sd_event_add_time_relative(f->event, &f->grace, CLOCK_MONOTONIC,
				       grace_ns / NSEC_PER_USEC, 1, on_grace_over, f) < 0)
		(void)on_grace_over(NULL, 0, f);
	front_look_whether_done(f);
}

static void change(struct front *f, const struct packet_fds *fds)
{
	struct cloche_err err = { 0 };

	if (fds->n != 1 || handover_take(fds->fd[0], f->config, &err) < 0)
		(void)sd_event_exit(f->event, -EBADMSG);
	f->changes++;
	held_expire(f);
	front_retry(f, true);
}

/* Nobody shall look in vain for what was answered for by nobody. */
static void say_unread(const struct front *f)
{
	char text[200];

	if (!f->wills.unread)
		return;
	(void)snprintf(text, sizeof(text),
		       "%u that ran when a daemon of another version ended: in no ledger, as "
		       "this one cannot read what that left ('wills', 'wills.other')",
		       f->wills.unread);
	f->say(text);
}

/* What other fronts have begun and not ended has ended now. */
static void on_alone(struct front *f)
{
	struct cloche_err err = { 0 };
	char text[sizeof(err.text) + 64];
	unsigned n = 0;
	int r = wills_execute(&f->wills, &f->booking, &n, &err);

	if (n) {
		(void)snprintf(text, sizeof(text),
			       "%u that ran when a front ended: in the ledger as cancelled", n);
		f->say(text);
	}
	if (r < 0) {
		(void)snprintf(text, sizeof(text), "not in the ledger yet, what ran then: %s",
			       err.text);
		f->say(text);
	}
	say_unread(f);
}

static void dispatch(struct front *f, const struct reply *reply, struct packet_fds *fds)
{
	if (reply->kind == REPLY_STOP)
		stop(f, reply->context);
	else if (reply->kind == REPLY_PRESSED)
		held_press(f);
	else if (reply->kind == REPLY_CONFIG)
		change(f, fds);
	else if (reply->kind == REPLY_TALLY)
		lister_hear(f, fds);
	else if (reply->kind == REPLY_STORES || reply->kind == REPLY_BUILDING ||
		 reply->kind == REPLY_DONE || reply->kind == REPLY_SHOWN)
		(void)(function_visit_hear(f, reply, fds) || image_visit_hear(f, reply, fds));
	else if (reply->kind == REPLY_LEFT)
		wills_count(&f->wills, reply->context, &reply->counted);
	else if (reply->kind == REPLY_ALONE)
		on_alone(f);
	else if (reply->kind == REPLY_PING)
		front_tell(f, &(struct command){ .kind = COMMAND_PONG });
	else
		held_hear(f, reply, fds);
}

static int on_heard(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct front *f = arg;
	struct reply reply;
	struct packet_fds fds;
	int n = packet_recv_trusted(fd, &reply, sizeof(reply), &fds);

	if (n == -EAGAIN)
		return 0;
	if (n != sizeof(reply))
		return sd_event_exit(f->event, n < 0 ? n : -EBADMSG);
	dispatch(f, &reply, &fds);
	packet_close_fds(&fds);
	return 0;
}

/* ---- what it becomes ------------------------------------------------------------------------- */

static int drop_capability_bounds(void)
{
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (prctl(PR_CAPBSET_DROP, cap) < 0 && errno != EINVAL)
			return -1;
	return 0;
}

/* Root's terminal is not for it: what a terminal is told by who has it open and is of its session
 * (TIOCSTI), its shell takes for typed. */
static int leave_terminal(void)
{
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)setsid();
	if (null < 0)
		return -1;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if ((fd != STDERR_FILENO || isatty(fd)) && dup2(null, fd) < 0)
			return -1;
	return 0;
}

/* By another number of the user id all capabilities go; what is asked for in vain is the end. */
static int give_up_rights(const struct front_options *o, struct front *f, struct cloche_err *err)
{
	static const struct rlimit none = { 0, 0 };
	int state = o->state;
	sigset_t all;

	if (view_enter(&state, &f->view, err) < 0)
		return -err->code;

	file_try_allow_many();
	(void)umask(077);
	(void)sigfillset(&all);
	/* The launcher says when it is over; a signal for all of a terminal is meant for that. */
	if (sigprocmask(SIG_BLOCK, &all, NULL) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
	    leave_terminal() < 0 || drop_capability_bounds() < 0 || setgroups(0, NULL) < 0 ||
	    setresgid(o->gid, o->gid, o->gid) < 0 || setresuid(o->uid, o->uid, o->uid) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return cloche_err_sys(err, errno, "give root's rights up");
	if (setuid(0) == 0 || setgid(0) == 0)
		return cloche_err_set(err, EPERM, "root's rights could not be given up");
	return 0;
}

static int open_loop(struct front *f, struct cloche_err *err)
{
	int r = sd_event_new(&f->event);

	if (r >= 0)
		r = sd_event_add_io(f->event, &f->heard, f->launcher, EPOLLIN, on_heard, f);
	/* What it told before a client came is known when that one is heard: a configuration. */
	if (r >= 0)
		r = sd_event_source_set_priority(f->heard, SD_EVENT_PRIORITY_IMPORTANT);
	return r < 0 ? cloche_err_sys(err, -r, "begin an event loop") : door_open(f, err);
}

static void close_front(struct front *f)
{
	provisioning_end(f);
	booking_close(&f->booking);
	f->metrics = metrics_close(f->metrics);
	f->functions = function_store_close(f->functions);
	wills_close(&f->wills);
	(void)sd_event_source_disable_unref(f->heard);
	door_close(f);
	(void)sd_event_source_disable_unref(f->grace);
	(void)sd_event_source_disable_unref(f->expiry);
	(void)sd_event_unref(f->event);
	lister_close(&f->lister);
	fd_close(&f->view.mounts);
	free(f->config);
	/* Who still closes something keeps all descriptors open. */
	(void)shutdown(f->launcher, SHUT_RDWR);
}

static int take_config(struct front *f, int fd, struct cloche_err *err)
{
	int r;

	f->config = calloc(1, sizeof(*f->config));
	r = f->config ? handover_take(fd, f->config, err)
		      : cloche_err_sys(err, ENOMEM, "take the configuration over");
	(void)close(fd);
	return r;
}

/* After these there are no more threads. */
static int open_threads(struct front *f, struct cloche_err *err)
{
	static const struct rlimit none = { 0, 0 };
	int r = closer_open(&f->local, &f->closer, err);

	if (r == 0)
		r = changing_open(f, &f->changing, err);
	if (r == 0 && setrlimit(RLIMIT_NPROC, &none) < 0)
		r = cloche_err_sys(err, errno, "give up to make processes");
	/* Those threads are to hear none of it. */
	tick_allow();
	return r;
}

/* What clients send as JSON has keys of theirs: no order of them shall be known beforehand. */
static int open_functions(struct front *f, struct cloche_err *err)
{
	size_t seed = 0;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return cloche_err_sys(err, errno, "take random bytes");
	json_object_seed(seed | 1);
	return function_store_open(AT_FDCWD, "functions", f->say, &f->functions, err);
}

int front_run(const struct front_options *o, struct cloche_err *err)
{
	struct front f = { .launcher = o->launcher,
			   .control = o->control,
			   .booking = { .dir = "ledger" },
			   .since_ns = clock_real_ns(),
			   .view = { .mounts = -1 },
			   .say = o->say };
	int r;

	/* What it takes files of the host's to know. */
	spec_host_read(&f.host);
	r = give_up_rights(o, &f, err);

	f.clients_end = &f.clients;
	/* No front before it has come so far. */
	f.last_number = (uint64_t)f.since_ns;
	if (r == 0)
		r = take_config(&f, o->config, err);
	if (r == 0)
		r = open_functions(&f, err);
	if (r == 0)
		r = prices_find("lambda", &f.prices, err);
	if (r == 0)
		r = open_loop(&f, err);
	if (r == 0)
		r = metrics_open(&f, o->metrics, &f.metrics, err);
	if (r == 0 && local_init(&f.local, f.view.mounts) < 0)
		r = cloche_err_sys(err, errno, "ask for the number of a mount (statx)");
	if (r == 0)
		r = open_threads(&f, err);
	if (r == 0 && hashing_open(&f, &f.hashing) < 0)
		r = cloche_err_sys(err, ENOMEM, "begin");
	if (r == 0)
		r = wills_open(&f.wills, err);
	/* Last: all that came before needs more. */
	if (r == 0)
		r = own_filter_front(err);
	if (r == 0) {
		front_tell(&f, &(struct command){ .kind = COMMAND_READY });
		provisioning_look(&f);
		r = sd_event_loop(f.event);
		/* -EPIPE: the launcher has ended, and says itself why. */
		if (r < 0)
			(void)cloche_err_sys(err, -r, "serve");
	}
	close_front(&f);
	return r < 0 ? r : 0;
}
