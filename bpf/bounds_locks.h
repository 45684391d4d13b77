/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BOUNDS_LOCKS_H
#define CLOCHE_BOUNDS_LOCKS_H

/*
 * How many file locks a context holds, and an end to it. The kernel charges nobody's memory for a
 * lock and asks no limit (RLIMIT_LOCKS does nothing since 2.4.25); no hook that could refuse one is
 * open to us on every host. So the locks are counted where the kernel reports them, after the fact,
 * and whoever has made one too many is killed, whereby its locks go.
 *
 * Theory of operation. Each change of a file's list of locks ends in one of two tracepoints, in the
 * task that made it, with no lock held. There the list is walked and those of its locks are counted
 * that belong to files which this context's user has opened (a context has a uid that no other
 * has). The count replaces what was remembered of this list, the difference goes into the context's
 * sum. So it is no sum of events that might drift away from the truth, but one of counts, each as
 * old as the last change of its list. The kernel walks the same list to change it: the cost is of
 * the call's own order. What is remembered lies in the slot itself (near: that is where a program
 * is that locks and unlocks the same file all the time) or, where that place is taken, in a table
 * of all contexts (far).
 *
 * Several at once. A count is dated before its walk begins. It sees all changes that were reported
 * before that date, so of two counts the later dated one stands, in whichever order they are
 * stored. A list that somebody changes under a walk may lead it astray: that other will report, and
 * be the later one. An empty list is forgotten, its date too: one that was counted before and is
 * stored after that stays too high until its next change. Two may remember the same list, near and
 * far, until it is empty. So the sum errs upwards; before it kills it is made afresh.
 *
 * A file that somebody else has opened (a standard stream) has no place in the sum, since its locks
 * may outlive the context: such a list has the whole limit for itself.
 *
 * A lock on a read-only mount (/usr, a bind, an image) is one that the host's own lockers would
 * wait for: none is held there, and whoever takes one is killed. But where its caller has said so,
 * POSIX read locks are left, and count: they are how a database that somebody writes is read
 * (SQLite), and a read-only descriptor can have no others.
 */

#define FAR_MAX	 131072 /* lists of all contexts: their memory is taken as needed */
#define WALK_MAX 65536	/* of a list, other people's locks included */

#define MNT_READONLY 0x40 /* include/linux/mount.h */
#define F_UNLCK	     2	  /* include/uapi/asm-generic/fcntl.h */

/* struct file_lock until 6.8; since then what is asked for here is in its first member. */
struct file_lock___68 {
	struct list_head fl_list;
	unsigned char fl_type;
	struct file *fl_file;
} __attribute__((preserve_access_index));

struct far_key {
	__u64 list;
	__u32 slot;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FAR_MAX);
	__type(key, struct far_key);
	__type(value, struct locks_list);
} far SEC(".maps");

/* ---- counting ---- */

struct walk {
	struct list_head *head, *at;
	struct file *file;
	__u32 uid; /* 0: the locks of this file only */
	__u32 count;
};

static __always_inline struct file *linked_file(struct list_head *link)
{
	const struct file_lock___68 *old;
	const struct file_lock_core *lock;

	if (bpf_core_field_exists(struct file_lock___68, fl_list)) {
		old = (void *)link - bpf_core_field_offset(struct file_lock___68, fl_list);
		return BPF_CORE_READ(old, fl_file);
	}
	lock = (void *)link - bpf_core_field_offset(struct file_lock_core, flc_list);
	return BPF_CORE_READ(lock, flc_file);
}

static int walk_step(__u32 i, struct walk *w)
{
	struct list_head *at = w->at;
	struct file *file;

	if (!at || at == w->head)
		return 1;
	file = linked_file(at);
	if (file == w->file || (w->uid && BPF_CORE_READ(file, f_cred, uid.val) == w->uid))
		w->count++;
	w->at = BPF_CORE_READ(at, next);
	return w->count > LOCKS_MAX;
}

static __always_inline __u32 count(struct file_lock_context *flc, bool flock, struct file *file,
				   __u32 uid)
{
	struct list_head *head = flock ? __builtin_preserve_access_index(&flc->flc_flock)
				       : __builtin_preserve_access_index(&flc->flc_posix);
	struct list_head *first = flock ? flc->flc_flock.next : flc->flc_posix.next;
	struct walk w = { .head = head, .at = first, .file = file, .uid = uid };

	if (first == head)
		return 0;
	bpf_loop(WALK_MAX, walk_step, &w, 0);
	return w.count;
}

/* ---- remembering ---- */

/* The count is the list's new one, unless a later one is there already. Under the slot's lock. */
static __always_inline void replace(struct bounds_slot *s, struct locks_list *l, __u32 n,
				    __u64 dated)
{
	if (dated < l->dated)
		return;
	s->locks += (__s64)n - l->count;
	l->count = n;
	l->dated = dated;
}

