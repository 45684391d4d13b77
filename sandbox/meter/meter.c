/* SPDX-License-Identifier: MIT */
/*
 * Pins and slots. Who may do what when several processes come at once:
 *
 *  - /sys/fs/bpf itself is flock'ed exclusively while anybody loads or removes. Loading pins into
 *    NAME-HASH-new and renames it: a directory of the right name is whole.
 *  - Every user holds a shared flock on its NAME-HASH; removing takes it exclusively or leaves the
 *    directory alone. So another build can never detach programs under a running invocation.
 *  - A user that opened the directory just before it was removed sees a pin missing, and loads.
 *
 * A slot needs no lock of ours: its number belongs to one caller.
 */
#include "meter/meter.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"
#include "bpf/meter_abi.h"
#include "host/host.h"
#include "host/prompt.h"
#include "meter/usage.h"
#include "meter.skel.h"

#define VERSION_LEN 16

_Static_assert(sizeof(struct meter_slot) <= sizeof(((struct meter_context *)0)->begin),
	       "meter_context.begin is too small");

/* ---- names -------------------------------------------------------------------------------- */

/* The build has hashed the object; the version of what reads it comes on top. */
static void version_hash(char ret[static VERSION_LEN + 1])
{
	uint64_t h = hash_fnv(strtoull(BPF_HASH, NULL, 16), CLOCHE_VERSION, strlen(CLOCHE_VERSION));

	(void)snprintf(ret, VERSION_LEN + 1, "%016llx", (unsigned long long)h);
}

static int path_join(char *buf, size_t size, const char *dir, const char *name,
		     struct cloche_err *err)
{
	int n = snprintf(buf, size, "%s/%s", dir, name);

	if (n < 0 || (size_t)n >= size)
		return cloche_err_set(err, ENAMETOOLONG, "pin '%s/%s': name too long", dir, name);
	return 0;
}

static int path_of_version(char *buf, size_t size, const char *name, struct cloche_err *err)
{
	char hash[VERSION_LEN + 1], leaf[96];
	int n;

	version_hash(hash);
	n = snprintf(leaf, sizeof(leaf), "%s-%s", name, hash);
	/* Room for the longest suffix, so that it cannot be cut later. */
	if (n < 0 || (size_t)n >= sizeof(leaf) - sizeof("-new"))
		return cloche_err_set(err, ENAMETOOLONG, "meter '%s': name too long", name);
	return path_join(buf, size, HOST_BPFFS, leaf, err);
}

/* "NAME-" and 16 hexadecimal digits, with or without "-new": ours, and of no longer name's. */
static bool is_version_of(const char *entry, const char *name)
{
	size_t len = strlen(name);
	const char *hash = entry + len + 1;

	if (strncmp(entry, name, len) != 0 || entry[len] != '-')
		return false;
	return strspn(hash, "0123456789abcdef") == VERSION_LEN &&
	       (!hash[VERSION_LEN] || strcmp(hash + VERSION_LEN, "-new") == 0);
}

/* ---- the file system ---------------------------------------------------------------------- */

/* Unlinks the pins of one version; under the lock. A version in use stays: -EBUSY. */
static int version_remove(int root, const char *entry)
{
	cleanup_fd int lock = openat(root, entry, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct dirent *d;
	DIR *dir;
	int dup;

	if (lock < 0)
		return -errno;
	if (flock(lock, LOCK_EX | LOCK_NB))
		return -EBUSY;
	dup = fcntl(lock, F_DUPFD_CLOEXEC, 3);
	dir = dup < 0 ? NULL : fdopendir(dup);
	if (!dir) {
		int e = errno;

		fd_cleanup(&dup);
		return -e;
	}
	while ((d = readdir(dir)))
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0 &&
		    unlinkat(lock, d->d_name, 0) && errno == EISDIR)
			(void)unlinkat(lock, d->d_name, AT_REMOVEDIR);
	(void)closedir(dir);
	return unlinkat(root, entry, AT_REMOVEDIR) ? -errno : 0;
}

