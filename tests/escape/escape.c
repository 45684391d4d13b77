/* SPDX-License-Identifier: MIT */
/*
 * Attacks from inside a context, one test for each promise. Needs root. What could be refused by
 * the seccomp policy alone is tried a second time under a policy that refuses nothing, so that the
 * wall behind it is tested too; and where it is harmless the same attack is first made on the host,
 * where it must work: a test that cannot break out of nothing proves nothing.
 */
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/leftovers.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const char allow_all[] =
	"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_X86_64\"]}";

/* The attack inside, under the default policy or none; what it printed. */
static void attack(struct run *run, bool filtered, const char *name, const char *arg)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *policy = NULL, *bind = NULL;
	cleanup_file FILE *f = NULL;

	cr_assert(asprintf(&policy, "%s/allow.json", dir) > 0 &&
		  asprintf(&bind, "%s:/opt", env_need("HELPERS")) > 0);
	f = fopen(policy, "we");
	cr_assert(f && fputs(allow_all, f) >= 0 && fflush(f) == 0);
	RUN_CLOCHE(run, "-q", "-b", bind, "--policy", filtered ? "default" : policy, "/opt/escape",
		   name, arg);
	cr_assert_eq(run->status, 0, "%s %s: status %d: %s", name, arg, run->status, run->err);
}

static void attack_outside(struct run *run, const char *name, const char *arg)
{
	cleanup_free char *helper = env_helper("escape");

	RUN(run, helper, name, arg);
	cr_assert_eq(run->status, 0, "%s %s on the host: %s", name, arg, run->err);
}

static void expect_works_outside(const char *name, const char *arg)
{
	cleanup_run struct run run = { 0 };

	attack_outside(&run, name, arg);
	cr_expect(strncmp(run.out, "got: ", 5) == 0, "%s %s is no attack: %s", name, arg, run.out);
}

static void expect_works_inside(const char *name, const char *arg)
{
	cleanup_run struct run run = { 0 };

	attack(&run, true, name, arg);
	cr_expect(strncmp(run.out, "got: ", 5) == 0, "%s %s: %s", name, arg, run.out);
}

static void expect_refused(const char *name, const char *arg)
{
	for (int filtered = 0; filtered < 2; filtered++) {
		cleanup_run struct run run = { 0 };

		attack(&run, filtered, name, arg);
		cr_expect(strncmp(run.out, "refused: ", 9) == 0, "%s %s %s a policy: %s", name, arg,
			  filtered ? "under" : "without", run.out);
	}
}

static void expect_said(const char *name, const char *arg, const char *said)
{
	for (int filtered = 0; filtered < 2; filtered++) {
		cleanup_run struct run run = { 0 };

		attack(&run, filtered, name, arg);
		cr_expect_str_eq(run.out, said, "%s %s: %s", name, arg, run.out);
	}
}

/* A process of the host that waits until it is killed. */
static pid_t victim_start(char pid[static 16])
{
	pid_t victim = fork();

	cr_assert_geq(victim, 0);
	if (victim == 0)
		for (;;)
			(void)pause();
	(void)snprintf(pid, 16, "%d", (int)victim);
	return victim;
}

static bool victim_end(pid_t victim)
{
	int status;
	bool lived = waitpid(victim, &status, WNOHANG) == 0;

	if (lived) {
		(void)kill(victim, SIGKILL);
		(void)waitpid(victim, &status, 0);
	}
	return lived;
}

/* ---- the file system ---- */

Test(escape_files, the_old_root)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *path = NULL;
	int fd;

	cr_assert(asprintf(&path, "%s/of-the-host", dir) > 0);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	cr_assert(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0);
	cr_assert_eq(chmod(dir, 0755), 0);
	for (size_t i = 0; i < 3; i++) {
		const char *const ways[] = { "climb", "chroot", "proc-root" };

		expect_works_outside(ways[i], path);
		expect_refused(ways[i], path);
	}
}

