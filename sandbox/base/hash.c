/* SPDX-License-Identifier: MIT */
/*
 * SHA-256 by libsodium: policies, code and the ledger are named by it. sodium_init() is left out on
 * purpose: it opens the random generator and probes the CPU, which SHA-256 does not use and every
 * one-shot run would pay for.
 */
#include "base/hash.h"

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
