/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_METER_MEMORY_H
#define CLOCHE_METER_MEMORY_H

/*
 * Memory used, at its peak: what the slot's memory cgroup is charged for, without what the kernel
 * drops when it wants the room (page cache, and the inodes and dentries that come with it), which
 * is charged to whoever reads a file first. For meter.bpf.c. Needs vmlinux.h and libbpf's headers
 * before it.
 *
 * Nothing reports a charge, but all that gives memory back passes an event before the memory is
 * gone: pages of a process rss_stat, files of a tmpfs mm_filemap_delete_from_page_cache. The peak
 * is looked at there, at each switch and at each end. Kernel memory (pipes, sockets) goes without
 * an event; where that was a new high of the charge, its watermark still shows it at the next look.
 *
 * What is not exact: the charge is made for up to 64 pages ahead on each CPU, and up to 31 new
 * pages of a file wait on each before they are known as page cache. Both make the figure larger.
 */
#include "meter_state.h"

#define CHARGED_AHEAD 256 /* pages: within so many of the limit the charge may stay as it is */
#define CPUS_MAX      1024

const volatile __u32 cpus = 1;

/* Where each CPU's own part begins, as this_cpu_off has it, which not every kernel names to us: an
 * element of a map of ours shows it. Written once, by meter_cpus. 0: not known. */
__u64 cpu_begins[CPUS_MAX];

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} cpu_probe SEC(".maps");
__u64 cpu_probe_map; /* its address */

/* Of enum node_stat_item; the first ones are the same in the shorter table of 6.11 and later
 * (ff48c71c26aa, "memcg: reduce memory for the lruvec and memcg stats"). */
enum {
	STAT_INACTIVE_FILE = 2,
	STAT_ACTIVE_FILE = 3,
	STAT_SLAB_RECLAIMABLE = 5,
	STAT_N,
};

#define PAGE_SHIFT 12

static __always_inline bool memory_can_be_told(void)
{
	return bpf_core_field_exists(struct memcg_vmstats_percpu, state) && cpu_begins[0];
}

/* Run once by who loads the programs, before they are attached. */
static __always_inline void memory_find_cpus(void)
{
	__u64 whole = 0;
	__u32 zero = 0;

	/* 5.18 */
	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_map_lookup_percpu_elem))
		return;
	/* An address that was stored is a number: the verifier lets us compute with it. */
	*(void *volatile *)&cpu_probe_map = &cpu_probe;
	bpf_probe_read_kernel(&whole, sizeof(whole),
			      (void *)(*(volatile __u64 *)&cpu_probe_map +
				       bpf_core_field_offset(struct bpf_array, pptrs)));
	for (__u32 cpu = 0; cpu < CPUS_MAX && cpu < cpus; cpu++) {
		void *part = bpf_map_lookup_percpu_elem(&cpu_probe, &zero, cpu);
		volatile __u64 *begins = &cpu_begins[cpu];

		if (!part || !whole)
			continue;
		*(void *volatile *)begins = part;
		*begins = *begins - whole;
	}
}

/* What can be dropped, in pages: the sum of what each CPU has counted since the group was made. */
static __always_inline __s64 memory_droppable(const struct mem_cgroup *memcg)
{
	__u64 part = (__u64)BPF_CORE_READ(memcg, vmstats_percpu) +
		     bpf_core_field_offset(struct memcg_vmstats_percpu, state);
	__s64 file = 0, slab = 0;

	for (__u32 cpu = 0; cpu < CPUS_MAX && cpu < cpus; cpu++) {
		__u64 begins = cpu_begins[cpu];
		__s64 v[STAT_N];

		if (!begins || bpf_probe_read_kernel(v, sizeof(v), (void *)(part + begins)))
			continue;
		file += v[STAT_INACTIVE_FILE] + v[STAT_ACTIVE_FILE];
		slab += v[STAT_SLAB_RECLAIMABLE];
	}
	return (file > 0 ? file : 0) + (slab > 0 ? slab >> PAGE_SHIFT : 0);
}

/* Under the lock. */
static __always_inline void memory_note(struct meter_slot *s, __s64 charged, __s64 watermark,
					__s64 droppable)
{
	__s64 most = droppable > s->droppable_pages ? droppable : s->droppable_pages;
	bool first = s->charged_pages < 0;

	if (s->used_peak_pages < charged - droppable)
		s->used_peak_pages = charged - droppable;
	/* It was higher since the last look, when no more could be dropped than then or now. */
	if (!first && watermark > s->charged_peak_pages && s->used_peak_pages < watermark - most)
		s->used_peak_pages = watermark - most;
	if (s->droppable_peak_pages < droppable)
		s->droppable_peak_pages = droppable;
	s->charged_pages = charged;
	s->charged_peak_pages = watermark;
	s->droppable_pages = droppable;
}

/* t: of the slot's processes. */
static __always_inline void memory_look(struct meter_slot *s, const struct meter_ctl *c, __u64 gen,
					const struct task_struct *t)
{
	__s64 charged = 0, watermark, droppable;
	const struct mem_cgroup *memcg;

	if (!memory_can_be_told())
		return;
	/* Until its exec the first process is not in all of its cgroups. */
	if (c->flags & METER_BEGIN_AT_EXEC && s->base_epoch != *(volatile const __u32 *)&c->epoch)
		return;
	memcg = (const void *)s->memcg;
	if (!memcg) {
		int i = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);

		memcg = (const void *)BPF_CORE_READ(t, cgroups, subsys[i]);
		if (!memcg)
			return;
		s->memory_full_pages = BPF_CORE_READ(memcg, memory.max) - CHARGED_AHEAD;
		s->memcg = (__u64)memcg;
	}
	charged = BPF_CORE_READ(memcg, memory.usage.counter);
	if (charged == s->charged_pages && charged < s->memory_full_pages)
		return;
	watermark = BPF_CORE_READ(memcg, memory.watermark);
	droppable = memory_droppable(memcg);
	bpf_spin_lock(&s->lock);
	if (s->gen == gen) {
		/* A stale epoch's peak goes before a new one is set. */
		slot_settle(s, c, s->last_ns);
		memory_note(s, charged, watermark, droppable);
	}
	bpf_spin_unlock(&s->lock);
}

#endif
