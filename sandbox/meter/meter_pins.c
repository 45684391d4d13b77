/* SPDX-License-Identifier: MIT */
#include "meter/meter_pins.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"
#include "host/host.h"
#include "meter/meter.h"
#include "meter.skel.h"

/* ---- names -------------------------------------------------------------------------------- */

/* The build has hashed the object; the version of what reads it comes on top. */
void version_hash(char ret[static VERSION_LEN + 1])
{
	uint64_t h = hash_fnv(strtoull(BPF_HASH, NULL, 16), CLOCHE_VERSION, strlen(CLOCHE_VERSION));

	(void)snprintf(ret, VERSION_LEN + 1, "%016llx", (unsigned long long)h);
}

int pin_path(char *buf, size_t size, const char *dir, const char *name, struct cloche_err *err)
{
	int n = snprintf(buf, size, "%s/%s", dir, name);

	if (n < 0 || (size_t)n >= size)
		return cloche_err_set(err, ENAMETOOLONG, "pin '%s/%s': name too long", dir, name);
	return 0;
}

int version_path(char *buf, size_t size, const char *name, struct cloche_err *err)
{
	char hash[VERSION_LEN + 1], leaf[96];
	int n;

	version_hash(hash);
	n = snprintf(leaf, sizeof(leaf), "%s-%s", name, hash);
	/* Room for the longest suffix, so that it cannot be cut later. */
	if (n < 0 || (size_t)n >= sizeof(leaf) - sizeof("-new"))
		return cloche_err_set(err, ENAMETOOLONG, "meter '%s': name too long", name);
	return pin_path(buf, size, HOST_BPFFS, leaf, err);
}

/* "NAME-" and 16 hexadecimal digits, with or without "-new": ours, and of no longer name's. */
bool version_is_of(const char *entry, const char *name)
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
int version_remove(int root, const char *entry)
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
int versions_remove(int root, const char *name, const char *keep)
{
	struct dirent *d;
	int dup = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), left = 0;
	DIR *dir = dup < 0 ? NULL : fdopendir(dup);

	if (!dir) {
		fd_cleanup(&dup);
		return 0;
	}
	while ((d = readdir(dir)))
		if (version_is_of(d->d_name, name) && (!keep || strcmp(d->d_name, keep) != 0))
			left += version_remove(root, d->d_name) == -EBUSY;
	(void)closedir(dir);
	return left;
}

/* ---- pins --------------------------------------------------------------------------------- */

const struct pin_later pin_laters[PIN_LATERS] = {
	{ "meter_ingress", BPF_CGROUP_INET_INGRESS, "in" },
	{ "meter_connect4", BPF_CGROUP_INET4_CONNECT, "con4" },
	{ "meter_connect6", BPF_CGROUP_INET6_CONNECT, "con6" },
	{ "meter_bind4", BPF_CGROUP_INET4_BIND, "bind4" },
	{ "meter_bind6", BPF_CGROUP_INET6_BIND, "bind6" },
	{ "meter_egress", BPF_CGROUP_INET_EGRESS, "out" }, /* last: it says that all are there */
	{ "trace_enter", BPF_TRACE_RAW_TP, NULL },
	{ "trace_exit", BPF_TRACE_RAW_TP, NULL },
};

const char *const pin_trace_links[PIN_TRACE_LINKS] = { "enter", "exit" };

bool pin_is_program(const char *program)
{
	for (size_t i = 0; i < PIN_LATERS; i++)
		if (strcmp(program, pin_laters[i].program) == 0)
			return true;
	return false;
}

/* By its name; the maps' pins and those of programs that are attached later are none. */
bool pin_is_link(const char *pin)
{
	size_t len = strcspn(pin, "_");

	if (pin_is_program(pin))
		return false;
	for (size_t i = 0; i < PIN_LATERS; i++)
		if (pin_laters[i].link && pin[len] == '_' && strlen(pin_laters[i].link) == len &&
		    strncmp(pin, pin_laters[i].link, len) == 0)
			return true;
	return strncmp(pin, "meter_", 6) == 0 || strcmp(pin, pin_trace_links[0]) == 0 ||
	       strcmp(pin, pin_trace_links[1]) == 0;
}

int pin_get(const char *dir, const char *name)
{
	char path[192];
	int fd;

	if (pin_path(path, sizeof(path), dir, name, NULL))
		return -ENAMETOOLONG;
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

int pins_open(struct meter *m)
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
		*pins[i].fd = pin_get(m->path, pins[i].name);
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
