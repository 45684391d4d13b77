/* SPDX-License-Identifier: MIT */
/*
 * What an owner may have through the daemon: limits in its configuration that are cgroups around
 * all of his contexts, refusals that name what is full, waiting that ends, who may connect at all,
 * and a configuration that is read anew.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "tests/lib/daemon.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#define OTHER "1001"

/* However slow the machine is. */
#define LITTLE_CPU "--cpu", "shared", "-t", "60s"
#define LITTLE	   LITTLE_CPU, "-m", "16M"

static void start(struct daemon *d, const char *lines)
{
	daemon_prepare(d);
	daemon_reconfigure(d, lines);
	daemon_start(d);
}

static void end(struct client *c)
{
	cr_assert_eq(kill(c->pid, SIGINT), 0);
	cr_expect_eq(process_status(c->pid), 130);
	client_expect_over(c);
}

/* ---- cgroups --------------------------------------------------------------------------------- */

static bool file_has(const char *path, const char *text)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	char buf[8192];
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	return n > 0 && memmem(buf, (size_t)n, text, strlen(text));
}

/* 0: none is seen, as its environment is not to be read while it executes the next program. */
static int find_function(const struct daemon *d)
{
	glob_t found = { 0 };
	char path[64];
	int pid = 0;

	(void)glob("/proc/[0-9]*", GLOB_ONLYDIR, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc && !pid; i++) {
		(void)snprintf(path, sizeof(path), "%s/comm", found.gl_pathv[i]);
		/* On its way from one to the other. */
		if (!file_has(path, "sleep\n") && !file_has(path, "sh\n"))
			continue;
		(void)snprintf(path, sizeof(path), "%s/environ", found.gl_pathv[i]);
		if (file_has(path, d->mark))
			pid = atoi(found.gl_pathv[i] + strlen("/proc/"));
	}
	globfree(&found);
	return pid;
}

/* The function process of client_begin(), which is there, by what it was given to know it by. */
static int function_of(const struct daemon *d)
{
	int pid;

	while ((pid = find_function(d)) == 0)
		(void)usleep(1000);
	return pid;
}

/* The folder of the cgroup one above the function's, of that controller. *ret_v1: on v1. */
static void group_of(int pid, const char *controller, char ret[static 512], bool *ret_v1)
{
	char path[64], line[300], at[256], names[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	f = fopen(path, "re");
	cr_assert(f != NULL, "%s: %m", path);
	ret[0] = '\0';
	*ret_v1 = false;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*d:%63[^:]:%255s", names, at) == 2 &&
		    strcmp(names, controller) == 0) {
			*ret_v1 = true;
			(void)snprintf(ret, 512, "/sys/fs/cgroup/%s%s", controller, at);
			break;
		}
		if (sscanf(line, "0::%255s", at) == 1)
			(void)snprintf(
				ret, 512, "/sys/fs/cgroup%s%s",
				access("/sys/fs/cgroup/unified", F_OK) == 0 ? "/unified" : "", at);
	}
	(void)fclose(f);
	*strrchr(ret, '/') = '\0';
}

static void expect_figure(int pid, const char *controller, const char *v1_file, const char *v1,
			  const char *v2_file, const char *v2)
{
	char dir[512], path[600];
	bool on_v1;

	group_of(pid, controller, dir, &on_v1);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, on_v1 ? v1_file : v2_file);
	cr_expect(file_has(path, on_v1 ? v1 : v2), "%s is not %s", path, on_v1 ? v1 : v2);
}

/* 96 MiB, an eighth and 16 MiB. */
#define MEMORY "130023424\n"

