/* SPDX-License-Identifier: MIT */
/* Records of invocations that have not ended yet, in a file that is mapped: see wills.h. */
#include "serve/wills.h"

#include "base/err.h"
#include "base/fd.h"
#include "ledger/ledger.h"
#include "ledger/ledger_head.h"
#include "ledger/ledger_record.h"
#include "ledger/ledger_verify.h"
#include "run/booking.h"
#include "run/powers.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* "wills3", as bytes: its form, which is the same in every version that has this word. */
#define VALID  0x000033736c6c6977ULL
#define WORD   0x000000736c6c6977ULL /* without the form, and where a form before had it: */
#define WORD_2 (WORD << 16)
#define OTHERS "wills.other"

struct will {
	uint64_t valid; /* VALID: it is one; written last */
	uint64_t check; /* of all that follows */
	uint64_t context;
	char request_id[40];
	uint32_t version, record_len; /* of the record, as it is in the ledger (LEDGER_VERSION) */
	uint32_t head_len, zero;      /* of the place, which another version may have otherwise */
	unsigned char record[FRAME_BODY_MAX];
	unsigned char head[256];
};
_Static_assert(sizeof(struct will) == 1360, "the same in every version");
_Static_assert(LEDGER_BODY_MAX <= FRAME_BODY_MAX && sizeof(struct ledger_head) <= 256, "it fits");
#define SIZE (WILLS_MAX * sizeof(struct will))

static uint64_t check_of(const struct will *w)
{
	return ledger_check(&w->context, sizeof(*w) - offsetof(struct will, context));
}

/* ---- the file -------------------------------------------------------------------------------- */

static bool has_word(uint64_t bytes)
{
	return (bytes & 0xffffffffffULL) == WORD || (bytes & 0xffffffffff0000ULL) == WORD_2;
}

/* In a file of another form, which is not to be understood but as to how many there are. */
static unsigned count_words(int fd)
{
	uint64_t words[512];
	unsigned n = 0;
	off_t at = 0;
	ssize_t len;

	while ((len = pread(fd, words, sizeof(words), at)) > 0) {
		for (size_t i = 0; i < (size_t)len / sizeof(words[0]); i++)
			n += has_word(words[i]);
		at += len;
	}
	return n;
}

