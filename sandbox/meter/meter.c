/* SPDX-License-Identifier: MIT */
/*
 * Loaded, attached, pinned, found again. Who may do what when several processes come at once:
 *
 *  - /sys/fs/bpf itself is flock'ed exclusively while anybody loads or removes. Loading pins into
 *    NAME-HASH-new and renames it: a directory of the right name is whole.
 *  - Every user holds a shared flock on its NAME-HASH; removing takes it exclusively or leaves the
 *    directory alone. So another build can never detach programs under a running invocation.
 *  - A user that opened the directory just before it was removed sees a pin missing, and loads.
 */
#include "meter/meter.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/fd.h"
#include "host/host.h"
#include "host/prompt.h"
#include "meter/meter_pins.h"
#include "meter.skel.h"

/* ---- loading ------------------------------------------------------------------------------ */

static int pin_maps(struct meter_bpf *b, const char *dir, struct cloche_err *err)
{
	const struct {
		struct bpf_map *map;
		const char *name;
	} pins[] = {
		{ b->maps.slots, "slots" },	    { b->maps.ctl, "ctl" },
		{ b->maps.by_cgroup, "by_cgroup" }, { b->maps.rings, "rings" },
		{ b->maps.timers, "timers" },
	};
	char path[192];
	int r;

	for (size_t i = 0; i < sizeof(pins) / sizeof(*pins); i++) {
		r = pin_path(path, sizeof(path), dir, pins[i].name, err);
		if (r)
			return r;
		r = bpf_map__pin(pins[i].map, path);
		if (r)
			return cloche_err_sys(err, -r, "pin the meter's map '%s'", path);
	}
	return 0;
}

/* The links are what keeps a program attached. Those of a cgroup have no place yet and those of a
 * trace no trace: they are pinned as programs and attached when there is one. */
static int pin_programs(struct meter_bpf *b, const char *dir, struct cloche_err *err)
{
	struct bpf_program *p;
	struct bpf_link *l;
	char path[192];
	int r;

	bpf_object__for_each_program(p, b->obj)
	{
		r = pin_path(path, sizeof(path), dir, bpf_program__name(p), err);
		if (r)
			return r;
		if (p == b->progs.meter_cpus)
			continue;
		if (pin_is_program(bpf_program__name(p))) {
			r = bpf_program__pin(p, path);
			if (r)
				return cloche_err_sys(err, -r, "pin the meter's program '%s'",
						      path);
			continue;
		}
		l = bpf_program__attach(p);
		if (!l)
			return cloche_err_sys(err, errno, "attach the meter's program '%s'",
					      bpf_program__name(p));
		r = bpf_link__pin(l, path);
		(void)bpf_link__destroy(l);
		if (r)
			return cloche_err_sys(err, -r, "pin the meter's link '%s'", path);
	}
	return 0;
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return 0;
}

/* Where this does not succeed, page cache is not told apart, and the report says so. */
static void try_find_cpus(const struct meter_bpf *b)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	(void)bpf_prog_test_run_opts(bpf_program__fd(b->progs.meter_cpus), &opts);
}

static int load_and_pin(int root, const char *path, struct cloche_err *err)
{
	libbpf_print_fn_t print = libbpf_set_print(quiet);
	struct meter_bpf *b = meter_bpf__open();
	int n = libbpf_num_possible_cpus();
	char fresh[192];
	int r;

	if (!b) {
		r = cloche_err_sys(err, errno, "open the meter's BPF object");
		goto out;
	}
	b->rodata->cpus = (uint32_t)(n > 0 ? n : 1);
	r = meter_bpf__load(b);
	if (r) {
		r = cloche_err_sys(err, -r, "load the meter's BPF programs");
		goto out;
	}
	try_find_cpus(b);
	(void)snprintf(fresh, sizeof(fresh), "%s-new", path);
	if (mkdir(fresh, 0700)) {
		r = cloche_err_sys(err, errno, "make '%s'", fresh);
		goto out;
	}
	r = pin_maps(b, fresh, err);
	if (!r)
		r = pin_programs(b, fresh, err);
	if (!r && rename(fresh, path))
		r = cloche_err_sys(err, errno, "rename '%s'", fresh);
	if (r)
		(void)version_remove(root, strrchr(fresh, '/') + 1);
out:
	meter_bpf__destroy(b);
	(void)libbpf_set_print(print);
	return r;
}

/* ---- opening ------------------------------------------------------------------------------ */

int meter_open(struct meter *m, const char *name, struct cloche_err *err)
{
	struct meter fresh = METER_INIT;
	cleanup_fd int root = -1;
	bool prompt;
	int r;

	r = version_path(fresh.path, sizeof(fresh.path), name, err);
	if (r)
		return r;
	r = pins_open(&fresh);
	if (r && r != -ENOENT)
		return cloche_err_sys(err, -r, "open the meter's pins in '%s'", fresh.path);
	if (r) {
		root = host_bpffs_lock(err);
		if (root < 0)
			return root;
		r = pins_open(&fresh); /* somebody else loaded it while we waited */
	}
	if (r) {
		(void)versions_remove(root, name, strrchr(fresh.path, '/') + 1);
		prompt = prompt_pause();
		r = load_and_pin(root, fresh.path, err);
		if (prompt)
			prompt_try_begin(true);
		if (r)
			return r;
		r = pins_open(&fresh);
		if (r)
			return cloche_err_sys(err, -r, "open the meter's pins in '%s'", fresh.path);
	}
	*m = fresh;
	return 0;
}

void meter_close(struct meter *m)
{
	fd_close(&m->timers);
	fd_close(&m->rings);
	fd_close(&m->by_cgroup);
	fd_close(&m->ctl);
	fd_close(&m->slots);
	fd_close(&m->dir);
}