Test(owners, limits_are_cgroups_around_all_contexts_of_one)
{
	struct daemon d;
	struct client a, b;
	char dir[512], again[512];
	bool v1;
	int pid;

	start(&d, "per_owner: {memory: 200M}\nvcpus: 1\n"
		  "owners: [{user: " DAEMON_USER ", memory: 96M, vcpus: 0.5, pids: 128}]\n");
	a = client_begin_args(&d, (const char *const[]){ "-m", "40M", "--cpu", "shared", "-t",
							 "300s", "-e", d.mark, "--", "sh", "-c",
							 "echo begun; exec sleep 300", NULL });
	pid = function_of(&d);
	expect_figure(pid, "memory", "memory.limit_in_bytes", MEMORY, "memory.max", MEMORY);
	expect_figure(pid, "pids", "pids.max", "128\n", "pids.max", "128\n");
	expect_figure(pid, "cpu", "cpu.cfs_quota_us", "10000\n", "cpu.max", "10000 20000\n");
	group_of(pid, "memory", dir, &v1);
	end(&a);
	/* His last context takes it away; the daemon lives on. */
	b = client_begin(&d);
	group_of(function_of(&d), "memory", again, &v1);
	cr_expect(strcmp(dir, again) == 0 || access(dir, F_OK) < 0, "%s", dir);
	end(&b);
	daemon_stop(&d);
}

