/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_CHILD_H
#define CLOCHE_LAUNCH_CHILD_H

struct plan;

/* The function process, from its birth to exec: walks the table of steps in child.c. Does not
 * return; on failure plan->shared->err names the step. */
void child_main(const struct plan *plan) __attribute__((noreturn));

#endif
