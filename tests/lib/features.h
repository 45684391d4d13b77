/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_FEATURES_H
#define CLOCHE_TESTS_LIB_FEATURES_H

#include <errno.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

/*
 * What a kernel, or a filter around us, may lack: how tests/helpers/without.c takes it away, what
 * `cloche doctor` then calls missing, and what then becomes of `cloche run`. A feature that every
 * kernel has that has mount_setattr(2) (5.12) is refused; what newer ones may still lack, by their
 * version or their configuration, is done without.
 */

/* A system call, or a part of it, that answers an error. */
struct cut {
	long nr;
	int error;
	enum {
		CUT_CALL = 1, /* every such call */
		CUT_BITS,     /* an argument has one of the bits */
		CUT_BITS_AT,  /* the 64-bit word at offset from the pointer has */
		CUT_NAME,     /* the last part of the path, or the text, is name */
	} how;
	unsigned arg, offset;
	uint64_t bits;
	const char *name;
};

#define ARG_CALL(call)                                      \
	{                                                   \
		SYS_##call, ENOSYS, CUT_CALL, 0, 0, 0, NULL \
	}
#define ARG_REFUSED(call)                                  \
	{                                                  \
		SYS_##call, EPERM, CUT_CALL, 0, 0, 0, NULL \
	}
#define ARG_BITS(call, n, mask)                                \
	{                                                      \
		SYS_##call, EINVAL, CUT_BITS, n, 0, mask, NULL \
	}
#define ARG_BITS_AT(call, n, at, mask)                             \
	{                                                          \
		SYS_##call, EINVAL, CUT_BITS_AT, n, at, mask, NULL \
	}
#define ARG_NAME(call, n, code, text)                     \
	{                                                 \
		SYS_##call, code, CUT_NAME, n, 0, 0, text \
	}

#define CUT_NAMESPACE(flag)                                                  \
	{                                                                    \
		ARG_BITS_AT(clone3, 0, 0, flag), ARG_BITS(unshare, 0, flag), \
			ARG_BITS(clone, 0, flag),                            \
	}
#define CUT_FILE(text)                                                           \
	ARG_NAME(openat, 1, ENOENT, text), ARG_NAME(faccessat, 1, ENOENT, text), \
		ARG_NAME(faccessat2, 1, ENOENT, text), ARG_NAME(newfstatat, 1, ENOENT, text)

#define CUTS_MAX 8

struct feature {
	const char *name;
	struct cut cuts[CUTS_MAX];
	const char *doctor; /* its check that is missing; NULL: none, only the report may tell */
	enum {
		FEATURE_NEEDED = 1, /* run refuses, its line has what */
		FEATURE_DEGRADES,   /* run works; the report's degraded names what */
		FEATURE_SPARE,	    /* run works as if nothing had been */
	} kind;
	const char *what;
	const char *killed; /* so that degraded names it when the run was killed */
	int no_reuse;	    /* a context is never proved clean */
};

