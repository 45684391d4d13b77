/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_LEFTOVERS_H
#define CLOCHE_TESTS_LIB_LEFTOVERS_H

#include <stddef.h>

/*
 * What a run may leave behind on the host. Other runs may go on at the same time: what a living
 * one owns does not count.
 */

/* Around a SIGKILL of what has cgroups and its successor's start, which removes what was left: the
 * tests of one program that count leftovers wait so long. */
void leftovers_begin(void);
void leftovers_end(void);

/* The number of cgroups under any cloche directory whose slot nobody owns; *first, to be freed,
 * names one of them or is NULL. */
size_t leftover_cgroups(char **first);

/* What an ended run left of its slot: a cgroup, or a byte that says that it is in use. A text to be
 * freed, or NULL: nothing, or the slot has a living owner by now. */
char *leftover_of_slot(int slot);

/* What Cloche has on this host beside contexts: its mounts, and the files of its run directory. A
 * text to be freed, equal before and after whatever cleans up after itself. */
char *leftover_state(void);

/* The number of living processes that have this K=V in their environment; zombies have none. */
size_t leftover_processes(const char *pair);

#endif
