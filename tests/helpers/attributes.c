/* SPDX-License-Identifier: MIT */
/*
 * attributes show: what this process has of what processes inherit, a line each.
 * attributes with NAME COMMAND [ARG]...: runs the command with one of them as no usual caller has
 * it. 97: this machine does not let it be set.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <signal.h>
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

#define IOPRIO(class, level) ((class) << 13 | (level))

static const struct {
	int resource;
	const char *name;
} limits[] = {
	{ RLIMIT_CPU, "cpu" },		 { RLIMIT_FSIZE, "fsize" },
	{ RLIMIT_DATA, "data" },	 { RLIMIT_STACK, "stack" },
	{ RLIMIT_CORE, "core" },	 { RLIMIT_RSS, "rss" },
	{ RLIMIT_NPROC, "nproc" },	 { RLIMIT_NOFILE, "nofile" },
	{ RLIMIT_MEMLOCK, "memlock" },	 { RLIMIT_AS, "as" },
	{ RLIMIT_LOCKS, "locks" },	 { RLIMIT_SIGPENDING, "sigpending" },
	{ RLIMIT_MSGQUEUE, "msgqueue" }, { RLIMIT_NICE, "nice" },
	{ RLIMIT_RTPRIO, "rtprio" },	 { RLIMIT_RTTIME, "rttime" },
};
#define N_LIMITS (sizeof(limits) / sizeof(limits[0]))

static void show_file(const char *name)
{
	char path[64], text[64] = "-\n";
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/%s", name);
	fd = open(path, O_RDONLY);
	if (fd >= 0) {
		ssize_t n = read(fd, text, sizeof(text) - 1);

		text[n > 0 ? n : 0] = '\0';
		(void)close(fd);
	}
	printf("%s %s", name, text);
}

/* The lines of /proc/self/status that begin so. */
static void show_status(const char *const names[], size_t n)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		for (size_t i = 0; i < n; i++)
			if (strncmp(line, names[i], strlen(names[i])) == 0)
				fputs(line, stdout);
	if (f)
		(void)fclose(f);
}

