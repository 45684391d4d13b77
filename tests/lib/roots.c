/* SPDX-License-Identifier: MIT */
/* Roots of a test's own: see roots.h. */
#include "tests/lib/roots.h"

#include "base/fd.h"
#include "tests/lib/run.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/stat.h>

char *path_in(const char *dir, const char *name)
{
	char *path = NULL;

	cr_assert(asprintf(&path, "%s/%s", dir, name) > 0);
	return path;
}

char *root_make(const char *dir, const char *name, const char *helper)
{
	static const char *const dirs[] = { "", "/dev", "/proc", "/sys", "/tmp", "/bin" };
	char *root = path_in(dir, name);
	cleanup_free char *from = env_helper(helper), *bin = path_in(root, "bin");
	cleanup_run struct run run = { 0 };

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		cleanup_free char *path = NULL;

		cr_assert(asprintf(&path, "%s%s", root, dirs[i]) > 0 && mkdir(path, 0755) == 0);
	}
	RUN(&run, "cp", from, bin);
	cr_assert_eq(run.status, 0, "%s", run.err);
	return root;
}
