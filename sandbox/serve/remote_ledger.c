/* SPDX-License-Identifier: MIT */
/* Has the daemon send records, and reads them: see remote_ledger.h. */
#include "serve/remote_ledger.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "serve/packet.h"
#include "serve/records.h"
#include "serve/remote.h"
#include "serve/request.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A daemon that lives goes on at once, but where it has more important things to do. */
#define PATIENCE_MS 60000

union message {
	struct answer answer;
	struct records records;
};

static int ask(const struct remote *remote, struct cloche_err *err)
{
	struct request request = { .kind = REQUEST_RECORDS };

	request_version(request.version);
	return remote_asked(packet_send(remote->socket, &request, sizeof(request), NULL), err);
}

static int other_version(struct cloche_err *err)
{
	return cloche_err_set(err, EPROTO, "the daemon is of another version than this program");
}

/* One message: records, or an error. */
static int hear(const struct remote *remote, union message *ret, struct cloche_err *err)
{
	struct pollfd there = { .fd = remote->socket, .events = POLLIN };
	char version[sizeof(ret->answer.version)];
	int n;

	do
		n = poll(&there, 1, PATIENCE_MS);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return cloche_err_set(err, ETIMEDOUT, "the daemon does not answer");
	n = packet_recv(remote->socket, ret, sizeof(*ret), NULL);
	if (n == -EPIPE)
		return cloche_err_set(err, EPIPE, "the daemon has ended before it answered");
	request_version(version);
	if (n < (int)sizeof(ret->records.head) ||
	    strncmp(version, ret->records.head.version, sizeof(version)) != 0)
		return other_version(err);
	if (ret->answer.kind == ANSWER_REFUSED && n == sizeof(ret->answer))
		return cloche_err_take(err, &ret->answer.refused);
	if (ret->records.head.kind != ANSWER_RECORDS ||
	    n != (int)(sizeof(ret->records.head) + ret->records.head.len))
		return other_version(err);
	return 0;
}

/* All of them, one behind the other: lengths and bytes. */
static int fetch(const struct remote *remote, int to, union message *m, struct cloche_err *err)
{
	int r;

	do {
		r = hear(remote, m, err);
		if (r == 0)
			r = file_write_all(to, (const char *)&m->records.head.len,
					   sizeof(m->records.head.len));
		if (r == 0)
			r = file_write_all(to, (const char *)m->records.bytes, m->records.head.len);
		if (r < 0 && !err->code)
			return cloche_err_sys(err, -r, "keep the daemon's records (memfd)");
	} while (r == 0 && !m->records.head.last);
	return r;
}

static int tell(int from, union message *m, const struct ledger_walk *walk,
		struct ledger_finding *f, struct cloche_err *err)
{
	off_t at = 0;
	uint32_t len;
	int r = 0;

	while (r == 0 && pread(from, &len, sizeof(len), at) == sizeof(len)) {
		at += sizeof(len);
		if (len > sizeof(m->records.bytes) ||
		    pread(from, m->records.bytes, len, at) != (ssize_t)len)
			return cloche_err_set(err, EIO, "read the daemon's records back");
		at += len;
		r = records_tell(m->records.bytes, len, walk, f, err);
	}
	return r;
}

int remote_ledger_walk(const struct remote *remote, const struct ledger_walk *walk,
		       struct ledger_finding *ret, struct cloche_err *err)
{
	cleanup_free union message *m = calloc(1, sizeof(*m));
	cleanup_fd int kept = memfd_create("records", MFD_CLOEXEC);
	struct ledger_finding f = { 0 };
	struct records_head last;
	int r;

	err->code = 0;
	if (!m || kept < 0)
		return cloche_err_sys(err, m ? errno : ENOMEM, "read the daemon's ledger");
	r = ask(remote, err);
	if (r == 0)
		r = fetch(remote, kept, m, err);
	if (r < 0)
		return r;
	last = m->records.head;
	r = tell(kept, m, walk, &f, err);
	if (r < 0)
		return err->code ? r : cloche_err_sys(err, -r, "read the daemon's records");
	if (last.why.code)
		return cloche_err_take(err, &last.why);
	f.lost_frames = last.lost;
	f.head_notes = last.unsure && !last.lost;
	*ret = f;
	return 0;
}