static int show(void)
{
	static const char *const status[] = { "SigBlk", "SigIgn",      "NoNewPrivs",
					      "Umask",	"Speculation", "THP_enabled" };
	int mode = -1;

	printf("policy %d\n", sched_getscheduler(0));
	printf("nice %d\n", getpriority(PRIO_PROCESS, 0));
	printf("ioprio %ld\n", syscall(SYS_ioprio_get, 1, 0));
	show_file("oom_score_adj");
	show_file("coredump_filter");
	printf("personality %x\n", personality(0xffffffff));
	printf("timer slack %d\n", prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
	printf("thp %d\n", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	printf("mce %d\n", prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
	printf("subreaper %d\n", prctl(PR_GET_CHILD_SUBREAPER, &mode) < 0 ? -1 : mode);
	printf("mempolicy %ld", syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0));
	printf(" %d\n", mode);
	printf("session leader %d\n", getsid(0) == getpid());
	for (size_t i = 0; i < N_LIMITS; i++) {
		struct rlimit l = { 0 };

		(void)getrlimit(limits[i].resource, &l);
		/* Hard limits that the host itself has lowered differ from host to host. */
		printf("limit %s %ld\n", limits[i].name, (long)l.rlim_cur);
	}
	show_status(status, sizeof(status) / sizeof(status[0]));
	return 0;
}

static int write_self(const char *name, const char *text)
{
	char path[64];
	int fd, r;

	(void)snprintf(path, sizeof(path), "/proc/self/%s", name);
	fd = open(path, O_WRONLY);
	r = fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : 0;
	if (fd >= 0)
		(void)close(fd);
	return r;
}

static int with_policy(int policy, int priority)
{
	struct sched_param p = { .sched_priority = priority };

	return sched_setscheduler(0, policy, &p);
}

/* The soft limit alone: what a caller's hard limit forbids, root of some hosts cannot undo. */
static int with_limit(int resource, rlim_t soft)
{
	struct rlimit l;

	if (getrlimit(resource, &l) < 0)
		return -1;
	l.rlim_cur = soft < l.rlim_max ? soft : l.rlim_max;
	return setrlimit(resource, &l);
}

static int with_hard(int resource, rlim_t hard)
{
	struct rlimit l = { hard, hard };

	return setrlimit(resource, &l);
}

static int with_signals(void)
{
	sigset_t all;

	(void)sigfillset(&all);
	(void)sigdelset(&all, SIGCHLD); /* who waits for its children needs it */
	for (int s = 1; s < NSIG; s++)
		if (s != SIGCHLD && s != SIGPIPE)
			(void)signal(s, SIG_IGN);
	return sigprocmask(SIG_SETMASK, &all, NULL);
}

static int with_mempolicy(void)
{
	unsigned long node0 = 1;

	return (int)syscall(SYS_set_mempolicy, MPOL_BIND, &node0, 8 * sizeof(node0));
}

static int set(const char *name)
{
#define ROW(what, call)                \
	if (strcmp(name, (what)) == 0) \
		return (call);
	ROW("fifo", with_policy(SCHED_FIFO, 5))
	ROW("rr", with_policy(SCHED_RR, 99))
	ROW("batch", with_policy(SCHED_BATCH, 0))
	ROW("idle", with_policy(SCHED_IDLE, 0))
	ROW("nice", setpriority(PRIO_PROCESS, 0, -20))
	ROW("not-nice", setpriority(PRIO_PROCESS, 0, 19))
	ROW("io-realtime", (int)syscall(SYS_ioprio_set, 1, 0, IOPRIO(1, 0)))
	ROW("io-idle", (int)syscall(SYS_ioprio_set, 1, 0, IOPRIO(3, 0)))
	ROW("oom-never", write_self("oom_score_adj", "-1000"))
	ROW("oom-late", write_self("oom_score_adj", "500"))
	ROW("core-filter", write_self("coredump_filter", "0x7f"))
	ROW("personality", personality(ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC | UNAME26))
	ROW("timer-slack", prctl(PR_SET_TIMERSLACK, 1000000000UL, 0, 0, 0))
	ROW("thp", prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
	ROW("mce", prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0))
	ROW("subreaper", prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	ROW("no-new-privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	ROW("speculation",
	    prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, PR_SPEC_DISABLE, 0, 0))
	ROW("mempolicy", with_mempolicy())
	ROW("umask", (umask(0777), 0))
	ROW("signals", with_signals())
	ROW("cpu", with_limit(RLIMIT_CPU, 1000))
	ROW("stack", with_limit(RLIMIT_STACK, 1 << 20))
	ROW("stack-unlimited", with_limit(RLIMIT_STACK, RLIM_INFINITY))
	ROW("core", with_limit(RLIMIT_CORE, RLIM_INFINITY))
	ROW("data", with_limit(RLIMIT_DATA, 1 << 30))
	ROW("as", with_limit(RLIMIT_AS, 1UL << 32))
	ROW("rss", with_limit(RLIMIT_RSS, 1 << 20))
	ROW("sigpending", with_limit(RLIMIT_SIGPENDING, 100))
	ROW("locks", with_limit(RLIMIT_LOCKS, 1))
	ROW("nproc", with_limit(RLIMIT_NPROC, 4000))
	ROW("rttime", with_limit(RLIMIT_RTTIME, 1000000))
	ROW("msgqueue", with_limit(RLIMIT_MSGQUEUE, 8192))
	ROW("rtprio", with_hard(RLIMIT_RTPRIO, 99))
	ROW("limit-nice", with_hard(RLIMIT_NICE, 40))
#undef ROW
	errno = EINVAL;
	return -1;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "show") == 0)
		return show();
	if (argc < 4 || strcmp(argv[1], "with") != 0)
		return 96;
	if (set(argv[2]) < 0)
		return errno == EPERM || errno == EACCES || errno == ENXIO || errno == ENOSYS ||
				       errno == ENODEV
			       ? 97
			       : 98;
	(void)execvp(argv[3], argv + 3);
	return 99;
}
