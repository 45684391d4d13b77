/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_FEATURES_H
#define CLOCHE_TESTS_LIB_FEATURES_H

#include <errno.h>
#include <linux/bpf.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stdbool.h>
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
		CUT_EQUAL,    /* an argument is bits */
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
#define ARG_EQUAL(call, n, value)                               \
	{                                                       \
		SYS_##call, EPERM, CUT_EQUAL, n, 0, value, NULL \
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
	bool no_meter;	    /* the report lacks what it lacks with --meter off */
};

static const struct feature features[] = {
	{ .name = "clone3",
	  .cuts = { ARG_CALL(clone3) },
	  .doctor = "clone3",
	  .kind = FEATURE_NEEDED,
	  .what = "clone3" },
	{ .name = "clone-into-cgroup",
	  .cuts = { ARG_BITS_AT(clone3, 0, 0, CLONE_INTO_CGROUP) },
	  .doctor = "clone into cgroup",
	  .kind = FEATURE_NEEDED,
	  .what = "CLONE_INTO_CGROUP" },
	{ .name = "pid-namespace",
	  .cuts = CUT_NAMESPACE(CLONE_NEWPID),
	  .doctor = "pid namespace",
	  .kind = FEATURE_NEEDED,
	  .what = "pid namespace" },
	{ .name = "net-namespace",
	  .cuts = CUT_NAMESPACE(CLONE_NEWNET),
	  .doctor = "net namespace",
	  .kind = FEATURE_NEEDED,
	  .what = "net namespace" },
	{ .name = "ipc-namespace",
	  .cuts = CUT_NAMESPACE(CLONE_NEWIPC),
	  .doctor = "ipc namespace",
	  .kind = FEATURE_NEEDED,
	  .what = "ipc namespace" },
	{ .name = "uts-namespace",
	  .cuts = CUT_NAMESPACE(CLONE_NEWUTS),
	  .doctor = "uts namespace",
	  .kind = FEATURE_NEEDED,
	  .what = "uts namespace" },
	{ .name = "mount-namespace",
	  .cuts = CUT_NAMESPACE(CLONE_NEWNS),
	  .doctor = "mount namespace",
	  .kind = FEATURE_NEEDED,
	  .what = "mount namespace" },
	{ .name = "cgroup-namespace",
	  .cuts = CUT_NAMESPACE(CLONE_NEWCGROUP),
	  .doctor = "cgroup namespace",
	  .kind = FEATURE_NEEDED,
	  .what = "cgroup namespace" },
	{ .name = "user-namespace",
	  .cuts = CUT_NAMESPACE(CLONE_NEWUSER),
	  .doctor = "user namespace",
	  .kind = FEATURE_NEEDED,
	  .what = "user namespace" },
	/* CONFIG_TIME_NS; clone(2) has no bit for it. */
	{ .name = "time-namespace",
	  .cuts = { ARG_BITS_AT(clone3, 0, 0, CLONE_NEWTIME), ARG_BITS(unshare, 0, CLONE_NEWTIME) },
	  .doctor = "time namespace",
	  .kind = FEATURE_DEGRADES,
	  .what = "launch.time_namespace" },
	/* Only filters do that to a kernel that has clone3. */
	{ .name = "pidfd",
	  .cuts = { ARG_CALL(pidfd_open), ARG_CALL(pidfd_send_signal) },
	  .doctor = "pidfd",
	  .kind = FEATURE_SPARE },
	{ .name = "close_range",
	  .cuts = { ARG_CALL(close_range) },
	  .doctor = "close_range",
	  .kind = FEATURE_NEEDED,
	  .what = "close_range" },
	/* 5.14. */
	{ .name = "cgroup.kill",
	  .cuts = { CUT_FILE("cgroup.kill") },
	  .doctor = "cgroup.kill",
	  .kind = FEATURE_SPARE,
	  .killed = "cpu.clocks.rusage_ns" },
	{ .name = "bpf",
	  .cuts = { ARG_CALL(bpf) },
	  .doctor = "bpf device program",
	  .kind = FEATURE_NEEDED,
	  .what = "bpf(2)" },
	{ .name = "open_tree",
	  .cuts = { ARG_CALL(open_tree) },
	  .doctor = "open_tree, move_mount",
	  .kind = FEATURE_NEEDED,
	  .what = "open_tree" },
	{ .name = "move_mount",
	  .cuts = { ARG_CALL(move_mount) },
	  .doctor = "open_tree, move_mount",
	  .kind = FEATURE_NEEDED,
	  .what = "move_mount" },
	{ .name = "mount_setattr",
	  .cuts = { ARG_CALL(mount_setattr) },
	  .doctor = "mount_setattr",
	  .kind = FEATURE_NEEDED,
	  .what = "mount_setattr" },
	/* By file system, one after the other since 5.12. */
	{ .name = "idmapped-mounts",
	  .cuts = { ARG_BITS_AT(mount_setattr, 3, 0, MOUNT_ATTR_IDMAP) },
	  .doctor = "idmapped mounts",
	  .kind = FEATURE_DEGRADES,
	  .what = "bind.idmap" },
	{ .name = "setns",
	  .cuts = { ARG_CALL(setns) },
	  .doctor = "setns",
	  .kind = FEATURE_NEEDED,
	  .what = "setns" },
	{ .name = "fsopen",
	  .cuts = { ARG_CALL(fsopen), ARG_CALL(fsconfig), ARG_CALL(fsmount) },
	  .doctor = "fsopen",
	  .kind = FEATURE_NEEDED,
	  .what = "fs" },
	{ .name = "openat2",
	  .cuts = { ARG_CALL(openat2) },
	  .doctor = "openat2",
	  .kind = FEATURE_NEEDED,
	  .what = "openat2" },
	/* CONFIG_POSIX_MQUEUE, CONFIG_SYSVIPC, CONFIG_KEYS: nothing there that could be left. */
	{ .name = "posix-mqueue",
	  .cuts = { ARG_NAME(fsopen, 0, ENODEV, "mqueue"), ARG_CALL(mq_open) },
	  .kind = FEATURE_SPARE },
	{ .name = "system-v-ipc",
	  .cuts = { ARG_CALL(shmget), ARG_CALL(shmctl), ARG_CALL(msgget), ARG_CALL(msgctl),
		    ARG_CALL(semget), ARG_CALL(semctl) },
	  .kind = FEATURE_SPARE },
	{ .name = "keyrings",
	  .cuts = { ARG_CALL(keyctl), ARG_CALL(add_key), ARG_CALL(request_key) },
	  .kind = FEATURE_SPARE },
	/* CONFIG_UNIX98_PTYS. */
	{ .name = "devpts",
	  .cuts = { ARG_NAME(fsopen, 0, ENODEV, "devpts") },
	  .kind = FEATURE_SPARE },
	{ .name = "seccomp",
	  .cuts = { ARG_CALL(seccomp) },
	  .doctor = "seccomp filter",
	  .kind = FEATURE_NEEDED,
	  .what = "seccomp" },
	/* One listens to all of us already: a container manager does. */
	{ .name = "seccomp-listener",
	  .cuts = { ARG_BITS(seccomp, 1, SECCOMP_FILTER_FLAG_NEW_LISTENER) },
	  .doctor = "seccomp listener",
	  .kind = FEATURE_DEGRADES,
	  .what = "denied" },
	/* 5.19. */
	{ .name = "seccomp-wait-killable",
	  .cuts = { ARG_BITS(seccomp, 1, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) },
	  .kind = FEATURE_SPARE },
	{ .name = "affinity",
	  .cuts = { ARG_REFUSED(sched_setaffinity) },
	  .doctor = "cpu affinity",
	  .kind = FEATURE_DEGRADES,
	  .what = "launch.affinity" },
	{ .name = "scheduler", .cuts = { ARG_REFUSED(sched_setscheduler) }, .kind = FEATURE_SPARE },
	/* On cgroup2 since 5.19; v1 has always had it. */
	{ .name = "memory.peak",
	  .cuts = { CUT_FILE("memory.peak"), CUT_FILE("memory.max_usage_in_bytes") },
	  .kind = FEATURE_DEGRADES,
	  .what = "memory.charged_peak_bytes" },
	/* The meter counts them as well. */
	{ .name = "pids.peak", .cuts = { CUT_FILE("pids.peak") }, .kind = FEATURE_SPARE },
	/* Nowhere to pin: no bpffs, or no right to it. */
	{ .name = "bpf-pins",
	  .cuts = { ARG_EQUAL(bpf, 0, BPF_OBJ_GET), ARG_EQUAL(bpf, 0, BPF_OBJ_PIN) },
	  .kind = FEATURE_DEGRADES,
	  .what = "time.busy_ns",
	  .no_meter = true },
	/* CONFIG_SWAP; on v1 also swapaccount=0. */
	{ .name = "swap-accounting",
	  .cuts = { CUT_FILE("memory.swap.max"), CUT_FILE("memory.memsw.limit_in_bytes") },
	  .kind = FEATURE_SPARE },
};

#define N_FEATURES (sizeof(features) / sizeof(features[0]))

#endif
