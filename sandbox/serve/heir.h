/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_HEIR_H
#define CLOCHE_SERVE_HEIR_H

#include <sys/types.h>

struct cloche_err;

/*
 * The front's directory, when the front becomes another user: the system user "cloche" may be made,
 * or go, while there is a state already. What the user before had in it is the new one's then;
 * nobody else's is touched, and no link is followed, as that user may have fallen. home is changed
 * last: whoever is killed before has the next start go through it once more. -errno.
 */
int heir_take(int home, uid_t uid, gid_t gid, struct cloche_err *err);

#endif
