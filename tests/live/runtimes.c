/* SPDX-License-Identifier: MIT */
/*
 * What runtimes size their heaps, threads and pools by is what the context has: first the files
 * that they read, then those that are here.
 */
#include "tests/lib/env.h"
#include "tests/lib/run.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CPUS_HAVE 2 /* of which half is asked for */

/* nproc(1) asks for the affinity; what C libraries count is in the file. */
Test(runtimes, cpus_are_as_many_by_every_count)
{
	static const char *const cpus[] = { "0.3", "1", "1.5" };
	long host = sysconf(_SC_NPROCESSORS_ONLN);

	for (size_t i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++) {
		cleanup_run struct run run = { 0 };
		long want = i < 2 || host < CPUS_HAVE ? 1 : 2;
		char text[32];

		RUN_CLOCHE(&run, "-q", "--cpu", cpus[i], "--", "sh", "-c",
			   "nproc; getconf _NPROCESSORS_ONLN; cat /sys/devices/system/cpu/online");
		expect_end(&run, 0, "ok");
		(void)snprintf(text, sizeof(text), "%ld\n%ld\n%s\n", want, want,
			       want == 1 ? "0" : "0-1");
		cr_expect_str_eq(run.out, text, "--cpu %s: %s", cpus[i], run.out);
	}
}

/* In an image or a directory, too, and the next time. */
Test(runtimes, cpus_in_a_context_that_is_used_again)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "-q", "--cpu", "0.5", "--repeat", "2", "--", "cat",
		   "/sys/devices/system/cpu/online");
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect_str_eq(run.out, "0\n0\n");
}

/*
 * A Java finds its limits only where each of these has a mount, and its own cgroup is that mount's
 * root; on cgroup2 there is one.
 */
Test(runtimes, every_hierarchy_that_is_looked_for_is_there)
{
	static const char script[] =
		"if [ -e /sys/fs/cgroup/memory.max ]; then cat /sys/fs/cgroup/memory.max; exit; "
		"fi\n"
		"for c in memory cpu cpuacct cpuset; do\n"
		"grep -qE \"^[0-9]+ [0-9]+ [0-9:]+ / /sys/fs/cgroup/[a-z]+ ro,.* - cgroup "
		"[a-z]+ (rw|ro),(.*,)?$c(,|\\$)\" /proc/self/mountinfo || echo \"no mount of $c\"\n"
		"grep -qE \"^[0-9]+:(.*,)?$c(,.*)?:/\\$\" /proc/self/cgroup || echo \"no own $c\"\n"
		"done\n"
		"cat /sys/fs/cgroup/memory/memory.limit_in_bytes\n";
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "-q", "-m", "64M", "--cpu", "1", "--", "sh", "-c", script);
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "67108864\n");
}

/* Nothing of them is of anybody else, and none can be written to. */
Test(runtimes, what_is_shown_is_its_own)
{
	static const char script[] =
		"cd /sys/fs/cgroup; for d in . */; do [ -d $d ] || continue\n"
		"[ -z \"$(find $d -mindepth 1 -type d 2>/dev/null | grep -v '^\\./')\" ] || "
		"echo \"$d has others\"\n"
		"for f in $d/cgroup.procs $d/tasks $d/cpuset.cpus; do\n"
		"[ ! -e $f ] || ! (echo 1 >$f) 2>/dev/null || echo \"$f written\"; done; done";
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "-q", "--cpu", "1", "--", "sh", "-c", script);
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "");
}

/* ---- those that are here ---- */

Test(runtimes, java)
{
	cleanup_run struct run run = { 0 };
	const char *at;

	if (access("/usr/bin/java", X_OK) < 0) {
		/* It is large: not of what the tests need. */
		(void)fprintf(stderr, "\nnote: no java here: its heap was not looked at\n");
		return;
	}
	RUN_CLOCHE(&run, "-q", "-m", "256M", "--cpu", "1", "--", "java", "-XX:+PrintFlagsFinal",
		   "-version");
	expect_end(&run, 0, "ok");
	at = strstr(run.out, " MaxHeapSize ");
	cr_assert_not_null(at);
	at = strchr(at, '=');
	cr_expect_leq(strtol(at + 1, NULL, 10), 256 << 20, "%.60s", at);
}

Test(runtimes, python)
{
	cleanup_run struct run run = { 0 };

	if (access("/usr/bin/python3", X_OK) < 0)
		test_skip("needs /usr/bin/python3");
	RUN_CLOCHE(&run, "-q", "--cpu", "1", "--", "/usr/bin/python3", "-c",
		   "import os; print(os.cpu_count(), len(os.sched_getaffinity(0)))");
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "1 1\n");
}
