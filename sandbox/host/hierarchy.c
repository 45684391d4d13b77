/* SPDX-License-Identifier: MIT */
/* Finds the hierarchies through libcgroup, makes the parents, remembers where they are. */
#include "host/hierarchy.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "host/host.h"
#include "device.skel.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <libcgroup.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PARENT	 "cloche"
#define QUOTA	 "quota"
#define PATH_LEN 256

const char *const controller_names[CONTROLLER_N] = { "cpu", "memory", "pids", "cpuacct", "cpuset" };

struct paths {
	char v2[PATH_LEN];
	char ctl[CONTROLLER_N][PATH_LEN]; /* "-": on v2, or none */
};

void hierarchy_close(struct hierarchy *hierarchy)
{
	fd_close(&hierarchy->v2);
	for (int i = 0; i < CONTROLLER_N; i++)
		fd_close(&hierarchy->ctl[i]);
}

static int open_paths(const struct paths *p, struct hierarchy *ret)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	struct hierarchy h = HIERARCHY_NONE;

	h.v2 = open(p->v2, flags);
	for (int i = 0; h.v2 >= 0 && i < CONTROLLER_N; i++) {
		if (strcmp(p->ctl[i], "-") == 0)
			continue;
		h.ctl[i] = open(p->ctl[i], flags);
		if (h.ctl[i] < 0)
			fd_close(&h.v2);
	}
	if (h.v2 < 0) {
		hierarchy_close(&h);
		return -ENOENT;
	}
	*ret = h;
	return 0;
}

int hierarchy_below(const struct hierarchy *of, const char *name, struct hierarchy *ret,
		    struct cloche_err *err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	struct hierarchy h = HIERARCHY_NONE;
	int code = 0;

	h.v2 = openat(of->v2, name, flags);
	if (h.v2 < 0)
		code = errno;
	for (int i = 0; code == 0 && i < CONTROLLER_N; i++) {
		if (of->ctl[i] < 0)
			continue;
		h.ctl[i] = openat(of->ctl[i], i == CONTROLLER_CPUSET ? "." : name, flags);
		if (h.ctl[i] < 0)
			code = errno;
	}
	if (code) {
		hierarchy_close(&h);
		return cloche_err_sys(err, code, "open the cgroup '" PARENT "/%s'", name);
	}
	*ret = h;
	return 0;
}

static int find_v2(char *mount, size_t size, struct cloche_err *err)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	int failed;

	mount[0] = '\0';
	if (!f)
		return cloche_err_sys(err, errno, "open '/proc/self/mounts'");
	while ((m = getmntent(f)))
		if (strcmp(m->mnt_type, "cgroup2") == 0) {
			(void)snprintf(mount, size, "%s", m->mnt_dir);
			break;
		}
	failed = ferror(f) ? errno : 0;
	(void)endmntent(f);
	if (mount[0])
		return 0;
	if (failed)
		return cloche_err_sys(err, failed, "read '/proc/self/mounts'");
	return cloche_err_set(err, ENOENT,
			      "no cgroup2 tree is mounted; 'mkdir -p "
			      "/sys/fs/cgroup/unified && mount -t cgroup2 none "
			      "/sys/fs/cgroup/unified'");
}

/* Of those that limit nothing: where they have a hierarchy for themselves. */
static void find_shown(struct paths *p, const char *v2_mount)
{
	for (int i = CONTROLLER_NEEDED; i < CONTROLLER_N; i++) {
		char *mount = NULL;
		bool own = cgroup_get_subsys_mount_point(controller_names[i], &mount) == 0 &&
			   mount && strcmp(mount, v2_mount) != 0;

		if (own)
			(void)snprintf(p->ctl[i], PATH_LEN, "%.200s/" PARENT, mount);
		for (int j = 0; j < i && own; j++)
			own = strcmp(p->ctl[i], p->ctl[j]) != 0;
		if (!own)
			(void)snprintf(p->ctl[i], PATH_LEN, "-");
		free(mount);
	}
}

