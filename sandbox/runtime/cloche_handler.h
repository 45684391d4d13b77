/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_HANDLER_H
#define CLOCHE_HANDLER_H

/*
 * For functions of the runtime "native", in C and C++: from bytes to bytes, with nothing in between
 * but one Unix socket. This header is all that there is to it.
 *
 *	#include <cloche_handler.h>
 *
 *	static int upper(const struct cloche_event *event, struct cloche_response *response)
 *	{
 *		char *out = malloc(event->len);
 *		…
 *		return cloche_respond(response, out, event->len);
 *	}
 *
 *	int main(void)
 *	{
 *		return cloche_serve(upper);
 *	}
 *
 * What main() does before cloche_serve() is the init phase, once for each context. Between two
 * events the process is frozen with all its threads, and goes on with the next one: CLOCK_MONOTONIC
 * has gone on, too, so timers that were due meanwhile are due then. A random generator that was
 * seeded once is not seeded anew.
 *
 * With "reuse: fork" it is a zygote: it never has an event, and each is handled by a fork of it,
 *which finds what init has left and nothing of the event before. What forks would share is refused
 *at the end of init: threads, descriptors but the standard ones, memory that is mapped to be
 *shared, files in /tmp and /dev/shm. cloche_serve_with() takes hooks: one that closes it before,
 *and one that opens it for each event. A random generator that was seeded in init gives each fork
 *the same numbers: seed it in the second hook (OpenSSL does so itself). exit handlers do not run.
 *
 * Standard input is the socket, and for this header alone; what is written to standard output and
 * standard error goes to the function's log.
 *
 * What is not C calls cloche_serve(), cloche_respond() and cloche_fail(), and is linked with a C
 * file that is no more than
 *
 *	#define CLOCHE_HANDLER_FN extern
 *	#include <cloche_handler.h>
 *
 * Whoever does without C: both ends send frames, a struct cloche_frame and then so many bytes,
 * numbers in the machine's own order.
 *
 *	function  READY                  RESPONSE │ ERROR         …
 *	host             EVENT                            EVENT
 *
 * RESPONSE and ERROR have the request id of the EVENT that they answer: what has another one is
 * dropped. The bytes of an ERROR are its type, a NUL, and its message; instead of READY it is one
 *of init. What is sent out of turn, or is too long, ends the function. Where CLOCHE_REUSE is "fork"
 *in the environment, a FORK comes instead of an EVENT, and with it (SCM_RIGHTS) another such
 *socket, by which the fork has its EVENT and gives its answer. READY follows when it has ended:
 *
 *	function  READY        RESPONSE │ ERROR, by the other  READY      …
 *	host             FORK   EVENT, by the other                  FORK
 */

/* What a strict -std=c17 leaves out of the C library's headers; no use where one comes before. */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE 1
#endif

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef CLOCHE_HANDLER_FN
#define CLOCHE_HANDLER_FN static inline
#endif

enum { CLOCHE_READY = 1, CLOCHE_EVENT, CLOCHE_RESPONSE, CLOCHE_ERROR, CLOCHE_FORK };

/* 6 MiB and 100 bytes, of an event and of a response. */
#define CLOCHE_PAYLOAD_MAX 6291556
#define CLOCHE_SOCKET	   0

struct cloche_frame {
	uint32_t kind;
	uint32_t len;	     /* of what follows */
	int64_t deadline_ms; /* EVENT: since 1970, in UTC */
	char request_id[40]; /* EVENT; RESPONSE, ERROR: of the event that it answers */
};

struct cloche_event {
	const void *data; /* a NUL is behind it */
	size_t len;
	const char *request_id;
	int64_t deadline_ms;
};

struct cloche_response {
	uint32_t kind;
	const void *data; /* borrowed until the next event */
	size_t len;
	char error[1024];
};

/* 0; anything else ends the process with it, which is an error of this event. */
typedef int cloche_handler(const struct cloche_event *event, struct cloche_response *response);

