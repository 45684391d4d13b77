/* SPDX-License-Identifier: MIT */
/*
 * The launch of a host that has never run a context: the hierarchies are looked for, the policy is
 * compiled, the root template built and pinned. All that is kept of these in the run directory is
 * removed before each run; the contexts of other runs do not need it. What cannot be removed while
 * others run is the parent cgroup, and with it the device filter: attaching that is not covered.
 *
 * One test at a time: a second one would remove what the first one's run has just made.
 */
#include "tests/lib/faults.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <glob.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

static void forget(void)
{
	static const char *const kept[] = { "/run/cloche/hierarchies", "/run/cloche/policies/*",
					    "/run/cloche/ns/root-*" };

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		glob_t found = { 0 };

		(void)glob(kept[i], 0, NULL, &found);
		for (size_t k = 0; k < found.gl_pathc; k++) {
			(void)umount2(found.gl_pathv[k], MNT_DETACH);
			(void)unlink(found.gl_pathv[k]);
		}
		globfree(&found);
	}
}

static const char *const options[] = { NULL };
static const struct fault_plan cold = { options, forget };

Test(fault_cold, failed_and_killed)
{
	/* A list that ends in an error must not pass for a short one. They are so few of so many
	 * calls that the samples come by them now and then only. */
	fail_each_of(&cold, SYS_getdents64, ENOMEM);
	fail_each(&cold, ENOMEM);
	kill_each(&cold, "the supervisor");
}
