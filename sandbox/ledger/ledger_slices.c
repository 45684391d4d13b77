/* SPDX-License-Identifier: MIT */
/* The chain, a slice at a time; see ledger_slices.h. Read-only by construction. */
#include "ledger/ledger_slices.h"

#include "base/err.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int ledger_slices_open(const char *dir, const struct ledger_head *until, struct ledger_slices *ret,
		       struct cloche_err *err)
{
	int fd = ledger_dir_open(dir, err);

	if (fd < 0)
		return fd;
	*ret = (struct ledger_slices){
		.dirfd = fd, .segfd = -1, .at = { .segment = 1 }, .until = *until
	};
	return 0;
}

void ledger_slices_close(struct ledger_slices *s)
{
	fd_close(&s->segfd);
	fd_close(&s->dirfd);
}

static int broken(struct ledger_slices *s, const char *why)
{
	struct ledger_finding *f = &s->finding;

	f->broken = true;
	f->number = s->at.number + 1;
	f->segment = s->at.segment;
	f->offset = s->at.end;
	(void)snprintf(f->text, sizeof(f->text), "%s", why);
	return 0;
}

static int use_segment(struct ledger_slices *s)
{
	char name[SEGMENT_NAME_LEN];

	if (s->segfd >= 0)
		return 0;
	ledger_segment_name(s->at.segment, name);
	s->segfd = openat(s->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	s->finding.segments += s->segfd >= 0;
	return s->segfd < 0 ? -errno : 0;
}

/* Where it was to end: is it the same record? */
static int look_at_end(struct ledger_slices *s)
{
	s->finding.end = s->at;
	if (s->at.number == s->until.number &&
	    memcmp(s->at.hash, s->until.hash, sizeof(s->at.hash)) == 0)
		return 0;
	return broken(s, "records were replaced: its writer knows another one");
}

/* Behind the last byte of a segment that is not the last. */
static int enter_next(struct ledger_slices *s)
{
	if (s->at.segment >= s->until.segment)
		return broken(s, "the segment is shorter than it was: records were removed");
	if (!s->at.sealed)
		return broken(s, "the segment ends without its seal: records were removed");
	fd_close(&s->segfd);
	s->at.segment++;
	s->at.end = 0;
	return 1;
}

static ssize_t read_slice(const struct ledger_slices *s, unsigned char *buf)
{
	uint64_t room = LEDGER_SLICE;
	ssize_t n;

	if (s->at.segment == s->until.segment && s->until.end - s->at.end < room)
		room = s->until.end - s->at.end;
	do
		n = pread(s->segfd, buf, (size_t)room, (off_t)s->at.end);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int ledger_slices_next(struct ledger_slices *s, unsigned char buf[static LEDGER_SLICE],
		       const struct ledger_walk *walk, struct cloche_err *err)
{
	const struct ledger_walk each = { .each = walk->each, .arg = walk->arg };
	ssize_t n;
	int r;

	if (s->finding.broken)
		return 0;
	if (s->at.segment == s->until.segment && s->at.end >= s->until.end)
		return look_at_end(s);
	r = use_segment(s);
	if (r == -ENOENT)
		return broken(s, "its segment is missing");
	n = r < 0 ? r : read_slice(s, buf);
	if (n < 0)
		return cloche_err_sys(err, (int)-n, "read segment %" PRIu64 " of the ledger",
				      s->at.segment);
	if (n == 0)
		return enter_next(s);
	s->finding.torn_bytes = 0;
	r = ledger_verify_bytes(buf, (size_t)n, true, &each, &s->at, &s->finding);
	if (r < 0)
		return r;
	/* The last frame of a slice goes on in the next one; one that is a slice's only one ends
	 * where the file does. */
	if (!s->finding.broken && s->finding.torn_bytes == (uint64_t)n)
		return broken(s, "the segment ends in the middle of it");
	s->finding.torn_bytes = 0;
	return s->finding.broken ? 0 : 1;
}
