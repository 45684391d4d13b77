/* SPDX-License-Identifier: MIT */
/* Sets every attribute that a process inherits. See attributes.h. */
#include "launch/attributes.h"

#include "base/err.h"
#include "base/file.h"
#include "host/prompt.h"
#include "launch/order.h"
#include "launch/plan.h"
#include "launch/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* In linux/prctl.h since 6.4. */
#define SET_MEMORY_MERGE 67
#define GET_MEMORY_MERGE 68

/* As in linux/sched/types.h, which cannot be included together with sched.h. */
struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};
#define ATTR_SIZE_VER0 offsetof(struct attr, util_min)

#define DEFAULT_SLACK_NS  50000	 /* init_task of the kernel */
#define DEFAULT_CORE_BITS "0x33" /* MMF_DUMP_FILTER_DEFAULT, core(5) */

/* What the kernel gives the first of all processes, and no more than a function can use. */
static const struct limit {
	int resource;
	const char *name;
	rlim_t soft, hard;
} limits[] = {
	{ RLIMIT_CPU, "cpu", RLIM_INFINITY, RLIM_INFINITY },
	{ RLIMIT_DATA, "data", RLIM_INFINITY, RLIM_INFINITY },
	{ RLIMIT_STACK, "stack", 8 << 20, RLIM_INFINITY },
	{ RLIMIT_RSS, "rss", RLIM_INFINITY, RLIM_INFINITY },
	{ RLIMIT_MEMLOCK, "memlock", 64 << 10, 64 << 10 },
	{ RLIMIT_AS, "as", RLIM_INFINITY, RLIM_INFINITY },
	{ RLIMIT_LOCKS, "locks", RLIM_INFINITY, RLIM_INFINITY },
	{ RLIMIT_SIGPENDING, "sigpending", 4096, 4096 },
	{ RLIMIT_MSGQUEUE, "msgqueue", 800 << 10, 800 << 10 },
	{ RLIMIT_NICE, "nice", 0, 0 },
	{ RLIMIT_RTPRIO, "rtprio", 0, 0 },
	{ RLIMIT_RTTIME, "rttime", RLIM_INFINITY, RLIM_INFINITY },
};

static bool is_less(rlim_t a, rlim_t b)
{
	return a != RLIM_INFINITY && (b == RLIM_INFINITY || a < b);
}

/* Raising the hard limit takes CAP_SYS_RESOURCE. *ret_less: it is lower than it should be. */
static int set_limit(const struct limit *l, bool *ret_less, struct cloche_err *err)
{
	struct rlimit now, want = { .rlim_cur = l->soft, .rlim_max = l->hard };

	if (setrlimit(l->resource, &want) == 0)
		return 0;
	if (errno != EPERM)
		return cloche_err_sys(err, errno, "setrlimit %s", l->name);
	if (getrlimit(l->resource, &now) < 0)
		return cloche_err_sys(err, errno, "getrlimit %s", l->name);
	if (is_less(now.rlim_max, want.rlim_max))
		want.rlim_max = now.rlim_max;
	if (is_less(now.rlim_max, want.rlim_cur)) {
		want.rlim_cur = now.rlim_max;
		*ret_less = true;
	}
	return setrlimit(l->resource, &want) < 0
		       ? cloche_err_sys(err, errno, "setrlimit %s", l->name)
		       : 0;
}

static int set_limits(const struct plan *p, struct cloche_err *err)
{
	const struct limit asked[] = {
		{ RLIMIT_CORE, "core", p->core_limit, p->core_limit },
		{ RLIMIT_FSIZE, "fsize", p->order->fsize_bytes, p->order->fsize_bytes },
		/* Beyond what the pids controller allows, which counts what it refuses. */
		{ RLIMIT_NPROC, "nproc", p->spec->pids + 64, p->spec->pids + 64 },
	};
	bool less = false, no_core = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(limits) / sizeof(limits[0]); i++)
		r = set_limit(&limits[i], &less, err);
	if (r == 0)
		r = set_limit(&asked[0], &no_core, err);
	for (size_t i = 1; r == 0 && i < sizeof(asked) / sizeof(asked[0]); i++)
		r = set_limit(&asked[i], &less, err);
	p->shared->lacks |= (less ? LACK_LIMITS : 0) | (no_core ? LACK_CORE : 0);
	return r;
}

