/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_LISTER_H
#define CLOCHE_SERVE_LISTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cloche_err;
struct front;
struct listing;
struct packet_fds;
struct tally;

/*
 * The front's answers to who asks what contexts there are. What the kernel counts it asks the
 * launcher, for all who ask at about the same time once.
 */
struct lister {
	struct tally *tally; /* the last one; NULL: none */
	int64_t taken_ns;
	bool asked;
};

/* True: it is fresh, and lister_make() may be called. Else it is asked for. */
bool lister_ready(struct front *f);

/* What the launcher answered. */
void lister_hear(struct front *f, struct packet_fds *fds);

/* What this user may see, the caller's to free; NULL: no memory. */
struct listing *lister_list(const struct front *f, uid_t uid);

/* The same in a memfd, the caller's. */
int lister_make(const struct front *f, uid_t uid, struct cloche_err *err);

void lister_close(struct lister *l);

#endif
