/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_IMAGE_IMAGE_CELL_H
#define CLOCHE_IMAGE_IMAGE_CELL_H

#include <stddef.h>

struct cloche_err;

/*
 * Where somebody else's archive is unpacked. Unlike what is in host/confined.h, who does that makes
 * files; like that, it has nothing that is worth taking over:
 *
 *  - the folder that it is in is its root: no file, socket or /proc of the host is below it
 *  - of all descriptors it keeps those that it is given and standard error, which takes progress
 *  - neither network nor System V memory of the host, no core
 *  - a user number that nothing on the host has, no groups, and of the capabilities that of reading
 *    whatever it has open, since layouts may be readable by their owner alone
 *  - no new privileges, and a filter (seccomp(2)): it computes, allocates, and opens, makes and
 *    removes files, directories and links. It dies of all else, SIGSYS.
 *
 * Whoever is given to it as a descriptor of a directory must lead nowhere by "..".
 */

/* For root in a mount namespace of its own, in that folder, with one thread. There is no way back
 * out, also not after an error. */
int image_cell_enter(const int keep[], size_t n, struct cloche_err *err);

/* The last step of it alone. */
int image_cell_filter(struct cloche_err *err);

/* The other steps that whoever packs the tree takes as well: nobody, of all capabilities those of
 * the mask (bits below 32). */
int image_be_nobody(unsigned capabilities, struct cloche_err *err);

#endif