int attributes_lower(int resource, unsigned long want, const char *name, struct cloche_err *err)
{
	struct rlimit now, l;

	if (getrlimit(resource, &now) < 0)
		return cloche_err_sys(err, errno, "getrlimit %s", name);
	l.rlim_max = is_less(now.rlim_max, want) ? now.rlim_max : want;
	l.rlim_cur = l.rlim_max;
	return setrlimit(resource, &l) < 0 ? cloche_err_sys(err, errno, "setrlimit %s", name) : 0;
}

int attributes_reset_signals(struct cloche_err *err)
{
	/* The kernel's own form: the C library keeps its signals 32 and 33 from sigaction(3), yet
	 * posix_spawn(3) leaves them ignored in whom it starts. */
	const struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		uint64_t mask;
	} dfl = { 0 };

	/* EINVAL: of SIGKILL and SIGSTOP. */
	for (int s = 1; s < NSIG; s++)
		if (syscall(SYS_rt_sigaction, s, &dfl, NULL, sizeof(dfl.mask)) < 0 &&
		    errno != EINVAL)
			return cloche_err_sys(err, errno, "reset signal %d", s);
	return 0;
}

/* What they do is pid 1's, which has none that is not as usual. */
static int set_signals(const struct plan *p, struct cloche_err *err)
{
	sigset_t none;

	(void)sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? cloche_err_sys(err, errno, "sigprocmask")
							 : 0;
}

/* With it comes an autogroup of its own, whose nice value is 0 (sched(7)). */
static int set_session(const struct plan *p, struct cloche_err *err)
{
	return setsid() < 0 ? cloche_err_sys(err, errno, "setsid") : 0;
}

static int set_umask(const struct plan *p, struct cloche_err *err)
{
	(void)umask(022);
	return 0;
}

/* The policy is what could take a CPU from all others; nobody needs a privilege to come down from
 * it. A nice value above 0 may stay: it harms the function alone. */
static int set_scheduling(const struct plan *p, struct cloche_err *err)
{
	const struct attr usual = { .size = ATTR_SIZE_VER0, .policy = SCHED_OTHER };
	struct attr kept = { 0 };
	int e;

	if (syscall(SYS_sched_setattr, 0, &usual, 0) == 0)
		return 0;
	e = errno;
	if (e == EPERM)
		prompt_end(); /* the nice value stays */
	if (e == EPERM && syscall(SYS_sched_getattr, 0, &kept, ATTR_SIZE_VER0, 0) == 0 &&
	    kept.policy == SCHED_OTHER && kept.nice > 0) {
		p->shared->lacks |= LACK_PRIORITY;
		return 0;
	}
	return cloche_err_sys(err, e, "sched_setattr");
}

/* The bounds of utilisation that a scheduler picks frequencies and CPUs by: -1 resets them. A
 * kernel without them (EOPNOTSUPP, EINVAL) has none to hand on. */
static int set_utilisation(const struct plan *p, struct cloche_err *err)
{
	const struct attr usual = {
		.size = sizeof(usual),
		.flags = SCHED_FLAG_KEEP_ALL | SCHED_FLAG_UTIL_CLAMP,
		.util_min = ~0U,
		.util_max = ~0U,
	};

	if (syscall(SYS_sched_setattr, 0, &usual, 0) < 0 && errno != EOPNOTSUPP &&
	    errno != EINVAL && errno != E2BIG)
		return cloche_err_sys(err, errno, "reset utilisation clamps");
	return 0;
}

/* A cookie lets only those who have the same run on one core's threads. */
static int set_core_cookie(const struct plan *p, struct cloche_err *err)
{
	unsigned long cookie = 0;

	if (prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET, 0, PR_SCHED_CORE_SCOPE_THREAD, &cookie) < 0 ||
	    cookie == 0)
		return 0;
	return prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, PR_SCHED_CORE_SCOPE_THREAD, 0) < 0
		       ? cloche_err_sys(err, errno, "core scheduling")
		       : 0;
}