/* All versions of a name but keep (NULL: all); in use ones stay. Returns how many stayed. */
static int versions_remove(int root, const char *name, const char *keep)
{
	struct dirent *d;
	int dup = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), left = 0;
	DIR *dir = dup < 0 ? NULL : fdopendir(dup);

	if (!dir) {
		fd_cleanup(&dup);
		return 0;
	}
	while ((d = readdir(dir)))
		if (is_version_of(d->d_name, name) && (!keep || strcmp(d->d_name, keep) != 0))
			left += version_remove(root, d->d_name) == -EBUSY;
	(void)closedir(dir);
	return left;
}

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

/* ---- loading ------------------------------------------------------------------------------ */

/* What is pinned as a program; with the link's pin, "%s_CGROUP" for those of a cgroup. */
static const struct later {
	const char *program;
	enum bpf_attach_type type;
	const char *link; /* NULL: for as long as somebody traces */
} laters[] = {
	{ "meter_ingress", BPF_CGROUP_INET_INGRESS, "in" },
	{ "meter_connect4", BPF_CGROUP_INET4_CONNECT, "con4" },
	{ "meter_connect6", BPF_CGROUP_INET6_CONNECT, "con6" },
	{ "meter_bind4", BPF_CGROUP_INET4_BIND, "bind4" },
	{ "meter_bind6", BPF_CGROUP_INET6_BIND, "bind6" },
	{ "meter_egress", BPF_CGROUP_INET_EGRESS, "out" }, /* last: it says that all are there */
	{ "trace_enter", BPF_TRACE_RAW_TP, NULL },
	{ "trace_exit", BPF_TRACE_RAW_TP, NULL },
};

#define N_LATERS (sizeof(laters) / sizeof(laters[0]))

