/* SPDX-License-Identifier: MIT */
/* Attaches the programs that count locks, once, and reads what they say. */
#include "launch/locks.h"

#include "base/err.h"
#include "base/fd.h"
#include "launch/host.h"
#include "launch/slot.h"
#include "locks.skel.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* With the object's hash, so that no version takes another's for its own. */
#define PREFIX "cloche-locks-"
#define OURS   HOST_BPFFS "/" PREFIX BPF_HASH
#define FRESH  OURS "-new"

_Static_assert(LOCKS_SLOTS == SLOT_MAX && LOCKS_UID_BASE == SLOT_UID_BASE, "one slot, one uid");

static const char *const pins[] = { "slots", "posix", "flock" };

void locks_close(struct locks *locks)
{
	fd_close(&locks->slots);
	for (int i = 0; i < 2; i++)
		fd_close(&locks->links[i]);
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

/* Those of other versions: ours count for their contexts as well. */
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

static bool try_pin(const struct locks *locks)
{
	if (mkdir(FRESH, 0700) < 0)
		return false;
	if (bpf_obj_pin(locks->slots, FRESH "/slots") == 0 &&
	    bpf_obj_pin(locks->links[0], FRESH "/posix") == 0 &&
	    bpf_obj_pin(locks->links[1], FRESH "/flock") == 0 && rename(FRESH, OURS) == 0)
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

static int attach(struct locks *ret, struct cloche_err *err)
{
	libbpf_print_fn_t old = libbpf_set_print(quiet);
	struct locks_bpf *skel = locks_bpf__open_and_load();
	struct locks l = LOCKS_NONE;
	int r = 0;

	if (!skel || locks_bpf__attach(skel) < 0) {
		r = cloche_err_sys(err, errno,
				   "load the program that counts file locks; bpf(2) must be "
				   "possible for root and the kernel have the tracepoints "
				   "filelock:*");
	} else {
		l.slots = keep(bpf_map__fd(skel->maps.slots));
		l.links[0] = keep(bpf_link__fd(skel->links.locks_posix));
		l.links[1] = keep(bpf_link__fd(skel->links.locks_flock));
		if (l.slots < 0 || l.links[0] < 0 || l.links[1] < 0) {
			r = cloche_err_sys(err, errno, "hold the program that counts file locks");
			locks_close(&l);
		}
	}
	locks_bpf__destroy(skel);
	(void)libbpf_set_print(old);
	if (r == 0)
		*ret = l;
	return r;
}

int locks_try(struct cloche_err *err)
{
	struct locks l = LOCKS_NONE;
	int r = attach(&l, err);

	locks_close(&l);
	return r;
}

static int open_pinned(struct locks *ret)
{
	ret->slots = bpf_obj_get(OURS "/slots");
	return ret->slots < 0 ? -errno : 0;
}

int locks_open(struct locks *ret, struct cloche_err *err)
{
	struct locks l = LOCKS_NONE;
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
				if (try_pin(&l))
					for (int i = 0; i < 2; i++)
						fd_close(&l.links[i]);
			}
		}
	}
	*ret = l;
	return 0;
}

int locks_begin(const struct locks *locks, unsigned slot, struct cloche_err *err)
{
	struct locks_slot none = { .live = 0 };

	if (bpf_map_update_elem(locks->slots, &slot, &none, BPF_ANY) < 0)
		return cloche_err_sys(err, errno, "begin to count file locks");
	return 0;
}

uint64_t locks_refused(const struct locks *locks, unsigned slot)
{
	struct locks_slot s = { .live = 0 };

	return bpf_map_lookup_elem(locks->slots, &slot, &s) < 0 ? 0 : s.refused;
}
