/* SPDX-License-Identifier: MIT */
/* What contexts take of the machine's memory: see memory.h. */
#include "memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/file.h"

static const char *const lines[LINES] = { "MemFree",   "Buffers",    "Cached",	    "Shmem",
					  "AnonPages", "PageTables", "KernelStack", "Slab",
					  "Percpu",    "VmallocUsed" };

/* Of /proc/slabinfo: what a process is to the kernel. Where they are merged with others of their
 * size, they are not known, and count for the context. */
static const char *const process_slabs[] = { "task_struct",    "signal_cache", "sighand_cache",
					     "mm_struct",      "files_cache",  "fs_cache",
					     "vm_area_struct", "anon_vma",     "anon_vma_chain",
					     "maple_node",     "cred",	       "cred_jar",
					     "task_delay_info" };

static void read_line(const char *line, struct memory *m)
{
	for (int i = 0; i < LINES; i++) {
		size_t len = strlen(lines[i]);

		if (strncmp(line, lines[i], len) == 0 && line[len] == ':')
			m->kib[i] = strtoll(line + len + 1, NULL, 10);
	}
}

static void read_slab(const char *line, struct memory *m)
{
	unsigned long long n, size;
	char name[64];

	if (sscanf(line, "%63s %llu %*u %llu", name, &n, &size) != 3)
		return;
	for (size_t i = 0; i < sizeof(process_slabs) / sizeof(process_slabs[0]); i++)
		if (strcmp(name, process_slabs[i]) == 0)
			m->process_slab_kib += (double)(n * size) / 1024;
}

static void read_lines(const char *path, void (*read)(const char *, struct memory *),
		       struct memory *ret)
{
	FILE *f = fopen(path, "re");
	char line[400];

	while (f && fgets(line, sizeof(line), f))
		read(line, ret);
	if (f)
		(void)fclose(f);
}

void memory_read(struct memory *ret)
{
	const struct timespec settle = { .tv_sec = 12 }, rest = { .tv_sec = 1 };

	memset(ret, 0, sizeof(*ret));
	(void)nanosleep(&settle, NULL);
	(void)file_write_text(AT_FDCWD, "/proc/sys/vm/drop_caches", "2", NULL);
	(void)nanosleep(&rest, NULL);
	read_lines("/proc/meminfo", read_line, ret);
	read_lines("/proc/slabinfo", read_slab, ret);
}

void memory_compare(const struct memory *few, const struct memory *many, unsigned n,
		    struct context_memory *ret)
{
	double *d = ret->lines;

	for (int i = 0; i < LINES; i++)
		d[i] = (double)(many->kib[i] - few->kib[i]) / n;
	/* What is neither free nor of files. */
	ret->all = -d[FREE] - d[BUFFERS] - (d[CACHED] - d[SHMEM]);
	ret->process_slab = (many->process_slab_kib - few->process_slab_kib) / n;
	ret->processes = d[ANON] + d[TABLES] + d[STACKS] + ret->process_slab;
}

void memory_tell(json_t *rows, const struct context_memory *m)
{
	static const struct {
		int line;
		const char *name;
	} kinds[] = {
		{ ANON, "pages of its processes" },  { TABLES, "page tables of them" },
		{ STACKS, "kernel stacks of them" }, { SLAB, "objects of the kernel, with those" },
		{ PERCPU, "the kernel's, by CPU" },  { VMALLOC, "the kernel's, mapped" },
		{ SHMEM, "shared pages" },
	};

	printf("  %-42s%9.0f KiB\n", "memory of an idle context", m->all);
	printf("  %-42s%9.0f KiB\n", "... beyond its processes' own", m->all - m->processes);
	printf("    %-40s%9.0f KiB\n", "what it is to the kernel (slab)", m->process_slab);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		printf("    %-40s%9.0f KiB\n", kinds[i].name, m->lines[kinds[i].line]);
		json_object_set_new(rows, lines[kinds[i].line], json_real(m->lines[kinds[i].line]));
	}
	json_object_set_new(rows, "context_kib", json_real(m->all));
	json_object_set_new(rows, "beyond_process_kib", json_real(m->all - m->processes));
}
