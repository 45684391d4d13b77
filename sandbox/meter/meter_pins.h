/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_METER_METER_PINS_H
#define CLOCHE_METER_METER_PINS_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

struct cloche_err;
struct meter;

/*
 * What lies where in /sys/fs/bpf, for the files of this room: a directory NAME-HASH for each
 * version of the meter, HASH of program and version, and in it a pin for each map, link and
 * program.
 */
#define VERSION_LEN 16

/* This build's, with a NUL. */
void version_hash(char ret[static VERSION_LEN + 1]);

/* The directory's path, with room behind it for "-new". */
int version_path(char *buf, size_t size, const char *name, struct cloche_err *err);

/* "NAME-" and 16 hexadecimal digits, with or without "-new": ours, and of no longer name's. */
bool version_is_of(const char *entry, const char *name);

/* Unlinks the pins of one version; under the lock of root, which is /sys/fs/bpf. A version in use
 * stays: -EBUSY. */
int version_remove(int root, const char *entry);

/* All versions of a name but keep (NULL: all); in use ones stay. Returns how many stayed. */
int versions_remove(int root, const char *name, const char *keep);

/* What is pinned as a program, to be attached later; with its link's pin, "%s_CGROUP". */
struct pin_later {
	const char *program;
	enum bpf_attach_type type;
	const char *link; /* NULL: for as long as somebody traces */
};

#define PIN_LATERS	8
#define PIN_TRACE_LINKS 2

extern const struct pin_later pin_laters[PIN_LATERS];
extern const char *const pin_trace_links[PIN_TRACE_LINKS];

int pin_path(char *buf, size_t size, const char *dir, const char *name, struct cloche_err *err);

/* By its name: is it of a program; is it of a link? The others are of maps. */
bool pin_is_program(const char *pin);
bool pin_is_link(const char *pin);

/* A descriptor or -errno. */
int pin_get(const char *dir, const char *name);

/* Opens all that m->path holds. -ENOENT: not there, or removed while we looked. */
int pins_open(struct meter *m);

#endif
