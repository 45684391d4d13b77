/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_FAULTS_H
#define CLOCHE_TESTS_LIB_FAULTS_H

/*
 * Makes the system calls of a launch fail, one in each run, or kills one of its processes at one of
 * them, and looks at what becomes of it.
 *
 * Which calls there are is taken from a trace of a run that goes well, so that a call that is added
 * to the launch is failed here without a change of this file. Every call of the supervisor, of pid
 * 1 and of the function process counts, from the first line of main() to the end, but those that
 * cannot fail by their manual pages. Where a traced run takes so long that all of them would not
 * fit into BUDGET_MS (an emulated machine, a busy one), a sample in even steps is taken, and a note
 * tells how many of how many it were; FAULT_ALL=1 takes them all, FAULT_SHOW=1 prints what came of
 * each.
 *
 * What may come of a failed call, and nothing else:
 *  - the run is refused: status 125 (126 or 127 when it was the exec), one line on standard error
 *    that names what failed, nothing on standard output;
 *  - the run goes on as if nothing had been: status and output are those of an unharmed run, and
 *    the output is the fingerprint of all walls, so that none was left out in silence;
 *  - after the command has been started, its status may also be told together with a complaint.
 * A supervisor that is killed leaves no process, and what else it leaves goes with the next run; a
 * pid 1 or a function process that is killed during the launch ends the run as a failed call does.
 * In each case all processes end, and the slot, its cgroups, the mounts and the run directory are
 * as before. Only where the failed call was one of the cleanup itself may something stay; then the
 * next run removes it.
 */
struct fault_plan {
	const char *const *options; /* of cloche run, NULL-terminated */
	void (*prepare)(void);	    /* before each run, or NULL */
};

/* Each call fails with this error number, one a run. */
void fail_each(const struct fault_plan *plan, int code);

/* Each call of one kind (SYS_...). */
void fail_each_of(const struct fault_plan *plan, long nr, int code);

/* The process dies at each of its calls, once a run: "the supervisor", "pid 1", "the function". */
void kill_each(const struct fault_plan *plan, const char *name);

#endif
