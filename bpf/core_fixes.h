/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CORE_FIXES_H
#define CLOCHE_CORE_FIXES_H

/*
 * Where kernels differ, and since when. vmlinux.h comes from the kernel of the build; the names
 * with three underscores are other kernels' shapes, resolved against the running one (libbpf
 * ignores what follows the underscores). Needs vmlinux.h and bpf_core_read.h before it.
 */

/* Resident pages: a counter array until 6.1; per-CPU counters since 6.2 (f1a7941243c1, "mm:
 * convert mm's rss stats into percpu_counter"). Of the latter only the common part is read, which
 * lags by at most the batch (32 pages or twice the CPUs) for each CPU that the mm runs on. */
struct mm_rss_stat___61 {
	struct {
		s64 counter;
	} count[4];
} __attribute__((preserve_access_index));

struct mm_struct___61 {
	struct mm_rss_stat___61 rss_stat;
} __attribute__((preserve_access_index));

struct percpu_counter___62 {
	s64 count;
} __attribute__((preserve_access_index));

struct mm_struct___62 {
	struct percpu_counter___62 rss_stat[4];
} __attribute__((preserve_access_index));

static __always_inline s64 mm_resident_pages(const struct mm_struct *mm)
{
	s64 v[3] = { 0, 0, 0 }; /* file, anonymous, shared: members 0, 1, 3; 2 is swap */

	if (bpf_core_field_exists(struct mm_rss_stat___61, count)) {
		const struct mm_struct___61 *m = (const void *)mm;

		v[0] = BPF_CORE_READ(m, rss_stat.count[0].counter);
		v[1] = BPF_CORE_READ(m, rss_stat.count[1].counter);
		v[2] = BPF_CORE_READ(m, rss_stat.count[3].counter);
	} else {
		const struct mm_struct___62 *m = (const void *)mm;

		v[0] = BPF_CORE_READ(m, rss_stat[0].count);
		v[1] = BPF_CORE_READ(m, rss_stat[1].count);
		v[2] = BPF_CORE_READ(m, rss_stat[3].count);
	}
	return (v[0] > 0 ? v[0] : 0) + (v[1] > 0 ? v[1] : 0) + (v[2] > 0 ? v[2] : 0);
}

/* CPU bandwidth: until 6.17 a whole run queue is taken off at once, threads keep waiting on it;
 * since 6.18 ("sched/fair: Switch to task based throttle model") each thread leaves by
 * itself on its way to user mode and carries the mark. */
struct task_struct___618 {
	bool throttled;
} __attribute__((preserve_access_index));

/* "throttled" is an int or, since 6.18, one bit. (clang 14 fails on the bit of the full type, whose
 * alignment is too much for it.) */
struct cfs_rq___flag {
	unsigned int throttled : 1;
} __attribute__((preserve_access_index));

static __always_inline bool cfs_rq_is_throttled(const struct cfs_rq *rq)
{
	const struct cfs_rq___flag *f = (const void *)rq;

	return BPF_CORE_READ_BITFIELD_PROBED(f, throttled);
}

#define task_throttles_itself() bpf_core_field_exists(struct task_struct___618, throttled)

#endif