static bool is_attached_later(const char *program)
{
	for (size_t i = 0; i < N_LATERS; i++)
		if (strcmp(program, laters[i].program) == 0)
			return true;
	return false;
}

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
		r = path_join(path, sizeof(path), dir, pins[i].name, err);
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
		r = path_join(path, sizeof(path), dir, bpf_program__name(p), err);
		if (r)
			return r;
		if (p == b->progs.meter_cpus)
			continue;
		if (is_attached_later(bpf_program__name(p))) {
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

static int obj_get(const char *dir, const char *name)
{
	char path[192];
	int fd;

	if (path_join(path, sizeof(path), dir, name, NULL))
		return -ENAMETOOLONG;
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

/* -ENOENT: not there, or removed while we looked. */
static int open_pinned(struct meter *m)
{
	const struct {
		int *fd;
		const char *name;
	} pins[] = {
		{ &m->slots, "slots" }, { &m->ctl, "ctl" },	  { &m->by_cgroup, "by_cgroup" },
		{ &m->rings, "rings" }, { &m->timers, "timers" },
	};

	m->dir = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->dir < 0)
		return -errno;
	if (flock(m->dir, LOCK_SH))
		goto fail;
	for (size_t i = 0; i < sizeof(pins) / sizeof(*pins); i++) {
		*pins[i].fd = obj_get(m->path, pins[i].name);
		if (*pins[i].fd < 0) {
			errno = -*pins[i].fd;
			goto fail;
		}
	}
	return 0;
fail : {
	int e = errno;

	meter_close(m);
	return -e;
}
}

int meter_open(struct meter *m, const char *name, struct cloche_err *err)
{
	struct meter fresh = METER_INIT;
	cleanup_fd int root = -1;
	bool prompt;
	int r;

	r = path_of_version(fresh.path, sizeof(fresh.path), name, err);
	if (r)
		return r;
	r = open_pinned(&fresh);
	if (r && r != -ENOENT)
		return cloche_err_sys(err, -r, "open the meter's pins in '%s'", fresh.path);
	if (r) {
		root = host_bpffs_lock(err);
		if (root < 0)
			return root;
		r = open_pinned(&fresh); /* somebody else loaded it while we waited */
	}
	if (r) {
		(void)versions_remove(root, name, strrchr(fresh.path, '/') + 1);
		prompt = prompt_pause();
		r = load_and_pin(root, fresh.path, err);
		if (prompt)
			prompt_try_begin(true);
		if (r)
			return r;
		r = open_pinned(&fresh);
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

static int link_cgroup(const struct meter *m, int cgroup_fd, const struct later *l, const char *pin,
		       struct cloche_err *err)
{
	cleanup_fd int prog = obj_get(m->path, l->program);
	cleanup_fd int link = -1;
	char path[192];
	int r;

	if (prog < 0)
		return cloche_err_sys(err, -prog, "open '%s/%s'", m->path, l->program);
	r = path_join(path, sizeof(path), m->path, pin, err);
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
	for (size_t i = 0; i < N_LATERS; i++) {
		if (!laters[i].link)
			continue;
		(void)snprintf(pin, sizeof(pin), "%s_%llu", laters[i].link,
			       (unsigned long long)st.st_ino);
		/* What somebody left who died in the middle. */
		(void)unlinkat(m->dir, pin, 0);
		r = link_cgroup(m, cgroup_fd, &laters[i], pin, err);
		if (r)
			return r;
	}
	return 0;
}

/* ---- tracing ------------------------------------------------------------------------------ */

/* The links of a trace are shared: attached twice, a program would run twice. Whoever traces holds
 * a shared lock on a directory beside the pins; the last one to leave takes the links away. What a
 * killed tracer leaves, the next one takes away. */
#define TRACE_LOCK "tracing"

static const char *const trace_links[] = { "enter", "exit" };
static const char *const trace_programs[] = { "trace_enter", "trace_exit" };

static int link_trace(const struct meter *m, size_t i, struct cloche_err *err)
{
	cleanup_fd int prog = obj_get(m->path, trace_programs[i]);
	cleanup_fd int link = -1;
	char path[192];
	int r;

	if (!faccessat(m->dir, trace_links[i], F_OK, 0))
		return 0;
	if (prog < 0)
		return cloche_err_sys(err, -prog, "open '%s/%s'", m->path, trace_programs[i]);
	link = bpf_raw_tracepoint_open(NULL, prog);
	if (link < 0)
		return cloche_err_sys(err, errno, "attach the meter's '%s'", trace_programs[i]);
	r = path_join(path, sizeof(path), m->path, trace_links[i], err);
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
			(void)unlinkat(m->dir, trace_links[i], 0);
	/* By closing alone it would stay with the warden, which inherited it: whoever
	 * traces next, this process included, would wait for it for ever. */
	(void)flock(*lock, LOCK_UN);
	fd_close(lock);
}

void meter_trace_sweep(const struct meter *m)
{
	int lock;

	if (faccessat(m->dir, trace_links[0], F_OK, 0) &&
	    faccessat(m->dir, trace_links[1], F_OK, 0))
		return;
	lock = openat(m->dir, TRACE_LOCK, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	meter_trace_off(m, &lock);
}

/* ---- slots -------------------------------------------------------------------------------- */

static int slot_read(const struct meter *m, uint32_t slot, struct meter_slot *ret,
		     struct cloche_err *err)
{
	if (bpf_map_lookup_elem_flags(m->slots, &slot, ret, BPF_F_LOCK))
		return cloche_err_sys(err, errno, "read the meter's slot %u", slot);
	return 0;
}

static int ctl_write(const struct meter_context *c, uint64_t floor_ns, struct cloche_err *err)
{
	struct meter_ctl v = {
		.floor_ns = floor_ns, .epoch_ns = c->epoch_ns, .epoch = c->epoch, .flags = c->flags
	};

	if (bpf_map_update_elem(c->meter->ctl, &c->slot, &v, BPF_ANY))
		return cloche_err_sys(err, errno, "set the meter's slot %u", c->slot);
	return 0;
}

/* Forgets who used the slot before: its cgroup and its timers. */
static void slot_forget(const struct meter *m, uint32_t slot, const struct meter_slot *old)
{
	struct meter_target t;

	if (old->cgroup_id && !bpf_map_lookup_elem(m->by_cgroup, &old->cgroup_id, &t) &&
	    t.slot == slot)
		(void)bpf_map_delete_elem(m->by_cgroup, &old->cgroup_id);
	for (int i = 0; i < 2; i++)
		if (old->timer[i])
			(void)bpf_map_delete_elem(m->timers, &old->timer[i]);
}

int meter_arm(struct meter_context *c, const struct meter *m, uint32_t slot, uint64_t cgroup_id,
	      struct cloche_err *err)
{
	struct meter_target target = { .slot = slot };
	struct meter_slot s;
	int r;

	if (slot >= METER_SLOTS)
		return cloche_err_set(err, ERANGE, "meter slot %u: the last one is %u", slot,
				      METER_SLOTS - 1);
	*c = (struct meter_context){ .meter = m, .slot = slot, .cgroup_id = cgroup_id };
	r = slot_read(m, slot, &s, err);
	if (r)
		return r;
	if (s.gen)
		slot_forget(m, slot, &s);
	c->gen = (uint64_t)clock_now_ns();
	if (c->gen <= s.gen)
		c->gen = s.gen + 1;
	r = ctl_write(c, c->gen, err);
	if (r)
		return r;
	s = (struct meter_slot){ .gen = c->gen, .cgroup_id = cgroup_id, .last_ns = c->gen };
	if (bpf_map_update_elem(m->slots, &slot, &s, BPF_F_LOCK))
		return cloche_err_sys(err, errno, "arm the meter's slot %u", slot);
	target.gen = c->gen;
	/* Last: from here on births count. */
	if (bpf_map_update_elem(m->by_cgroup, &cgroup_id, &target, BPF_ANY))
		return cloche_err_sys(err, errno, "arm the meter's slot %u", slot);
	return 0;
}

/*
 * An edge: the floor first, then the snapshot. Whatever the snapshot holds is dated at the returned
 * time or before, whatever comes into the slot after it at that time or later.
 */
static int edge(struct meter_context *c, bool begins, struct meter_slot *ret, uint64_t *ret_ns,
		struct cloche_err *err)
{
	uint64_t now = (uint64_t)clock_now_ns();
	int r;

	if (begins)
		c->epoch_ns = now;
	r = ctl_write(c, now, err);
	if (!r)
		r = slot_read(c->meter, c->slot, ret, err);
	if (r)
		return r;
	if (ret->gen != c->gen)
		return cloche_err_set(err, ESTALE, "meter slot %u: somebody else armed it",
				      c->slot);
	*ret_ns = usage_settle(ret, now);
	return 0;
}

int meter_begin(struct meter_context *c, bool at_exec, bool trace, struct cloche_err *err)
{
	struct meter_slot s;
	int r;

	c->epoch++;
	c->flags = (at_exec ? METER_BEGIN_AT_EXEC : 0) | (trace ? METER_TRACE : 0);
	r = edge(c, true, &s, &c->begin_ns, err);
	if (!r)
		memcpy(c->begin, &s, sizeof(s));
	return r;
}

int meter_end(struct meter_context *c, struct meter_usage *ret, struct cloche_err *err)
{
	struct meter_slot s, begin;
	uint64_t now = 0;
	int r = edge(c, false, &s, &now, err);

	if (r)
		return r;
	memcpy(&begin, c->begin, sizeof(begin));
	usage_between(&begin, c->begin_ns, &s, now, c->epoch, c->flags & METER_BEGIN_AT_EXEC,
		      (uint64_t)sysconf(_SC_PAGESIZE), ret);
	return 0;
}

int meter_began(int slots, uint32_t slot, int64_t *ret_ns)
{
	struct meter_slot s;

	if (bpf_map_lookup_elem_flags(slots, &slot, &s, BPF_F_LOCK) < 0)
		return -errno;
	if (!s.gen)
		return -ENODATA;
	*ret_ns = (int64_t)s.base_ns;
	return s.base_ns != 0;
}

int meter_disarm(struct meter_context *c, struct cloche_err *err)
{
	struct meter_slot s;
	int r = slot_read(c->meter, c->slot, &s, err);

	if (r)
		return r;
	if (s.gen != c->gen)
		return 0;
	slot_forget(c->meter, c->slot, &s);
	s = (struct meter_slot){ .last_ns = c->gen };
	if (bpf_map_update_elem(c->meter->slots, &c->slot, &s, BPF_F_LOCK))
		return cloche_err_sys(err, errno, "disarm the meter's slot %u", c->slot);
	return 0;
}

/* ---- state -------------------------------------------------------------------------------- */

/* Adds up one pinned link's program; what is not a link is passed over. */
static void state_add_link(struct meter_state *s, const char *pin)
{
	struct bpf_link_info link = { 0 };
	struct bpf_prog_info prog = { 0 };
	cleanup_fd int fd = obj_get(s->path, pin);
	cleanup_fd int prog_fd = -1;
	uint32_t len = sizeof(link);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &link, &len) || !link.prog_id)
		return;
	prog_fd = bpf_prog_get_fd_by_id(link.prog_id);
	len = sizeof(prog);
	if (prog_fd < 0 || bpf_obj_get_info_by_fd(prog_fd, &prog, &len))
		return;
	s->programs++;
	s->runs += prog.run_cnt;
	s->run_ns += prog.run_time_ns;
	s->missed += prog.recursion_misses;
}

/* By its name; the maps' pins and those of programs that are attached later are none. */
static bool is_link(const char *pin)
{
	size_t len = strcspn(pin, "_");

	if (is_attached_later(pin))
		return false;
	for (size_t i = 0; i < N_LATERS; i++)
		if (laters[i].link && pin[len] == '_' && strlen(laters[i].link) == len &&
		    strncmp(pin, laters[i].link, len) == 0)
			return true;
	return strncmp(pin, "meter_", 6) == 0 || strcmp(pin, trace_links[0]) == 0 ||
	       strcmp(pin, trace_links[1]) == 0;
}

static void state_read_pins(struct meter_state *s, const char *name)
{
	const char *own = strrchr(s->path, '/') + 1;
	struct dirent *d;
	DIR *dir = opendir(HOST_BPFFS);

	while (dir && (d = readdir(dir)))
		s->others += is_version_of(d->d_name, name) && strcmp(d->d_name, own) != 0;
	if (dir)
		(void)closedir(dir);
	dir = opendir(s->path);
	s->loaded = dir;
	while (dir && (d = readdir(dir)))
		if (is_link(d->d_name))
			state_add_link(s, d->d_name);
	if (dir)
		(void)closedir(dir);
}

int meter_state(struct meter_state *ret, const char *name, struct cloche_err *err)
{
	struct meter m = METER_INIT;
	struct meter_slot slot;
	cleanup_file FILE *f = NULL;
	int on = 0, r;

	*ret = (struct meter_state){ .slots = METER_SLOTS, .mounted = host_bpffs_is_mounted() };
	r = path_of_version(ret->path, sizeof(ret->path), name, err);
	if (r)
		return r;
	version_hash(ret->version);
	f = fopen("/proc/sys/kernel/bpf_stats_enabled", "re");
	ret->counting = f && fscanf(f, "%d", &on) == 1 && on;
	if (!ret->mounted)
		return 0;
	state_read_pins(ret, name);
	memcpy(m.path, ret->path, sizeof(m.path));
	if (!ret->loaded || open_pinned(&m))
		return 0;
	for (uint32_t i = 0; i < METER_SLOTS; i++)
		if (!slot_read(&m, i, &slot, NULL))
			ret->slots_armed += slot.gen != 0;
	meter_close(&m);
	return 0;
}
