/* SPDX-License-Identifier: MIT */
/*
 * The probes of cgroups. Each makes a cgroup cloche-probe-PID at the root of a hierarchy, where
 * contexts have theirs, uses it and removes it. What the host has set for everybody (the
 * subtree_control of a cgroup2 root) is looked at and not changed.
 */
#include "host/probe_use.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "host/bounds.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/sched.h>
#include <mntent.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEAF_LEN sizeof("cloche-probe-4194304000")

struct leaf {
	int root, dir; /* the hierarchy's root and the probe's own cgroup */
	char name[LEAF_LEN];
};

static void leaf_name(char name[static LEAF_LEN], pid_t owner)
{
	(void)snprintf(name, LEAF_LEN, "cloche-probe-%d", (int)owner);
}

/* cgroup2 counts a process as gone a moment after wait(2) may say so: cgroup.events tells when. */
static int leaf_rmdir(int root, const char *name)
{
	char path[LEAF_LEN + sizeof("/cgroup.events")], text[128];

	(void)snprintf(path, sizeof(path), "%s/cgroup.events", name);
	for (int i = 0; i < 4; i++) {
		cleanup_fd int fd = openat(root, path, O_RDONLY | O_CLOEXEC);
		struct pollfd p = { .fd = fd, .events = POLLPRI };

		if (fd >= 0)
			(void)!read(fd, text, sizeof(text)); /* arms the poll */
		if (unlinkat(root, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY || fd < 0)
			return errno;
		(void)poll(&p, 1, 500);
	}
	return EBUSY;
}

static void leaf_cleanup(struct leaf *leaf)
{
	if (leaf->dir >= 0)
		(void)leaf_rmdir(leaf->root, leaf->name);
	fd_close(&leaf->dir);
	fd_close(&leaf->root);
}
#define cleanup_leaf __attribute__((cleanup(leaf_cleanup)))
#define LEAF_NONE                     \
	{                             \
		.root = -1, .dir = -1 \
	}

/* 0 or errno. */
static int leaf_make(struct leaf *leaf, const char *root, pid_t owner)
{
	leaf_name(leaf->name, owner);
	leaf->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (leaf->root < 0 || mkdirat(leaf->root, leaf->name, 0755) < 0)
		return errno;
	leaf->dir = openat(leaf->root, leaf->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (leaf->dir < 0) {
		int code = errno;

		(void)leaf_rmdir(leaf->root, leaf->name);
		return code;
	}
	return 0;
}

/* Where a v1 controller (or, with NULL, the cgroup2 tree) is mounted: 0 or ENOENT. */
static int mount_find(const char *controller, char path[static PATH_MAX])
{
	cleanup_file FILE *f = setmntent("/proc/self/mounts", "re");
	const char *type = controller ? "cgroup" : "cgroup2";
	char buf[PATH_MAX + 512];
	struct mntent m;

	while (f && getmntent_r(f, &m, buf, sizeof(buf)))
		if (strcmp(m.mnt_type, type) == 0 && (!controller || hasmntopt(&m, controller)) &&
		    strlen(m.mnt_dir) < PATH_MAX) {
			(void)stpcpy(path, m.mnt_dir);
			return 0;
		}
	return ENOENT;
}

void probe_cgroup_sweep(pid_t owner)
{
	cleanup_file FILE *f = setmntent("/proc/self/mounts", "re");
	char buf[PATH_MAX + 512], name[LEAF_LEN];
	struct mntent m;

	leaf_name(name, owner);
	while (f && getmntent_r(f, &m, buf, sizeof(buf))) {
		cleanup_fd int root = -1;

		if (strncmp(m.mnt_type, "cgroup", 6) != 0)
			continue;
		root = open(m.mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (root >= 0)
			(void)leaf_rmdir(root, name);
	}
}

/* The cgroup2 tree and a leaf in it; what is missing is in the result. */
static int leaf2(struct probe_job *job, struct leaf *leaf, char path[static PATH_MAX])
{
	int code = mount_find(NULL, path);

	if (code)
		return probe_say(job, code, "no cgroup2 tree is mounted");
	code = leaf_make(leaf, path, job->owner);
	return code ? probe_say(job, code, "make a cgroup in %.80s", path) : 0;
}

int probe_use_cgroup2(struct probe_job *job)
{
	cleanup_leaf struct leaf leaf = LEAF_NONE;
	char path[PATH_MAX];
	int code = leaf2(job, &leaf, path);

	return code ? code : probe_say(job, 0, "at %.100s", path);
}

/* A child that is born in the cgroup and waits to be killed; 0 or errno. */
static int born_there(const struct leaf *leaf, pid_t *ret)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)leaf->dir,
	};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		return errno;
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			(void)pause();
	}
	*ret = (pid_t)pid;
	return 0;
}

int probe_use_into_cgroup(struct probe_job *job)
{
	cleanup_leaf struct leaf leaf = LEAF_NONE;
	char path[PATH_MAX], procs[64], want[32];
	pid_t pid = -1;
	int code = leaf2(job, &leaf, path);

	if (code)
		return code;
	code = born_there(&leaf, &pid);
	if (code)
		return probe_say(job, code, "clone3 with CLONE_INTO_CGROUP");
	(void)snprintf(want, sizeof(want), "%d", (int)pid);
	code = -file_read_text(leaf.dir, "cgroup.procs", procs, sizeof(procs), NULL);
	if (code == 0 && strcmp(procs, want) != 0)
		code = ESRCH;
	probe_end(pid);
	return code ? probe_say(job, code, "the child was not born in its cgroup")
		    : probe_say(job, 0, "a child was born in its cgroup");
}

