/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_ZYGOTE_H
#define CLOCHE_LAUNCH_ZYGOTE_H

#include "launch/attributes.h"
#include "launch/proof.h"

#include <stdbool.h>
#include <sys/types.h>

struct cloche_err;
struct plan;

/*
 * A zygote is a kept process that has loaded a function's code, and for each event makes a fork of
 * itself that handles it and ends. It asks for the next event, waits until there is something to
 * read, and does not read it: its fork does. So when it asks again it has seen no event, nor has
 * anything else that is alive, if it is alone. That is what is proved here, in the warden, each
 * time that it is frozen; what is proved by then does not rest on anything that the function says.
 *
 *	zygote   init, asks │                │ forks … reaps, asks │                │ forks …
 *	fork                │                │   reads, answers     │                │
 *	warden              │ proves, renews │                      │ proves, renews │
 *
 * That the zygote itself keeps nothing that its forks share (descriptors, mappings), that they
 * cannot write to it (ptrace(2)) and have not changed its limits (prlimit(2)) is its runtime's to
 * see to: vm-images/bootstraps. A runtime that finds something of the kind leaves a process beside.
 */
struct zygote {
	bool known;
	struct attributes_seen seen; /* when its init was over */
};

/*
 * It is frozen: its process is alone and has one thread; of IPC objects, keys, sockets and
 * connections there are none but its own to the Runtime API; nobody has changed its scheduling; and
 * process numbers begin behind its own. When this is not RESIDUE_NONE, it is of no more use.
 */
enum residue zygote_prove(struct zygote *z, struct plan *plan, pid_t pid);

/* Then, before it goes on: /tmp, /dev/shm and /dev/pts are made new, whatever is in them; and its
 * cgroups, which tell what was used before, are shown no more. -errno: it is of no more use. */
int zygote_renew(struct plan *plan, struct cloche_err *err);

#endif
