/* SPDX-License-Identifier: MIT */
/* Attaches the programs that count, once, and reads what they say. */
#include "host/bounds.h"

#include "base/err.h"
#include "base/fd.h"
#include "host/host.h"
#include "host/slot.h"
#include "bounds.skel.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* With the object's hash, so that no version takes another's for its own. */
#define PREFIX "cloche-bounds-"
#define OURS   HOST_BPFFS "/" PREFIX BPF_HASH
#define FRESH  OURS "-new"

_Static_assert(BOUNDS_SLOTS == SLOT_MAX && BOUNDS_UID_BASE == SLOT_UID_BASE, "one slot, one uid");

static const char *const pins[] = { "slots", "posix", "flock", "tcp" };

void bounds_close(struct bounds *bounds)
{
	fd_close(&bounds->slots);
	for (int i = 0; i < BOUNDS_LINKS; i++)
		fd_close(&bounds->links[i]);
}

static void remove_pins(const char *dir)
{
	char path[128];

	for (size_t i = 0; i < sizeof(pins) / sizeof(pins[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, pins[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

/* Those of other versions: their contexts hold what counts for them. */
static void remove_others(void)
{
	DIR *dir = opendir(HOST_BPFFS);
	struct dirent *d;
	char path[300];

	if (!dir)
		return;
	while ((d = readdir(dir))) {
		(void)snprintf(path, sizeof(path), HOST_BPFFS "/%s", d->d_name);
		if (strncmp(d->d_name, PREFIX, strlen(PREFIX)) == 0 && strcmp(path, OURS) != 0)
			remove_pins(path);
	}
	(void)closedir(dir);
}

static bool try_pin(const struct bounds *bounds)
{
	if (mkdir(FRESH, 0700) < 0)
		return false;
	if (bpf_obj_pin(bounds->slots, FRESH "/slots") == 0 &&
	    bpf_obj_pin(bounds->links[0], FRESH "/posix") == 0 &&
	    bpf_obj_pin(bounds->links[1], FRESH "/flock") == 0 &&
	    bpf_obj_pin(bounds->links[2], FRESH "/tcp") == 0 && rename(FRESH, OURS) == 0)
		return true;
	remove_pins(FRESH);
	return false;
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

/* An fd of its own: what libbpf made goes with the skeleton. */
static int keep(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int attach(struct bounds *ret, struct cloche_err *err)
{
	libbpf_print_fn_t old = libbpf_set_print(quiet);
	struct bounds_bpf *skel = bounds_bpf__open_and_load();
	struct bounds l = BOUNDS_NONE;
	int r = 0;

	if (!skel || bounds_bpf__attach(skel) < 0) {
		r = cloche_err_sys(
			err, errno,
			"load the programs that bound locks and connections; bpf(2) must be "
			"possible for root and the kernel have the tracepoints "
			"filelock:* and sock:*");
	} else {
		l.slots = keep(bpf_map__fd(skel->maps.slots));
		l.links[0] = keep(bpf_link__fd(skel->links.locks_posix));
		l.links[1] = keep(bpf_link__fd(skel->links.locks_flock));
		l.links[2] = keep(bpf_link__fd(skel->links.bounds_tcp));
		if (l.slots < 0 || l.links[0] < 0 || l.links[1] < 0 || l.links[2] < 0) {
			r = cloche_err_sys(err, errno, "hold the programs that count");
			bounds_close(&l);
		}
	}
	bounds_bpf__destroy(skel);
	(void)libbpf_set_print(old);
	if (r == 0)
		*ret = l;
	return r;
}

int bounds_try(struct cloche_err *err)
{
	struct bounds l = BOUNDS_NONE;
	int r = attach(&l, err);

	bounds_close(&l);
	return r;
}

/* The links too: another version removes these pins, and what we run goes on being counted. */
static int open_pinned(struct bounds *ret)
{
	static const char *const links[BOUNDS_LINKS] = { OURS "/posix", OURS "/flock",
							 OURS "/tcp" };
	struct bounds b = BOUNDS_NONE;
	int r = 0;

	b.slots = bpf_obj_get(OURS "/slots");
	if (b.slots < 0)
		return -errno;
	for (int i = 0; r == 0 && i < BOUNDS_LINKS; i++) {
		b.links[i] = bpf_obj_get(links[i]);
		r = b.links[i] < 0 ? -errno : 0;
	}
	if (r < 0)
		bounds_close(&b);
	else
		*ret = b;
	return r;
}

int bounds_open(struct bounds *ret, struct cloche_err *err)
{
	struct bounds l = BOUNDS_NONE;
	cleanup_fd int lock = -1;
	int r;

	if (open_pinned(&l) < 0) {
		lock = host_bpffs_lock(NULL);
		/* Somebody else may have been faster. */
		if (lock < 0 || open_pinned(&l) < 0) {
			r = attach(&l, err);
			if (r < 0)
				return r;
			if (lock >= 0) {
				remove_others();
				(void)try_pin(&l);
			}
		}
	}
	*ret = l;
	return 0;
}

int bounds_begin(const struct bounds *bounds, unsigned slot, uint64_t memory_bytes, bool read_locks,
		 struct cloche_err *err)
{
	struct bounds_slot none = { .connections_max = (__s64)bounds_connections(memory_bytes),
				    .read_locks = read_locks };

	if (bpf_map_update_elem(bounds->slots, &slot, &none, BPF_ANY) < 0)
		return cloche_err_sys(err, errno, "begin to count locks and connections");
	return 0;
}

void bounds_end(const struct bounds *bounds, unsigned slot)
{
	struct bounds_slot none = { .connections_max = 0 };

	(void)bpf_map_update_elem(bounds->slots, &slot, &none, BPF_ANY);
}

struct bounds_refused bounds_refused(const struct bounds *bounds, unsigned slot)
{
	struct bounds_slot s = { .locks = 0 };

	if (bpf_map_lookup_elem(bounds->slots, &slot, &s) < 0)
		return (struct bounds_refused){ 0, 0, 0 };
	return (struct bounds_refused){ s.locks_refused, s.connections_refused,
					s.read_only_refused };
}
