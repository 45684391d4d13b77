/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_CODE_H
#define CLOCHE_LAUNCH_CODE_H

#include <sys/types.h>

struct cloche_err;
struct spec;

/*
 * The code of a deployed function and its layers: read-only trees that are mounted on the host
 * already, once for all contexts, of which a context has mounts of its own at CODE_TASK and
 * CODE_LAYERS. Several layers are one tree by overlayfs, the last on top. Their files are root's
 * there; here they are the function's as far as the file system can (of several layers it cannot),
 * so that it may read what its owner alone might.
 */
#define CODE_TASK   "var/task"
#define CODE_LAYERS "opt"

struct code {
	int task, layers; /* detached mounts; -1: none */
};

#define CODE_NONE ((struct code){ .task = -1, .layers = -1 })

/* In the launcher, for the function of that uid. On failure nothing is open. */
int code_prepare(int run_fd, const struct spec *spec, uid_t uid, struct code *ret,
		 struct cloche_err *err);
void code_close(struct code *code);

#endif