static int link_cgroup(const struct meter *m, int cgroup_fd, const struct pin_later *l,
		       const char *pin, struct cloche_err *err)
{
	cleanup_fd int prog = pin_get(m->path, l->program);
	cleanup_fd int link = -1;
	char path[192];
	int r;

	if (prog < 0)
		return cloche_err_sys(err, -prog, "open '%s/%s'", m->path, l->program);
	r = pin_path(path, sizeof(path), m->path, pin, err);
	if (r)
		return r;
	link = bpf_link_create(prog, cgroup_fd, l->type, NULL);
	if (link < 0)
		return cloche_err_sys(err, errno, "attach the meter's '%s' to the cgroup",
				      l->program);
	if (bpf_obj_pin(link, path) && errno != EEXIST)
		return cloche_err_sys(err, errno, "pin '%s'", path);
	return 0;
}

int meter_watch_network(struct meter *m, int cgroup_fd, struct cloche_err *err)
{
	cleanup_fd int root = -1;
	char pin[48];
	struct stat st;
	int r;

	if (fstat(cgroup_fd, &st))
		return cloche_err_sys(err, errno, "stat the cgroup");
	/* By the cgroup's id, which is never used again: one made anew gets its own links, and
	 * those of one that is gone went with it. */
	(void)snprintf(pin, sizeof(pin), "out_%llu", (unsigned long long)st.st_ino);
	if (!faccessat(m->dir, pin, F_OK, 0))
		return 0;
	root = host_bpffs_lock(err);
	if (root < 0)
		return root;
	if (!faccessat(m->dir, pin, F_OK, 0))
		return 0;
	for (size_t i = 0; i < PIN_LATERS; i++) {
		if (!pin_laters[i].link)
			continue;
		(void)snprintf(pin, sizeof(pin), "%s_%llu", pin_laters[i].link,
			       (unsigned long long)st.st_ino);
		/* What somebody left who died in the middle. */
		(void)unlinkat(m->dir, pin, 0);
		r = link_cgroup(m, cgroup_fd, &pin_laters[i], pin, err);
		if (r)
			return r;
	}
	return 0;
}

/* ---- removing ----------------------------------------------------------------------------- */

int meter_remove(const char *name, struct cloche_err *err)
{
	cleanup_fd int root = -1;

	if (!host_bpffs_is_mounted())
		return 0;
	root = host_bpffs_lock(err);
	if (root < 0)
		return root;
	if (versions_remove(root, name, NULL))
		return cloche_err_set(err, EBUSY,
				      "remove the meter '%s': a running cloche holds it", name);
	return 0;
}

/* ---- tracing ------------------------------------------------------------------------------ */

/* The links of a trace are shared: attached twice, a program would run twice. Whoever traces holds
 * a shared lock on a directory beside the pins; the last one to leave takes the links away. What a
 * killed tracer leaves, the next one takes away. */
#define TRACE_LOCK "tracing"

static const char *const trace_programs[] = { "trace_enter", "trace_exit" };

static int link_trace(const struct meter *m, size_t i, struct cloche_err *err)
{
	cleanup_fd int prog = pin_get(m->path, trace_programs[i]);
	cleanup_fd int link = -1;
	char path[192];
	int r;

	if (!faccessat(m->dir, pin_trace_links[i], F_OK, 0))
		return 0;
	if (prog < 0)
		return cloche_err_sys(err, -prog, "open '%s/%s'", m->path, trace_programs[i]);
	link = bpf_raw_tracepoint_open(NULL, prog);
	if (link < 0)
		return cloche_err_sys(err, errno, "attach the meter's '%s'", trace_programs[i]);
	r = pin_path(path, sizeof(path), m->path, pin_trace_links[i], err);
	if (!r && bpf_obj_pin(link, path))
		r = cloche_err_sys(err, errno, "pin '%s'", path);
	return r;
}

int meter_trace_on(const struct meter *m, struct cloche_err *err)
{
	cleanup_fd int root = host_bpffs_lock(err);
	cleanup_fd int lock = -1;
	int r = 0;

	if (root < 0)
		return root;
	if (mkdirat(m->dir, TRACE_LOCK, 0700) && errno != EEXIST)
		return cloche_err_sys(err, errno, "make '%s/" TRACE_LOCK "'", m->path);
	lock = openat(m->dir, TRACE_LOCK, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0 || flock(lock, LOCK_SH))
		return cloche_err_sys(err, errno, "lock '%s/" TRACE_LOCK "'", m->path);
	for (size_t i = 0; i < 2 && !r; i++)
		r = link_trace(m, i, err);
	if (r) {
		int mine = TAKE_FD(lock);

		fd_close(&root);
		meter_trace_off(m, &mine);
		return r;
	}
	return TAKE_FD(lock);
}

void meter_trace_off(const struct meter *m, int *lock)
{
	cleanup_fd int root = -1;

	if (*lock < 0)
		return;
	root = host_bpffs_lock(NULL);
	if (root >= 0 && !flock(*lock, LOCK_EX | LOCK_NB))
		for (size_t i = 0; i < 2; i++)
			(void)unlinkat(m->dir, pin_trace_links[i], 0);
	/* By closing alone it would stay with the warden, which inherited it: whoever
	 * traces next, this process included, would wait for it for ever. */
	(void)flock(*lock, LOCK_UN);
	fd_close(lock);
}

void meter_trace_sweep(const struct meter *m)
{
	int lock;

	if (faccessat(m->dir, pin_trace_links[0], F_OK, 0) &&
	    faccessat(m->dir, pin_trace_links[1], F_OK, 0))
		return;
	lock = openat(m->dir, TRACE_LOCK, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	meter_trace_off(m, &lock);
}
