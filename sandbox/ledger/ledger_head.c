/* SPDX-License-Identifier: MIT */
/*
 * What the writer and the readers of the ledger share: the head file, the names of segments, and
 * the grammar of the chain (which frame may follow which). Nothing here writes.
 */
#include "ledger/ledger_head.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

uint64_t ledger_check(const void *data, size_t len)
{
	return hash_fnv(HASH_FNV_START, data, len);
}

bool ledger_synced_read(int fd, struct ledger_synced *ret)
{
	struct ledger_synced synced;

	if (pread(fd, &synced, sizeof(synced), HEAD_SYNCED_AT) != (ssize_t)sizeof(synced) ||
	    synced.check != ledger_check(&synced, offsetof(struct ledger_synced, check)))
		return false;
	*ret = synced;
	return true;
}

void ledger_synced_finish(struct ledger_synced *synced)
{
	synced->check = ledger_check(synced, offsetof(struct ledger_synced, check));
}

static int bad(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

/* An open frame begins a file of its own number and ledger, and nothing else does. */
static int advance_open(struct ledger_head *head, const struct frame *frame, const char **ret_why)
{
	struct frame_open open;

	if (frame->body_len != sizeof(open))
		return bad(ret_why, "its opening has the wrong size");
	memcpy(&open, frame->body, sizeof(open));
	if (open.segment != head->segment)
		return bad(ret_why, "the file has another segment's number: segments were renamed "
				    "or swapped");
	if (frame->number > 1 && head->number && memcmp(open.ledger_id, head->ledger_id, 16) != 0)
		return bad(ret_why, "the segment belongs to another ledger");
	memcpy(head->ledger_id, open.ledger_id, 16);
	head->first = frame->number;
	head->records = 0;
	head->sealed = 0;
	return 0;
}

int ledger_head_advance(struct ledger_head *head, const struct frame *frame, const char **ret_why)
{
	struct frame_repair repair;
	struct frame_seal seal;
	int r = 0;

	if ((head->end == 0) != (frame->type == FRAME_OPEN))
		return bad(ret_why, head->end ? "a segment is opened in the middle of another"
					      : "the segment does not begin with its opening");
	if (head->end && head->sealed)
		return bad(ret_why, "it stands behind the seal of its segment");
	if (frame->type == FRAME_OPEN)
		r = advance_open(head, frame, ret_why);
	if (r < 0)
		return r;
	if (frame->type == FRAME_REPAIR && !frame_repair_read(frame, &repair))
		return bad(ret_why, "its note of a repair has the wrong size");
	if (frame->type == FRAME_SEAL) {
		if (frame->body_len != sizeof(seal))
			return bad(ret_why, "its seal has the wrong size");
		memcpy(&seal, frame->body, sizeof(seal));
		if (seal.segment != head->segment || seal.first != head->first ||
		    seal.records != head->records)
			return bad(ret_why, "its seal counts other records than there are");
		head->sealed = 1;
	}
	head->records += frame->type == FRAME_RECORD;
	head->number = frame->number;
	head->end += frame->size;
	memcpy(head->hash, frame->hash, FRAME_HASH);
	return 0;
}

void ledger_segment_name(uint64_t segment, char buf[static SEGMENT_NAME_LEN])
{
	(void)snprintf(buf, SEGMENT_NAME_LEN, "%012" PRIu64 ".seg", segment % 1000000000000u);
}

/* The number of a segment file's name; 0 for any other name. */
static uint64_t segment_of(const char *name)
{
	uint64_t n = 0;
	int i;

	for (i = 0; i < 12; i++) {
		if (name[i] < '0' || name[i] > '9')
			return 0;
		n = n * 10 + (uint64_t)(name[i] - '0');
	}
	return strcmp(name + i, ".seg") ? 0 : n;
}

int ledger_dir_open(const char *dir, struct cloche_err *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), code = errno;

	if (fd >= 0)
		return fd;
	if (code == ENOENT)
		return cloche_err_set(err, code,
				      "no ledger '%.200s': the first 'cloche run' there makes it",
				      dir);
	if (code == EACCES)
		return cloche_err_set(err, code,
				      "open ledger '%.200s': permission denied: it belongs to "
				      "whoever ran the functions; " CLOCHE_FIELD
				      "ledger names another",
				      dir);
	return cloche_err_sys(err, code, "open ledger '%.200s'", dir);
}

int ledger_segment_range(int dirfd, uint64_t *ret_first, uint64_t *ret_last)
{
	cleanup_fd int fd = -1;
	uint64_t first = 0, last = 0, n;
	struct dirent *e;
	DIR *d;
	int r;

	fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return -errno;
	(void)TAKE_FD(fd);
	while ((r = file_next(d, &e)) > 0) {
		n = segment_of(e->d_name);
		if (n && (!first || n < first))
			first = n;
		if (n > last)
			last = n;
	}
	(void)closedir(d);
	if (r < 0)
		return r;
	*ret_first = first;
	*ret_last = last;
	return 0;
}

int ledger_segment_load(int dirfd, uint64_t segment, uint64_t from, unsigned char **ret,
			size_t *ret_len)
{
	cleanup_free unsigned char *buf = NULL;
	cleanup_fd int fd = -1;
	char name[SEGMENT_NAME_LEN];
	size_t len = 0, size;
	struct stat st;
	ssize_t n;

	ledger_segment_name(segment, name);
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	size = (uint64_t)st.st_size > from ? (size_t)((uint64_t)st.st_size - from) : 0;
	buf = malloc(size + 1);
	if (!buf)
		return -ENOMEM;
	while (len < size) {
		n = pread(fd, buf + len, size - len, (off_t)(from + len));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret = TAKE_PTR(buf);
	*ret_len = len;
	return 0;
}

int ledger_head_lock(int fd, int byte, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
	int r;

	do
		r = fcntl(fd, F_OFD_SETLKW, &lock);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}
