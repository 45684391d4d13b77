/* SPDX-License-Identifier: MIT */
/*
 * The function process between its birth and exec: one ordered table of steps. No malloc, stdio,
 * locks or logging; everything comes from the plan. A step that fails ends the launch: its error
 * goes to the shared page, because after the last step not even write(2) may be allowed.
 */
#include "launch/child.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/inside.h"
#include "base/quote.h"
#include "launch/attributes.h"
#include "launch/order.h"
#include "launch/plan.h"
#include "launch/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * On v1 a process that moves itself, alone, by "tasks" takes no cgroup_threadgroup_rwsem, and so
 * does not wait for an RCU grace period after idling (kernel commit 9a3284fad42f, 5.18); a write to
 * cgroup.procs does: 7 ms against 0.05 (measured). On cgroup2 it was born in its leaf.
 */
static int join_cgroups(const struct plan *p, struct cloche_err *err)
{
	for (int i = 0; i < CONTROLLER_N; i++)
		if (p->cgroup.tasks[i] >= 0 && write(p->cgroup.tasks[i], "0", 1) != 1)
			return cloche_err_sys(err, errno, "join the %s cgroup",
					      controller_names[i]);
	return 0;
}

static int own_cgroup_namespace(const struct plan *p, struct cloche_err *err)
{
	return unshare(CLONE_NEWCGROUP) < 0 ? cloche_err_sys(err, errno, "make a cgroup namespace")
					    : 0;
}

/* It protects nothing: the quota is what holds. Where it is as it should be, which is so but where
 * clone3 into a cgroup with a cpuset of its own has given it that one's, nothing is moved. */
static int try_see_to_affinity(const struct plan *p, struct cloche_err *err)
{
	cpu_set_t now;

	if (sched_getaffinity(0, sizeof(now), &now) == 0 && CPU_EQUAL(&now, &p->affinity))
		return 0;
	if (sched_setaffinity(0, sizeof(p->affinity), &p->affinity) < 0)
		p->shared->lacks |= LACK_AFFINITY;
	return 0;
}

static int become_user(const struct plan *p, struct cloche_err *err)
{
	/* Capabilities survive the change of uid until the user namespace takes them away: hosts
	 * that refuse user namespaces to the unprivileged do not refuse this one. */
	if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) < 0)
		return cloche_err_sys(err, errno, "securebits");
	if (syscall(SYS_setgroups, 0, NULL) < 0 ||
	    syscall(SYS_setresgid, p->uid, p->uid, p->uid) < 0 ||
	    syscall(SYS_setresuid, p->uid, p->uid, p->uid) < 0)
		return cloche_err_sys(err, errno, "become uid %u", p->uid);
	return 0;
}

/* One user mapped: inside 1000, on the host the slot's. Its own map may be written by itself. */
static int own_user_namespace(const struct plan *p, struct cloche_err *err)
{
	int r;

	if (unshare(CLONE_NEWUSER) < 0)
		return cloche_err_sys(err, errno, "make a user namespace");
	/* Not dumpable after the change of uid: /proc/self would be root's. */
	(void)prctl(PR_SET_DUMPABLE, 1);
	r = file_write_text(p->at.proc, "self/setgroups", "deny", err);
	if (r == 0)
		r = file_write_text(p->at.proc, "self/gid_map", p->id_map, err);
	if (r == 0)
		r = file_write_text(p->at.proc, "self/uid_map", p->id_map, err);
	if (r == 0 && prctl(PR_SET_DUMPABLE, 0) < 0)
		r = cloche_err_sys(err, errno, "become undumpable");
	return r;
}

static int drop_capabilities(const struct plan *p, struct cloche_err *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };
	int cap = 0;

	while (prctl(PR_CAPBSET_DROP, cap) == 0)
		cap++;
	/* EINVAL: there is no such capability, so the one before was the last. */
	if (errno != EINVAL)
		return cloche_err_sys(err, errno, "drop capability %d", cap);
	/* All but that of PR_SET_KEEPCAPS, which keeps nothing where there is nothing and the
	 * change of uid takes nothing away: ping(8) and others give up where they may not set it.
	 */
	if (prctl(PR_SET_SECUREBITS, (SECURE_ALL_BITS | SECURE_ALL_LOCKS) &
					     ~(SECBIT_KEEP_CAPS | SECBIT_KEEP_CAPS_LOCKED)) < 0)
		return cloche_err_sys(err, errno, "lock securebits");
	if (syscall(SYS_capset, &head, none) < 0)
		return cloche_err_sys(err, errno, "capset");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return cloche_err_sys(err, errno, "no_new_privs");
	return 0;
}

