/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_METER_USAGE_H
#define CLOCHE_METER_USAGE_H

#include <stdbool.h>
#include <stdint.h>

struct meter_slot;

/*
 * What one invocation used, from two snapshots of its slot. Pure: no system calls.
 * wall_ns = busy_ns + quota_ns + contention_ns + idle_ns, exactly; waiting = quota + contention.
 */
struct meter_usage {
	bool complete; /* no thread went unseen */
	bool began;    /* false: asked to begin at exec, and none came; counted from meter_begin */
	bool ended;    /* the last process ended by itself, and that is end_ns */
	uint64_t begin_ns; /* CLOCK_MONOTONIC */
	uint64_t end_ns;
	uint64_t wall_ns;
	uint64_t busy_ns;
	uint64_t waiting_ns;
	uint64_t quota_ns;
	uint64_t contention_ns;
	uint64_t idle_ns;
	uint64_t on_cpu_ns; /* as the kernel's CPU clocks have it, but exact at the edges */
	int64_t stolen_ns;  /* held a CPU that a hypervisor or an interrupt had; in busy_ns */
	uint64_t runnable_ns;
	uint64_t switches_voluntary;
	uint64_t switches_forced;
	uint64_t started;
	uint64_t peak;
	uint64_t faults;
	uint64_t faults_minor;
	uint64_t faults_major;
	uint64_t read_bytes;
	uint64_t write_bytes;
	uint64_t oom_kills;
	bool main_oom;	  /* the OOM killer ended the process whose exec was the beginning */
	bool main_policy; /* its policy killed that one */
	uint64_t rx_bytes;
	uint64_t tx_bytes;
	uint64_t lo_bytes;
	uint64_t rss_peak_bytes;
	bool memory_known;	    /* the next two are there */
	uint64_t memory_peak_bytes; /* without what can be dropped */
	uint64_t cache_peak_bytes;  /* what could be dropped, at its most */
	uint64_t events;
	uint64_t lost;
	uint32_t killed_arch; /* of the call that the policy answered with SIGSYS; 0: none */
	uint32_t killed_call;
	bool killed_foreign; /* ... which is of a table that no policy lets pass: i386's or x32's */
	uint64_t killed_args[6];
	uint64_t policy_kills; /* such calls; the one above is the last */
	bool listened;	       /* its policy has a listener; the next is known */
	uint64_t asked;	 /* questions to it, until the last end of a process or signal to one */
	uint64_t missed; /* calls of which the kernel, or a filter of the function's own, hid one
			    side: only with a trace */
	uint64_t unseen; /* switches to a thread that the kernel hid, made up from its CPU clock */
};

/* Moves a copy of a slot forward to at_ns, as its next event would; returns the date, which is the
 * slot's own last event when that is later. */
uint64_t usage_settle(struct meter_slot *s, uint64_t at_ns);

/* Takes out time in which nobody could run, and so was asleep: none of the invocation's. Of what
 * was not asleep nothing goes. */
void usage_take_out(struct meter_usage *u, uint64_t frozen_ns);

/*
 * begin: settled at begin_ns. end: settled at end_ns. epoch: of the invocation. at_exec: it was to
 * begin at an exec; end then holds the snapshot of that moment.
 */
void usage_between(const struct meter_slot *begin, uint64_t begin_ns, const struct meter_slot *end,
		   uint64_t end_ns, uint32_t epoch, bool at_exec, uint64_t page_bytes,
		   struct meter_usage *ret);

#endif
