/* SPDX-License-Identifier: MIT */
/*
 * A byte for each slot: see running.h. There is no counter, which a warden that is killed while it
 * counts would leave wrong; a byte is set back by whoever gets the slot free.
 */
#include "launch/running.h"

#include "base/err.h"
#include "host/slot.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

_Static_assert(SLOT_MAX % sizeof(uint64_t) == 0, "they are counted by the word");

struct running {
	uint32_t most; /* atomic */
	union {
		uint8_t slots[SLOT_MAX]; /* 0 or 1; atomic */
		uint64_t words[SLOT_MAX / sizeof(uint64_t)];
	};
};

struct running *running_open(void)
{
	struct running *r =
		mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (r == MAP_FAILED)
		return NULL;
	running_bound(r, RUNNING_MAX);
	return r;
}

void running_bound(struct running *r, unsigned most)
{
	if (r)
		__atomic_store_n(&r->most, most < RUNNING_MAX ? most : RUNNING_MAX,
				 __ATOMIC_SEQ_CST);
}

struct running *running_close(struct running *r)
{
	if (r)
		(void)munmap(r, sizeof(*r));
	return NULL;
}

static unsigned count(const struct running *r)
{
	unsigned n = 0;

	for (size_t i = 0; i < sizeof(r->words) / sizeof(r->words[0]); i++)
		n += (unsigned)__builtin_popcountll(
			__atomic_load_n(&r->words[i], __ATOMIC_SEQ_CST));
	return n;
}

int running_full(unsigned most, struct cloche_err *err)
{
	return cloche_err_set(
		err, EBUSY,
		"running: there are functions in %u contexts, and at a time there may "
		"be no more (limit 'running'); try again",
		most);
}

/* Seen by all before any counts: of two that come together none misses the other. */
int running_enter(struct running *r, unsigned slot, struct cloche_err *err)
{
	unsigned most;

	if (!r)
		return 0;
	most = __atomic_load_n(&r->most, __ATOMIC_SEQ_CST);
	/* Each warden can write here: what one may have written is no more than the constant. */
	most = most < RUNNING_MAX ? most : RUNNING_MAX;
	__atomic_store_n(&r->slots[slot], 1, __ATOMIC_SEQ_CST);
	if (count(r) <= most)
		return 0;
	running_leave(r, slot);
	return running_full(most, err);
}

void running_leave(struct running *r, unsigned slot)
{
	if (r)
		__atomic_store_n(&r->slots[slot], 0, __ATOMIC_SEQ_CST);
}
