/* SPDX-License-Identifier: MIT */
/* Logs of functions, for who may read them: see log_reading.h. */
#include "serve/log_reading.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"
#include "serve/client.h"
#include "serve/front.h"
#include "serve/logged.h"
#include "serve/packet.h"
#include "serve/request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE_USEC (30 * 1000000ULL)

enum { OLD, NOW, FILES };

struct log_reading {
	struct client *client;
	int socket; /* another descriptor of the client's: that one is watched already */
	sd_event_source *writable, *patience;
	int files[FILES];
	struct log_place at[FILES]; /* of each: read up to here */
	int next;
	bool full; /* out is to be sent yet */
	struct log_part out;
};

/* One message; what is written meanwhile is for the next time it is asked for. */
static void fill(struct log_reading *l)
{
	ssize_t n = 0;

	for (; l->next < FILES && n <= 0; l->next += n <= 0)
		if (l->files[l->next] >= 0)
			n = pread(l->files[l->next], l->out.bytes, sizeof(l->out.bytes),
				  (off_t)l->at[l->next].offset);
	l->out.len = n > 0 ? (uint32_t)n : 0;
	if (n > 0)
		l->at[l->next].offset += (uint64_t)n;
	l->out.last = l->next >= FILES;
	l->out.upto = l->at[l->out.last ? NOW : l->next];
	l->full = true;
}

/* False: it is over. */
static bool step(struct log_reading *l)
{
	int code;

	if (!l->full)
		fill(l);
	code = packet_send(l->socket, &l->out, LOG_PART_HEAD + l->out.len, NULL);
	if (code == -EAGAIN)
		return true;
	l->full = false;
	l->out.gap = false;
	return code == 0 && !l->out.last;
}

static int on_writable(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct log_reading *l = arg;

	if (!step(l) || sd_event_source_set_time_relative(l->patience, PATIENCE_USEC) < 0)
		client_read(l->client);
	return 0;
}

static int on_impatience(sd_event_source *s, uint64_t usec, void *arg)
{
	client_read(((struct log_reading *)arg)->client);
	return 0;
}

static unsigned readings_of(const struct front *f, uid_t uid)
{
	unsigned n = 0;

	for (const struct client *c = f->clients; c; c = c->next)
		n += c->reading && c->uid == uid;
	return n;
}

/* Which file it is, for as long as there may be another with its inode: its inode, and how it
 * begins, which is the time of its first line. 0 in the lower half: it was empty. */
#define HEAD_LEN 32

static uint64_t identity_of(int fd, const struct stat *st)
{
	unsigned char head[HEAD_LEN];
	uint64_t is = (uint64_t)st->st_ino << 32;

	if (pread(fd, head, sizeof(head), 0) == sizeof(head))
		is |= (hash_fnv(HASH_FNV_START, head, sizeof(head)) & UINT32_MAX) | 1;
	return is;
}

static bool is_there(const struct log_place *from, uint64_t file, const struct stat *st)
{
	bool same = from->file == file || (!(uint32_t)from->file && from->file >> 32 == file >> 32);

	return same && from->offset <= (uint64_t)st->st_size;
}

/* Where the client has come to. */
static void find_place(struct log_reading *l, const struct log_place *from)
{
	struct stat st[FILES];

	for (int i = 0; i < FILES; i++)
		if (l->files[i] >= 0 && fstat(l->files[i], &st[i]) == 0)
			l->at[i].file = identity_of(l->files[i], &st[i]);
		else
			fd_close(&l->files[i]);
	l->next = OLD;
	l->out.gap = from->file != 0;
	for (int i = 0; from->file && i < FILES; i++)
		if (l->files[i] >= 0 && is_there(from, l->at[i].file, &st[i])) {
			l->next = i;
			l->at[i].offset = from->offset;
			l->out.gap = false;
		}
}

static int begin(struct log_reading *l, struct front *f)
{
	int code = sd_event_add_io(f->event, &l->writable, l->socket, EPOLLOUT, on_writable, l);

	/* After all else. */
	if (code >= 0)
		code = sd_event_source_set_priority(l->writable, SD_EVENT_PRIORITY_IDLE);
	if (code >= 0)
		code = sd_event_add_time_relative(f->event, &l->patience, CLOCK_MONOTONIC,
						  PATIENCE_USEC, 0, on_impatience, l);
	return code;
}

struct log_reading *log_reading_open(struct front *f, struct client *c, int socket,
				     const struct request *r, struct cloche_err *err)
{
	struct log_reading *l;
	int code;

	if (readings_of(f, c->uid) >= LOG_READINGS_OF_ONE) {
		(void)cloche_err_set(err, EBUSY,
				     "user %u reads %d logs at a time already: try again", c->uid,
				     LOG_READINGS_OF_ONE);
		return NULL;
	}
	l = calloc(1, sizeof(*l));
	if (!l) {
		(void)cloche_err_sys(err, ENOMEM, "read a function's log");
		return NULL;
	}
	l->client = c;
	l->files[OLD] = l->files[NOW] = -1;
	l->out.kind = ANSWER_LOGS;
	request_version(l->out.version);
	l->socket = fcntl(socket, F_DUPFD_CLOEXEC, 0);
	code = l->socket < 0 ? cloche_err_sys(err, errno, "read a function's log")
			     : logged_files(f->functions, c->uid, r->function, l->files, err);
	if (code == 0) {
		find_place(l, &r->log_from);
		code = begin(l, f);
		if (code < 0)
			(void)cloche_err_sys(err, -code, "read a function's log");
	}
	if (code < 0)
		return log_reading_close(l);
	c->reading = true;
	return l;
}

struct log_reading *log_reading_close(struct log_reading *l)
{
	if (!l)
		return NULL;
	(void)sd_event_source_disable_unref(l->writable);
	(void)sd_event_source_disable_unref(l->patience);
	for (int i = 0; i < FILES; i++)
		fd_close(&l->files[i]);
	fd_close(&l->socket);
	free(l);
	return NULL;
}
