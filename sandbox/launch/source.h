/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_SOURCE_H
#define CLOCHE_LAUNCH_SOURCE_H

#include <stdbool.h>
#include <sys/types.h>

struct bind_spec;
struct cloche_err;
struct rights;
struct spec;

/*
 * What a bind shows: with whose rights it is opened, and whose files in it the function's user has
 * for its own.
 *
 * A bind's files belong to whoever owns its source: that one user's files are the function's
 * inside, as an idmapped mount; all others' are nobody's, who has their "other" bits. Where root
 * acts for somebody else (spec->caller: sudo), both are that user's: what they could not reach is
 * refused, and the function is never more than they are. A tree with files of several owners shows
 * one of them their own.
 *
 * Root's own files are mapped to the function, too, when root names them; but not where the system
 * keeps its secrets among what everybody reads, below /etc, /boot and /var/backups and of /var and
 * its like as a whole: there a bind has what everybody may read. spec->bind_private lifts that.
 */
struct source {
	int fd; /* O_PATH; owned */
	bool is_dir;
	bool mapped; /* by: */
	uid_t uid;
	gid_t gid;
};

/* On failure *err has the field, the path and, where there is one, the mend. */
int source_open_bind(const struct spec *spec, const struct bind_spec *bind, struct source *ret,
		     struct cloche_err *err);

/* The same in two halves, where who asks has no rights and gives what it has opened (given.h):
 * first with its own, what it may not reach being refused... */
int source_open_own(const struct bind_spec *bind, struct source *ret, struct cloche_err *err);

/* ... then, for that owner, source->fd, which anybody may have opened, as what is to be at place:
 * completes *source. Allocates nothing. */
int source_judge_given(const struct rights *owner, const char *field, const char *place, bool rw,
		       struct source *source, struct cloche_err *err);

/* A root of one's own: nothing of it is mapped. */
int source_open_root(const struct spec *spec, const char *dir, struct source *ret,
		     struct cloche_err *err);

#endif