Test(escape_files, host_mounts)
{
	cleanup_run struct run host = { 0 }, in = { 0 };
	unsigned shared = 0;

	RUN(&host, "cat", "/proc/self/mountinfo");
	RUN_CLOCHE(&in, "-q", "--", "cat", "/proc/self/mountinfo");
	cr_assert(host.out_len > 0 && in.out_len > 0);
	/* The same mount id would be the same mount, not a copy. */
	for (char *line = strtok(host.out, "\n"); line; line = strtok(NULL, "\n")) {
		char key[32];

		(void)snprintf(key, sizeof(key), "\n%.*s ", (int)strcspn(line, " "), line);
		shared += strstr(in.out, key) != NULL;
	}
	cr_expect_eq(shared, 0, "%u mounts of the host are there", shared);
	cr_expect_null(strstr(in.out, "shared:"), "mounts propagate: %s", in.out);
	cr_expect_null(strstr(in.out, "master:"), "mounts propagate: %s", in.out);
}

Test(escape_files, mounting)
{
	cleanup_free char *helper = env_helper("escape");
	cleanup_run struct run run = { 0 };

	RUN(&run, "unshare", "-m", helper, "mount");
	cr_expect_str_eq(run.out, "got: a mount on /tmp\n");
	expect_refused("mount", "");
	expect_refused("umount", "/proc/sys");
	expect_refused("umount", "/proc/kallsyms");
}

Test(escape_files, writing_outside_tmp)
{
	static const char *const paths[] = { "/usr/bin/x", "/x",     "/etc/x",	"/dev/x", "/opt/x",
					     "/proc/x",	   "/sys/x", "/root/x", "/run/x" };

	expect_works_inside("create", "/tmp/x");
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		expect_refused("create", paths[i]);
}

Test(escape_files, kernel_settings)
{
	expect_works_outside("write", "/proc/sys/kernel/core_pattern");
	expect_refused("write", "/proc/sys/kernel/core_pattern");
	expect_refused("write", "/proc/sys/kernel/hostname");
	expect_refused("write", "/proc/sys/vm/drop_caches");
	expect_refused("write", "/proc/sysrq-trigger");
}

Test(escape_files, kernel_memory)
{
	expect_works_inside("read", "/proc/self/status");
	expect_works_outside("read", "/proc/kallsyms");
	expect_refused("read", "/proc/kcore");
	expect_refused("read", "/proc/kallsyms");
	expect_refused("read", "/proc/keys");
	expect_refused("read", "/dev/mem");
	expect_refused("read", "/dev/kmsg");
	expect_refused("read", "/sys/kernel/btf/vmlinux");
}

Test(escape_files, raw_devices)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *path = NULL;
	cleanup_run struct run run = { 0 };

	cr_assert(asprintf(&path, "%s/node", dir) > 0);
	expect_works_outside("mknod", path);
	expect_refused("mknod", "/tmp/node");
	RUN_CLOCHE(&run, "-q", "--", "sh", "-c",
		   "find /dev /etc /opt /run /srv /sys /var -type b -o -type c | sort");
	cr_expect_str_eq(
		run.out,
		"/dev/full\n/dev/null\n/dev/pts/ptmx\n/dev/random\n/dev/tty\n/dev/urandom\n"
		"/dev/zero\n");
}

/* CVE-2019-5736: a launcher whose own file the function can write. */
Test(escape_files, the_launchers_executable)
{
	expect_works_inside("read", "/proc/self/exe");
	expect_refused("write", "/proc/self/exe");
	expect_refused("read", "/proc/1/exe");
	expect_refused("write", "/proc/1/exe");
}

Test(escape_files, cgroups)
{
	static const char *const files[] = {
		"/sys/fs/cgroup/memory/memory.limit_in_bytes",
		"/sys/fs/cgroup/memory/tasks",
		"/sys/fs/cgroup/memory/release_agent",
		"/sys/fs/cgroup/pids/pids.max",
		"/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
		"/sys/fs/cgroup/memory.max",
		"/sys/fs/cgroup/cgroup.procs",
		"/sys/fs/cgroup/pids.max",
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		expect_refused("write", files[i]);
	expect_refused("mkdir", "/sys/fs/cgroup/x");
	expect_refused("mkdir", "/sys/fs/cgroup/memory/x");
	expect_refused("mkdir", "/sys/fs/cgroup/pids/x");
}

/* ---- identity ---- */

Test(escape_identity, an_unprivileged_user)
{
	expect_said("ids", "", "uids 1000 1000 1000, gid 1000, 0 groups\n");
	expect_refused("setuid", "");
}

Test(escape_identity, no_capability)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "-q", "--", "grep", "-c", "-E",
		   "^(Cap(Inh|Prm|Eff|Bnd|Amb):\t0000000000000000|NoNewPrivs:\t1|Seccomp:\t2)$",
		   "/proc/self/status");
	cr_expect_str_eq(run.out, "7\n");
}

