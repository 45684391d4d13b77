/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_PROOF_H
#define CLOCHE_LAUNCH_PROOF_H

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;
struct plan;

/* The first thing that kept a context from being clean. */
enum residue {
	RESIDUE_NONE,
	RESIDUE_PROCESS,
	RESIDUE_TMP,
	RESIDUE_SHM,
	RESIDUE_SYSV,
	RESIDUE_MQUEUE,
	RESIDUE_KEYRING,
	RESIDUE_NETWORK,
	RESIDUE_SOCKET,
	RESIDUE_PIDS,
	RESIDUE_THREAD,
	RESIDUE_ATTRIBUTES,
	RESIDUE_KILLED,	 /* the launcher killed what ran: the warden is not asked */
	RESIDUE_UNKNOWN, /* the proof itself failed: counts as dirty */
};

const char *residue_text(enum residue residue);

/*
 * In the warden, when a function process has ended: nothing is left of it that the next one could
 * find. What would go on counting where it stopped begins anew: process numbers, the namespaces of
 * IPC objects and (with a loopback) of the network, the session keyring. What it had mounted is
 * taken away; new mounts and cgroups come with WARDEN_RENEW, but for the kept ones (cgroup_keep).
 * When this is not RESIDUE_NONE, the context is of no more use.
 */
enum residue proof_make(struct plan *plan, uint32_t kept);

/* What of that is there and should not be: IPC objects, keys, Unix sockets; and, where they are
 * asked about, files and TCP connections. */
enum residue proof_look(struct plan *plan, bool files, bool connections);

/* An empty session keyring for all that is forked here. A kernel without keyrings has nothing to
 * keep out. */
int proof_fresh_keyring(struct cloche_err *err);

#endif
