/* SPDX-License-Identifier: MIT */
/* The user's side of bpf/calls.bpf.c: see calls.h. */
#include "trace/calls.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "calls.skel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* What libbpf says goes into no user's terminal; its error code goes into *err. */
static int quiet(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return 0;
}

/* Filters that this process is under itself, as in a container. */
static int32_t filters_here(void)
{
	static const char key[] = "\nSeccomp_filters:";
	cleanup_free char *text = NULL;
	const char *at;
	size_t len;

	if (file_load(AT_FDCWD, "/proc/self/status", 1 << 16, &text, &len, NULL) < 0)
		return 0;
	at = strstr(text, key);
	return at ? (int32_t)strtol(at + sizeof(key) - 1, NULL, 10) : 0;
}

int calls_open(struct calls *ret, const uint8_t wanted[static CALLS_NR], uint64_t group,
	       struct cloche_err *err)
{
	libbpf_print_fn_t print = libbpf_set_print(quiet);
	struct calls_bpf *b = calls_bpf__open();
	int r = b ? 0 : -errno;

	if (b) {
		b->rodata->outer_filters = group ? 0 : filters_here();
		b->rodata->group = group;
		/* Of several there may be many kinds. */
		if (group)
			(void)bpf_map__set_max_entries(b->maps.counts, 4 * CALLS_KINDS);
		for (size_t i = 0; i < CALLS_NR; i++)
			b->rodata->wanted_args[i] = wanted[i];
		r = calls_bpf__load(b);
	}
	if (r == 0)
		r = calls_bpf__attach(b);
	(void)libbpf_set_print(print);
	if (r < 0) {
		calls_bpf__destroy(b);
		return cloche_err_sys(err, -r, "watch system calls by BPF");
	}
	ret->bpf = b;
	return 0;
}

void calls_arm(struct calls *calls, uint64_t cgroup_id)
{
	__atomic_store_n(&calls->bpf->bss->cgroup, cgroup_id, __ATOMIC_SEQ_CST);
}

uint64_t calls_read(struct calls *calls,
		    void (*each)(const struct calls_key *key, uint64_t count, void *arg), void *arg)
{
	const struct bpf_map *map = calls->bpf->maps.counts;
	struct calls_key key, *last = NULL;
	uint64_t count;

	while (bpf_map__get_next_key(map, last, &key, sizeof(key)) == 0) {
		if (bpf_map__lookup_elem(map, &key, sizeof(key), &count, sizeof(count), 0) == 0)
			each(&key, count, arg);
		last = &key;
	}
	return __atomic_load_n(&calls->bpf->bss->lost, __ATOMIC_SEQ_CST);
}

void calls_close(struct calls *calls)
{
	calls_bpf__destroy(calls->bpf);
	calls->bpf = NULL;
}
