/* SPDX-License-Identifier: MIT */
/* The ledger, for who may see what of it: see reading.h. */
#include "serve/reading.h"

#include "base/err.h"
#include "base/fd.h"
#include "ledger/ledger_record.h"
#include "ledger/ledger_slices.h"
#include "run/booking.h"
#include "serve/client.h"
#include "serve/front.h"
#include "serve/packet.h"
#include "serve/records.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/epoll.h>

#define PATIENCE_USEC (30 * 1000000ULL)

/* After so many slices without a record of the client's it is told that there is nothing yet: it
 * waits for a daemon that lives. */
#define SILENT_SLICES 128

struct reading {
	struct client *client;
	int socket; /* another descriptor of the client's: that one is watched already */
	sd_event_source *writable, *patience;
	uint64_t own;	 /* how many records are the client's */
	unsigned silent; /* slices since the last message */
	struct ledger_slices slices;
	struct records out; /* that is sent next */
};

/* Where a ledger is broken tells how many records all have. */
static void keep_from_others(uid_t uid, struct cloche_err *err)
{
	if (uid != 0)
		(void)cloche_err_set(err, err->code ? err->code : EIO,
				     "the daemon's ledger cannot be read on; 'cloche audit verify "
				     "--ledger', as root, tells why");
}

static unsigned readings_of(const struct front *f, uid_t uid)
{
	unsigned n = 0;

	for (const struct client *c = f->clients; c; c = c->next)
		n += c->reading && c->uid == uid;
	return n;
}

static int take(const struct ledger_entry *e, void *arg)
{
	struct reading *r = arg;

	if (r->client->uid == 0)
		records_add(&r->out, e, e->frame->number, e->segment);
	else if (e->record && e->record->owner_uid == r->client->uid)
		records_add(&r->out, e, ++r->own, 0);
	return 0;
}

static void conclude(struct reading *r, const struct cloche_err *failed)
{
	const struct ledger_finding *f = &r->slices.finding;
	struct records_head *h = &r->out.head;

	h->last = true;
	h->unsure = f->lost_frames || f->head_notes;
	h->lost = r->client->uid == 0 ? f->lost_frames : 0;
	h->why = *failed;
	if (!failed->code && f->broken)
		(void)cloche_err_set(&h->why, EBADMSG,
				     "the daemon's ledger is broken at record %" PRIu64
				     ": %.200s; nothing from there on is shown",
				     f->number, f->text);
	if (h->why.code)
		keep_from_others(r->client->uid, &h->why);
}

static bool has_message(const struct reading *r)
{
	return r->out.head.len || r->out.head.last || r->silent >= SILENT_SLICES;
}

/* False: it is over. What the socket has no room for is sent the next time. */
static bool step(struct reading *r)
{
	const struct ledger_walk walk = { .each = take, .arg = r };
	unsigned char slice[LEDGER_SLICE];
	struct cloche_err err = { 0 };
	int code;

	if (!has_message(r)) {
		r->silent++;
		if (ledger_slices_next(&r->slices, slice, &walk, &err) <= 0)
			conclude(r, &err);
	}
	if (!has_message(r))
		return true;
	code = packet_send(r->socket, &r->out, sizeof(r->out.head) + r->out.head.len, NULL);
	if (code < 0 || r->out.head.last)
		return code == -EAGAIN;
	records_begin(&r->out);
	r->silent = 0;
	return true;
}

static int on_writable(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct reading *r = arg;

	if (!step(r) || sd_event_source_set_time_relative(r->patience, PATIENCE_USEC) < 0)
		client_read(r->client);
	return 0;
}

static int on_impatience(sd_event_source *s, uint64_t usec, void *arg)
{
	client_read(((struct reading *)arg)->client);
	return 0;
}

/* After all else, and an owner's second after the first of every other, and so on: who has many has
 * no more of them than who has one. And the clock after what it is the clock of: who takes
 * something is not late because this process is. */
static int begin(struct reading *r, sd_event *event, unsigned before)
{
	int code = sd_event_add_io(event, &r->writable, r->socket, EPOLLOUT, on_writable, r);

	if (code >= 0)
		code = sd_event_source_set_priority(r->writable,
						    SD_EVENT_PRIORITY_IDLE + (int64_t)before);
	if (code >= 0)
		code = sd_event_add_time_relative(event, &r->patience, CLOCK_MONOTONIC,
						  PATIENCE_USEC, 0, on_impatience, r);
	if (code >= 0)
		code = sd_event_source_set_priority(r->patience,
						    SD_EVENT_PRIORITY_IDLE + READINGS_OF_ONE);
	return code;
}

static int open_reading(struct front *f, struct reading *r, int socket, struct cloche_err *err)
{
	struct ledger_head end;
	int code = booking_end(&f->booking, &end, err);

	if (code == 0)
		code = ledger_slices_open(f->booking.dir, &end, &r->slices, err);
	if (code < 0) {
		keep_from_others(r->client->uid, err);
		return code;
	}
	r->socket = fcntl(socket, F_DUPFD_CLOEXEC, 0);
	code = r->socket < 0 ? -errno : begin(r, f->event, readings_of(f, r->client->uid));
	return code < 0 ? cloche_err_sys(err, -code, "read the daemon's ledger") : 0;
}

struct reading *reading_open(struct front *f, struct client *c, int socket, struct cloche_err *err)
{
	struct reading *r;

	if (readings_of(f, c->uid) >= READINGS_OF_ONE) {
		(void)cloche_err_set(err, EBUSY,
				     "user %u reads the daemon's ledger %d times already; try "
				     "again",
				     c->uid, READINGS_OF_ONE);
		return NULL;
	}
	r = calloc(1, sizeof(*r));
	if (!r) {
		(void)cloche_err_sys(err, ENOMEM, "read the daemon's ledger");
		return NULL;
	}
	r->client = c;
	r->socket = r->slices.dirfd = r->slices.segfd = -1;
	records_begin(&r->out);
	if (open_reading(f, r, socket, err) < 0)
		return reading_close(r);
	c->reading = true;
	return r;
}

struct reading *reading_close(struct reading *r)
{
	if (!r)
		return NULL;
	(void)sd_event_source_disable_unref(r->writable);
	(void)sd_event_source_disable_unref(r->patience);
	ledger_slices_close(&r->slices);
	fd_close(&r->socket);
	free(r);
	return NULL;
}
