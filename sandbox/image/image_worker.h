/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_IMAGE_IMAGE_WORKER_H
#define CLOCHE_IMAGE_IMAGE_WORKER_H

struct cloche_err;

/* What those have in common who fill a tree with the host's tools. */

/* Of this process, that works in dir: nothing is left of its caller's that would change what is
 * built. */
int image_worker_environment(const char *dir, struct cloche_err *err);

/* With all that is in it, but for what is mounted there. */
void image_worker_remove(const char *path);

#endif