/* Two contexts at once: the second one starts and ends while the first one waits. */
Test(escape_identity, host_uids_are_their_own)
{
	static const char script[] =
		"mkfifo gate && $CLOCHE run -q -- sh -c 'cat /proc/self/uid_map; cat' <gate | {\n"
		"	exec 4>gate; read -r a\n"
		"	$CLOCHE run -q -- cat /proc/self/uid_map 4>&-\n"
		"	echo \"$a\"; exec 4>&-\n"
		"}\n";
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	cleanup_free char *line = NULL;
	unsigned in[2], host[2], n[2];

	cr_assert(asprintf(&line, "cd '%s' && %s", dir, script) > 0);
	RUN(&run, "sh", "-c", line);
	cr_assert_eq(sscanf(run.out, "%u %u %u %u %u %u", &in[0], &host[0], &n[0], &in[1], &host[1],
			    &n[1]),
		     6, "%s%s", run.out, run.err);
	for (int i = 0; i < 2; i++) {
		cr_expect_eq(in[i], 1000);
		cr_expect_eq(n[i], 1);
		cr_expect_geq(host[i], 1900000000U);
	}
	cr_expect_neq(host[0], host[1]);
}

Test(escape_identity, setuid_binaries)
{
	cleanup_free char *helper = env_helper("escape"), *copy = NULL, *bind = NULL;
	/* Not under $TMPDIR: the way there is closed to the user that the proof is made as. */
	char dir[] = "/tmp/cloche-suid-XXXXXX";
	cleanup_run struct run run = { 0 };

	cr_assert(mkdtemp(dir) && chmod(dir, 0755) == 0);
	cr_assert(asprintf(&copy, "%s/suid", dir) > 0 && asprintf(&bind, "%s:/mnt", dir) > 0);
	RUN(&run, "cp", helper, copy);
	cr_assert(run.status == 0 && chown(copy, 0, 0) == 0 && chmod(copy, 04755) == 0);
	run_free(&run);
	RUN(&run, helper, "as-nobody", copy);
	cr_expect_str_eq(run.out, "euid 0\n", "%s is not effective outside: %s", copy, run.err);
	run_free(&run);
	RUN_CLOCHE(&run, "-q", "-b", bind, "/mnt/suid", "euid");
	cr_expect_str_eq(run.out, "euid 1000\n", "%s", run.err);
	(void)unlink(copy);
	(void)rmdir(dir);
}

Test(escape_identity, namespaces)
{
	cleanup_run struct run run = { 0 };

	expect_works_outside("userns", "");
	expect_works_outside("setns", "");
	/* Without a policy a further user namespace may be made, in which nobody else is mapped:
	 * it is the policy that keeps the kernel's corners behind it out of reach. */
	attack(&run, true, "userns", "");
	cr_expect_str_eq(run.out, "refused: EPERM\n");
	expect_refused("setns", "");
}

/* ---- other processes ---- */

Test(escape_processes, host_pids)
{
	cleanup_run struct run run = { 0 };

	attack_outside(&run, "pids", "");
	cr_expect_str_neq(run.out, "0 others\n");
	expect_said("pids", "", "0 others\n");
}

Test(escape_processes, tracing)
{
	char pid[16];
	pid_t victim = victim_start(pid);

	expect_works_outside("ptrace", pid);
	expect_works_outside("memory", pid);
	expect_refused("ptrace", pid);
	expect_refused("memory", pid);
	expect_refused("ptrace", "1");
	expect_refused("memory", "1");
	cr_expect(victim_end(victim));
}

