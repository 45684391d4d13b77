/* SPDX-License-Identifier: MIT */
/* Records of invocations that have not ended yet, in a file that is mapped: see wills.h. */
#include "serve/wills.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"
#include "ledger/ledger.h"
#include "ledger/ledger_head.h"
#include "ledger/ledger_record.h"
#include "ledger/ledger_verify.h"
#include "run/booking.h"
#include "run/powers.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Of another version's nothing is known. */
#define VALID (0x32736c6c69770000ULL + sizeof(struct ledger_record) + sizeof(struct ledger_head))

struct will {
	uint64_t valid; /* VALID: it is one; written last */
	uint64_t check; /* of the next two */
	struct ledger_head since;
	uint64_t context;
	struct ledger_record record;
};

static uint64_t check_of(const struct will *w)
{
	return ledger_check(&w->since, sizeof(*w) - offsetof(struct will, since));
}

int wills_open(struct wills *ret, struct cloche_err *err)
{
	const size_t size = WILLS_MAX * sizeof(struct will);
	cleanup_fd int fd = open(WILLS_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	void *at;

	/* What is mapped and has no room on the disk kills who writes it. */
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0 || fallocate(fd, 0, 0, (off_t)size) < 0)
		return cloche_err_sys(err, errno, "have '" WILLS_NAME "' in the daemon's state");
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return cloche_err_sys(err, errno, "map '" WILLS_NAME "'");
	*ret = (struct wills){ .all = at };
	for (int i = 0; i < WILLS_MAX; i++) {
		ret->left[i] = ret->all[i].valid == VALID;
		ret->counted[i].on_cpu_ns = ret->counted[i].memory_peak_bytes = LEDGER_NULL;
	}
	return 0;
}

void wills_close(struct wills *w)
{
	if (w->all)
		(void)munmap(w->all, WILLS_MAX * sizeof(struct will));
	w->all = NULL;
}

int wills_make(struct wills *w, const struct booking *b, const struct ledger_record *record,
	       uint64_t context)
{
	int i = 0;

	while (i < WILLS_MAX && w->all[i].valid == VALID)
		i++;
	if (i == WILLS_MAX || !b->ledger)
		return -1;
	memset(&w->all[i], 0, sizeof(w->all[i]));
	ledger_place(b->ledger, &w->all[i].since);
	w->all[i].context = context;
	w->all[i].record = *record;
	w->all[i].check = check_of(&w->all[i]);
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
		if (w->left[i] && strncmp(e->record->request_id, w->all[i].record.request_id,
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
	struct ledger_record record = w->all[will].record;

	record.on_cpu_ns = w->counted[will].on_cpu_ns;
	record.memory_peak_bytes = w->counted[will].memory_peak_bytes;
	return ledger_append(b->ledger, &record, NULL, err);
}

/* The place from which all that they left can be seen: that of the oldest. */
static const struct ledger_head *oldest(const struct wills *w)
{
	const struct ledger_head *first = NULL;

	for (int i = 0; i < WILLS_MAX; i++)
		if (w->left[i] && (!first || w->all[i].since.number < first->number))
			first = &w->all[i].since;
	return first;
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
	const struct ledger_head *since = oldest(w);
	const struct ledger_walk walk = { .each = look, .arg = w, .from = since };
	struct ledger_finding found;

	return since ? ledger_verify(dir, &walk, &found, err) : 0;
}

int wills_execute(struct wills *w, struct booking *b, unsigned *ret_n, struct cloche_err *err)
{
	struct ledger_repair none;
	int r = 0;

	*ret_n = 0;
	strike_torn(w);
	if (!oldest(w))
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
