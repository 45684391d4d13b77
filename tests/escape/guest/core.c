/* SPDX-License-Identifier: MIT */
/*
 * Programs of the host that a function could have started, as root: the handler of core files. Its
 * settings are the kernel's, so this is done in a guest only.
 */
#include "base/fd.h"
#include "base/file.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/throwaway.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define CRASH "kill -s SEGV $$"

static void set(const char *name, const char *text)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/sys/kernel/%s", name);
	cr_assert_eq(file_write_text(AT_FDCWD, path, text, NULL), 0, "%s", path);
}

Test(escape_core, no_crash_starts_the_hosts_handler)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *helper = env_helper("handler"), *pattern = NULL;
	cleanup_run struct run in = { 0 }, low = { 0 }, out = { 0 };
	char mark[512];

	only_in_a_guest();
	(void)tmpdir_path(mark, dir, "handled");
	cr_assert(asprintf(&pattern, "|%s %s", helper, mark) > 0);
	set("core_pattern", pattern);
	/* Who crashes waits until the handler has ended. */
	set("core_pipe_limit", "4");
	RUN_CLOCHE(&in, "-q", "--", "sh", "-c", CRASH);
	expect_end(&in, 128 + SIGSEGV, "signal");
	cr_expect_neq(access(mark, F_OK), 0, "the handler ran for the function");
	/* Also for whom the caller has forbidden core files altogether. */
	RUN(&low, "sh", "-c", "ulimit -c 0; exec $CLOCHE run -q -- sh -c '" CRASH "'");
	cr_expect_eq(low.status, 128 + SIGSEGV, "%s", low.err);
	cr_expect_neq(access(mark, F_OK), 0, "the handler ran for the function");
	/* On the host it does, also with a limit of 0. */
	RUN(&out, "sh", "-c", "ulimit -c 0; sh -c '" CRASH "'; true");
	cr_expect_eq(access(mark, F_OK), 0, "the handler is none");
	set("core_pattern", "core");
}
