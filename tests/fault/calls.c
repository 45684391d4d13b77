/* SPDX-License-Identifier: MIT */
/*
 * The launch of a host that has run contexts before, with every system call failing once and every
 * process dying once at each: tests/lib/faults.h says which calls, and what may come of it.
 */
#include "tests/lib/faults.h"

#include <criterion/criterion.h>
#include <errno.h>

/* As most runs are, and with what adds calls of its own. */
static const char *const plain_options[] = { NULL };
static const char *const rich_options[] = {
	"--net",	  "loopback", "--cpu-time", "10s", "-b", "/etc:/mnt",
	"--output-limit", "1M",	      "--fsize",    "1G",  NULL
};
static const struct fault_plan plain = { plain_options, NULL }, rich = { rich_options, NULL };

Test(fault, out_of_memory)
{
	fail_each(&rich, ENOMEM);
}

Test(fault, not_permitted)
{
	fail_each(&plain, EPERM);
}

Test(fault, killed_supervisor)
{
	kill_each(&rich, "the supervisor");
}

Test(fault, killed_pid_1)
{
	kill_each(&rich, "pid 1");
}

Test(fault, killed_function)
{
	kill_each(&rich, "the function");
}
