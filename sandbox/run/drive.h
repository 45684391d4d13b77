/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUN_DRIVE_H
#define CLOCHE_RUN_DRIVE_H

struct invocation;

/*
 * Drives one invocation to its end by poll(2), for a process that has nothing else to do: `cloche
 * run`, tune, learn. cancel_fd: the caller wants an end when it is readable; -1: nothing tells so.
 * While a limit of CPU time has to be kept this process goes before others and keeps off the
 * function's CPUs; its launch priority (host/prompt.h) ends with the launch.
 */
void drive_invocation(struct invocation *inv, int cancel_fd);

#endif