int probe_use_cgroup_kill(struct probe_job *job)
{
	cleanup_leaf struct leaf leaf = LEAF_NONE;
	char path[PATH_MAX];
	pid_t pid = probe_sleeper(0);
	int code, status = 0;

	if (pid < 0)
		return probe_say(job, errno, "fork");
	code = leaf2(job, &leaf, path);
	if (code == 0) {
		char text[32];

		(void)snprintf(text, sizeof(text), "%d", (int)pid);
		code = -file_write_text(leaf.dir, "cgroup.procs", text, NULL);
		if (code == 0)
			code = -file_write_text(leaf.dir, "cgroup.kill", "1", NULL);
		if (code)
			(void)probe_say(job, code, "kill through cgroup.kill");
	}
	if (code) {
		probe_end(pid);
		return code;
	}
	/* Should the write have no effect, the alarm ends this probe. */
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		return probe_say(job, ESRCH, "cgroup.kill did not kill");
	return probe_say(job, 0, "killed a cgroup");
}

/* What a limit is written into, on v1 and on cgroup2. */
static const struct knob {
	const char *controller, *v1_file, *v1_text, *v2_file, *v2_text;
} knobs[] = {
	{ "cpu", "cpu.cfs_quota_us", "50000", "cpu.max", "10000 20000" },
	{ "memory", "memory.limit_in_bytes", "67108864", "memory.max", "67108864" },
	{ "pids", "pids.max", "64", "pids.max", "64" },
};

static const struct knob *knob_find(const char *controller)
{
	for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++)
		if (strcmp(knobs[i].controller, controller) == 0)
			return &knobs[i];
	return NULL;
}

static int limit_v1(struct probe_job *job, const struct knob *knob, const char *path)
{
	cleanup_leaf struct leaf leaf = LEAF_NONE;
	int code = leaf_make(&leaf, path, job->owner);

	if (code)
		return probe_say(job, code, "make a cgroup in %.80s", path);
	code = -file_write_text(leaf.dir, knob->v1_file, knob->v1_text, NULL);
	if (code)
		return probe_say(job, code, "write %s in %.80s", knob->v1_file, path);
	return probe_say(job, 0, "v1, at %.100s", path);
}

/* Whether the file of the root lists the controller as a word. */
static bool root_lists(int root, const char *file, const char *controller)
{
	char text[256], *rest = text;

	if (file_read_text(root, file, text, sizeof(text), NULL) < 0)
		return false;
	for (char *word; (word = strsep(&rest, " "));)
		if (strcmp(word, controller) == 0)
			return true;
	return false;
}

static int limit_v2(struct probe_job *job, const struct knob *knob, const char *path)
{
	cleanup_leaf struct leaf leaf = LEAF_NONE;
	int code = leaf_make(&leaf, path, job->owner);

	if (code)
		return probe_say(job, code, "make a cgroup in %.80s", path);
	if (!root_lists(leaf.root, "cgroup.controllers", knob->controller))
		return probe_say(job, ENOENT, "neither v1 nor cgroup2 has it");
	if (!root_lists(leaf.root, "cgroup.subtree_control", knob->controller))
		return probe_say(job, 0, "cgroup2, at %.80s; the first run enables it", path);
	code = -file_write_text(leaf.dir, knob->v2_file, knob->v2_text, NULL);
	if (code)
		return probe_say(job, code, "write %s in %.80s", knob->v2_file, path);
	return probe_say(job, 0, "cgroup2, at %.100s", path);
}

int probe_use_controller(struct probe_job *job)
{
	const struct knob *knob = knob_find(job->word);
	char path[PATH_MAX];

	if (mount_find(job->word, path) == 0)
		return limit_v1(job, knob, path);
	if (mount_find(NULL, path) == 0)
		return limit_v2(job, knob, path);
	return probe_say(job, ENOENT, "no cgroups are mounted");
}

int probe_use_device_bpf(struct probe_job *job)
{
	const struct bpf_insn allow[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	cleanup_leaf struct leaf leaf = LEAF_NONE;
	cleanup_fd int fd = -1;
	char path[PATH_MAX];
	union bpf_attr attr;
	int code;

	memset(&attr, 0, sizeof(attr)); /* padding counts: bpf(2) refuses what it does not know */
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uintptr_t)allow;
	attr.insn_cnt = sizeof(allow) / sizeof(allow[0]);
	attr.license = (uintptr_t) "MIT";
	fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	if (fd < 0)
		return probe_say(job, errno, "load a device program");
	code = leaf2(job, &leaf, path);
	if (code)
		return code;
	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)leaf.dir;
	attr.attach_bpf_fd = (uint32_t)fd;
	attr.attach_type = BPF_CGROUP_DEVICE;
	if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)) < 0)
		return probe_say(job, errno, "attach a device program to a cgroup");
	return probe_say(job, 0, "a device program was attached");
}

int probe_use_bounds(struct probe_job *job)
{
	struct cloche_err err = { 0 };
	int r = bounds_try(&err);

	return r < 0 ? probe_say(job, -r, "count locks and connections")
		     : probe_say(job, 0, "the programs that count were attached");
}