/* The answer: data is the handler's, and may be what the event had. Returns 0. */
CLOCHE_HANDLER_FN int cloche_respond(struct cloche_response *response, const void *data, size_t len)
{
	response->kind = CLOCHE_RESPONSE;
	response->data = data;
	response->len = len;
	return 0;
}

/* The answer is that it failed: as {"errorType": type, "errorMessage": message}. Returns 0. */
CLOCHE_HANDLER_FN int cloche_fail(struct cloche_response *response, const char *type,
				  const char *message)
{
	size_t n = strlen(type), m = strlen(message), most = sizeof(response->error) - 1;

	if (n > 127)
		n = 127;
	if (m > most - n - 1)
		m = most - n - 1;
	memcpy(response->error, type, n);
	response->error[n] = '\0';
	memcpy(response->error + n + 1, message, m);
	response->kind = CLOCHE_ERROR;
	response->data = response->error;
	response->len = n + 1 + m;
	return 0;
}

CLOCHE_HANDLER_FN int cloche_read_all(void *to, size_t len)
{
	char *at = (char *)to;

	while (len) {
		ssize_t n = read(CLOCHE_SOCKET, at, len);

		if (n == 0)
			return -1;
		if (n < 0 && errno != EINTR)
			return -1;
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

CLOCHE_HANDLER_FN int cloche_write_all(const void *from, size_t len)
{
	const char *at = (const char *)from;

	while (len) {
		ssize_t n = write(CLOCHE_SOCKET, at, len);

		if (n < 0 && errno != EINTR)
			return -1;
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* event: what is answered; NULL: nothing is. */
CLOCHE_HANDLER_FN int cloche_send(uint32_t kind, const struct cloche_frame *event, const void *data,
				  size_t len)
{
	struct cloche_frame frame;
	struct iovec parts[2];
	size_t done;
	ssize_t n;

	memset(&frame, 0, sizeof(frame));
	frame.kind = kind;
	frame.len = (uint32_t)len;
	if (event)
		memcpy(frame.request_id, event->request_id, sizeof(frame.request_id));
	parts[0].iov_base = &frame;
	parts[0].iov_len = sizeof(frame);
	parts[1].iov_base = (void *)data;
	parts[1].iov_len = len;
	n = writev(CLOCHE_SOCKET, parts, len ? 2 : 1);
	if (n < 0 && errno != EINTR)
		return -1;
	done = n > 0 ? (size_t)n : 0;
	if (done < sizeof(frame)) {
		if (cloche_write_all((const char *)&frame + done, sizeof(frame) - done) < 0)
			return -1;
		done = sizeof(frame);
	}
	done -= sizeof(frame);
	return done < len ? cloche_write_all((const char *)data + done, len - done) : 0;
}

/* An event's frame and its bytes, mostly at once; *data has room for *size. */
CLOCHE_HANDLER_FN int cloche_take(struct cloche_frame *frame, char **data, size_t *size)
{
	struct iovec parts[2];
	ssize_t n;
	size_t done;
	char *grown;

	parts[0].iov_base = frame;
	parts[0].iov_len = sizeof(*frame);
	parts[1].iov_base = *data;
	parts[1].iov_len = *size;
	do
		n = readv(CLOCHE_SOCKET, parts, 2);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return -1;
	done = (size_t)n;
	if (done < sizeof(*frame)) {
		if (cloche_read_all((char *)frame + done, sizeof(*frame) - done) < 0)
			return -1;
		done = sizeof(*frame);
	}
	done -= sizeof(*frame);
	if (frame->len >= *size && frame->len <= CLOCHE_PAYLOAD_MAX) {
		grown = (char *)realloc(*data, (size_t)frame->len + 1);
		if (!grown)
			return -1;
		*data = grown;
		*size = (size_t)frame->len + 1;
	}
	if (frame->kind != CLOCHE_EVENT || frame->len >= *size || done > frame->len)
		return -2;
	return done < frame->len ? cloche_read_all(*data + done, frame->len - done) : 0;
}

/* One event. Returns 0, or what the process is to end with; *ret_over: there is none any more. */
CLOCHE_HANDLER_FN int cloche_serve_one(cloche_handler *handler, char **data, size_t *size,
				       int *ret_over)
{
	struct cloche_frame frame;
	struct cloche_event event;
	struct cloche_response response;
	int status = cloche_take(&frame, data, size);

	*ret_over = status == -1;
	if (status < 0)
		return status != -1;
	(*data)[frame.len] = '\0';
	event.data = *data;
	event.len = frame.len;
	event.request_id = frame.request_id;
	event.deadline_ms = frame.deadline_ms;
	response.kind = CLOCHE_RESPONSE;
	response.data = NULL;
	response.len = 0;
	status = handler(&event, &response);
	if (status != 0)
		return status;
	return cloche_send(response.kind, &frame, response.data, response.len) < 0;
}

/* ---- reuse: fork ----------------------------------------------------------------------------- */

/* Each returns 0; anything else ends the process with it. NULL: there is nothing to do. */
struct cloche_hooks {
	int (*before_fork)(void); /* once, at the end of init */
	int (*after_fork)(void);  /* in each fork, before its event */
};

/* linux/fcntl.h, which some C libraries have in part. */
enum {
	CLOCHE_SETOWN = 8,
	CLOCHE_GETOWN = 9,
	CLOCHE_SETSIG = 10,
	CLOCHE_GETSIG = 11,
	CLOCHE_OFD_SETLK = 37,
	CLOCHE_SETPIPE_SZ = 1031,
	CLOCHE_GETPIPE_SZ = 1032
};

/* What is in a directory, beside two names; the last one's into name. */
CLOCHE_HANDLER_FN int cloche_entries(const char *path, char name[256], int besides_streams)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.' ||
		    (besides_streams && (atoi(e->d_name) <= 2 || atoi(e->d_name) == dirfd(d))))
			continue;
		(void)snprintf(name, 256, "%s", e->d_name);
		n++;
	}
	if (d)
		(void)closedir(d);
	return d ? n : 1;
}

/* Of a file that nobody can write to it is harmless. */
CLOCHE_HANDLER_FN int cloche_is_shared(const char *mapping, char path[256])
{
	unsigned long inode = 0;
	char mode[8] = "";
	struct statvfs fs;

	path[0] = '\0';
	if (sscanf(mapping, "%*s %7s %*s %*s %lu %255[^\n]", mode, &inode, path) < 2 ||
	    mode[3] != 's')
		return 0;
	return !inode || statvfs(path, &fs) < 0 || !(fs.f_flag & ST_RDONLY);
}

CLOCHE_HANDLER_FN int cloche_find_shared(char path[256])
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	int found = maps ? 0 : 1;

	while (maps && !found && fgets(line, sizeof(line), maps))
		found = cloche_is_shared(line, path);
	if (maps)
		(void)fclose(maps);
	return found;
}

