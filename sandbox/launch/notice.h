/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_NOTICE_H
#define CLOCHE_LAUNCH_NOTICE_H

#include <stdint.h>

/*
 * By a pipe that all wardens of one launcher write to: that a process is frozen and is to be
 * counted, where the driver wishes the launcher to hear that at once (WARDEN_NOTICE). Without it
 * the driver would wake for no more than to pass it on.
 *
 * A notice is written as a whole (pipe(7), PIPE_BUF), and one at most is there of each context.
 * serial: of which of the contexts that had the slot; what an earlier one said counts for nothing.
 */
struct notice {
	uint32_t slot;
	uint32_t serial;
};

#endif
