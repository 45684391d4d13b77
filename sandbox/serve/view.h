/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_VIEW_H
#define CLOCHE_SERVE_VIEW_H

#include <stdbool.h>
#include <time.h>

struct cloche_err;

/*
 * What the front sees of the host: a root of its own that has its directory, writable, and
 * read-only what it looks at by name: /etc/passwd, /dev/null, of /proc the files of itself and the
 * number of this boot. Its ipc and uts namespaces are its own, too; the launcher's network is one
 * already. Another thing that the front is to see is a row of the table in view.c.
 *
 * What it was handed is open and stays so. The host's mounts it knows by one descriptor, which
 * lists them (proc(5), mountinfo) and leads nowhere.
 */
struct view {
	int mounts;		/* the host's mountinfo: to be read from its beginning each time */
	struct timespec passwd; /* when that was last changed, as it was seen */
};

/* As root, in a process of its own. *state, a directory of the host's, is closed and becomes the
 * same one in the view, which is the working directory. */
int view_enter(int *state, struct view *ret, struct cloche_err *err);

/* Whether the host's /etc/passwd is another one by now: programs that change it make a new file,
 * which a view has not. Then another front sees it. */
bool view_is_old(const struct view *view);

#endif
