/* SPDX-License-Identifier: MIT */
/*
 * The writer of the ledger: locking, appending, rotating. The theory of operation is in ledger.h.
 * Finding and mending the end is ledger_recover.c's, reading and judging what is there
 * ledger_verify.c's; this file trusts nothing but whole frames that follow each other.
 */
#include "ledger/ledger.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "ledger/ledger_head.h"
#include "ledger/ledger_key.h"
#include "ledger/ledger_record.h"
#include "ledger/ledger_witness.h"
#include "ledger/ledger_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <sodium.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* Room that ledger_ready keeps ahead of the end, and how much it takes at a time. */
#define RESERVE_LEAST (256u << 10)
#define RESERVE_STEP  (512u << 10)
/* Who has seen the ledger so lately, with room for another record, need not look again. */
#define SEEN_NS (20 * NSEC_PER_MSEC)

static const struct ledger_io system_io = {
	.pwrite = pwrite,
	.ftruncate = ftruncate,
	.fdatasync = fdatasync,
	.fallocate = fallocate,
	.openat = openat,
};

/* ---- one frame ---- */

static int write_failed(int code, struct cloche_err *err)
{
	if (code == ENOSPC || code == EDQUOT)
		return cloche_err_wrap(err, "not recorded, for lack of disk space");
	return -code;
}

int ledger_part_write(struct ledger *l, const struct ledger_head *at, off_t where,
		      struct cloche_err *err)
{
	struct ledger_head part = *at;
	ssize_t n;
	int code;

	memcpy(part.boot, l->boot, sizeof(part.boot));
	part.written_ns = clock_real_ns();
	ledger_head_finish(&part);
	n = l->io->pwrite(l->headfd, &part, sizeof(part), where);
	if (n == (ssize_t)sizeof(part))
		return 0;
	code = n < 0 ? errno : ENOSPC;
	(void)cloche_err_sys(err, code, "write '%.200s/" HEAD_NAME "'", l->dir);
	return write_failed(code, err);
}

static int head_write(struct ledger *l, struct cloche_err *err)
{
	return ledger_part_write(l, &l->head, 0, err);
}

static int frame_write(struct ledger *l, size_t size, struct cloche_err *err)
{
	ssize_t n = l->io->pwrite(l->segfd, l->buf, size, (off_t)l->head.end);
	int code = n < 0 ? errno : ENOSPC;

	if (n == (ssize_t)size)
		return 0;
	if (n > 0) {
		(void)l->io->ftruncate(l->segfd, (off_t)l->head.end);
		l->head.reserved = 0;
	}
	(void)cloche_err_sys(err, code, "write segment %" PRIu64 " of ledger '%.200s'",
			     l->head.segment, l->dir);
	return write_failed(code, err);
}

/*
 * Writes the frame whose body is at l->buf + FRAME_HEAD behind the end, announced before and
 * witnessed after it (ledger_witness.h). A write that was cut short is taken back; if that fails
 * too, it is a torn end that the next writer cuts off.
 */
int ledger_frame_put(struct ledger *l, enum frame_type type, size_t body_len,
		     struct cloche_err *err)
{
	size_t size = frame_finish(l->buf, type, l->head.number + 1, l->head.hash, body_len);
	struct ledger_head next = l->head;
	struct frame frame = {
		.type = type,
		.number = l->head.number + 1,
		.body = l->buf + FRAME_HEAD,
		.body_len = body_len,
		.hash = l->buf + size - FRAME_HASH,
		.size = size,
	};
	const char *why;
	int r = 0;

	if (ledger_head_advance(&next, &frame, &why) < 0)
		return cloche_err_set(err, EBADMSG, "ledger '%.200s': own record refused: %s",
				      l->dir, why);
	/* The first one is announced already, by head_begin. */
	if (!l->quiet && next.number > 1)
		r = ledger_part_write(l, &next, HEAD_NEXT_AT, err);
	if (r == 0)
		r = frame_write(l, size, err);
	if (r < 0)
		return r;
	l->head = next;
	if (!l->quiet)
		r = head_write(l, err);
	if (!l->quiet && r == 0 && next.number == 1)
		r = ledger_part_write(l, &next, HEAD_NEXT_AT, err);
	/* A record is there, witnessed or only announced: whoever comes next finds it. */
	return type == FRAME_RECORD ? 0 : r;
}

/* ---- segments ---- */