/* Whether something keeps this process from being forked; what, as an error of init. */
CLOCHE_HANDLER_FN int cloche_refuse_fork(void)
{
	struct cloche_response no;
	struct sigaction children;
	char name[256] = "", text[700], target[256] = "", link[300];

	text[0] = '\0';
	if (cloche_entries("/proc/self/task", name, 0) != 1)
		(void)snprintf(text, sizeof(text), "a thread runs");
	else if (cloche_entries("/proc/self/fd", name, 1) != 0) {
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%s", name);
		if (readlink(link, target, sizeof(target) - 1) < 0)
			target[0] = '\0';
		(void)snprintf(text, sizeof(text), "descriptor %s is open (%s)", name, target);
	} else if (cloche_find_shared(name))
		(void)snprintf(text, sizeof(text), "memory is shared (%s)", name);
	else if (cloche_entries("/tmp", name, 0) != 0)
		(void)snprintf(text, sizeof(text), "/tmp/%s is there", name);
	else if (cloche_entries("/dev/shm", name, 0) != 0)
		(void)snprintf(text, sizeof(text), "/dev/shm/%s is there", name);
	else if (sigaction(SIGCHLD, NULL, &children) == 0 && children.sa_handler == SIG_IGN)
		(void)snprintf(text, sizeof(text), "SIGCHLD is ignored");
	if (!text[0])
		return 0;
	(void)snprintf(link, sizeof(link),
		       ": close or remove it in a hook (before_fork), or choose 'reuse: process'");
	(void)fprintf(stderr, "reuse: fork: at the end of init %s%s\n", text, link);
	strncat(text, link, sizeof(text) - strlen(text) - 1);
	(void)cloche_fail(&no, "Runtime.ForkError", text);
	(void)cloche_send(no.kind, NULL, no.data, no.len);
	return 1;
}

