/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_HASHING_H
#define CLOCHE_SERVE_HASHING_H

#include <stdbool.h>

struct front;
struct hash_job;
struct hashing;
struct visit;

/*
 * The hash of what an invocation executed (run/executed.h), which may be a file of its client's: to
 * read it takes as long as its disk, and as whoever holds its lock, and to hash it as long as it is
 * big. So a thread does it (serve/closer.h), of each user behind the others of his; who waits for
 * too long has a record without it.
 */

/* 0 or -errno. It lives as long as the process. */
int hashing_open(struct front *f, struct hashing **ret);

/* True: the outcome has it, or it has none. Else visit_hashed() is called then. */
bool hashing_begin(struct visit *v);

/* Nobody waits for it any more. */
void hashing_leave(struct hash_job **job);

#endif
