/* SPDX-License-Identifier: MIT */
/* Lists of contexts in memory that is handed on: see listing.h. */
#include "serve/listing.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/process.h"
#include "launch/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const char *const texts[LISTED_STATES] = {
	[LISTED_STARTING] = "starting", [LISTED_READY] = "ready",   [LISTED_BUSY] = "busy",
	[LISTED_FROZEN] = "frozen",	[LISTED_ENDING] = "ending",
};

const char *listed_state_text(uint32_t state)
{
	return state < LISTED_STATES ? texts[state] : "unknown";
}

struct tally *tally_begin(uint32_t room)
{
	struct tally *t = calloc(1, tally_size(room));
	struct timespec own = { 0 };

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
	if (t)
		t->launcher_cpu_ns = (uint64_t)own.tv_sec * NSEC_PER_SEC + (uint64_t)own.tv_nsec;
	if (t)
		t->launcher_bytes = process_own_memory();
	return t;
}

void tally_add(struct tally *t, uint64_t context, const struct cgroup *cg, uint64_t cpu_ns,
	       const struct cgroup_usage *before)
{
	struct tally_row *row = &t->rows[t->n++];

	*row = (struct tally_row){ .context = context, .cpu_ns = cpu_ns };
	if (cg->v2 < 0)
		return;
	row->memory_bytes = cgroup_memory(cg);
	if (before && cgroup_cpu_ns(cg) > before->cpu_ns)
		row->cpu_ns += cgroup_cpu_ns(cg) - before->cpu_ns;
}

int listing_hand(const void *bytes, size_t len)
{
	cleanup_fd int fd = memfd_create("list", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL, r;

	if (fd < 0)
		return -errno;
	r = file_write_all(fd, bytes, len);
	if (r < 0)
		return r;
	return fcntl(fd, F_ADD_SEALS, seals) < 0 ? -errno : TAKE_FD(fd);
}

/* Head and rows; both begin with their number. */
static int take(int fd, size_t head, size_t row, void **ret, struct cloche_err *err)
{
	cleanup_free char *bytes = NULL;
	uint32_t n;

	if (fcntl(fd, F_GET_SEALS) < 0 || pread(fd, &n, sizeof(n), 0) != sizeof(n) ||
	    n > LISTING_MAX)
		return cloche_err_set(err, EBADMSG, "a list of contexts that is none");
	bytes = calloc(1, head + n * row);
	if (!bytes)
		return cloche_err_sys(err, ENOMEM, "read a list of contexts");
	if (pread(fd, bytes, head + n * row, 0) != (ssize_t)(head + n * row))
		return cloche_err_set(err, EBADMSG, "a list of contexts that is not whole");
	/* What was read twice may have changed. */
	memcpy(bytes, &n, sizeof(n));
	*ret = TAKE_PTR(bytes);
	return 0;
}

int listing_take_tally(int fd, struct tally **ret, struct cloche_err *err)
{
	void *bytes = NULL;
	int r = take(fd, sizeof(struct tally), sizeof(struct tally_row), &bytes, err);

	if (r == 0)
		*ret = bytes;
	return r;
}

static bool is_text(const char *s, size_t room)
{
	return memchr(s, '\0', room) != NULL;
}

int listing_take(int fd, struct listing **ret, struct cloche_err *err)
{
	cleanup_free struct listing *l = NULL;
	void *bytes = NULL;
	int r = take(fd, sizeof(struct listing), sizeof(struct listed), &bytes, err);

	if (r < 0 || !bytes)
		return r;
	l = bytes;
	for (uint32_t i = 0; i < l->n; i++) {
		const struct listed *row = &l->rows[i];

		if (row->state >= LISTED_STATES || !is_text(row->id, sizeof(row->id)) ||
		    !is_text(row->owner, sizeof(row->owner)) ||
		    !is_text(row->function, sizeof(row->function)) ||
		    !is_text(row->command, sizeof(row->command)))
			return cloche_err_set(err, EBADMSG, "a list of contexts that is none");
	}
	*ret = TAKE_PTR(l);
	return 0;
}
