/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_IMAGE_IMAGE_TIMES_H
#define CLOCHE_IMAGE_IMAGE_TIMES_H

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;

/*
 * Modification times in an image, in whole seconds since 1970, up to IMAGE_TIME_MAX; other times a
 * packed file has not.
 *
 * Regular files may keep theirs: interpreters tell by them whether what they compiled still fits
 * its source (PEP 552). Directories and links get that of the newest file: their own say only when
 * the tree was filled, and nobody reads those.
 */

/* In 2106: what 32 bits hold. The file systems that trees are unpacked on end at various times,
 * ext4 in 2446, and the bytes must not depend on that. */
#define IMAGE_TIME_MAX ((int64_t)UINT32_MAX)

/* The bound that SOURCE_DATE_EPOCH gives
 * (https://reproducible-builds.org/specs/source-date-epoch/): no time is kept that is later.
 * IMAGE_TIME_MAX when it is not set or later; -EINVAL when it is no number. */
int image_times_bound(int64_t *ret, struct cloche_err *err);

/* Sets the times of all below and at the directory tree; without keep all are 0. Times outside 0 to
 * latest become the nearer of the two. *ret_newest is the latest that was set. 0 or -errno. */
int image_times_set(const char *tree, bool keep, int64_t latest, int64_t *ret_newest,
		    struct cloche_err *err);

#endif
