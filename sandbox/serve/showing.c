/* SPDX-License-Identifier: MIT */
/* Copies what is kept into a pipe, in a child of the launcher: see showing.h. */
#include "serve/showing.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "serve/chore.h"
#include "serve/config.h"
#include "serve/learner.h"
#include "serve/owners.h"
#include "serve/packet.h"
#include "serve/place.h"
#include "serve/stores.h"
#include "trace/trace_json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* For who takes nothing; and in all. */
#define PATIENCE_MS 10000
#define PATIENCE_NS (120 * NSEC_PER_SEC)
/* Where there is no front any more. */
#define HURRY_NS (2 * NSEC_PER_SEC)

struct task {
	const struct config *config;
	uint32_t owner; /* 0: all */
	char prefix[TRACE_STORE_ID_LEN];
	int pipe;
};

struct showing {
	bool used;
	uint32_t owner;
	struct chore chore;
	int64_t until_ns;
	struct task task;
	bool learns; /* not traces: its task is */
	struct learner_task learner;
};

struct showings {
	struct showing all[SHOWINGS_MAX];
};

struct showings *showings_open(void)
{
	return calloc(1, sizeof(struct showings));
}

struct showings *showings_close(struct showings *s)
{
	free(s);
	return NULL;
}

/* ---- the child: what goes into the pipe ------------------------------------------------------ */