static int set_io_priority(const struct plan *p, struct cloche_err *err)
{
	return syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
		       IOPRIO_PRIO_VALUE(IOPRIO_CLASS_NONE, 0)) < 0 &&
			       errno != ENOSYS
		       ? cloche_err_sys(err, errno, "ioprio_set")
		       : 0;
}

static int set_memory_policy(const struct plan *p, struct cloche_err *err)
{
	return syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0) < 0 && errno != ENOSYS
		       ? cloche_err_sys(err, errno, "set_mempolicy")
		       : 0;
}

static int set_personality(const struct plan *p, struct cloche_err *err)
{
	return personality(PER_LINUX) < 0 ? cloche_err_sys(err, errno, "personality") : 0;
}

/* First among the host's victims. With CAP_SYS_RESOURCE that is also the least that the function
 * may set; without, its /proc is read-only anyway (rootfs_enter.c). */
static int set_oom_score(const struct plan *p, struct cloche_err *err)
{
	return file_write_text(p->at.proc, "self/oom_score_adj", "1000", err);
}

/* ENOENT: a kernel without core files. */
static int set_core_filter(const struct plan *p, struct cloche_err *err)
{
	int r = file_write_text(p->at.proc, "self/coredump_filter", DEFAULT_CORE_BITS, NULL);

	return r < 0 && r != -ENOENT ? cloche_err_sys(err, -r, "set the filter of core files") : 0;
}

/* A real-time process has none, and what it starts has what it has (since 6.12). */
static int set_timer_slack(const struct plan *p, struct cloche_err *err)
{
	return prctl(PR_SET_TIMERSLACK, DEFAULT_SLACK_NS, 0, 0, 0) < 0
		       ? cloche_err_sys(err, errno, "reset: timer slack")
		       : 0;
}

/* What only some kernels and CPUs have: they say EINVAL, ENXIO or ENODEV, and hand nothing on. */
static int set_by_prctl(const struct plan *p, struct cloche_err *err)
{
	static const struct {
		int option;
		unsigned long a, b;
		const char *name;
	} rows[] = {
		{ PR_SET_THP_DISABLE, 0, 0, "huge pages" },
		{ PR_MCE_KILL, PR_MCE_KILL_CLEAR, 0, "machine checks" },
		{ PR_SET_TSC, PR_TSC_ENABLE, 0, "time stamp counter" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (prctl(rows[i].option, rows[i].a, rows[i].b, 0, 0) < 0 && errno != EINVAL)
			return cloche_err_sys(err, errno, "reset: %s", rows[i].name);
	return 0;
}

/* Both may be asked only with CAP_SYS_RESOURCE, without which nobody sets them. */
static int set_privileged(const struct plan *p, struct cloche_err *err)
{
	if (prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0) > 0 && prctl(PR_SET_IO_FLUSHER, 0, 0, 0, 0) < 0)
		return cloche_err_sys(err, errno, "reset: io flusher");
	if (prctl(GET_MEMORY_MERGE, 0, 0, 0, 0) > 0 && prctl(SET_MEMORY_MERGE, 0, 0, 0, 0) < 0)
		return cloche_err_sys(err, errno, "reset: merging of memory");
	return 0;
}

/* Mitigations that the caller turned on for itself make the function slower. What it forced on
 * cannot be turned off. */
static int set_speculation(const struct plan *p, struct cloche_err *err)
{
	static const unsigned long kinds[] = { PR_SPEC_STORE_BYPASS, PR_SPEC_INDIRECT_BRANCH };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int now = prctl(PR_GET_SPECULATION_CTRL, kinds[i], 0, 0, 0);

		if (now > 0 && (now & PR_SPEC_PRCTL) &&
		    (now & (PR_SPEC_DISABLE | PR_SPEC_DISABLE_NOEXEC)) &&
		    prctl(PR_SET_SPECULATION_CTRL, kinds[i], PR_SPEC_ENABLE, 0, 0) < 0)
			return cloche_err_sys(err, errno, "reset: speculation");
	}
	return 0;
}

typedef int row(const struct plan *p, struct cloche_err *err);

