/* SPDX-License-Identifier: MIT */
/* Both ends of watching invocations: see trace_live.h. */
#include "trace/trace_live.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "host/host.h"
#include "meter/usage.h"
#include "trace/trace.h"
#include "trace/trace_json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A message is sent when it has so much, to which one more line may have come. The longest line is
 * an exec event's: 1.3 KiB, each byte of which may become \\xNN. */
#define ENOUGH_BYTES (32 << 10)

/* Of the command in "start". */
#define COMMAND_BYTES 2048

/* What a socket holds that is not read, and what is set aside for the ends of invocations. */
#define ROOM_BYTES (1 << 20)
#define END_BYTES  (64 << 10)

struct link {
	int fd; /* -1: the watcher is gone */
	uint64_t lost;
	char name[24];
};

struct trace_live {
	struct link links[TRACE_LIVE_MAX];
	size_t n;
	FILE *mem; /* the message that is being made, in buf */
	char *buf;
	size_t len;
	uint64_t lines, events;
	bool begun, handed; /* handed: see trace_live_of() */
	int patience_ms;
	char request_id[40], function[72];
};

/* The kernel doubles it for its own bookkeeping. Without the right to force it the limit of
 * net.core.wmem_max holds. */
static void set_room(int fd, int bytes)
{
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static int connect_to(const char *name)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	(void)snprintf(at.sun_path, sizeof(at.sun_path), HOST_RUN_DIR "/" TRACE_LIVE_DIR "/%.32s",
		       name);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* ---- whoever runs ------------------------------------------------------------------------- */

static bool is_known(const struct trace_live *live, const char *name)
{
	for (size_t i = 0; i < live->n; i++)
		if (strcmp(live->links[i].name, name) == 0)
			return true;
	return false;
}

/* Whether the other end has closed it. */
static bool is_dead(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static void forget_dead(struct trace_live *live)
{
	size_t n = 0;

	for (size_t i = 0; i < live->n; i++) {
		struct link *l = &live->links[i];

		if (l->fd >= 0 && is_dead(l->fd))
			fd_close(&l->fd);
		if (l->fd >= 0)
			live->links[n++] = *l;
	}
	live->n = n;
}

static struct trace_live *live_new(void)
{
	struct trace_live *live = calloc(1, sizeof(*live));

	if (!live)
		return NULL;
	live->mem = open_memstream(&live->buf, &live->len);
	return live->mem ? live : trace_live_close(live);
}

static void find_new(struct trace_live *live, int run_fd)
{
	cleanup_fd int fd =
		openat(run_fd, TRACE_LIVE_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d)
		return;
	(void)TAKE_FD(fd);
	for (const struct dirent *e; live->n < TRACE_LIVE_MAX && (e = readdir(d));) {
		struct link l = { .fd = -1 };

		if (e->d_name[0] == '.' || strlen(e->d_name) >= sizeof(l.name) ||
		    is_known(live, e->d_name))
			continue;
		l.fd = connect_to(e->d_name);
		if (l.fd < 0)
			continue;
		(void)snprintf(l.name, sizeof(l.name), "%.23s", e->d_name);
		live->links[live->n++] = l;
	}
	(void)closedir(d);
}

struct trace_live *trace_live_find(int run_fd, struct trace_live *live)
{
	if (faccessat(run_fd, TRACE_LIVE_DIR, F_OK, 0) < 0)
		return trace_live_close(live);
	if (!live)
		live = live_new();
	if (!live)
		return NULL;
	forget_dead(live);
	find_new(live, run_fd);
	return live->n ? live : trace_live_close(live);
}

struct trace_live *trace_live_close(struct trace_live *live)
{
	if (!live)
		return NULL;
	for (size_t i = 0; i < live->n; i++)
		fd_close(&live->links[i].fd);
	if (live->mem)
		(void)fclose(live->mem);
	free(live->buf);
	free(live);
	return NULL;
}

struct trace_live *trace_live_of(const int fds[], size_t n, int patience_ms)
{
	struct trace_live *live = live_new();

	if (!live)
		return NULL;
	live->handed = true;
	live->patience_ms = patience_ms;
	for (size_t i = 0; i < n && i < TRACE_LIVE_MAX; i++)
		live->links[live->n++] = (struct link){ .fd = fds[i] };
	return live;
}

bool trace_live_watched(const struct trace_live *live)
{
	for (size_t i = 0; i < live->n; i++)
		if (live->links[i].fd >= 0)
			return true;
	return false;
}

static bool send_to(const struct trace_live *live, struct link *l, const char *buf, size_t len)
{
	ssize_t n;

	if (l->fd < 0)
		return false;
	n = live->handed ? write(l->fd, buf, len)
			 : send(l->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == (ssize_t)len)
		return true;
	if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
		fd_close(&l->fd);
	return false;
}

static void flush(struct trace_live *live, uint64_t *lines)
{
	if (fflush(live->mem) || !live->len)
		return;
	for (size_t i = 0; i < live->n; i++)
		if (!send_to(live, &live->links[i], live->buf, live->len))
			live->links[i].lost += *lines;
	*lines = 0;
	rewind(live->mem);
	(void)fflush(live->mem);
}

void trace_live_flush(struct trace_live *live)
{
	if (live->lines)
		flush(live, &live->lines);
}

static void put_head(struct trace_live *live, const char *event)
{
	(void)fprintf(live->mem,
		      "{\"request_id\":\"%s\",\"event\":\"%s\",\"function\":", live->request_id,
		      event);
	if (*live->function)
		trace_json_string(live->mem, live->function);
	else
		(void)fputs("null", live->mem);
}

static void put_command(FILE *f, char *const argv[])
{
	size_t room = COMMAND_BYTES;
	bool cut = false;

	(void)fputs(",\"command\":[", f);
	for (size_t i = 0; argv[i] && !cut; i++) {
		size_t len = strnlen(argv[i], room);
		cleanup_free char *clean = trace_clean(argv[i], len);

		cut = !clean || len == room;
		room -= len + !cut;
		(void)fputs(i ? "," : "", f);
		trace_json_string(f, clean ? clean : "");
	}
	(void)fprintf(f, "],\"cut\":%s", cut ? "true" : "false");
}

void trace_live_begin(struct trace_live *live, const char *request_id, const char *function,
		      char *const argv[])
{
	char iso[CLOCK_ISO_LEN];
	uint64_t none = 0;

	live->begun = true;
	live->events = 0;
	(void)snprintf(live->request_id, sizeof(live->request_id), "%s", request_id);
	(void)snprintf(live->function, sizeof(live->function), "%s", function ? function : "");
	for (size_t i = 0; i < live->n && !live->handed; i++)
		set_room(live->links[i].fd, ROOM_BYTES);
	clock_format_iso(clock_real_ns(), iso);
	put_head(live, "start");
	put_command(live->mem, argv);
	(void)fprintf(live->mem, ",\"started_at\":\"%s\"}\n", iso);
	flush(live, &none);
}

void trace_live_event(struct trace_live *live, const struct trace_event *ev)
{
	trace_json_event_of(live->mem, live->request_id, ev);
	live->lines++;
	live->events++;
	if (ftello(live->mem) >= ENOUGH_BYTES)
		flush(live, &live->lines);
}

static void put_end(struct trace_live *live, const struct link *l, const char *verdict,
		    int64_t wall_ns, const struct meter_usage *u)
{
	uint64_t lost = l->lost + (u ? u->lost : 0);

	put_head(live, "end");
	(void)fprintf(live->mem, ",\"verdict\":\"%s\",\"wall_ns\":", verdict);
	if (wall_ns < 0)
		(void)fputs("null", live->mem);
	else
		(void)fprintf(live->mem, "%" PRId64, wall_ns);
	(void)fprintf(live->mem, ",\"events\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"complete\":%s}\n",
		      live->events, lost,
		      u && u->complete && !u->missed && !lost ? "true" : "false");
}

void trace_live_end(struct trace_live *live, const char *verdict, int64_t wall_ns,
		    const struct meter_usage *u)
{
	if (!live->begun)
		return;
	live->begun = false;
	trace_live_flush(live);
	for (size_t i = 0; i < live->n; i++) {
		struct link *l = &live->links[i];

		if (l->fd < 0)
			continue;
		if (live->handed)
			(void)poll(&(struct pollfd){ .fd = l->fd, .events = POLLOUT }, 1,
				   live->patience_ms);
		else
			set_room(l->fd, ROOM_BYTES + END_BYTES);
		put_end(live, l, verdict, wall_ns, u);
		if (fflush(live->mem) == 0 && send_to(live, l, live->buf, live->len))
			l->lost = 0;
		rewind(live->mem);
		(void)fflush(live->mem);
	}
}

/* ---- whoever watches ---------------------------------------------------------------------- */

/* One that is just beginning has a name with a dot in front, and does not listen yet. */
static bool is_beginning(const char *name)
{
	pid_t pid = (pid_t)strtol(name + 1, NULL, 10);

	return name[0] == '.' && (pid <= 0 || kill(pid, 0) == 0 || errno != ESRCH);
}

/* Removes those of watchers that were killed; how many are left, this one among them. */
static int sweep(int dir)
{
	cleanup_fd int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	int n = 0;

	if (!d)
		return 0;
	(void)TAKE_FD(fd);
	for (const struct dirent *e; (e = readdir(d));) {
		cleanup_fd int s = -1;

		if (is_beginning(e->d_name))
			continue;
		s = connect_to(e->d_name);
		if (s == -ECONNREFUSED)
			(void)unlinkat(dir, e->d_name, 0);
		else
			n += e->d_name[0] != '.';
	}
	(void)closedir(d);
	return n;
}

/* The directory may go with the last of the other watchers at any time. */
static int bind_in(int run_fd, int fd, const char *name, int *ret_dir)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	cleanup_fd int dir = -1;

	if (mkdirat(run_fd, TRACE_LIVE_DIR, 0700) < 0 && errno != EEXIST)
		return -errno;
	dir = openat(run_fd, TRACE_LIVE_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	(void)snprintf(at.sun_path, sizeof(at.sun_path), HOST_RUN_DIR "/" TRACE_LIVE_DIR "/.%.20s",
		       name);
	(void)unlinkat(dir, strrchr(at.sun_path, '/') + 1, 0);
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	if (listen(fd, SOMAXCONN) < 0 ||
	    renameat(dir, strrchr(at.sun_path, '/') + 1, dir, name) < 0)
		return -errno;
	*ret_dir = TAKE_FD(dir);
	return 0;
}

void trace_listener_close(int run_fd, struct trace_listener *l)
{
	(void)unlinkat(l->dir, l->name, 0);
	(void)unlinkat(run_fd, TRACE_LIVE_DIR, AT_REMOVEDIR);
	fd_close(&l->dir);
	fd_close(&l->fd);
}

int trace_listener_open(int run_fd, struct trace_listener *ret, struct cloche_err *err)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct trace_listener l = { .dir = -1 };
	int r = -ENOENT;

	if (fd < 0)
		return cloche_err_sys(err, errno, "make a socket");
	(void)snprintf(l.name, sizeof(l.name), "%d", getpid());
	for (int i = 0; i < 100 && r == -ENOENT; i++)
		r = bind_in(run_fd, fd, l.name, &l.dir);
	if (r < 0)
		return cloche_err_sys(err, -r, "listen in '%s'", HOST_RUN_DIR "/" TRACE_LIVE_DIR);
	l.fd = TAKE_FD(fd);
	if (sweep(l.dir) > TRACE_LIVE_MAX) {
		trace_listener_close(run_fd, &l);
		return cloche_err_set(err, EUSERS, "%d watch already, and no more can",
				      TRACE_LIVE_MAX);
	}
	*ret = l;
	return 0;
}