static int put(int pipe, const void *bytes, size_t len)
{
	struct pollfd there = { .fd = pipe, .events = POLLOUT };
	const char *at = bytes;

	while (len > 0) {
		ssize_t n = write(pipe, at, len);

		if (n < 0 && errno == EAGAIN && poll(&there, 1, PATIENCE_MS) == 1)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int copy(int pipe, int file, uint64_t from, uint64_t len)
{
	char bytes[1 << 14];
	int r = 0;

	while (r == 0 && len > 0) {
		size_t want = len < sizeof(bytes) ? (size_t)len : sizeof(bytes);
		ssize_t n = pread(file, bytes, want, (off_t)from);

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		r = put(pipe, bytes, (size_t)n);
		from += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return r;
}

/* The first line, and where what is to be read of the end begins. */
static void find_ends(int file, uint64_t size, uint64_t *ret_first, uint64_t *ret_last)
{
	char head[TRACE_JSON_HEAD];
	ssize_t n = pread(file, head, sizeof(head), 0);
	const char *end = n > 0 ? memchr(head, '\n', (size_t)n) : NULL;

	*ret_first = end ? (uint64_t)(end - head) + 1 : 0;
	*ret_last = size > TRACE_JSON_TAIL ? size - TRACE_JSON_TAIL : 0;
	if (*ret_last < *ret_first)
		*ret_last = *ret_first;
}

/* Between the listing and now it may have become one too many: then it is passed over. */
static int show_one(const struct task *t, int dir, uint32_t owner,
		    const struct trace_store_entry *e)
{
	struct shown head = { .owner = owner, .at_ns = e->at_ns };
	cleanup_file FILE *f = trace_store_read(dir, e->id, NULL);
	uint64_t first = 0, last = 0;
	struct stat st;
	int r;

	if (!f || fstat(fileno(f), &st) < 0)
		return 0;
	memcpy(head.id, e->id, sizeof(head.id));
	head.bytes = (uint64_t)st.st_size;
	if (!t->prefix[0])
		find_ends(fileno(f), head.bytes, &first, &last);
	head.len = first + head.bytes - last;
	r = put(t->pipe, &head, sizeof(head));
	if (r == 0)
		r = copy(t->pipe, fileno(f), 0, first);
	return r == 0 ? copy(t->pipe, fileno(f), last, head.bytes - last) : r;
}

/* ---- the child: of whom ---------------------------------------------------------------------- */

/* What was found of one that was asked for. */
struct found {
	char id[TRACE_STORE_ID_LEN];
	uint32_t owner;
	unsigned n;
};

static int open_folder(const struct task *t, uint32_t owner)
{
	char path[STORES_PATH_LEN];

	stores_traces_path(t->config, owner, path);
	return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int each_of(const struct task *t, uint32_t owner, struct found *found)
{
	cleanup_fd int dir = open_folder(t, owner);
	cleanup_free struct trace_store_entry *list = NULL;
	size_t n = 0, len = strlen(t->prefix);
	int r = dir < 0 ? (errno == ENOENT ? 0 : -errno) : trace_store_list(dir, &list, &n, NULL);

	for (size_t i = 0; r == 0 && i < n; i++) {
		if (!t->prefix[0]) {
			r = show_one(t, dir, owner, &list[i]);
		} else if (strncmp(list[i].id, t->prefix, len) == 0) {
			memcpy(found->id, list[i].id, sizeof(found->id));
			found->owner = owner;
			found->n++;
		}
	}
	return r;
}

static int each(const struct task *t, struct found *found)
{
	char path[STORES_PATH_LEN];
	struct dirent *e;
	DIR *dir;
	int r = 0;

	if (t->owner != 0)
		return each_of(t, t->owner, found);
	(void)snprintf(path, sizeof(path), "%s/" STORES_OWNERS, t->config->state);
	dir = opendir(path);
	while (r == 0 && dir && file_next(dir, &e) > 0)
		if (e->d_name[0] != '.')
			r = each_of(t, (uint32_t)strtoul(e->d_name, NULL, 10), found);
	if (dir)
		(void)closedir(dir);
	return r;
}

static int show_found(const struct task *t, const struct found *found)
{
	struct trace_store_entry e = { .at_ns = 0 };
	cleanup_fd int dir = open_folder(t, found->owner);

	memcpy(e.id, found->id, sizeof(e.id));
	return dir < 0 ? -errno : show_one(t, dir, found->owner, &e);
}

/* What is root's is opened by its owner: that takes no capability. */
static int drop_rights(struct cloche_err *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	return syscall(SYS_capset, &head, none) < 0
		       ? cloche_err_sys(err, errno, "give rights up (capset)")
		       : 0;
}

static int job(const void *arg, void *ret, struct cloche_err *err)
{
	const struct task *t = arg;
	struct found found = { .n = 0 };
	struct shown last = { .code = 0 };
	int r = drop_rights(err);

	(void)signal(SIGPIPE, SIG_IGN);
	if (r < 0)
		return r;
	r = each(t, &found);
	if (r == 0 && t->prefix[0] && found.n == 1)
		r = show_found(t, &found);
	if (r == 0 && t->prefix[0] && found.n != 1)
		last.code = found.n ? EEXIST : ENOENT;
	if (r < 0)
		last.code = -r;
	(void)put(t->pipe, &last, sizeof(last));
	return 0;
}

/* ---- the launcher ---------------------------------------------------------------------------- */

static struct showing *find_free(struct showings *all, uint32_t owner, struct cloche_err *err)
{
	struct showing *found = NULL;
	unsigned own = 0;

	for (unsigned i = 0; i < SHOWINGS_MAX; i++) {
		own += all->all[i].used && all->all[i].owner == owner;
		if (!all->all[i].used)
			found = &all->all[i];
	}
	if (own >= SHOWINGS_OF_ONE)
		(void)cloche_err_set(err, EBUSY,
				     "user %u is shown traces %d times already; try again", owner,
				     SHOWINGS_OF_ONE);
	else if (!found)
		(void)cloche_err_set(err, EBUSY,
				     "too many are shown traces at the moment; try again");
	return own < SHOWINGS_OF_ONE ? found : NULL;
}

/* One at a time: whoever is learnt of, all others' calls are slower. */
static int may_learn(const struct showings *all, struct cloche_err *err)
{
	for (unsigned i = 0; i < SHOWINGS_MAX; i++)
		if (all->all[i].used && all->all[i].learns)
			return cloche_err_set(err, EBUSY,
					      "system calls are counted for somebody already; try "
					      "again");
	return 0;
}

/* Where its contexts will be is there before any of them. */
static int start_learner(struct launching *l, struct showing *s, const struct command *c,
			 int *ret_socket, struct cloche_err *err)
{
	int pair[2], r = may_learn(l->showings, err);

	if (r < 0)
		return r;
	*s = (struct showing){ .owner = c->images.owner,
			       .chore = CHORE_NONE,
			       .until_ns = clock_now_ns() + LEARNER_PATIENCE_S * NSEC_PER_SEC,
			       .learns = true };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return cloche_err_sys(err, errno, "socketpair");
	s->learner.socket = pair[1];
	r = owners_hold(l->owners, s->owner, &s->learner.group, err);
	if (r == 0) {
		r = chore_begin(&s->chore, &l->launcher, learner_job, &s->learner,
				&s->learner.socket, 1, err);
		if (r < 0)
			owners_let_go(l->owners, s->owner);
	}
	(void)close(pair[1]);
	if (r == 0)
		*ret_socket = pair[0];
	else
		(void)close(pair[0]);
	s->used = r == 0;
	return r;
}

static int start(struct launching *l, struct showing *s, const struct command *c, int *ret_pipe,
		 struct cloche_err *err)
{
	int pair[2], r;

	*s = (struct showing){ .owner = c->images.owner,
			       .chore = CHORE_NONE,
			       .until_ns = clock_now_ns() + PATIENCE_NS,
			       .task = { .config = l->config, .owner = c->images.owner } };
	_Static_assert(sizeof(s->task.prefix) >= sizeof(c->trace.request_id), "it has room");
	memcpy(s->task.prefix, c->trace.request_id, sizeof(c->trace.request_id));
	if (pipe2(pair, O_CLOEXEC) < 0)
		return cloche_err_sys(err, errno, "pipe2");
	s->task.pipe = pair[1];
	/* Of this end alone: the other is another file. */
	r = fcntl(pair[1], F_SETFL, O_NONBLOCK) < 0
		    ? cloche_err_sys(err, errno, "fcntl")
		    : chore_begin(&s->chore, &l->launcher, job, &s->task, &s->task.pipe, 1, err);
	(void)close(pair[1]);
	if (r == 0)
		*ret_pipe = pair[0];
	else
		(void)close(pair[0]);
	s->used = r == 0;
	return r;
}

int showings_on_show(struct launching *l, const struct command *c, struct cloche_err *err)
{
	struct reply reply = { .kind = REPLY_SHOWN, .context = c->context };
	struct showing *s = find_free(l->showings, c->images.owner, &reply.err);
	struct packet_fds fds = { .n = 0 };

	if (s && (c->trace.file ? start_learner : start)(l, s, c, &fds.fd[0], &reply.err) == 0)
		fds.n = 1;
	launching_say(l, &reply, &fds);
	packet_close_fds(&fds);
	return 0;
}

int64_t showings_wait(struct launching *l, struct pollfd *fds)
{
	int64_t until_ns = INT64_MAX;

	for (unsigned i = 0; i < SHOWINGS_MAX; i++) {
		const struct showing *s = &l->showings->all[i];

		fds[i] = (struct pollfd){ .fd = s->used ? s->chore.process.pidfd : -1,
					  .events = POLLIN };
		if (s->used && s->until_ns < until_ns)
			until_ns = s->until_ns;
	}
	return until_ns;
}

void showings_step(struct launching *l)
{
	struct cloche_err none = { 0 };
	char nothing[1];

	for (unsigned i = 0; i < SHOWINGS_MAX; i++) {
		struct showing *s = &l->showings->all[i];

		if (s->used && clock_now_ns() >= s->until_ns) {
			chore_kill(&s->chore);
			s->until_ns = INT64_MAX;
		}
		if (s->used && chore_done(&s->chore, nothing, 0, &none) != -EAGAIN) {
			if (s->learns)
				owners_let_go(l->owners, s->owner);
			s->used = false;
		}
	}
}

void showings_drop(struct launching *l)
{
	int64_t until_ns = clock_now_ns() + HURRY_NS;

	for (unsigned i = 0; i < SHOWINGS_MAX; i++)
		if (l->showings->all[i].used && until_ns < l->showings->all[i].until_ns)
			l->showings->all[i].until_ns = until_ns;
}

bool showings_idle(const struct launching *l)
{
	for (unsigned i = 0; i < SHOWINGS_MAX; i++)
		if (l->showings->all[i].used)
			return false;
	return true;
}