#ifdef __GLIBC__
typedef __rlimit_resource_t cloche_resource;
#else
typedef int cloche_resource;
#endif

/* Standard output and error are all that forks share: what can be set of them; and what a fork can
 * set of the process that it is a fork of. */
struct cloche_shared {
	int set[2][4];
	struct rlimit limits[16];
};

static const int cloche_settings[4][2] = { { F_GETFL, F_SETFL },
					   { CLOCHE_GETOWN, CLOCHE_SETOWN },
					   { CLOCHE_GETSIG, CLOCHE_SETSIG },
					   { CLOCHE_GETPIPE_SZ, CLOCHE_SETPIPE_SZ } };

CLOCHE_HANDLER_FN void cloche_shared_read(struct cloche_shared *s)
{
	memset(s, 0, sizeof(*s));
	for (int fd = 1; fd <= 2; fd++)
		for (int i = 0; i < 4; i++)
			s->set[fd - 1][i] = fcntl(fd, cloche_settings[i][0], 0);
	for (int i = 0; i < 16; i++)
		(void)getrlimit((cloche_resource)i, &s->limits[i]);
}

/* 0: all of it is as it was. */
CLOCHE_HANDLER_FN int cloche_shared_reset(const struct cloche_shared *was)
{
	struct cloche_shared now;
	struct flock all;

	memset(&all, 0, sizeof(all));
	all.l_type = F_UNLCK;
	cloche_shared_read(&now);
	for (int fd = 1; fd <= 2; fd++) {
		for (int i = 0; i < 4; i++)
			if (now.set[fd - 1][i] != was->set[fd - 1][i])
				(void)fcntl(fd, cloche_settings[i][1], was->set[fd - 1][i]);
		(void)flock(fd, LOCK_UN);
		(void)fcntl(fd, CLOCHE_OFD_SETLK, &all);
	}
	cloche_shared_read(&now);
	return memcmp(&now, was, sizeof(now));
}