static const struct feature features[] = {
	{ "clone3", { ARG_CALL(clone3) }, "clone3", FEATURE_NEEDED, "clone3", NULL, 0 },
	{ "clone-into-cgroup",
	  { ARG_BITS_AT(clone3, 0, 0, CLONE_INTO_CGROUP) },
	  "clone into cgroup",
	  FEATURE_NEEDED,
	  "CLONE_INTO_CGROUP",
	  NULL,
	  0 },
	{ "pid-namespace", CUT_NAMESPACE(CLONE_NEWPID), "pid namespace", FEATURE_NEEDED,
	  "pid namespace", NULL, 0 },
	{ "net-namespace", CUT_NAMESPACE(CLONE_NEWNET), "net namespace", FEATURE_NEEDED,
	  "net namespace", NULL, 0 },
	{ "ipc-namespace", CUT_NAMESPACE(CLONE_NEWIPC), "ipc namespace", FEATURE_NEEDED,
	  "ipc namespace", NULL, 0 },
	{ "uts-namespace", CUT_NAMESPACE(CLONE_NEWUTS), "uts namespace", FEATURE_NEEDED,
	  "uts namespace", NULL, 0 },
	{ "mount-namespace", CUT_NAMESPACE(CLONE_NEWNS), "mount namespace", FEATURE_NEEDED,
	  "mount namespace", NULL, 0 },
	{ "cgroup-namespace", CUT_NAMESPACE(CLONE_NEWCGROUP), "cgroup namespace", FEATURE_NEEDED,
	  "cgroup namespace", NULL, 0 },
	{ "user-namespace", CUT_NAMESPACE(CLONE_NEWUSER), "user namespace", FEATURE_NEEDED,
	  "user namespace", NULL, 0 },
	/* CONFIG_TIME_NS; clone(2) has no bit for it. */
	{ "time-namespace",
	  { ARG_BITS_AT(clone3, 0, 0, CLONE_NEWTIME), ARG_BITS(unshare, 0, CLONE_NEWTIME) },
	  "time namespace",
	  FEATURE_DEGRADES,
	  "launch.time_namespace",
	  NULL,
	  0 },
	/* Only filters do that to a kernel that has clone3. */
	{ "pidfd",
	  { ARG_CALL(pidfd_open), ARG_CALL(pidfd_send_signal) },
	  "pidfd",
	  FEATURE_SPARE,
	  NULL,
	  NULL,
	  0 },
	{ "close_range",
	  { ARG_CALL(close_range) },
	  "close_range",
	  FEATURE_NEEDED,
	  "close_range",
	  NULL,
	  0 },
	/* 5.14. */
	{ "cgroup.kill",
	  { CUT_FILE("cgroup.kill") },
	  "cgroup.kill",
	  FEATURE_SPARE,
	  NULL,
	  "cpu.clocks.rusage_ns",
	  0 },
	{ "bpf", { ARG_CALL(bpf) }, "bpf device program", FEATURE_NEEDED, "bpf(2)", NULL, 0 },
	{ "open_tree",
	  { ARG_CALL(open_tree) },
	  "open_tree, move_mount",
	  FEATURE_NEEDED,
	  "open_tree",
	  NULL,
	  0 },
	{ "move_mount",
	  { ARG_CALL(move_mount) },
	  "open_tree, move_mount",
	  FEATURE_NEEDED,
	  "move_mount",
	  NULL,
	  0 },
	{ "mount_setattr",
	  { ARG_CALL(mount_setattr) },
	  "mount_setattr",
	  FEATURE_NEEDED,
	  "mount_setattr",
	  NULL,
	  0 },
	/* By file system, one after the other since 5.12. */
	{ "idmapped-mounts",
	  { ARG_BITS_AT(mount_setattr, 3, 0, MOUNT_ATTR_IDMAP) },
	  "idmapped mounts",
	  FEATURE_DEGRADES,
	  "bind.idmap",
	  NULL,
	  0 },
	{ "setns", { ARG_CALL(setns) }, "setns", FEATURE_NEEDED, "setns", NULL, 0 },
	{ "fsopen",
	  { ARG_CALL(fsopen), ARG_CALL(fsconfig), ARG_CALL(fsmount) },
	  "fsopen",
	  FEATURE_SPARE,
	  NULL,
	  NULL,
	  1 },
	/* CONFIG_POSIX_MQUEUE, CONFIG_SYSVIPC, CONFIG_KEYS: nothing there that could be left. */
	{ "posix-mqueue",
	  { ARG_NAME(fsopen, 0, ENODEV, "mqueue"), ARG_CALL(mq_open) },
	  NULL,
	  FEATURE_SPARE,
	  NULL,
	  NULL,
	  0 },
	{ "system-v-ipc",
	  { ARG_CALL(shmget), ARG_CALL(shmctl), ARG_CALL(msgget), ARG_CALL(msgctl),
	    ARG_CALL(semget), ARG_CALL(semctl) },
	  NULL,
	  FEATURE_SPARE,
	  NULL,
	  NULL,
	  0 },
	{ "keyrings",
	  { ARG_CALL(keyctl), ARG_CALL(add_key), ARG_CALL(request_key) },
	  NULL,
	  FEATURE_SPARE,
	  NULL,
	  NULL,
	  0 },
	{ "seccomp", { ARG_CALL(seccomp) }, "seccomp filter", FEATURE_NEEDED, "seccomp", NULL, 0 },
	/* One listens to all of us already: a container manager does. */
	{ "seccomp-listener",
	  { ARG_BITS(seccomp, 1, SECCOMP_FILTER_FLAG_NEW_LISTENER) },
	  "seccomp listener",
	  FEATURE_DEGRADES,
	  "denied",
	  NULL,
	  0 },
	/* 5.19. */
	{ "seccomp-wait-killable",
	  { ARG_BITS(seccomp, 1, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) },
	  NULL,
	  FEATURE_SPARE,
	  NULL,
	  NULL,
	  0 },
	{ "affinity",
	  { ARG_REFUSED(sched_setaffinity) },
	  "cpu affinity",
	  FEATURE_DEGRADES,
	  "launch.affinity",
	  NULL,
	  0 },
	{ "scheduler", { ARG_REFUSED(sched_setscheduler) }, NULL, FEATURE_SPARE, NULL, NULL, 0 },
	/* On cgroup2 since 5.19 and 6.11; v1 has always had the former. */
	{ "memory.peak",
	  { CUT_FILE("memory.peak"), CUT_FILE("memory.max_usage_in_bytes") },
	  NULL,
	  FEATURE_DEGRADES,
	  "memory.peak_bytes",
	  NULL,
	  0 },
	{ "pids.peak",
	  { CUT_FILE("pids.peak") },
	  NULL,
	  FEATURE_DEGRADES,
	  "processes.peak",
	  NULL,
	  0 },
	/* CONFIG_SWAP; on v1 also swapaccount=0. */
	{ "swap-accounting",
	  { CUT_FILE("memory.swap.max"), CUT_FILE("memory.memsw.limit_in_bytes") },
	  NULL,
	  FEATURE_SPARE,
	  NULL,
	  NULL,
	  0 },
};

#define N_FEATURES (sizeof(features) / sizeof(features[0]))

#endif
