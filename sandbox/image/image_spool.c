/* SPDX-License-Identifier: MIT */
/* An archive on its way: see image_spool.h. */
#include "image/image_spool.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium/crypto_hash_sha256.h>
#include <sodium/utils.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK (256U << 10)
#define NAME  "spool"

static int copy(int from, int to, char sha256[static HASH_HEX_LEN], struct cloche_err *err)
{
	cleanup_free char *buf = malloc(CHUNK);
	unsigned char sum[HASH_LEN];
	crypto_hash_sha256_state state;
	ssize_t n = 1;
	int r;

	if (!buf)
		return cloche_err_sys(err, ENOMEM, "read the archive");
	(void)crypto_hash_sha256_init(&state);
	while (n != 0) {
		n = read(from, buf, CHUNK);
		if (n < 0 && errno != EINTR)
			return cloche_err_sys(err, errno, "read the archive");
		if (n <= 0)
			continue;
		(void)crypto_hash_sha256_update(&state, (unsigned char *)buf,
						(unsigned long long)n);
		r = file_write_all(to, buf, (size_t)n);
		if (r < 0)
			return cloche_err_sys(err, -r, "keep the archive");
	}
	(void)crypto_hash_sha256_final(&state, sum);
	(void)sodium_bin2hex(sha256, HASH_HEX_LEN, sum, sizeof(sum));
	return 0;
}

int image_spool(int from, const char *sha256, struct cloche_err *err)
{
	cleanup_fd int to = open(NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	cleanup_fd int back = to < 0 ? -1 : open(NAME, O_RDONLY | O_CLOEXEC);
	char sum[HASH_HEX_LEN];
	int r;

	if (back < 0 || unlink(NAME) < 0)
		return cloche_err_sys(err, errno, "make a file for the archive");
	r = copy(from, to, sum, err);
	if (r == 0 && strcmp(sum, sha256) != 0)
		r = cloche_err_set(err, EBADMSG,
				   "what came is not what was announced: its SHA-256 is %.12s…, "
				   "not %.12s…",
				   sum, sha256);
	return r < 0 ? r : TAKE_FD(back);
}