int ledger_segment_use(struct ledger *l, uint64_t segment, int flags, struct cloche_err *err)
{
	char name[SEGMENT_NAME_LEN];
	int fd, code;

	if (l->segfd_number == segment && l->segfd >= 0)
		return 0;
	ledger_segment_name(segment, name);
	fd = l->io->openat(l->dirfd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	if (fd < 0) {
		code = errno;
		cloche_err_sys(err, code, "open '%.200s/%s'", l->dir, name);
		if (code == ENOENT)
			return cloche_err_wrap(err, "a segment is missing ('cloche audit verify' "
						    "shows what is left)");
		return -code;
	}
	fd_close(&l->segfd);
	l->segfd = fd;
	l->segfd_number = segment;
	return 0;
}

/* The opening of segment head.segment, which is empty. */
int ledger_segment_start(struct ledger *l, struct cloche_err *err)
{
	struct frame_open open = { .segment = l->head.segment, .time_ns = clock_real_ns() };
	int r;

	memcpy(open.ledger_id, l->head.ledger_id, sizeof(open.ledger_id));
	memcpy(l->buf + FRAME_HEAD, &open, sizeof(open));
	r = ledger_frame_put(l, FRAME_OPEN, sizeof(open), err);
	if (r < 0)
		return r;
	/* The name of the new file must survive with its content. */
	if (l->sync && (fsync(l->segfd) < 0 || fsync(l->dirfd) < 0))
		return cloche_err_sys(err, errno, "sync ledger '%.200s'", l->dir);
	return 0;
}

static int reserve(struct ledger *l, int fd, uint64_t to)
{
	struct statvfs fs;

	if (l->io->fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)to) == 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != ENOSYS)
		return -errno;
	/* No reservation here: the best that can be said is whether there is room now. */
	if (fstatvfs(fd, &fs) == 0 && fs.f_bavail * fs.f_frsize >= RESERVE_LEAST)
		return 0;
	return -ENOSPC;
}

/*
 * A reservation beyond the file's size is not held against the caller's limit on file sizes
 * (RLIMIT_FSIZE, `ulimit -f`): only the write is. So it is asked for as much as is reserved, which
 * is room for this record and for those that others append meanwhile.
 */
static int check_limit(const struct ledger *l, struct cloche_err *err)
{
	uint64_t need = l->head.end + RESERVE_LEAST;
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur >= need)
		return 0;
	return cloche_err_set(err, EFBIG,
			      "ledger '%.200s' has no room for another record: the limit on file "
			      "sizes (ulimit -f) is %" PRIu64 " bytes, its segment needs %" PRIu64,
			      l->dir, (uint64_t)limit.rlim_cur, need);
}

int ledger_broken(struct ledger *l, uint64_t number, const char *why, struct cloche_err *err)
{
	if (why == frame_newer)
		return cloche_err_set(err, EBADMSG,
				      "ledger '%.150s' goes on in the form of a newer version from "
				      "record %" PRIu64 " (segment %" PRIu64
				      ") on, and is left as it is: use that version again",
				      l->dir, number, l->head.segment);
	return cloche_err_set(err, EBADMSG,
			      "ledger '%.150s' is broken at record %" PRIu64 " (segment %" PRIu64
			      "): %s; see 'cloche audit verify', and move the directory away to "
			      "start a new one",
			      l->dir, number, l->head.segment, why);
}

/*
 * Takes the frames from head.end on into head, and cuts off a torn end. On return the segment's
 * file ends at head.end.
 */
int ledger_segment_scan(struct ledger *l, struct ledger_witness *w, uint64_t *cut,
			struct cloche_err *err)
{
	cleanup_free unsigned char *buf = NULL;
	enum frame_state state = FRAME_OK;
	const char *why = "";
	size_t len, at = 0;
	struct frame frame;
	int r;