/*
 * By the function's rights and in its root, whatever links an author put on the way, and seen to be
 * there: getcwd(2) names what lies outside of the root "(unreachable)…".
 */
static int enter_workdir(const struct plan *p, struct cloche_err *err)
{
	const char *dir = p->order->workdir;
	char where[PATH_MAX];
	int fd = inside_open(AT_FDCWD, dir, O_PATH | O_DIRECTORY);

	if (fd < 0)
		return cloche_err_sys(err, -fd, CLOCHE_FIELD "workdir '%.200s'", dir);
	if (fchdir(fd) < 0)
		return cloche_err_sys(err, errno, CLOCHE_FIELD "workdir '%.200s'", dir);
	(void)close(fd);
	if (syscall(SYS_getcwd, where, sizeof(where)) < 0)
		return cloche_err_sys(err, errno, CLOCHE_FIELD "workdir '%.200s'", dir);
	if (where[0] != '/')
		return cloche_err_set(
			err, EXDEV, CLOCHE_FIELD "workdir '%.200s': it leads out of the root", dir);
	return 0;
}

/* The program that a script names behind "#!", into the buffer of the script's beginning; NULL: it
 * is none. As binfmt_script(7) of the kernel reads it: blanks around, an argument behind. */
static char *interpreter_of(char *text, size_t len)
{
	char *at = text + 2;

	if (len < 3 || text[0] != '#' || text[1] != '!')
		return NULL;
	at += strspn(at, " \t");
	at[strcspn(at, " \t\n")] = '\0';
	return *at ? at : NULL;
}

/*
 * What execve(2) will walk, walked before it with RESOLVE_NO_MAGICLINKS (".." and links end at the
 * root, which is this process's own): a command, or the interpreter of a script, that is reached
 * through one of /proc's links is refused by name. Who can change files of the root may do so
 * between this and the exec; then it is the empty table of descriptors that holds.
 */
static int check_way(const char *path, bool *ret_found, struct cloche_err *err)
{
	char text[256 + 1], shown[QUOTE_LEN]; /* BINPRM_BUF_SIZE of linux/binfmts.h */

	/* A script may be interpreted by another: five deep, says exec_binprm() of the kernel. */
	for (int depth = 0; path && depth < 5; depth++) {
		int fd = file_openat2(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
				      RESOLVE_NO_MAGICLINKS);
		ssize_t n;

		if (fd == -ELOOP)
			return cloche_err_set(err, ELOOP,
					      "%s leads through a link of /proc, which is not "
					      "followed, or through too many links",
					      quote(shown, path));
		if (fd < 0)
			return 0; /* not there; or executable, but not readable */
		*ret_found = true;
		n = read(fd, text, sizeof(text) - 1);
		(void)close(fd);
		text[n > 0 ? n : 0] = '\0';
		path = interpreter_of(text, n > 0 ? (size_t)n : 0);
	}
	return 0;
}

static int check_command(const struct plan *p, struct cloche_err *err)
{
	bool found = false;
	int r = 0;

	for (int i = 0; r == 0 && !found && p->order->candidates[i]; i++)
		r = check_way(p->order->candidates[i], &found, err);
	p->shared->exec_there = found;
	return r;
}

/* So that there is nothing above standard error by which a path could lead out of the root, in a
 * table of one's own: that of the warden keeps its own. */
static long leave_fds(void)
{
	return syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_UNSHARE);
}

/*
 * The limit may be lower than what is open now, and so comes when nothing is to be opened any more
 * but the policy's listener. That is the one descriptor that the warden must get from here, so with
 * a policy that reports the table is left after the policy is loaded, which policy_report() lets
 * pass. No path is walked in between.
 */
static int close_fds(const struct plan *p, struct cloche_err *err)
{
	if (!p->policy.reports && leave_fds() < 0)
		return cloche_err_sys(err, errno, "close_range");
	return attributes_lower(RLIMIT_NOFILE, p->spec->nofile, "nofile", err);
}