/* libcgroup's view: which mount has the controller, and whether that is cgroup2. */
static int find_controllers(struct paths *p, const char *v2_mount, struct cloche_err *err)
{
	for (int i = 0; i < CONTROLLER_NEEDED; i++) {
		char *mount = NULL;
		int r = cgroup_get_subsys_mount_point(controller_names[i], &mount);

		if (r != 0 || !mount)
			return cloche_err_set(err, ENOENT,
					      "the %s controller is on no cgroup "
					      "hierarchy; enable it in the kernel's command line "
					      "(cgroup_enable=%s)",
					      controller_names[i], controller_names[i]);
		if (strcmp(mount, v2_mount) == 0)
			(void)snprintf(p->ctl[i], PATH_LEN, "-");
		else
			(void)snprintf(p->ctl[i], PATH_LEN, "%.200s/" PARENT, mount);
		free(mount);
	}
	find_shown(p, v2_mount);
	return 0;
}

/* A new cpuset has no CPUs and takes no process; below this one each has all that there are. */
static int fill_cpuset(const char *parent, struct cloche_err *err)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };
	cleanup_fd int dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char path[PATH_LEN], text[1024];
	int r = dir < 0 ? cloche_err_sys(err, errno, "open '%s'", parent) : 0;

	for (size_t i = 0; r == 0 && i < sizeof(files) / sizeof(files[0]); i++) {
		(void)snprintf(path, sizeof(path), "../%s", files[i]);
		r = file_read_text(dir, path, text, sizeof(text), err);
		if (r >= 0)
			r = file_write_text(dir, files[i], text, err);
	}
	return r < 0 ? r : file_write_text(dir, "cgroup.clone_children", "1", err);
}

static int make_parents(const struct paths *p, struct cloche_err *err)
{
	/* A leaf below the parent: libcgroup then enables the controllers down to it on cgroup2. */
	struct cgroup *group = cgroup_new_cgroup(PARENT "/setup");
	int r = group ? 0 : ECGOTHER;

	for (int i = 0; r == 0 && i < CONTROLLER_NEEDED; i++)
		if (!cgroup_add_controller(group, controller_names[i]))
			r = ECGOTHER;
	if (r == 0)
		r = cgroup_create_cgroup(group, 0);
	cgroup_free(&group);
	if (r != 0)
		return cloche_err_set(err, EIO, "make the cgroup '" PARENT "': %s",
				      cgroup_strerror(r));
	for (int i = -1; i < CONTROLLER_N; i++) {
		char path[PATH_LEN + 8];
		const char *parent = i < 0 ? p->v2 : p->ctl[i];

		/* The bare cgroup2 tree of a hybrid host has no controller and so no libcgroup. */
		if (mkdir(parent, 0755) < 0 && errno != EEXIST && strcmp(parent, "-") != 0)
			return cloche_err_sys(err, errno, "make '%s'", parent);
		(void)snprintf(path, sizeof(path), "%s/setup", parent);
		(void)rmdir(path);
	}
	return strcmp(p->ctl[CONTROLLER_CPUSET], "-") == 0
		       ? 0
		       : fill_cpuset(p->ctl[CONTROLLER_CPUSET], err);
}

static int save(int run_fd, const struct paths *p, struct cloche_err *err)
{
	char text[(PATH_LEN + 1) * (CONTROLLER_N + 1)];
	cleanup_fd int fd = -1;
	int len = snprintf(text, sizeof(text), "%s\n", p->v2);

	for (int i = 0; i < CONTROLLER_N; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "%s\n", p->ctl[i]);

	fd = openat(run_fd, "hierarchies.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, (size_t)len) != len ||
	    renameat(run_fd, "hierarchies.new", run_fd, "hierarchies") < 0)
		return cloche_err_sys(err, errno, "write '%s/hierarchies'", HOST_RUN_DIR);
	return 0;
}

static int load(int run_fd, struct hierarchy *ret)
{
	char text[(PATH_LEN + 1) * (CONTROLLER_N + 1)];
	struct paths p;
	int r = file_read_text(run_fd, "hierarchies", text, sizeof(text), NULL);

	if (r < 0)
		return r;
	if (sscanf(text, "%255[^\n]\n%255[^\n]\n%255[^\n]\n%255[^\n]\n%255[^\n]\n%255[^\n]", p.v2,
		   p.ctl[0], p.ctl[1], p.ctl[2], p.ctl[3], p.ctl[4]) != 1 + CONTROLLER_N)
		return -EINVAL;
	return open_paths(&p, ret);
}

static void say_nothing(void *userdata, int level, const char *fmt, va_list ap)
{
}