	r = ledger_segment_load(l->dirfd, l->head.segment, l->head.end, &buf, &len);
	if (r < 0)
		return cloche_err_sys(err, -r, "read segment %" PRIu64 " of ledger '%.200s'",
				      l->head.segment, l->dir);
	while (at < len) {
		bool known = l->head.number || l->head.segment == 1;

		state = frame_check(buf + at, len - at, known ? l->head.number + 1 : 0,
				    l->head.hash, &frame, &why);
		if (state == FRAME_OK && ledger_head_advance(&l->head, &frame, &why) < 0)
			state = FRAME_BROKEN;
		if (state != FRAME_OK)
			break;
		ledger_witness_see(w, &l->head);
		at += frame.size;
	}
	if (state == FRAME_BROKEN)
		return ledger_broken(l, l->head.number + 1, why, err);
	*cut += len - at;
	if (at == len)
		return 0;
	l->head.reserved = 0;
	if (l->io->ftruncate(l->segfd, (off_t)l->head.end) < 0)
		return cloche_err_sys(err, errno, "cut a torn record off ledger '%.200s'", l->dir);
	return 0;
}

/* Goes to the segment after a sealed one. With O_CREAT it is made; else -ENOENT when it is not
 * there. */
int ledger_segment_enter(struct ledger *l, int flags, struct cloche_err *err)
{
	int r = ledger_segment_use(l, l->head.segment + 1, flags, err);

	if (r < 0)
		return r;
	l->head.segment++;
	l->head.end = 0;
	l->head.reserved = 0;
	return 0;
}

/* The segment after a sealed one: made, or found as a writer that died left it. */
static int segment_next(struct ledger *l, struct cloche_err *err)
{
	struct ledger_witness nobody = { 0 };
	uint64_t cut = 0;
	int r;

	r = ledger_segment_enter(l, O_CREAT, err);
	if (r == 0)
		r = ledger_segment_scan(l, &nobody, &cut, err);
	if (r == 0 && l->head.end == 0)
		r = ledger_segment_start(l, err);
	return r;
}

/* Before anything is written: is the key that is to sign one that signs? */
static int key_check(const struct ledger *l, struct cloche_err *err)
{
	if (l->key_file)
		return ledger_key_check(AT_FDCWD, l->key_file, err);
	if (faccessat(l->dirfd, LEDGER_KEY_NAME, F_OK, 0) < 0)
		return 0;
	return ledger_key_check(l->dirfd, LEDGER_KEY_NAME, err);
}

static int segment_seal(struct ledger *l, struct cloche_err *err)
{
	struct frame_seal seal = {
		.segment = l->head.segment,
		.first = l->head.first,
		.records = l->head.records,
		.time_ns = clock_real_ns(),
	};
	const char *key = l->key_file ? l->key_file : LEDGER_KEY_NAME;
	int r;

	if (l->key_file || faccessat(l->dirfd, key, F_OK, 0) == 0) {
		r = ledger_key_sign(l->key_file ? AT_FDCWD : l->dirfd, key, &seal, l->head.hash,
				    err);
		if (r < 0)
			return r;
	}
	memcpy(l->buf + FRAME_HEAD, &seal, sizeof(seal));
	r = ledger_frame_put(l, FRAME_SEAL, sizeof(seal), err);
	if (r == 0 && l->sync && l->io->fdatasync(l->segfd) < 0)
		return cloche_err_sys(err, errno, "sync ledger '%.200s'", l->dir);
	return r;
}

/* Seals and goes on in a new segment. The next file and its space are taken first, so that a full
 * disk is met before the seal, not after it. */
