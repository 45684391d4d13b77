/* SPDX-License-Identifier: MIT */
/* Machines that may be harmed: see throwaway.h. */
#include "tests/lib/throwaway.h"

#include "base/fd.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

void only_in_a_guest(void)
{
	cleanup_file FILE *f = fopen("/proc/cmdline", "re");
	char line[2048] = "";

	cr_assert(f && fgets(line, sizeof(line), f) && strstr(line, " cloche.throwaway"),
		  "this may harm the machine: 'make check-vm' runs it in a guest");
}