static int open_file(void)
{
	int fd = open(WILLS_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

/* One of another version's is for that, if it comes back. */
static int open_own(unsigned *ret_unread)
{
	int fd = open_file();
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fd < 0 ? fd : -errno;
	if (st.st_size == 0 || st.st_size == (off_t)SIZE)
		return fd;
	*ret_unread = count_words(fd);
	(void)close(fd);
	return rename(WILLS_NAME, OTHERS) < 0 ? -errno : open_file();
}

int wills_open(struct wills *ret, struct cloche_err *err)
{
	unsigned unread = 0;
	cleanup_fd int fd = open_own(&unread);
	void *at;

	/* What is mapped and has no room on the disk kills who writes it. */
	if (fd < 0 || ftruncate(fd, (off_t)SIZE) < 0 || fallocate(fd, 0, 0, (off_t)SIZE) < 0)
		return cloche_err_sys(err, fd < 0 ? -fd : errno,
				      "have '" WILLS_NAME "' in the daemon's state");
	at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return cloche_err_sys(err, errno, "map '" WILLS_NAME "'");
	*ret = (struct wills){ .all = at, .unread = unread };
	for (int i = 0; i < WILLS_MAX; i++) {
		bool is_one = ret->all[i].valid == VALID;

		ret->left[i] = is_one && ret->all[i].version == LEDGER_VERSION;
		ret->unread += is_one && !ret->left[i];
		ret->counted[i].on_cpu_ns = ret->counted[i].memory_peak_bytes = LEDGER_NULL;
	}
	return 0;
}

void wills_close(struct wills *w)
{
	if (w->all)
		(void)munmap(w->all, SIZE);
	w->all = NULL;
}

static int fill(struct will *w, const struct booking *b, const struct ledger_record *record,
		uint64_t context)
{
	struct ledger_head head;
	int len;

	memset(w, 0, sizeof(*w));
	len = ledger_record_encode(record, w->record, NULL);
	if (len < 0)
		return len;
	ledger_place(b->ledger, &head);
	memcpy(w->head, &head, sizeof(head));
	w->head_len = sizeof(head);
	w->record_len = (uint32_t)len;
	w->version = LEDGER_VERSION;
	w->context = context;
	(void)snprintf(w->request_id, sizeof(w->request_id), "%s", record->request_id);
	w->check = check_of(w);
	return 0;
}

int wills_make(struct wills *w, const struct booking *b, const struct ledger_record *record,
	       uint64_t context)
{
	int i = 0;

	while (i < WILLS_MAX && w->all[i].valid == VALID)
		i++;
	if (i == WILLS_MAX || !b->ledger || fill(&w->all[i], b, record, context) < 0)
		return -1;
	/* Whoever is killed here has left nothing, or all of it. */
	__atomic_store_n(&w->all[i].valid, VALID, __ATOMIC_RELEASE);
	return i;
}

void wills_strike(struct wills *w, int will)
{
	if (will >= 0)
		__atomic_store_n(&w->all[will].valid, 0, __ATOMIC_RELEASE);
}

/* ---- what was left --------------------------------------------------------------------------- */

/* For the ledger's walk: those that are in it are marked. */
static int look(const struct ledger_entry *e, void *arg)
{
	struct wills *w = arg;

	for (int i = 0; e->record && i < WILLS_MAX; i++)
		if (w->left[i] && strncmp(e->record->request_id, w->all[i].request_id,
					  sizeof(e->record->request_id)) == 0)
			w->written[i] = true;
	return 0;
}

/* Not in the file: what is changed there and not whole would be no will at all. */
void wills_count(struct wills *w, uint64_t context, const struct counted *counted)
{
	const struct meter_usage *u = &counted->metered.usage;

	for (int i = 0; counted->metered.known && i < WILLS_MAX; i++) {
		if (!w->left[i] || w->all[i].context != context)
			continue;
		if (u->on_cpu_ns <= INT64_MAX)
			w->counted[i].on_cpu_ns = (int64_t)u->on_cpu_ns;
		if (u->memory_known && u->memory_peak_bytes <= INT64_MAX)
			w->counted[i].memory_peak_bytes = (int64_t)u->memory_peak_bytes;
	}
}

static int append(struct wills *w, struct booking *b, int will, struct cloche_err *err)
{
	const struct will *one = &w->all[will];
	struct ledger_record record;

	if (one->record_len > sizeof(one->record) ||
	    ledger_record_decode(one->record, one->record_len, &record) < 0)
		return -EINVAL;
	record.on_cpu_ns = w->counted[will].on_cpu_ns;
	record.memory_peak_bytes = w->counted[will].memory_peak_bytes;
	return ledger_append(b->ledger, &record, NULL, err);
}

/* The place from which all that they left can be seen: that of the oldest. 1; -ENOENT: they left
 * nothing; 0: it is not known, and all is to be seen. */
static int oldest(const struct wills *w, struct ledger_head *ret)
{
	struct ledger_head head;
	int found = -ENOENT;

	for (int i = 0; i < WILLS_MAX; i++) {
		if (!w->left[i])
			continue;
		if (w->all[i].head_len != sizeof(head))
			return 0;
		memcpy(&head, w->all[i].head, sizeof(head));
		if (found < 0 || head.number < ret->number)
			*ret = head;
		found = 1;
	}
	return found;
}

static void strike_torn(struct wills *w)
{
	for (int i = 0; i < WILLS_MAX; i++)
		if (w->left[i] && w->all[i].check != check_of(&w->all[i])) {
			wills_strike(w, i);
			w->left[i] = false;
		}
}

/* Of a ledger that cannot be walked from there nothing is known to be written: it is another one,
 * or somebody has meddled, which the audit says. */
static int look_through(struct wills *w, const char *dir, struct cloche_err *err)
{
	struct ledger_head since;
	const struct ledger_walk walk = { .each = look,
					  .arg = w,
					  .from = oldest(w, &since) == 1 ? &since : NULL };
	struct ledger_finding found;

	return ledger_verify(dir, &walk, &found, err);
}

int wills_execute(struct wills *w, struct booking *b, unsigned *ret_n, struct cloche_err *err)
{
	struct ledger_repair none;
	struct ledger_head since;
	int r = 0;

	*ret_n = 0;
	strike_torn(w);
	if (oldest(w, &since) < 0)
		return 0;
	r = booking_ready(b, &none, err);
	if (r == 0)
		r = look_through(w, b->dir, err);
	for (int i = 0; r == 0 && i < WILLS_MAX; i++) {
		if (!w->left[i])
			continue;
		if (!w->written[i]) {
			r = append(w, b, i, err);
			/* What no record can be will be none the next time. */
			if (r < 0 && r != -EINVAL)
				break;
			*ret_n += r == 0;
			r = 0;
		}
		wills_strike(w, i);
		w->left[i] = false;
	}
	return r;
}
