/* SPDX-License-Identifier: MIT */
/* What binds are known by: see given_mark.h. */
#include "launch/given_mark.h"

#include "base/fd.h"
#include "base/file.h"
#include "launch/given.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* Since Linux 6.8: a number that no other mount has had since the host began. */
#define MNT_ID_UNIQUE 0x4000U
#define MOUNTS_MAX    ((size_t)4 << 20)

/* No padding, and zeros behind the text. */
struct mark {
	unsigned char before[HASH_LEN];
	uint64_t ino, mount, flags;
	uint32_t major, minor, how, mode;
	char place[GIVEN_PLACE_LEN];
};

static int mark_one(const struct given_bind *b, int fd, unsigned char sum[static HASH_LEN])
{
	struct statx st = { .stx_mask = 0 };
	struct statfs fs;
	struct mark m;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		  STATX_INO | STATX_TYPE | STATX_MNT_ID | MNT_ID_UNIQUE, &st) < 0 ||
	    fstatfs(fd, &fs) < 0)
		return -errno;
	memset(&m, 0, sizeof(m));
	memcpy(m.before, sum, HASH_LEN);
	m.ino = st.stx_ino;
	m.mount = st.stx_mnt_id;
	m.flags = (uint64_t)fs.f_flags;
	m.major = st.stx_dev_major;
	m.minor = st.stx_dev_minor;
	m.how = b->how;
	m.mode = st.stx_mode & S_IFMT;
	memcpy(m.place, b->place, strnlen(b->place, sizeof(b->place)));
	hash_sha256(&m, sizeof(m), sum);
	return 0;
}

int given_mark(const struct given *g, const int fds[], unsigned char ret[static HASH_LEN])
{
	int r = 0;

	memset(ret, 0, HASH_LEN);
	for (uint32_t i = 0; r == 0 && i < g->n; i++)
		r = mark_one(&g->binds[i], fds[i], ret);
	return r;
}

/* ---- the client's claim ---------------------------------------------------------------------- */

/* As it stands in /proc/self/mountinfo, where such characters would be written otherwise. */
static bool is_plain(const char *path)
{
	return path[0] == '/' && !strpbrk(path, " \t\n\\#");
}

/* "36 35 98:0 /root /mount/point options …": what is mounted below that path. */
static void mix_below(const char *path, char *mounts, unsigned char sum[static HASH_LEN])
{
	size_t len = strcmp(path, "/") == 0 ? 0 : strlen(path);

	for (char *line = mounts, *next; line; line = next) {
		unsigned char both[2 * HASH_LEN];
		const char *at = line;

		next = strchr(line, '\n');
		for (int i = 0; at && i < 4; i++)
			at = strchr(at + 1, ' ');
		if (!at || strncmp(at + 1, path, len) != 0 || at[1 + len] != '/')
			goto over;
		memcpy(both, sum, HASH_LEN);
		hash_sha256(line, next ? (size_t)(next - line) : strlen(line), both + HASH_LEN);
		hash_sha256(both, sizeof(both), sum);
over:
		next = next ? next + 1 : NULL;
	}
}

static bool mix_mounts(int fd, char *mounts, unsigned char sum[static HASH_LEN])
{
	char path[PATH_MAX];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	if (!S_ISDIR(st.st_mode))
		return true;
	if (file_fd_path(fd, path, sizeof(path)) < 0 || !is_plain(path))
		return false;
	mix_below(path, mounts, sum);
	return true;
}

void given_claim(const struct given *g, const int fds[], unsigned char ret[static HASH_LEN])
{
	cleanup_free char *mounts = NULL;
	unsigned char sum[HASH_LEN];
	bool known = given_mark(g, fds, sum) == 0;
	size_t len;

	memset(ret, 0, HASH_LEN);
	known = known &&
		file_load(AT_FDCWD, "/proc/self/mountinfo", MOUNTS_MAX, &mounts, &len, NULL) == 0;
	for (uint32_t i = 0; known && i < g->n; i++)
		known = g->binds[i].how != GIVEN_ROOT && mix_mounts(fds[i], mounts, sum);
	if (known)
		memcpy(ret, sum, HASH_LEN);
}

bool given_is_claim(const unsigned char claim[static HASH_LEN])
{
	static const unsigned char none[HASH_LEN];

	return memcmp(claim, none, HASH_LEN) != 0;
}
