/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_GIVEN_MARK_H
#define CLOCHE_LAUNCH_GIVEN_MARK_H

#include "base/hash.h"

#include <stdbool.h>

struct given;

/*
 * By which binds are known to be the same as others were: what their sources are, and not what they
 * are called. A context that has binds keeps what was opened for it, whoever may open that now; so
 * the next invocation may have it only if its client has opened the very same, by rights that it
 * has now: of each the file system, the inode, the mount and what is set of that, and where it is
 * to be. Whatever the context has is not another's meanwhile: its mounts hold it.
 *
 * Theory of operation. The client says a mark with its request, and the front keeps contexts by it:
 * a claim, by which somebody who lies has none but contexts of his own. What counts the warden
 * computes itself, of each message of binds (given.h), and ends where two are not the same.
 */

/* Of a message and its descriptors, which is not asked anything that a file system of somebody
 * else's would have to answer but what it is (statfs). -errno. No allocation. */
int given_mark(const struct given *g, const int fds[], unsigned char ret[static HASH_LEN]);

/* The client's: with what is mounted below those sources, which comes with them, and where another
 * mount may come and go. All zeros: it cannot be told, and the context is for one invocation. */
void given_claim(const struct given *g, const int fds[], unsigned char ret[static HASH_LEN]);
bool given_is_claim(const unsigned char claim[static HASH_LEN]);

#endif