/* Each of these is the memory's, or given on by clone(2) as it is. */
static row *const passed_on[] = {
	set_utilisation, set_io_priority, set_memory_policy, set_personality,
	set_core_filter, set_by_prctl,	  set_privileged,    set_speculation,
};

static row *const own[] = {
	set_oom_score, /* first: what is half made is a victim already */
	set_signals,	 set_session,	  set_umask,  set_scheduling,
	set_core_cookie, set_timer_slack, set_limits,
};

static int set_all(row *const *rows, size_t n, const struct plan *plan, struct cloche_err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = rows[i](plan, err);
	return r;
}

int attributes_pass_on(const struct plan *plan, struct cloche_err *err)
{
	return set_all(passed_on, sizeof(passed_on) / sizeof(passed_on[0]), plan, err);
}

int attributes_set(const struct plan *plan, struct cloche_err *err)
{
	return set_all(own, sizeof(own) / sizeof(own[0]), plan, err);
}

int attributes_read(pid_t pid, struct attributes_seen *ret)
{
	struct attr attr = { 0 };

	memset(ret, 0, sizeof(*ret)); /* what is between its fields, too */
	ret->session = getsid(pid);
	ret->group = getpgid(pid);
	ret->io_priority = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, pid);
	if (ret->io_priority < 0 && errno != ENOSYS)
		return -errno;
	if (syscall(SYS_sched_getattr, pid, &attr, sizeof(attr), 0) < 0 ||
	    sched_getaffinity(pid, sizeof(ret->affinity), &ret->affinity) < 0)
		return -errno;
	_Static_assert(sizeof(attr) <= sizeof(ret->scheduling), "room");
	memcpy(ret->scheduling, &attr, sizeof(attr));
	return 0;
}

bool attributes_outlives(int proc)
{
	char text[16];

	return file_read_text(proc, "self/oom_score_adj", text, sizeof(text), NULL) == 0 &&
	       strtol(text, NULL, 10) <= 0;
}

bool attributes_try_outlive(int proc)
{
	static const char *const wished[] = { "-900", "0" };
	char text[16];

	if (file_read_text(proc, "self/oom_score_adj", text, sizeof(text), NULL) < 0)
		return false;
	/* Lower than it ever was takes CAP_SYS_RESOURCE. */
	for (size_t i = 0; i < sizeof(wished) / sizeof(wished[0]); i++) {
		if (strtol(text, NULL, 10) <= strtol(wished[i], NULL, 10))
			return true;
		if (file_write_text(proc, "self/oom_score_adj", wished[i], NULL) == 0)
			return true;
	}
	return false;
}

int attributes_keep_capabilities(const struct plan *p, struct cloche_err *err)
{
	uint32_t needed = 1U << CAP_SETUID | 1U << CAP_SETGID | 1U << CAP_SETPCAP |
			  1U << CAP_SYS_ADMIN | 1U << CAP_SYS_NICE | 1U << CAP_SYS_RESOURCE;
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { 0 };

	/* The names of streams (stream_names.h). */
	if (p->handed)
		needed |= 1U << CAP_CHOWN | 1U << CAP_FOWNER;
	/* To dismiss it, whose uid is another; of processes it sees those of the context alone. */
	if (p->spec->kept)
		needed |= 1U << CAP_KILL;
	/* The next invocation gets a loopback of its own. */
	if (p->spec->net != NET_NONE && !p->single)
		needed |= 1U << CAP_NET_ADMIN;
	/* What is still to be made of it takes what the rest of it took. */
	if (p->blank)
		return 0;
	if (syscall(SYS_capget, &head, caps) < 0)
		return cloche_err_sys(err, errno, "capget");
	caps[0].effective = caps[0].permitted = caps[0].permitted & needed;
	caps[1] = (struct __user_cap_data_struct){ 0 };
	caps[0].inheritable = 0;
	return syscall(SYS_capset, &head, caps) < 0 ? cloche_err_sys(err, errno, "capset") : 0;
}

unsigned long attributes_core_limit(void)
{
	char text[256];

	/* Longer ones than that the kernel does not keep. */
	if (file_read_text(AT_FDCWD, "/proc/sys/kernel/core_pattern", text, sizeof(text), NULL) < 0)
		return 0;
	return text[0] == '|' || text[0] == '@';
}
