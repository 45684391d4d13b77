/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_HOST_PROMPT_H
#define CLOCHE_HOST_PROMPT_H

#include <stdbool.h>

/*
 * On a busy host whoever wakes up waits for its turn, for milliseconds, and a launch is handed over
 * between processes several times. So the launcher and the warden go before all others
 * (SCHED_FIFO) while they launch: some two milliseconds of work. Not for what a function could pile
 * up, and nothing of the function's ever: its process is born without it.
 *
 * Best effort, without effect where the caller may not (CAP_SYS_NICE, a cpu cgroup of v1 without
 * real time) or has a limit of real time. Async-signal-safe.
 */

/* heirs: children are prompt, too. */
void prompt_try_begin(bool heirs);
void prompt_end(void);

/* For work that is seldom to be done and takes longer: whether it was prompt, heirs too, and is to
 * be so again afterwards. */
bool prompt_pause(void);

#endif
