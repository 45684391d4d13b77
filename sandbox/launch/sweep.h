/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_SWEEP_H
#define CLOCHE_LAUNCH_SWEEP_H

struct cloche_err;

/*
 * Takes away what a dead owner left of slot n: the cgroups of its name, wherever below the parent
 * they are, with all that is in them; processes die. For slot_take(); hierarchy is a struct
 * hierarchy, the parent's.
 */
int sweep_slot(unsigned n, void *hierarchy, struct cloche_err *err);

#endif
