/* SPDX-License-Identifier: MIT */
/*
 * The cache of compiled filters: see policy_cache.h. An entry is a header and the instructions, in
 * the machine's own byte order, for this machine only. Entries are written to a file without a
 * name and linked in when complete, so that a reader never sees half of one and a killed writer
 * leaves nothing. It must never turn a cache problem into an error: the worst is to compile again.
 */
#include "policy/policy_cache.h"

#include "base/fd.h"
#include "base/file.h"
#include "policy/policy.h"
#include "policy/policy_words.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* Raise it when policy_rules.c, policy_compile.c or policy_join.c turn the same profile into
 * something else. */
#define COMPILER_REVISION 10
#define KEY_LEN		  160
#define ENTRIES_MAX	  256 /* about 1 MiB of /run at most */

struct entry {
	char key[KEY_LEN]; /* also the file's name: an entry that was renamed is not believed */
	uint32_t kills, lets_launch, flags, n_insns;
	uint8_t sum[crypto_shorthash_BYTES]; /* of the instructions and of all above */
};

static void entry_key(const struct policy *p, char key[static KEY_LEN])
{
	const struct scmp_version *v = seccomp_version();
	struct policy_kernel k = policy_kernel_now();
	char walls[POLICY_WALLS_KEY];

	policy_walls_key(p->walls, walls);
	memset(key, 0, KEY_LEN);
	(void)snprintf(key, KEY_LEN, "%s-%s-%u.%u.%u-%x-%u.%u-%d", p->sha256, walls, v->major,
		       v->minor, v->micro, seccomp_arch_native(), k.major, k.minor,
		       COMPILER_REVISION);
}

/* Against damage, not against forgery: whoever can write here is root already. */
static void entry_sum(const struct entry *e, const struct sock_filter *insns, uint8_t *sum)
{
	uint8_t key[crypto_shorthash_KEYBYTES] = { 0 };

	(void)crypto_shorthash(key, (const uint8_t *)e, offsetof(struct entry, sum), key);
	(void)crypto_shorthash(sum, (const uint8_t *)insns, e->n_insns * sizeof(*insns), key);
}

static bool mine_alone(const struct stat *st, mode_t type)
{
	return (st->st_mode & S_IFMT) == type && st->st_uid == geteuid() &&
	       (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static int open_dir(const char *dir)
{
	cleanup_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !mine_alone(&st, S_IFDIR))
		return -1;
	return TAKE_FD(fd);
}

static bool entry_read(int fd, const char *key, struct policy *p)
{
	cleanup_free struct sock_filter *insns = NULL;
	uint8_t sum[crypto_shorthash_BYTES];
	struct entry e;
	struct iovec iov[2] = { { &e, sizeof(e) } };
	struct stat st;
	size_t len;

	if (fstat(fd, &st) < 0 || !mine_alone(&st, S_IFREG) || st.st_size <= (off_t)sizeof(e) ||
	    st.st_size > (off_t)(sizeof(e) + BPF_MAXINSNS * sizeof(*insns)))
		return false;
	len = (size_t)st.st_size - sizeof(e);
	insns = malloc(len);
	if (!insns)
		return false;
	iov[1] = (struct iovec){ insns, len };
	if (readv(fd, iov, 2) != st.st_size || memcmp(e.key, key, KEY_LEN) != 0 ||
	    e.n_insns * sizeof(*insns) != len)
		return false;
	entry_sum(&e, insns, sum);
	if (memcmp(sum, e.sum, sizeof(sum)) != 0)
		return false;
	p->kills = e.kills;
	p->lets_launch = e.lets_launch;
	p->flags = e.flags;
	p->prog =
		(struct sock_fprog){ .len = (unsigned short)e.n_insns, .filter = TAKE_PTR(insns) };
	return true;
}

bool policy_cache_get(const char *dir, struct policy *policy)
{
	cleanup_fd int dirfd = dir ? open_dir(dir) : -1;
	cleanup_fd int fd = -1;
	char key[KEY_LEN];

	if (dirfd < 0)
		return false;
	entry_key(policy, key);
	fd = openat(dirfd, key, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	return fd >= 0 && entry_read(fd, key, policy);
}

static int open_dir_or_make(const char *dir)
{
	char parent[256];
	const char *slash = strrchr(dir, '/');

	if (slash && slash != dir && (size_t)(slash - dir) < sizeof(parent)) {
		memcpy(parent, dir, (size_t)(slash - dir));
		parent[slash - dir] = '\0';
		(void)mkdir(parent, 0755);
	}
	(void)mkdir(dir, 0700);
	return open_dir(dir);
}

void policy_cache_try_put(const char *dir, const struct policy *policy)
{
	cleanup_fd int dirfd = dir ? open_dir_or_make(dir) : -1;
	cleanup_fd int fd = -1;
	size_t len = policy->prog.len * sizeof(*policy->prog.filter);
	struct entry e = { .kills = policy->kills,
			   .lets_launch = policy->lets_launch,
			   .flags = policy->flags,
			   .n_insns = policy->prog.len };
	struct iovec iov[2] = { { &e, sizeof(e) }, { policy->prog.filter, len } };
	char self[64];

	if (dirfd < 0)
		return;
	file_try_trim(dirfd, ENTRIES_MAX);
	entry_key(policy, e.key);
	entry_sum(&e, policy->prog.filter, e.sum);
	fd = openat(dirfd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0 || writev(fd, iov, 2) != (ssize_t)(sizeof(e) + len))
		return;
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, dirfd, e.key, AT_SYMLINK_FOLLOW) < 0 && errno == EEXIST) {
		/* What is there was not believed, or another run has just been as quick. */
		(void)unlinkat(dirfd, e.key, 0);
		if (linkat(AT_FDCWD, self, dirfd, e.key, AT_SYMLINK_FOLLOW) < 0)
			return; /* without an entry the next run compiles again */
	}
}
