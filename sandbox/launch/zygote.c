/* SPDX-License-Identifier: MIT */
/* Proves that a zygote is alone, and makes new what its forks have used: see zygote.h. */
#include "launch/zygote.h"

#include "base/err.h"
#include "base/file.h"
#include "launch/plan.h"
#include "launch/rootfs.h"
#include "launch/spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of the Runtime API: who listens, and both ends of the zygote's connection to it. */
#define API_CONNECTIONS 3
#define TCP_LOOKS	20
#define TCP_LOOK_NS	100000

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

/*
 * The TCP sockets of the network namespace that somebody could meet, counted by the kernel: those
 * in its tables, and ports that wait (TIME_WAIT). To list them it would walk those of the whole
 * host, most of a millisecond.
 */
static int count_tcp(const struct plan *p)
{
	char text[512];
	const char *at;
	unsigned four, six = 0, waiting;

	if (file_read_text(p->at.proc, "net/sockstat", text, sizeof(text), NULL) < 0)
		return -EIO;
	at = strstr(text, "TCP: inuse ");
	if (!at || sscanf(at, "TCP: inuse %u orphan %*u tw %u", &four, &waiting) != 2)
		return -EIO;
	/* A kernel without the other has none. */
	if (file_read_text(p->at.proc, "net/sockstat6", text, sizeof(text), NULL) == 0) {
		at = strstr(text, "TCP6: inuse ");
		if (!at || sscanf(at, "TCP6: inuse %u", &six) != 1)
			return -EIO;
	}
	return (int)(four + six + waiting);
}

/* The end of a connection may be on its way through loopback still. */
static enum residue look_at_tcp(const struct plan *p)
{
	int most = p->spec->api ? API_CONNECTIONS : 0, n = 0;

	for (int i = 0; i < TCP_LOOKS; i++) {
		n = p->spec->net == NET_NONE ? 0 : count_tcp(p);
		if (n <= most)
			break;
		(void)nanosleep(&(struct timespec){ .tv_nsec = TCP_LOOK_NS }, NULL);
	}
	return n < 0 ? RESIDUE_UNKNOWN : n > most ? RESIDUE_NETWORK : RESIDUE_NONE;
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
static enum residue number_anew(const struct plan *p, pid_t pid)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	return file_write_text(p->at.proc, "sys/kernel/ns_last_pid", text, NULL) < 0 ? RESIDUE_PIDS
										     : RESIDUE_NONE;
}

enum residue zygote_prove(struct zygote *z, struct plan *plan, pid_t pid)
{
	enum residue residue = look_at_tasks(plan, pid);

	if (residue == RESIDUE_NONE)
		residue = look_at_tcp(plan);
	if (residue == RESIDUE_NONE)
		residue = proof_look(plan, false, false);
	if (residue == RESIDUE_NONE)
		residue = look_at_attributes(z, pid);
	return residue == RESIDUE_NONE ? number_anew(plan, pid) : residue;
}

int zygote_renew(struct plan *plan, struct cloche_err *err)
{
	int r = rootfs_retire(&plan->rootfs, 0, &plan->at);

	return r < 0 ? cloche_err_sys(err, -r, "take away what an event has used")
		     : rootfs_renew(&plan->rootfs, &plan->at, err);
}