static int discover(int run_fd, struct hierarchy *ret, struct cloche_err *err)
{
	char mount[PATH_LEN - 16];
	struct paths p;
	int r;

	/* Its own one writes to standard output, which is the command's. */
	cgroup_set_logger(say_nothing, CGROUP_LOG_ERROR, NULL);
	errno = 0;
	r = cgroup_init();
	/* Its number for "see errno" may come without one. */
	if (r == ECGOTHER)
		return cloche_err_sys(err, errno ? errno : EIO, "read the cgroup hierarchies");
	if (r != 0)
		return cloche_err_set(err, EIO, "read the cgroup hierarchies: %s",
				      cgroup_strerror(r));
	r = find_v2(mount, sizeof(mount), err);
	if (r < 0)
		return r;
	(void)snprintf(p.v2, sizeof(p.v2), "%s/" PARENT, mount);
	r = find_controllers(&p, mount, err);
	if (r < 0)
		return r;
	r = make_parents(&p, err);
	if (r < 0)
		return r;
	r = open_paths(&p, ret);
	if (r < 0)
		return cloche_err_sys(err, -r, "open the cgroup '%s'", p.v2);
	return save(run_fd, &p, err);
}

/* Ours, and of this version: the cgroup outlives an update of this program. */
static bool filter_attached(const struct hierarchy *h)
{
	struct bpf_prog_info info = { 0 };
	__u32 ids[8], n = 8, size = sizeof(info);
	cleanup_fd int fd = -1;

	if (bpf_prog_query(h->v2, BPF_CGROUP_DEVICE, 0, NULL, ids, &n) < 0 || n == 0)
		return false;
	fd = bpf_prog_get_fd_by_id(ids[0]);
	return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
	       strcmp(info.name, "device_allow_2") == 0;
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

/* Attached to the cgroup itself, so it stays until the parent is removed. */
static int attach_filter(const struct hierarchy *h, struct cloche_err *err)
{
	libbpf_print_fn_t old = libbpf_set_print(quiet);
	struct device_bpf *skel = device_bpf__open_and_load();
	int r = 0;

	if (!skel)
		r = cloche_err_sys(err, errno,
				   "load the device filter; bpf(2) must be possible for "
				   "root");
	else if (bpf_prog_attach(bpf_program__fd(skel->progs.device_allow_2), h->v2,
				 BPF_CGROUP_DEVICE, 0) < 0)
		r = cloche_err_sys(err, errno, "attach the device filter to the cgroup");
	device_bpf__destroy(skel);
	(void)libbpf_set_print(old);
	return r;
}

/*
 * A cgroup beside the contexts' own, with a quota, in which never anybody is. While no cgroup of a
 * host has a quota the kernel does without looking for one, and with the first and the last it
 * rewrites its own code for that (cfs_bandwidth_used, a static key), for which all CPUs are
 * interrupted: each invocation would have it done twice, as its quota is set when it starts and
 * lifted when it has ended. Where it cannot be made all is as before.
 */
static void try_keep_quotas(const struct hierarchy *h)
{
	int v1 = h->ctl[CONTROLLER_CPU], parent = v1 >= 0 ? v1 : h->v2;
	cleanup_fd int dir = -1;

	if (mkdirat(parent, QUOTA, 0755) < 0)
		return; /* it is there */
	dir = openat(parent, QUOTA, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (v1 >= 0)
		(void)file_write_text(dir, "cpu.cfs_quota_us", "1000", NULL);
	else
		(void)file_write_text(dir, "cpu.max", "1000 100000", NULL);
}

static int open_hierarchy(int run_fd, struct hierarchy *ret, struct cloche_err *err)
{
	cleanup_fd int lock = -1;
	int r;

	if (load(run_fd, ret) == 0 && filter_attached(ret))
		return 0;
	hierarchy_close(ret);
	lock = host_lock(run_fd, "setup.lock", err);
	if (lock < 0)
		return lock;
	if (load(run_fd, ret) < 0) {
		r = discover(run_fd, ret, err);
		if (r < 0)
			return r;
	}
	if (filter_attached(ret))
		return 0;
	r = attach_filter(ret, err);
	if (r == 0 && !filter_attached(ret))
		r = cloche_err_set(err, EIO,
				   "the device filter is not at the cgroup where it was "
				   "attached");
	if (r < 0)
		hierarchy_close(ret);
	return r;
}

int hierarchy_open(int run_fd, struct hierarchy *ret, struct cloche_err *err)
{
	int r = open_hierarchy(run_fd, ret, err);

	if (r == 0)
		try_keep_quotas(ret);
	return r;
}
