/* SPDX-License-Identifier: MIT */
/*
 * SHA-256 by libsodium: policies, code and the ledger are named by it. sodium_init() is left out on
 * purpose: it opens the random generator and probes the CPU, which SHA-256 does not use and every
 * one-shot run would pay for.
 */
#include "base/hash.h"

#include "base/err.h"
#include "base/fd.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sodium/crypto_hash_sha256.h>
#include <sodium/utils.h>

_Static_assert(HASH_LEN == crypto_hash_sha256_BYTES, "SHA-256 has 32 bytes");

void hash_sha256(const void *data, size_t len, unsigned char ret[static HASH_LEN])
{
	/* An empty text still has an address: libsodium declares its input as never NULL. */
	(void)crypto_hash_sha256(ret, len ? data : "", len);
}

void hash_sha256_hex(const void *data, size_t len, char ret[static HASH_HEX_LEN])
{
	unsigned char sum[HASH_LEN];

	hash_sha256(data, len, sum);
	(void)sodium_bin2hex(ret, HASH_HEX_LEN, sum, sizeof(sum));
}

#define CHUNK (256U << 10)

bool hash_is_hex(const char *text)
{
	return strspn(text, "0123456789abcdef") == HASH_HEX_LEN - 1 && !text[HASH_HEX_LEN - 1];
}

int hash_sha256_fd(int fd, uint64_t from, uint64_t len, char ret[static HASH_HEX_LEN],
		   struct cloche_err *err)
{
	cleanup_free unsigned char *buf = malloc(CHUNK);
	crypto_hash_sha256_state state;
	unsigned char sum[HASH_LEN];

	if (!buf)
		return cloche_err_sys(err, ENOMEM, "hash");
	(void)crypto_hash_sha256_init(&state);
	while (len > 0) {
		ssize_t n = pread(fd, buf, len < CHUNK ? len : CHUNK, (off_t)from);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cloche_err_sys(err, errno, "read");
		if (n == 0)
			return cloche_err_set(err, EIO, "read: the file became shorter");
		(void)crypto_hash_sha256_update(&state, buf, (unsigned long long)n);
		from += (uint64_t)n;
		len -= (uint64_t)n;
	}
	(void)crypto_hash_sha256_final(&state, sum);
	(void)sodium_bin2hex(ret, HASH_HEX_LEN, sum, sizeof(sum));
	return 0;
}

uint64_t hash_fnv(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return h;
}

uint64_t hash_fnv_u64(uint64_t h, uint64_t v)
{
	v = htole64(v);
	return hash_fnv(h, &v, sizeof(v));
}
