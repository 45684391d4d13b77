/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_METER_RIG_H
#define CLOCHE_TESTS_METER_RIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/process.h"
#include "meter/meter.h"
#include "meter/usage.h"

/*
 * What the meter's tests share: a meter of their own name, a cgroup2 leaf, where wanted a CPU quota
 * on whichever hierarchy has the controller, and children that are born in the leaf.
 */
struct rig {
	struct meter meter;
	struct meter_context ctx;
	int leaf; /* directory of the cgroup2 leaf */
	char leaf_path[160];
	char cpu_path[160]; /* v1 only: the quota's directory; "" on v2 or without a quota */
	uint64_t id;
	const char *name; /* of the pins */
	int mine;	  /* a socket whose name says that the slot is taken */
};

/* The name of the tests' pins; CLOCHE has another one. */
#define RIG_NAME "cloche-meter-test"

/* In a slot that no other test has. quota_us: of 20 ms, 0 for none. Ends the test when it cannot.
 */
void rig_open(struct rig *r, unsigned quota_us);
/* With pins that no other test has: their programs may be taken off. name: static. */
void rig_open_alone(struct rig *r, const char *name);
void rig_close(struct rig *r);

struct child {
	struct process process;
	int to;	  /* write: wakes the child's rig_wait */
	int from; /* read: what the child's rig_tell wrote */
};

/* A child in the leaf that runs fn and exits with what it returns. */
struct child rig_spawn(struct rig *r, int (*fn)(void *arg), void *arg);

/* For the child: sleep until the test calls rig_go; hand it a value. */
void rig_wait(void);
void rig_tell(uint64_t value);
void rig_go(struct child *c);
uint64_t rig_hear(struct child *c);

/* Waits for the end; returns the wait status and, where wanted, user+system time in ns. */
int rig_reap(struct child *c, uint64_t *ret_rusage_ns);

/* Returns when all threads of the child sleep and have left their CPUs. */
void rig_await_sleep(struct child *c);

void rig_begin(struct rig *r, bool at_exec, bool trace);
struct meter_usage rig_end(struct rig *r);
/* The same when the last process was reaped: that can be before it has left its CPU for good. */
struct meter_usage rig_end_last(struct rig *r);

/* A number after a key in a file of the leaf ("cpu.stat", "usage_usec"), or of the quota's. */
uint64_t rig_stat(struct rig *r, const char *file, const char *key);

/* Time on CPU in ns since the process or thread began. */
uint64_t rig_process_ns(void);
uint64_t rig_thread_ns(void);
/* Burns until the thread's clock shows so much more. */
void rig_burn(uint64_t ns);

#endif
