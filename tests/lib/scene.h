/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_SCENE_H
#define CLOCHE_TESTS_LIB_SCENE_H

#include "launch/launcher.h"
#include "launch/spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A context in which a shell script runs, its streams /dev/null if not said otherwise, and nobody
 * but the test drives it. What does not succeed fails the test. Life cycle: scene_ask → (what else
 * its spec shall have) → scene_begin → scene_hear_end → scene_finish
 */
struct scene {
	char *argv[4];
	struct launcher launcher;
	struct spec spec;
	struct context ctx;
	struct warden_msg started, ended;
	int out, err; /* its streams 1 and 2, borrowed; -1: /dev/null */
};

/* It must stay where it is: the spec points into it. script: borrowed. */
void scene_ask(struct scene *s, const char *script, int64_t timeout_ns);

/* To the word that it runs. */
void scene_begin(struct scene *s, const struct context_options *how);

void scene_hear_end(struct scene *s);
void scene_finish(struct scene *s);

/* What a process has open. */
#define OPEN_FDS_MAX 256

struct open_fds {
	int fd[OPEN_FDS_MAX];
	size_t n;
};

/* pid 0: this one. False: it is gone. */
bool open_fds_of(pid_t pid, struct open_fds *ret);

/* How many of them are listeners of seccomp filters. */
size_t open_fds_listeners(pid_t pid);

#endif
