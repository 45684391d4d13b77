/* SPDX-License-Identifier: MIT */
/* The hash of what was executed, and the memory of such hashes. See executed.h. */
#include "run/executed.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/file_times.h"
#include "launch/launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DIR_NAME "code"
#define SLOTS	 1024 /* files; a newer hash takes the place of an older one */
#define QUIET_NS (2 * NSEC_PER_SEC)

void executed_see(const struct context *ctx, struct executed *ret)
{
	ret->known = ctx->executed >= 0;
	ret->seen = ctx->plan.shared->executed_stat;
}

static bool same(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* By what the content is known again; false: by nothing. */
static bool key_of(const struct context *ctx, int fd, const struct stat *st,
		   char ret[static EXECUTED_KEY_LEN])
{
	const char *image = ctx->plan.rootfs.image;
	struct stat root;

	if (*image && stat(image, &root) == 0 && root.st_dev == st->st_dev) {
		(void)snprintf(ret, EXECUTED_KEY_LEN, "%s %" PRIu64, image, (uint64_t)st->st_ino);
		return true;
	}
	if (file_times_of(fd) != FILE_TIMES_KERNEL ||
	    timespec_ns(st->st_ctim) > clock_real_ns() - QUIET_NS)
		return false;
	(void)snprintf(ret, EXECUTED_KEY_LEN,
		       "%" PRIx64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64,
		       (uint64_t)st->st_dev, (uint64_t)st->st_ino, (uint64_t)st->st_size,
		       timespec_ns(st->st_mtim), timespec_ns(st->st_ctim));
	return true;
}

/* A line of the key, one of the hash, one with the hash of both: a torn or foreign one is none. */
static void entry_make(const char *key, const char *hash, char *ret, size_t size)
{
	char check[HASH_HEX_LEN];
	int n = snprintf(ret, size, "%s\n%s\n", key, hash);

	hash_sha256_hex(ret, (size_t)n, check);
	(void)snprintf(ret + n, size - (size_t)n, "%s", check);
}

static void slot_name(const char *key, char *ret, size_t size)
{
	unsigned char sum[HASH_LEN];

	hash_sha256(key, strlen(key), sum);
	(void)snprintf(ret, size, DIR_NAME "/%u", (unsigned)(sum[0] << 8 | sum[1]) % SLOTS);
}

static bool recall(int run_fd, const char *key, char ret[static HASH_HEX_LEN])
{
	char name[32], have[EXECUTED_KEY_LEN + 3 * HASH_HEX_LEN], want[sizeof(have)];
	size_t at = strlen(key) + 1;

	slot_name(key, name, sizeof(name));
	if (file_read_text(run_fd, name, have, sizeof(have), NULL) < 0 ||
	    strlen(have) != at + 2 * HASH_HEX_LEN - 1)
		return false;
	(void)snprintf(ret, HASH_HEX_LEN, "%.64s", have + at);
	entry_make(key, ret, want, sizeof(want));
	return strcmp(have, want) == 0;
}

static void try_remember(int run_fd, const char *key, const char *hash)
{
	char name[32], text[EXECUTED_KEY_LEN + 3 * HASH_HEX_LEN];
	cleanup_fd int fd = -1;

	slot_name(key, name, sizeof(name));
	entry_make(key, hash, text, sizeof(text));
	(void)mkdirat(run_fd, DIR_NAME, 0700);
	fd = openat(run_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		return;
}

bool executed_recall(int run_fd, const struct context *ctx, const struct executed *executed,
		     uint64_t most, char ret[static HASH_HEX_LEN],
		     struct executed_unread *ret_unread)
{
	struct executed_unread u = { .fd = ctx->executed };

	*ret = '\0';
	if (!executed->known || fstat(u.fd, &u.st) < 0 || !same(&executed->seen, &u.st) ||
	    (uint64_t)u.st.st_size > most)
		return true;
	u.keyed = key_of(ctx, u.fd, &u.st, u.key);
	if (u.keyed && recall(run_fd, u.key, ret))
		return true;
	*ret = '\0';
	*ret_unread = u;
	return false;
}

void executed_read(const struct executed_unread *u, char ret[static HASH_HEX_LEN])
{
	cleanup_fd int fd = -1;
	char path[32];
	struct stat now;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", u->fd);
	/* One who holds a lease of it (fcntl(2)) is not waited for. */
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || hash_sha256_fd(fd, 0, (uint64_t)u->st.st_size, ret, NULL) < 0 ||
	    fstat(fd, &now) < 0 || !same(&u->st, &now))
		*ret = '\0';
}

void executed_remember(int run_fd, const struct executed_unread *u, const char *hash)
{
	if (u->keyed && *hash)
		try_remember(run_fd, u->key, hash);
}

void executed_hash(int run_fd, const struct context *ctx, const struct executed *executed,
		   uint64_t most, char ret[static HASH_HEX_LEN])
{
	struct executed_unread unread;

	if (executed_recall(run_fd, ctx, executed, most, ret, &unread))
		return;
	executed_read(&unread, ret);
	executed_remember(run_fd, &unread, ret);
}