static __always_inline void forget(struct bounds_slot *s, const struct far_key *key,
				   struct locks_list *l)
{
	bpf_spin_lock(&s->lock);
	s->locks -= l->count;
	l->count = 0;
	bpf_spin_unlock(&s->lock);
	if (bpf_map_delete_elem(&far, key) == 0)
		__sync_fetch_and_add(&s->locks_far, -1);
}

/* False when there was no room for it. */
static __always_inline bool store(const struct far_key *key, struct bounds_slot *s, __u32 n,
				  __u64 dated)
{
	struct locks_list *near = &s->near[(key->list >> 6) % LOCKS_NEAR], *l = NULL;
	struct locks_list fresh = { .list = key->list };
	bool is_near;

	if (*(volatile __u32 *)&s->locks_far)
		l = bpf_map_lookup_elem(&far, key);
	bpf_spin_lock(&s->lock);
	if (near->list != key->list && near->count == 0 && !l) {
		near->list = key->list;
		near->dated = 0;
	}
	is_near = near->list == key->list;
	if (is_near)
		replace(s, near, n, dated);
	bpf_spin_unlock(&s->lock);
	if (!is_near && !l && n) {
		if (bpf_map_update_elem(&far, key, &fresh, BPF_NOEXIST) == 0)
			__sync_fetch_and_add(&s->locks_far, 1);
		l = bpf_map_lookup_elem(&far, key);
		if (!l)
			return false;
	}
	if (!l)
		return true;
	if (!is_near) {
		bpf_spin_lock(&s->lock);
		replace(s, l, n, dated);
		bpf_spin_unlock(&s->lock);
	}
	if (n == 0)
		forget(s, key, l);
	return true;
}

/* ---- the end ---- */

struct sum {
	__u32 slot;
	__u32 pad;
	__s64 live;
};

static int sum_step(struct bpf_map *map, struct far_key *key, struct locks_list *l, struct sum *sum)
{
	if (key->slot == sum->slot)
		sum->live += l->count;
	return 0;
}

/* Whether there really are too many. */
static __always_inline bool is_over(__u32 n, struct bounds_slot *s)
{
	struct sum sum = { .slot = n };

	if (*(volatile __s64 *)&s->locks <= LOCKS_MAX)
		return false;
	for (int i = 0; i < LOCKS_NEAR; i++)
		sum.live += s->near[i].count;
	bpf_for_each_map_elem(&far, sum_step, &sum, 0);
	bpf_spin_lock(&s->lock);
	s->locks = sum.live;
	bpf_spin_unlock(&s->lock);
	return sum.live > LOCKS_MAX;
}

static __always_inline struct file *lock_file(struct file_lock *lock)
{
	if (bpf_core_field_exists(struct file_lock___68, fl_list))
		return ((struct file_lock___68 *)lock)->fl_file;
	return lock->c.flc_file;
}

static __always_inline bool is_lock(struct file_lock *lock)
{
	if (bpf_core_field_exists(struct file_lock___68, fl_list))
		return ((struct file_lock___68 *)lock)->fl_type != F_UNLCK;
	return lock->c.flc_type != F_UNLCK;
}

static __always_inline int changed(struct inode *inode, struct file_lock *lock, bool flock, int ret)
{
	struct file_lock_context *flc = inode->i_flctx;
	struct file *file;
	__u32 caller, uid, n;
	struct far_key key = {};
	struct bounds_slot *s;
	__u64 now;

	if (!lock || !flc)
		return 0;
	file = lock_file(lock);
	uid = file->f_cred->uid.val;
	caller = (__u32)bpf_get_current_uid_gid();
	if (!is_ours(uid) && !is_ours(caller))
		return 0;
	key.slot = (is_ours(uid) ? uid : caller) - BOUNDS_UID_BASE;
	s = bounds_of(key.slot);
	if (!s)
		return 0;
	if (!is_ours(uid)) {
		if (ret == 0 && count(flc, flock, file, 0) > LOCKS_MAX)
			refuse(&s->locks_refused);
		return 0;
	}
	if ((flock || !s->read_locks) && ret == 0 && is_lock(lock) &&
	    (file->f_path.mnt->mnt_flags & MNT_READONLY))
		refuse(&s->read_only_refused);
	/* It lives and dies with its inode, and is aligned. Read once more, as a number. */
	key.list = (__u64)BPF_CORE_READ(inode, i_flctx) | flock;
	now = bpf_ktime_get_ns();
	n = count(flc, flock, file, uid);
	/* Unlocking the middle of a lock makes two of it: what was asked for does not tell. */
	if (!store(&key, s, n, now) || (n && caller == uid && is_over(key.slot, s)))
		refuse(&s->locks_refused);
	return 0;
}

SEC("tp_btf/posix_lock_inode")
int BPF_PROG(locks_posix, struct inode *inode, struct file_lock *lock, int ret)
{
	return changed(inode, lock, false, ret);
}

SEC("tp_btf/flock_lock_inode")
int BPF_PROG(locks_flock, struct inode *inode, struct file_lock *lock, int ret)
{
	return changed(inode, lock, true, ret);
}

#endif
