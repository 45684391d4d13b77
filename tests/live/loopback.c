/* SPDX-License-Identifier: MIT */
/* With --net loopback a function has a network of its own as in a container, and no other; with
 * --net none it has nothing of it. */
#include "launch/asked_sockets.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOPBACK "/opt/loopback"

static const char all_there[] = "tcp port 80: ok\ntcp6 port 80: ok\nudp port 80: ok\n"
				"udp6 port 80: ok\nping 127.0.0.1: ok\nping ::1: ok\n"
				"getifaddrs: ok\naddresses: 4 6\nif_nameindex: ok\n"
				"interface: lo\n";

/* A profile in a file of the directory; to be freed. */
static char *profile_make(const char *dir, const char *text)
{
	char *path;
	FILE *f;

	cr_assert(asprintf(&path, "%s/p.json", dir) > 0);
	f = fopen(path, "we");
	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s", path);
	return path;
}

Test(loopback, ports_pings_and_interfaces)
{
	cleanup_run struct run run = { 0 };

	test_needs("seccomp-listener");
	RUN_INSIDE(&run, "-q", "--net", "loopback", LOOPBACK, "all");
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, all_there);
	cr_expect_eq(json_array_size(report_get(&run, "denied")), 0);
	cr_expect_eq(report_int(&run, "denied_overtaken"), 0);
}

Test(loopback, under_a_profile_that_allows_all)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char *policy = profile_make(dir, "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}");

	test_needs("seccomp-listener");
	RUN_INSIDE(&run, "-q", "--net", "loopback", "--policy", policy, LOOPBACK, "all");
	cr_expect_str_eq(run.out, all_there);
	free(policy);
}

/* What the profile refuses stays refused, and is named. */
Test(loopback, not_against_the_profile)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char *policy = profile_make(
		dir, "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"socket\"],"
		     "\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":13,\"args\":[{\"index\":0,"
		     "\"value\":16,\"op\":\"SCMP_CMP_EQ\"}]}]}");

	RUN_INSIDE(&run, "-q", "--net", "loopback", "--policy", policy, LOOPBACK, "hold",
		   "netlink");
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "0 EACCES\nnetlink: EACCES\ntcp: ok\n");
	free(policy);
}

Test(loopback, none_of_it_without_a_network)
{
	cleanup_run struct run run = { 0 };

	RUN_INSIDE(&run, "-q", "--net", "none", LOOPBACK, "all");
	expect_end(&run, 0, "ok");
	cr_expect_null(strstr(run.out, ": ok"), "%s", run.out);
	cr_expect_null(strstr(run.out, "interface"), "%s", run.out);
}

static uint64_t host_number(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned long n = 0;

	cr_assert(f && fscanf(f, "%lu", &n) == 1 && fclose(f) == 0);
	return n;
}

/* So few, whatever their kind; and all others are there still. */
Test(loopback, few_at_a_time_of_what_is_nobodys_memory)
{
	static const char *const kinds[] = { "netlink", "ping", "ping6" };
	uint64_t usual = host_number("/proc/sys/net/core/rmem_default");
	uint64_t most = 2 * host_number("/proc/sys/net/core/rmem_max");
	char want[64];

	test_needs("seccomp-listener");
	(void)snprintf(want, sizeof(want), "%llu EMFILE\nnetlink: EMFILE\ntcp: ok\n",
		       (unsigned long long)asked_most(512 << 20, most > usual ? most : usual));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		cleanup_run struct run run = { 0 };

		RUN_INSIDE(&run, "-q", "-m", "512M", "--net", "loopback", LOOPBACK, "hold",
			   kinds[i]);
		expect_end(&run, 0, "ok");
		cr_expect_str_eq(run.out, want, "%s: %s", kinds[i], run.out);
		cr_expect_eq(json_array_size(report_get(&run, "denied")), 0);
	}
}

Test(loopback, what_is_closed_is_there_again)
{
	cleanup_run struct run run = { 0 };

	test_needs("seccomp-listener");
	RUN_INSIDE(&run, "-q", "--net", "loopback", LOOPBACK, "again", "500");
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "");
}

/* The next one in the same context finds a network that nobody has used. */
Test(loopback, in_a_context_that_is_used_again)
{
	cleanup_run struct run run = { 0 };

	test_needs("seccomp-listener");
	RUN_INSIDE(&run, "-q", "-m", "512M", "--net", "loopback", "--repeat", "3", LOOPBACK, "hold",
		   "netlink");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_eq(run.out_len % 3, 0, "%s", run.out);
	cr_expect(memcmp(run.out, run.out + run.out_len / 3, run.out_len / 3) == 0 &&
			  memcmp(run.out, run.out + 2 * run.out_len / 3, run.out_len / 3) == 0,
		  "%s", run.out);
}

/* They were made in its place; there is nothing that a trace would not know. */
Test(loopback, a_trace_is_complete)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char trace[300];

	(void)snprintf(trace, sizeof(trace), "%s/t.jsonl", dir);
	RUN_INSIDE(&run, "-q", "-m", "512M", "--net", "loopback", "--trace", trace, LOOPBACK,
		   "hold", "netlink");
	expect_end(&run, 0, "ok");
	cr_expect(json_is_true(report_get(&run, "trace.complete")));
}

/* Where nobody listens there are none; the rest is as ever. */
Test(loopback, without_a_listener)
{
	cleanup_run struct run run = { .without = "seccomp-listener" };

	RUN_INSIDE(&run, "-q", "--net", "loopback", LOOPBACK, "hold", "netlink");
	expect_end(&run, 0, "ok");
	cr_expect_str_eq(run.out, "0 EAFNOSUPPORT\nnetlink: EAFNOSUPPORT\ntcp: ok\n");
}

Test(loopback, what_others_ping_with)
{
	cleanup_run struct run run = { 0 };

	if (access("/usr/bin/ping", X_OK) < 0)
		test_skip("needs /usr/bin/ping");
	test_needs("seccomp-listener");
	RUN_CLOCHE(&run, "-q", "--net", "loopback", "--", "ping", "-q", "-c", "1", "::1");
	expect_end(&run, 0, "ok");
	expect_has(run.out, "1 packets transmitted, 1 received");
	cr_expect_str_eq(run.err, "");
}