/*
 * With a listener for the warden, when the policy reports what it denies: the table of
 * descriptors is the warden's until then. A signal shall not have a call that was taken notice of
 * begin anew (since 5.19). A kernel may have none to give: before 5.0, or EBUSY where one listens
 * to all of us from outside. The policy is as strict without.
 */
static long try_listen(const struct plan *p)
{
	unsigned long flags = p->policy.flags | SECCOMP_FILTER_FLAG_NEW_LISTENER;
	long fd;

	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		     flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &p->policy.prog);
	if (fd < 0 && errno == EINVAL)
		fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p->policy.prog);
	if (fd >= 0)
		return fd;
	policy_unreport(&p->policy);
	p->shared->lacks |= LACK_LISTENER;
	return -1;
}

static int load_policy(const struct plan *p, struct cloche_err *err)
{
	/* A system call, which a policy may kill: before it, not after. What loading costs is then
	 * in the function's own figures by cgroup and rusage: 0.1 ms, and not in the meter's. */
	p->shared->exec_cpu_ns = clock_process_ns();
	if (p->policy.reports && !(p->shared->lacks & LACK_LISTENER)) {
		p->shared->listener = (int)try_listen(p);
		if (p->shared->listener >= 0)
			return 0;
	}
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, p->policy.flags, &p->policy.prog) < 0)
		return cloche_err_sys(err, errno, "load the policy '%s' (seccomp)", p->policy.name);
	return 0;
}

static int close_late(const struct plan *p, struct cloche_err *err)
{
	return p->policy.reports && leave_fds() < 0
		       ? cloche_err_sys(err, errno, "close_range, after the policy was loaded")
		       : 0;
}

/* EACCES of an earlier directory outlives ENOENT of a later one, as in execvp(3). */
static int exec_command(const struct plan *p, struct cloche_err *err)
{
	char shown[QUOTE_LEN];
	int code = ENOENT;

	for (int i = 0; p->order->candidates[i]; i++) {
		p->shared->exec_path = i; /* no system calls here; the last one is what worked */
		p->shared->exec_ns = clock_now_ns();
		(void)execve(p->order->candidates[i], p->order->argv, p->order->env);
		if (errno != ENOENT && errno != ENOTDIR) {
			code = errno;
			if (errno != EACCES)
				break;
		}
	}
	if (code == ENOENT && p->shared->exec_there)
		return cloche_err_set(err, code,
				      "%s: no such file or directory: it is there, and what it is "
				      "started by, the interpreter in its first line or its "
				      "dynamic loader, is not",
				      quote(shown, p->order->argv[0]));
	return cloche_err_sys(err, code, "%s", quote(shown, p->order->argv[0]));
}

static const struct {
	const char *name;
	int (*run)(const struct plan *p, struct cloche_err *err);
	const char *why_here;
} steps[] = {
	{ "affinity", try_see_to_affinity,
	  "runtimes count CPUs by it; to move waits for no turn yet" },
	{ "attributes", attributes_set, "a real-time process cannot join a cpu cgroup of v1" },
	{ "cgroup", join_cgroups, "all that follows is under the limits" },
	{ "cgroup namespace", own_cgroup_namespace, "its root is the cgroup just joined" },
	{ "user", become_user, "needs the host's capabilities" },
	{ "user namespace", own_user_namespace, "owned by that user; the host's capabilities end" },
	{ "capabilities", drop_capabilities, "none is needed any more" },
	{ "workdir", enter_workdir, "with the function's rights" },
	{ "exec", check_command, "from the working directory; its errors are exec's" },
	{ "fds", close_fds, "nothing is opened after this" },
	{ "seccomp", load_policy, "last: only what it lets pass can come after it" },
	{ "fds", close_late, "all but the listener's end, which is in pid 1's table now" },
	{ "exec", exec_command, "" },
};

void child_main(const struct plan *plan)
{
	struct cloche_err *err = &plan->shared->err;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (steps[i].run(plan, err) < 0) {
			(void)cloche_err_stage(err, steps[i].name);
			break;
		}
	_exit(EXIT_FAILURE);
}
