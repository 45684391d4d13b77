/* SPDX-License-Identifier: MIT */
/* Proves that a zygote is alone, and makes new what its forks have used: see zygote.h. */
#include "launch/zygote.h"

#include "base/err.h"
#include "base/file.h"
#include "launch/plan.h"
#include "launch/rootfs.h"
#include "launch/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the Runtime API: who listens, and both ends of the zygote's connection to it. */
#define API_CONNECTIONS 3

/* Threads, or processes, whichever the file lists: no other than this one. */
static bool is_alone(const struct plan *p, const char *file, pid_t pid)
{
	char text[32], want[32];

	(void)snprintf(want, sizeof(want), "%d", (int)pid);
	return file_read_text(p->cgroup.v2, file, text, sizeof(text), NULL) == 0 &&
	       strcmp(text, want) == 0;
}

static enum residue look_at_tasks(const struct plan *p, pid_t pid)
{
	if (is_alone(p, "cgroup.threads", pid))
		return RESIDUE_NONE;
	return is_alone(p, "cgroup.procs", pid) ? RESIDUE_THREAD : RESIDUE_PROCESS;
}

static enum residue look_at_attributes(struct zygote *z, pid_t pid)
{
	struct attributes_seen now;

	if (attributes_read(pid, &now) < 0)
		return RESIDUE_UNKNOWN;
	if (!z->known)
		z->seen = now;
	z->known = true;
	return memcmp(&now, &z->seen, sizeof(now)) == 0 ? RESIDUE_NONE : RESIDUE_ATTRIBUTES;
}

/* Its fork's number is the one behind its own, each time. */
static enum residue begin_anew(struct plan *p, pid_t pid)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	if (file_write_text(p->at.proc, "sys/kernel/ns_last_pid", text, NULL) < 0)
		return RESIDUE_PIDS;
	return rootfs_retire(&p->rootfs, 0, &p->at) < 0 ||
			       rootfs_renew(&p->rootfs, &p->at, NULL) < 0
		       ? RESIDUE_UNKNOWN
		       : RESIDUE_NONE;
}

enum residue zygote_prove(struct zygote *z, struct plan *plan, pid_t pid)
{
	enum residue residue = look_at_tasks(plan, pid);

	if (residue == RESIDUE_NONE)
		residue = proof_look(plan, false, plan->spec->api ? API_CONNECTIONS : 0);
	if (residue == RESIDUE_NONE)
		residue = look_at_attributes(z, pid);
	return residue == RESIDUE_NONE ? begin_anew(plan, pid) : residue;
}