/* Neither one's others nor anybody else's end for what his hogs take. */
Test(owners, hogs_harm_nobody_but_themselves)
{
	const char *const hog[] = { "-q",  "-m", "16M",	 "--cpu",     "shared", "-t",
				    "60s", "--", "tail", "/dev/zero", NULL };
	const char *const keeper[] = {
		LITTLE_CPU,
		"-m",
		"64M",
		"--",
		"sh",
		"-c",
		"head -c 30M /dev/zero >/tmp/kept; echo begun; exec sleep 50",
		NULL
	};
	struct client hogs[3], same, other;
	cleanup_run struct run run = { 0 };
	struct daemon d;

	start(&d, "memory: 256M\nper_owner: {memory: 112M}\n");
	same = client_begin_args(&d, keeper);
	d.user = OTHER;
	other = client_begin(&d);
	d.user = DAEMON_USER;
	for (int i = 0; i < 3; i++)
		hogs[i] = client_start(&d, hog);
	for (int i = 0; i < 3; i++) {
		cr_expect_eq(process_status(hogs[i].pid), 137, "%d", i);
		client_expect_over(&hogs[i]);
	}
	daemon_expect_records(&d, " oom ", 3);
	d.user = OTHER;
	AS_USER(&d, &run, "-q", LITTLE_CPU, "-m", "32M", "--", "sh", "-c",
		"head -c 16M /dev/zero | tail -c 16M | wc -c");
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect_str_eq(run.out, "16777216\n");
	end(&same);
	end(&other);
	daemon_stop(&d);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static const struct {
	const char *conf, *says;
	const char *args[4];
} full[] = {
	{ "per_owner: {memory: 100M}\n",
	  "memory: 64M in use of the 100M that user 1000 may have",
	  { "-m", "64M" } },
	{ "per_owner: {contexts: 1}\n",
	  "contexts: 1 in use of the 1 that user 1000 may have",
	  { "-m", "64M" } },
	{ "per_owner: {pids: 100}\n",
	  "processes: 64 in use of the 100 that user 1000 may have",
	  { "-m", "64M" } },
	{ "per_owner: {vcpus: 0.5}\n",
	  "vCPUs: 1.00 asked for, and user 1000 may have 0.50",
	  { "-m", "64M", "--cpu", "1" } },
	{ "memory: 100M\n", "memory: of the 100M that all may have", { "-m", "64M" } },
	{ "contexts: 1\n", "contexts: of the 1 that all may have", { "-m", "64M" } },
	{ "running: 1\n",
	  "running: there are functions in 1 contexts, and at a time there may be no more (limit "
	  "'running'); try again",
	  { "-m", "64M" } },
};

Test(owners, what_is_full_is_refused_by_name_at_once)
{
	for (size_t i = 0; i < sizeof(full) / sizeof(full[0]); i++) {
		cleanup_run struct run run = { 0 };
		const char *args[DAEMON_ARGS_MAX] = { 0 };
		struct client c;
		struct daemon d;
		size_t n = 0;

		start(&d, full[i].conf);
		c = client_begin(&d);
		while (n < 4 && full[i].args[n]) {
			args[n] = full[i].args[n];
			n++;
		}
		args[n] = "true";
		daemon_run_as_user(&d, &run, args);
		cr_expect_eq(run.status, 125, "%zu: %d", i, run.status);
		expect_has(run.err, full[i].says);
		run_free(&run);
		if (strncmp(full[i].conf, "per_owner", 9) == 0) {
			d.user = OTHER;
			AS_USER(&d, &run, LITTLE, "true");
			cr_expect_eq(run.status, 0, "%zu: %s", i, run.err);
		}
		end(&c);
		daemon_stop(&d);
	}
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* Of two that come while there is no place one waits, whoever was the first. */
Test(owners, one_waits_and_the_next_is_refused)
{
	const char *const args[] = { "-q", LITTLE, "--", "echo", "ran", NULL };
	struct client holder, two[2];
	struct daemon d;
	int status, refused, waits;
	pid_t first;

	start(&d, "wait: 60s\nper_owner: {contexts: 1, waiting: 1}\n");
	holder = client_begin(&d);
	two[0] = client_start(&d, args);
	two[1] = client_start(&d, args);
	do
		first = waitpid(-1, &status, 0);
	while (first != two[0].pid && first != two[1].pid);
	refused = first == two[1].pid;
	waits = !refused;
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 125, "%x", (unsigned)status);
	expect_line(two[refused].err, "1 requests of user 1000 wait already (limit "
				      "'per_owner.waiting')");
	end(&holder);
	expect_line(two[waits].out, "ran");
	cr_expect_eq(process_status(two[waits].pid), 0);
	for (int i = 0; i < 2; i++) {
		(void)fclose(two[i].out);
		(void)fclose(two[i].err);
	}
	daemon_stop(&d);
}

Test(owners, waiting_ends)
{
	cleanup_run struct run run = { 0 };
	struct client holder, waits;
	struct daemon d;

	start(&d, "wait: 50ms\nper_owner: {contexts: 1, waiting: 4}\n");
	holder = client_begin(&d);
	AS_USER(&d, &run, LITTLE, "true");
	cr_expect_eq(run.status, 125);
	expect_has(run.err, "limit 'per_owner.contexts'");
	end(&holder);
	run_free(&run);
	/* With the daemon, too. */
	daemon_reconfigure(&d, "wait: 60s\nper_owner: {contexts: 1, waiting: 4}\n");
	cr_assert_eq(kill(d.pid, SIGHUP), 0);
	expect_line(d.said, "the configuration is read anew");
	holder = client_begin(&d);
	waits = client_start(&d, (const char *const[]){ LITTLE, "true", NULL });
	cr_assert_eq(kill(d.pid, SIGTERM), 0);
	cr_expect_eq(process_status(d.pid), 0);
	cr_expect_eq(process_status(waits.pid), 125);
	cr_expect_eq(process_status(holder.pid), 143);
	client_expect_over(&holder);
	client_expect_over(&waits);
	(void)fclose(d.said);
	daemon_expect_nothing(&d);
	tmpdir_free(&d.dir);
}

/* ---- who may connect ------------------------------------------------------------------------- */

Test(owners, who_may_not_connect_is_told_so)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;

	start(&d, "allow: {users: [" OTHER "], groups: [50]}\n");
	AS_USER(&d, &run, LITTLE, "true");
	cr_expect_eq(run.status, 125);
	expect_has(run.err, "user 1000 may not use the daemon ('allow' in its configuration)");
	run_free(&run);
	d.groups = "--groups=7,50,60";
	AS_USER(&d, &run, LITTLE, "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	d.groups = "--groups=7,60";
	AS_USER(&d, &run, LITTLE, "true");
	cr_expect_eq(run.status, 125);
	run_free(&run);
	d.user = OTHER;
	AS_USER(&d, &run, LITTLE, "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	/* One's own group, too. */
	d.user = "50";
	AS_USER(&d, &run, LITTLE, "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	d.user = DAEMON_USER;
	daemon_expect_records(&d, " ok ", 3);
	daemon_stop(&d);
}

Test(owners, a_socket_has_its_mode)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;

	start(&d, "control_mode: 0600\n");
	AS_USER(&d, &run, LITTLE, "true");
	cr_expect_eq(run.status, 125);
	daemon_stop(&d);
}

/* ---- read anew ------------------------------------------------------------------------------- */

Test(owners, the_configuration_is_read_anew_whole_or_not_at_all)
{
	cleanup_run struct run run = { 0 };
	struct client a, b;
	struct daemon d;
	char says[700];
	int pid;

	start(&d, "contexts: 64\nper_owner: {contexts: 1, memory: 100M, vcpus: 0.5}\n");
	a = client_begin(&d);
	pid = function_of(&d);
	AS_USER(&d, &run, LITTLE, "true");
	cr_expect_eq(run.status, 125);
	run_free(&run);

	daemon_reconfigure(&d,
			   "per_owner: {contexts: 2}\nowners:\n  - {user: no-such-user-here}\n");
	cr_assert_eq(kill(d.pid, SIGHUP), 0);
	(void)snprintf(
		says, sizeof(says),
		"the configuration stays as it was: configuration '%s': line 6: owners/0/user",
		d.conf);
	expect_line(d.said, says);
	AS_USER(&d, &run, LITTLE, "true");
	cr_expect_eq(run.status, 125);
	run_free(&run);

	/* What runs goes on, and is among what counts. */
	daemon_reconfigure(&d,
			   "contexts: 100\nstate: /elsewhere\nper_owner: {contexts: 2, memory: 96M,"
			   " vcpus: 0.5, pids: 200}\n");
	cr_assert_eq(kill(d.pid, SIGHUP), 0);
	expect_line(d.said, "the configuration stays as it was");
	daemon_reconfigure(&d, "contexts: 100\nper_owner: {contexts: 2, memory: 96M, vcpus: 1,"
			       " pids: 200}\n");
	cr_assert_eq(kill(d.pid, SIGHUP), 0);
	expect_line(d.said, "contexts: 100 count from the next start on; now there may be 64");
	expect_line(d.said, "the configuration is read anew");
	expect_figure(pid, "memory", "memory.limit_in_bytes", MEMORY, "memory.max", MEMORY);
	expect_figure(pid, "pids", "pids.max", "200\n", "pids.max", "200\n");
	expect_figure(pid, "cpu", "cpu.cfs_quota_us", "20000\n", "cpu.max", "20000 20000\n");
	AS_USER(&d, &run, LITTLE_CPU, "-m", "33M", "true");
	cr_expect_eq(run.status, 125);
	expect_has(run.err, "memory: 64M in use of the 96M");
	b = client_begin_args(&d, (const char *const[]){ LITTLE_CPU, "-m", "32M", "--", "sh", "-c",
							 "echo begun; exit 1", NULL });
	cr_expect_eq(process_status(b.pid), 1);
	client_expect_over(&b);
	end(&a);
	daemon_stop(&d);
}

/* ---- records --------------------------------------------------------------------------------- */

static void expect_run(const struct daemon *d, const char *uid, int status)
{
	cleanup_run struct run run = { 0 };

	daemon_run_as(d, uid, &run, (const char *const[]){ "-q", LITTLE, "--", "true", NULL });
	cr_expect_eq(run.status, status, "%s: %d %s", uid, run.status, run.err);
	if (status == 125)
		expect_has(run.err, "records: in the daemon's ledger user " DAEMON_USER
				    " has used the 3 that his invocations may have in a day "
				    "(limit 'per_owner.records'); the next in ");
}

/* The ledger's disk is everybody's. */
Test(owners, so_many_records_in_a_day)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;

	start(&d, "per_owner: {records: 3}\nowners:\n  - {user: " OTHER ", records: 0}\n");
	for (int i = 0; i < 2; i++)
		expect_run(&d, DAEMON_USER, 0);
	/* Also on one connection: the third is the last. */
	AS_USER(&d, &run, "-q", LITTLE, "--repeat", "3", "--", "true");
	cr_expect_eq(run.status, 125, "%d %s", run.status, run.err);
	expect_run(&d, DAEMON_USER, 125);
	for (int i = 0; i < 5; i++)
		expect_run(&d, OTHER, 0);
	daemon_expect_records(&d, "  ok  ", 3 + 5);
	/* Another limit counts from then on. */
	daemon_reconfigure(&d, "per_owner: {records: 100}\n");
	cr_assert_eq(kill(d.pid, SIGHUP), 0);
	expect_line(d.said, "the configuration is read anew");
	expect_run(&d, DAEMON_USER, 0);
	daemon_stop(&d);
}