Test(escape_processes, killing)
{
	char pid[16];
	pid_t victim = victim_start(pid);

	expect_refused("kill", pid);
	cr_expect(victim_end(victim), "the process of the host is dead");
	victim = victim_start(pid);
	expect_works_outside("kill", pid);
	(void)waitpid(victim, NULL, 0);
	/* Pid 1 of the context; then everyone in sight. The run ends as if nothing had been. */
	expect_refused("kill", "1");
	expect_refused("kill-all", "");
}

/* ---- what a host shares ---- */

Test(escape_shared, abstract_sockets)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cleanup_free char *bind_helpers = NULL;
	cleanup_run struct run run = { 0 };
	char name[64];

	(void)snprintf(name, sizeof(name), "cloche-escape-%d", (int)getpid());
	memcpy(at.sun_path + 1, name, strlen(name));
	cr_assert_eq(bind(fd, (struct sockaddr *)&at,
			  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))),
		     0);
	cr_assert_eq(listen(fd, 8), 0);
	expect_works_outside("abstract", name);
	expect_refused("abstract", name);
	cr_assert(asprintf(&bind_helpers, "%s:/opt", env_need("HELPERS")) > 0);
	RUN_CLOCHE(&run, "-q", "--net", "loopback", "-b", bind_helpers, "/opt/escape", "abstract",
		   name);
	cr_expect_str_eq(run.out, "refused: ECONNREFUSED\n");
}

Test(escape_shared, network_interfaces)
{
	expect_said("interfaces", "", "1 lo, 0 others\n");
}

/* CVE-2024-21626: a descriptor that was open in the launcher. */
Test(escape_shared, inherited_fds)
{
	cleanup_run struct run run = { 0 };

	/* Far from the numbers that the test's own frame uses. */
	cr_assert_eq(dup2(STDERR_FILENO, 107), 107);
	attack_outside(&run, "fds", "");
	cr_expect(strstr(run.out, "fd 107") != NULL, "%s", run.out);
	expect_said("fds", "", "none\n");
	(void)close(107);
}

Test(escape_shared, keyrings)
{
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0)
		test_skip("this kernel has no keyrings");
	cr_assert_geq(syscall(SYS_add_key, "user", "cloche-escape", "secret", 6,
			      KEY_SPEC_SESSION_KEYRING),
		      0);
	expect_works_outside("keyring", "cloche-escape");
	expect_refused("keyring", "cloche-escape");
}

Test(escape_shared, ipc_objects)
{
	char key[16];
	int id;

	(void)snprintf(key, sizeof(key), "%d", (int)getpid());
	id = shmget(getpid(), 4096, IPC_CREAT | IPC_EXCL | 0666);
	cr_assert_geq(id, 0);
	expect_works_outside("sysv", key);
	expect_refused("sysv", key);
	(void)shmctl(id, IPC_RMID, NULL);
}

Test(escape_shared, host_name)
{
	expect_refused("hostname", "taken");
}

/* ---- bombs ---- */

static void expect_bomb(const char *name, const char *timeout, int status, const char *verdict)
{
	cleanup_free char *bind_helpers = NULL, *after = NULL, *before = NULL;
	cleanup_run struct run run = { 0 };
	size_t was = leftover_cgroups(&before);
	char mark[64];

	(void)snprintf(mark, sizeof(mark), "CLOCHE_TEST_MARK=%d", (int)getpid());
	cr_assert(asprintf(&bind_helpers, "%s:/opt", env_need("HELPERS")) > 0);
	RUN_CLOCHE(&run, "-m", "32M", "-t", timeout, "--cpu", "shared", "-e", mark, "-b",
		   bind_helpers, "/opt/escape", name);
	cr_expect(run.status == status, "%s: status %d: %s%s", name, run.status, run.out, run.err);
	cr_expect_str_eq(report_text(&run, "verdict"), verdict);
	cr_expect_eq(leftover_processes(mark), 0, "%s: a process survived", name);
	cr_expect_leq(leftover_cgroups(&after), was, "%s is left", after);
}

Test(escape_bombs, descriptors)
{
	expect_bomb("fd-bomb", "500ms", 124, "timeout");
}

Test(escape_bombs, memory_of_no_process)
{
	expect_bomb("memfd-bomb", "20s", 137, "oom");
}
