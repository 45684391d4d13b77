/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_THROWAWAY_H
#define CLOCHE_TESTS_LIB_THROWAWAY_H

/* Ends the test as failed where the kernel's command line does not say that this machine may be
 * harmed (vm-images/machine.sh): for what takes its memory or changes its settings. */
void only_in_a_guest(void);

#endif
