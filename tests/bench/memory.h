/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BENCH_MEMORY_H
#define CLOCHE_BENCH_MEMORY_H

struct json_t;

/* Lines of /proc/meminfo, in KiB. */
enum memory_line {
	FREE,
	BUFFERS,
	CACHED,
	SHMEM,
	ANON,
	TABLES,
	STACKS,
	SLAB,
	PERCPU,
	VMALLOC,
	LINES
};

/* All of the machine's. */
struct memory {
	long long kib[LINES];
	double process_slab_kib;
};

/* When what only helps is gone: inodes and names that nobody holds, blanks that nobody asks for,
 * what waits for a grace period. */
void memory_read(struct memory *ret);

/* Of one context, in KiB. */
struct context_memory {
	double all, processes; /* what the warden has of its own is in all, too */
	double process_slab;
	double lines[LINES];
};

/* n: how many more there were. */
void memory_compare(const struct memory *few, const struct memory *many, unsigned n,
		    struct context_memory *ret);

/* Prints it, and adds it to rows. */
void memory_tell(struct json_t *rows, const struct context_memory *m);

#endif
