/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_METER_METER_H
#define CLOCHE_METER_METER_H

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;
struct meter_usage;
struct meter_slot;

/*
 * The BPF programs as seen from user space. Their life: loaded, attached and pinned once under
 * /sys/fs/bpf/NAME-HASH (HASH: of program and version), then found there by every later process,
 * which loads nothing; a process of another build loads its own beside them and removes what no
 * living process holds. The life of a slot:
 *
 *   meter_open → meter_arm → [ birth of the first process ] → meter_begin → … → meter_end
 *                                                              (again for each invocation)
 *              → meter_disarm → meter_close
 *
 * The caller owns its slot number exclusively (the launcher's lock on it is that proof). Arming
 * resets whatever a killed predecessor left. Processes must be *born* in the cgroup after arming:
 * one that moves there later is not seen.
 *
 * Cost: meter_open of a loaded meter some ten system calls, arm four, begin and end two each; no
 * allocation. Not thread-safe for one context; different contexts share nothing.
 */
struct meter {
	int dir;
	int slots;
	int ctl;
	int by_cgroup;
	int rings;
	int timers;
	char path[128];
};

#define METER_INIT                                                                            \
	{                                                                                     \
		.dir = -1, .slots = -1, .ctl = -1, .by_cgroup = -1, .rings = -1, .timers = -1 \
	}

#define METER_NAME "cloche"

/* Finds the pinned meter or loads it. name: METER_NAME, or another one for tests. Needs CAP_BPF,
 * CAP_PERFMON and CAP_NET_ADMIN. On failure nothing is open and nothing half-made is left. */
int meter_open(struct meter *m, const char *name, struct cloche_err *err);
void meter_close(struct meter *m);

/* Counts network bytes, and shows a trace the addresses, of everything below this cgroup2
 * directory; one system call when that is done already. */
int meter_watch_network(struct meter *m, int cgroup_fd, struct cloche_err *err);

/* Looks at system calls, of the whole host, for as long as somebody holds the descriptor that this
 * returns; every call of every process then costs more. events.h does it for each trace; whoever
 * knows of several to come holds it meanwhile, since going on right after off waits (RCU, 10 ms).
 */
int meter_trace_on(const struct meter *m, struct cloche_err *err);
void meter_trace_off(const struct meter *m, int *lock);

/* Takes off what somebody who was killed has left on. When there is nothing, this costs one call.
 */
void meter_trace_sweep(const struct meter *m);

/* Detaches and removes every version of that name that no process holds. */
int meter_remove(const char *name, struct cloche_err *err);

/* One armed slot. */
struct meter_context {
	const struct meter *meter;
	uint64_t gen;
	uint64_t cgroup_id;
	uint32_t slot;
	uint32_t epoch;
	uint32_t flags;
	uint64_t epoch_ns;
	uint64_t begin_ns;
	uint64_t begin[88]; /* a struct meter_slot, which this header does not know */
};

/* cgroup_id: the inode number of the cgroup2 directory. */
int meter_arm(struct meter_context *c, const struct meter *m, uint32_t slot, uint64_t cgroup_id,
	      struct cloche_err *err);

/* The beginning of an invocation: now, or, with at_exec, when the next exec in the context has its
 * new image in place. trace: events go to the slot's ring buffer (events.h), which is there. */
int meter_begin(struct meter_context *c, bool at_exec, bool trace, struct cloche_err *err);

/* The end: now, or when the last process ended. Threads may still be running; what they do from
 * now on is not in *ret. May be called again for a later end of the same invocation. */
int meter_end(struct meter_context *c, struct meter_usage *ret, struct cloche_err *err);

/*
 * Between two invocations of processes that stay, when none of them can run: the end of the one and
 * the beginning of the next at the same instant, so that no time is in neither. What ended the
 * first, or was the beginning of it, is still the main process's. The next is not traced.
 */
int meter_next(struct meter_context *c, struct meter_usage *ret, struct cloche_err *err);

/* Behind meter_next(), before any of them goes on: as meter_begin()'s trace, until the next end. */
int meter_trace(struct meter_context *c, struct cloche_err *err);

/* Whether none of them is on a CPU or waits for one. */
bool meter_at_rest(const struct meter_context *c);

/* By the map of slots alone (struct meter), for another process than who armed the slot: 1, and
 * when an exec in it was the beginning of an invocation last; 0: none was since it was armed;
 * -errno, -ENODATA where it is not armed. */
int meter_began(int slots, uint32_t slot, int64_t *ret_ns);

/* So, too: the CPU time that was used since then, ns. */
int meter_used(int slots, uint32_t slot, uint64_t *ret_ns);

/* So, too: of what began then, the number of the first question to the listener of its policy; 0:
 * it has none. */
int meter_asked_from(int slots, uint32_t slot, uint64_t *ret);

int meter_disarm(struct meter_context *c, struct cloche_err *err);

#endif
