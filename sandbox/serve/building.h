/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_BUILDING_H
#define CLOCHE_SERVE_BUILDING_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct cloche_err;
struct command;
struct launching;

/*
 * Images of owners, made and removed by children of the launcher (chore.h).
 *
 * Theory of operation. The launcher makes a pipe and hands one end out; what comes by it only those
 * read who have no rights (image/image_make.h, image_cell.h), in cgroups of the owner's and with
 * his limits: in memory, of which a part of what he may have is set aside as for a context. The
 * image goes to the disk, as far as his quota goes; and when it is whole, and nobody is left who
 * might have seen the archive, it becomes root's and gets its name. Nobody but the launcher's child
 * names a file. Who asked may end it at any time (LEAVE), and whoever does the work and
 * does not end then is killed when the time of grace is over; one owner makes one image at a time.
 */
#define BUILDS_MAX 16

/* The handlers of BUILD and REMOVE; of LEAVE. */
int building_on_build(struct launching *l, const struct command *c, struct cloche_err *err);
int building_on_remove(struct launching *l, const struct command *c, struct cloche_err *err);
void building_end(struct launching *l, uint64_t number);
bool building_has(const struct launching *l, uint64_t number);

/* As launching_wait() and launching_step() have it, for BUILDS_MAX of fds. */
int64_t building_wait(struct launching *l, struct pollfd *fds);
void building_step(struct launching *l);

/* There is no front any more. */
void building_drop(struct launching *l);
bool building_idle(const struct launching *l);

struct building *building_open(void);
/* When it is idle. */
struct building *building_close(struct building *b);

#endif