/* The socket of the next event; -1: there is none any more. */
CLOCHE_HANDLER_FN int cloche_next_turn(void)
{
	struct cloche_frame frame;
	struct iovec part = { &frame, sizeof(frame) };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr m;
	ssize_t n;
	int fd = -1;

	memset(&m, 0, sizeof(m));
	m.msg_iov = &part;
	m.msg_iovlen = 1;
	m.msg_control = &control;
	m.msg_controllen = sizeof(control);
	do
		n = recvmsg(CLOCHE_SOCKET, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(frame) && frame.kind == CLOCHE_FORK &&
	    m.msg_controllen >= CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	return fd;
}

/* A handler of the function's that ran in the zygote would leave there what the fork that sent the
 * signal wished. So they wait, and are forgotten before the next fork, when nobody else is there to
 * send one. */
CLOCHE_HANDLER_FN void cloche_forget_signals(const sigset_t *all)
{
	struct timespec none;

	memset(&none, 0, sizeof(none));
	while (sigtimedwait(all, NULL, &none) > 0)
		;
}

/* In the fork. Its socket takes the place of the other, which no handler gets hold of. */
CLOCHE_HANDLER_FN void cloche_be_fork(cloche_handler *handler, const struct cloche_hooks *hooks,
				      int turn, int finished, const sigset_t *own)
{
	size_t size = 4096;
	char *data = (char *)malloc(size);
	int over, status = data ? 0 : 1;

	if (dup2(turn, CLOCHE_SOCKET) < 0 || close(turn) < 0 ||
	    sigprocmask(SIG_SETMASK, own, NULL) < 0)
		_exit(1);
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (status == 0 && hooks && hooks->after_fork)
		status = hooks->after_fork();
	if (status == 0)
		status = cloche_serve_one(handler, &data, &size, &over);
	(void)fflush(NULL);
	if (status == 0 && write(finished, "1", 1) != 1)
		status = 1;
	_exit(status);
}

/* The fork has not come to its end: what it came to is what the function has come to. */
CLOCHE_HANDLER_FN void cloche_end_as(int status)
{
	sigset_t it;

	if (WIFSIGNALED(status)) {
		(void)signal(WTERMSIG(status), SIG_DFL);
		(void)kill(getpid(), WTERMSIG(status));
		(void)sigemptyset(&it);
		(void)sigaddset(&it, WTERMSIG(status));
		(void)sigprocmask(SIG_UNBLOCK, &it, NULL);
	}
	_exit(WEXITSTATUS(status));
}

CLOCHE_HANDLER_FN void cloche_reap(pid_t pid, int done)
{
	struct pollfd finished = { done, POLLIN, 0 };
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			_exit(1);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (status != 0 || poll(&finished, 1, 0) != 1 || !(finished.revents & POLLIN))
		cloche_end_as(status);
}

/* Who is not alone serves no other event. */
CLOCHE_HANDLER_FN void cloche_be_given_up(void)
{
	if (fork() == 0)
		for (;;)
			(void)pause();
}

CLOCHE_HANDLER_FN int cloche_serve_forks(cloche_handler *handler, const struct cloche_hooks *hooks)
{
	struct cloche_shared was;
	int turn, done[2];
	sigset_t all, own;
	pid_t pid;

	if (hooks && hooks->before_fork && (turn = hooks->before_fork()) != 0)
		return turn;
	if (cloche_refuse_fork() || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return 1;
	cloche_shared_read(&was);
	(void)sigfillset(&all);
	if (sigprocmask(SIG_BLOCK, &all, &own) < 0)
		return 1;
	while (cloche_send(CLOCHE_READY, NULL, NULL, 0) == 0 && (turn = cloche_next_turn()) >= 0) {
		cloche_forget_signals(&all);
		(void)fflush(NULL);
		if (pipe(done) < 0 || fcntl(done[1], F_SETFD, FD_CLOEXEC) < 0 || (pid = fork()) < 0)
			return 1;
		if (pid == 0 && close(done[0]) == 0)
			cloche_be_fork(handler, hooks, turn, done[1], &own);
		(void)close(turn);
		(void)close(done[1]);
		cloche_reap(pid, done[0]);
		(void)close(done[0]);
		if (cloche_shared_reset(&was) != 0)
			cloche_be_given_up();
	}
	return 0;
}

/* ---- */

/* Serves events, one after the other, until nobody has any more (0) or something fails (1); or
 * returns what the handler, or a hook, did, where that is not 0. */
CLOCHE_HANDLER_FN int cloche_serve_with(cloche_handler *handler, const struct cloche_hooks *hooks)
{
	const char *reuse = getenv("CLOCHE_REUSE");
	size_t size = 4096;
	char *data;
	int over = 0, status = 0;

	if (reuse && strcmp(reuse, "fork") == 0)
		return cloche_serve_forks(handler, hooks);
	data = (char *)malloc(size);
	if (!data || cloche_send(CLOCHE_READY, NULL, NULL, 0) < 0)
		return 1;
	while (status == 0 && !over)
		status = cloche_serve_one(handler, &data, &size, &over);
	return status;
}

CLOCHE_HANDLER_FN int cloche_serve(cloche_handler *handler)
{
	return cloche_serve_with(handler, NULL);
}

#ifdef __cplusplus
}
#endif

#endif
