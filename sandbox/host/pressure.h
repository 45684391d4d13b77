/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_HOST_PRESSURE_H
#define CLOCHE_HOST_PRESSURE_H

/*
 * Whether the host is short of memory, as the kernel tells it (PSI, accounting/psi.rst): somebody
 * had to wait for memory for 150 ms of a second. A descriptor for poll(2), POLLPRI each time, at
 * most once a second; nothing wakes meanwhile. -1: this kernel does not tell, or not us.
 */
int pressure_watch(void);

#endif