static int segment_rotate(struct ledger *l, struct cloche_err *err)
{
	char name[SEGMENT_NAME_LEN];
	cleanup_fd int fd = -1;
	int r = key_check(l, err);

	if (r < 0)
		return r;
	ledger_segment_name(l->head.segment + 1, name);
	fd = l->io->openat(l->dirfd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	r = fd < 0 ? -errno : reserve(l, fd, RESERVE_LEAST);
	if (r < 0)
		return cloche_err_sys(err, -r, "start a new segment of ledger '%.200s'", l->dir);
	r = segment_seal(l, err);
	return r == 0 ? segment_next(l, err) : r;
}

static int chain_lock(struct ledger *l, struct cloche_err *err)
{
	int r;

	(void)pthread_mutex_lock(&l->chain);
	r = ledger_head_lock(l->headfd, HEAD_LOCK_CHAIN, F_WRLCK);
	if (r < 0)
		(void)pthread_mutex_unlock(&l->chain);
	if (r < 0)
		return cloche_err_sys(err, -r, "lock ledger '%.200s'", l->dir);
	return 0;
}

static void chain_unlock(struct ledger *l)
{
	(void)ledger_head_lock(l->headfd, HEAD_LOCK_CHAIN, F_UNLCK);
	(void)pthread_mutex_unlock(&l->chain);
}

/* ---- power loss ---- */

/* Under the lock on byte 1: returns when the segment's bytes up to end are on the disk. */
static int commit_locked(struct ledger *l, uint64_t segment, uint64_t end)
{
	struct ledger_synced synced;
	cleanup_fd int fd = -1;
	char name[SEGMENT_NAME_LEN];
	struct stat st;

	if (ledger_synced_read(l->headfd, &synced) && synced.segment == segment &&
	    synced.end >= end)
		return 0;
	ledger_segment_name(segment, name);
	fd = openat(l->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0 || l->io->fdatasync(fd) < 0)
		return -errno;
	synced = (struct ledger_synced){ .segment = segment, .end = (uint64_t)st.st_size };
	ledger_synced_finish(&synced);
	/* Only a hint for those who wait: if it cannot be written they sync again. */
	(void)!l->io->pwrite(l->headfd, &synced, sizeof(synced), HEAD_SYNCED_AT);
	return 0;
}

static int commit(struct ledger *l, uint64_t segment, uint64_t end, struct cloche_err *err)
{
	int r;

	(void)pthread_mutex_lock(&l->commit);
	r = ledger_head_lock(l->headfd, HEAD_LOCK_SYNC, F_WRLCK);
	if (r == 0) {
		r = commit_locked(l, segment, end);
		(void)ledger_head_lock(l->headfd, HEAD_LOCK_SYNC, F_UNLCK);
	}
	(void)pthread_mutex_unlock(&l->commit);
	if (r < 0)
		return cloche_err_sys(err, -r,
				      "recorded, but not safe from power loss: sync "
				      "ledger '%.200s'",
				      l->dir);
	return 0;
}

/* ---- the interface ---- */

static int dir_open(struct ledger *l, const struct ledger_options *o, struct cloche_err *err)
{
	uid_t owner = o->owner ? *o->owner : geteuid();
	struct stat st;
	int r = o->create ? file_make_dir(l->dir) : 0;

	if (r < 0)
		return cloche_err_sys(err, -r, "make ledger '%.200s'", l->dir);
	l->dirfd = open(l->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->dirfd < 0 || fstat(l->dirfd, &st) < 0)
		return cloche_err_sys(err, errno, "open ledger '%.200s'", l->dir);
	/* A bill that somebody else can write is none. */
	if (st.st_uid != owner || (st.st_mode & 022))
		return cloche_err_set(err, EPERM,
				      "ledger '%.200s' can be written by other users: chown it to "
				      "the user that runs cloche and chmod go-w",
				      l->dir);
	l->headfd =
		l->io->openat(l->dirfd, HEAD_NAME,
			      O_RDWR | O_CLOEXEC | O_NOFOLLOW | (o->create ? O_CREAT : 0), 0600);
	if (l->headfd < 0)
		return cloche_err_sys(err, errno, "open '%.200s/" HEAD_NAME "'", l->dir);
	return 0;
}

int ledger_open(const char *dir, const struct ledger_options *options, struct ledger **ret,
		struct cloche_err *err)
{
	cleanup_ledger struct ledger *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return cloche_err_sys(err, ENOMEM, "open ledger '%.200s'", dir);
	l->dirfd = l->headfd = l->segfd = -1;
	ledger_boot_id(l->boot);
	(void)pthread_mutex_init(&l->chain, NULL);
	(void)pthread_mutex_init(&l->commit, NULL);
	l->segment_bytes = options->segment_bytes ? options->segment_bytes : LEDGER_SEGMENT_BYTES;
	l->sync = options->sync;
	l->io = options->io ? options->io : &system_io;
	l->dir = strdup(dir);
	l->key_file = options->key_file ? strdup(options->key_file) : NULL;
	if (!l->dir || (options->key_file && !l->key_file))
		return cloche_err_sys(err, ENOMEM, "open ledger '%.200s'", dir);
	r = l->key_file ? key_check(l, err) : 0;
	if (r == 0)
		r = dir_open(l, options, err);
	if (r == 0)
		r = chain_lock(l, err);
	if (r < 0)
		return r;
	r = ledger_head_refresh(l, err);
	chain_unlock(l);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(l);
	return 0;
}

struct ledger *ledger_close(struct ledger *l)
{
	if (!l)
		return NULL;
	fd_close(&l->segfd);
	fd_close(&l->headfd);
	fd_close(&l->dirfd);
	(void)pthread_mutex_destroy(&l->chain);
	(void)pthread_mutex_destroy(&l->commit);
	free(l->key_file);
	free(l->dir);
	free(l);
	return NULL;
}

static int ready_locked(struct ledger *l, struct cloche_err *err)
{
	uint64_t to;
	int r = ledger_head_refresh(l, err);

	if (r < 0)
		return r;
	/* Best before an invocation, while its record is not waiting. */
	if (l->head.end + RESERVE_LEAST > l->segment_bytes && l->head.end > l->segment_bytes / 2 &&
	    l->head.records) {
		r = segment_rotate(l, err);
		if (r < 0)
			return r;
	}
	r = check_limit(l, err);
	if (r < 0 || l->head.end + RESERVE_LEAST <= l->head.reserved)
		return r;
	to = l->head.end + RESERVE_STEP;
	r = reserve(l, l->segfd, to);
	if (r < 0)
		return cloche_err_sys(err, -r, "ledger '%.200s' has no room for another record",
				      l->dir);
	l->head.reserved = to;
	return head_write(l, err);
}

/* The room is reserved, so nobody's file can take it. */
static bool is_ready_still(struct ledger *l)
{
	uint64_t need;
	bool still;

	(void)pthread_mutex_lock(&l->chain);
	need = l->head.end + RESERVE_LEAST;
	still = l->seen_ns && clock_now_ns() - l->seen_ns < SEEN_NS && need <= l->head.reserved &&
		need <= l->segment_bytes && check_limit(l, NULL) == 0;
	(void)pthread_mutex_unlock(&l->chain);
	return still;
}

int ledger_ready(struct ledger *l, struct cloche_err *err)
{
	int r;

	if (is_ready_still(l))
		return 0;
	r = chain_lock(l, err);
	if (r < 0)
		return r;
	r = ready_locked(l, err);
	chain_unlock(l);
	return r;
}

static int append_locked(struct ledger *l, const unsigned char *body, size_t len,
			 struct cloche_err *err)
{
	size_t size = FRAME_HEAD + len + FRAME_HASH;
	int r = ledger_head_refresh(l, err);

	l->seen_ns = 0;
	if (r < 0)
		return r;
	/* A new segment that cannot be made must not cost this record: it goes behind the others,
	 * unless the seal is written already. */
	if (l->head.end + size > l->segment_bytes && l->head.records) {
		r = segment_rotate(l, err);
		if (r < 0 && (l->head.sealed || l->head.end == 0))
			return r;
	}
	memcpy(l->buf + FRAME_HEAD, body, len);
	r = ledger_frame_put(l, FRAME_RECORD, len, err);
	l->seen_ns = r == 0 ? clock_now_ns() : 0;
	return r;
}

int ledger_append(struct ledger *l, const struct ledger_record *record, uint64_t *ret_number,
		  struct cloche_err *err)
{
	unsigned char body[LEDGER_BODY_MAX];
	uint64_t segment, end, number;
	int len, r;

	len = ledger_record_encode(record, body, err);
	if (len < 0)
		return len;
	r = chain_lock(l, err);
	if (r < 0)
		return r;
	r = append_locked(l, body, (size_t)len, err);
	segment = l->head.segment;
	end = l->head.end;
	number = l->head.number;
	chain_unlock(l);
	if (r < 0)
		return r;
	if (ret_number)
		*ret_number = number;
	return l->sync ? commit(l, segment, end, err) : 0;
}

void ledger_place(struct ledger *l, struct ledger_head *ret)
{
	(void)pthread_mutex_lock(&l->chain);
	*ret = l->head;
	(void)pthread_mutex_unlock(&l->chain);
}

int ledger_end(struct ledger *l, struct ledger_head *ret, struct cloche_err *err)
{
	int r = chain_lock(l, err);

	if (r < 0)
		return r;
	r = ledger_head_refresh(l, err);
	if (r == 0)
		*ret = l->head;
	chain_unlock(l);
	return r;
}

int ledger_seal(struct ledger *l, struct cloche_err *err)
{
	int r = chain_lock(l, err);

	if (r < 0)
		return r;
	r = ledger_head_refresh(l, err);
	if (r == 0 && l->head.records)
		r = segment_rotate(l, err);
	chain_unlock(l);
	return r;
}

struct ledger_repair ledger_repaired(const struct ledger *l)
{
	return l->repaired;
}
