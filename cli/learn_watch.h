/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_LEARN_WATCH_H
#define CLOCHE_CLI_LEARN_WATCH_H

#include "base/clock.h"

#include <stddef.h>
#include <stdint.h>

struct cloche_err;
struct trial;

/*
 * The invocations of a deployed function that others make, as the daemon tells of them: for so
 * long, until so many have ended, or until whoever started this ends it by a signal. For `cloche
 * policy learn`, which has their system calls counted meanwhile.
 */
#define LEARN_WATCH_MAX_NS \
	(600 * NSEC_PER_SEC) /* less than LEARNER_PATIENCE_S of serve/learner.h */

struct learn_watch {
	int64_t for_ns; /* 0: LEARN_WATCH_MAX_NS */
	uint64_t most;	/* 0: as many as there are */
};

struct learn_watched {
	uint64_t *cgroups; /* owned: those of their contexts, each once */
	size_t n;
	uint64_t invocations,
		failed; /* in contexts that were seen from their beginning; of these */
};

/* Begins, and says so on standard error once every invocation from then on is seen. Of what there
 * was none of *ret has zeroes. -errno: not all was seen. */
int learn_watch(const struct trial *trial, const struct learn_watch *watch,
		struct learn_watched *ret, struct cloche_err *err);
void learn_watched_free(struct learn_watched *w);

#endif
