/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_ETC_H
#define CLOCHE_LAUNCH_ETC_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct cloche_err;

/*
 * The host's configuration that goes with its /usr (etc_list.h), as everybody may read it: each
 * name is opened with the rights of a user that has none, and what it leads to must be where
 * packages keep things, below /etc, /usr, /var/lib or /var/cache. So a link in /etc to a secret, or
 * to anywhere else, shows nothing.
 *
 * What is bound stays what it is on the host: a file whose mode changes there is judged by its mode
 * of that moment, as its owner is nobody inside. What is copied is copied anew when its time of
 * change (ctime) is another: a run that begins after a chmod(1) does not have what it took away.
 */

/* O_PATH. -EXDEV: it leads elsewhere, *ret_real says where; -EACCES: not everybody may read it. */
int etc_open(const char *path, bool *ret_is_dir, char ret_real[static PATH_MAX]);

/* What a root with these files in it depends on, mixed into *h. */
int etc_key(uint64_t *h, struct cloche_err *err);

/* Puts all of the list into the root below stage, where /etc, /var/lib and /var/cache are. */
int etc_build(const char *stage, struct cloche_err *err);

#endif
