/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BASE_HASH_H
#define CLOCHE_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;

#define HASH_LEN     32
#define HASH_HEX_LEN (2 * HASH_LEN + 1)

/* SHA-256 (FIPS 180-4) of len bytes; data may be NULL when len is 0. Cannot fail. */
void hash_sha256(const void *data, size_t len, unsigned char ret[static HASH_LEN]);

/* The same as 64 lower-case hexadecimal digits, as sha256sum(1) prints it. */
void hash_sha256_hex(const void *data, size_t len, char ret[static HASH_HEX_LEN]);

/* Whether a text is such digits, all of them and nothing else. */
bool hash_is_hex(const char *text);

/* The same of len bytes of a file from an offset on, read with pread(2). -EIO when it is shorter.
 */
int hash_sha256_fd(int fd, uint64_t from, uint64_t len, char ret[static HASH_HEX_LEN],
		   struct cloche_err *err);

/* FNV-1a of 64 bits (RFC 9923), over what h stands for so far, HASH_FNV_START at first: it names a
 * version or finds a torn write; it protects nothing. */
#define HASH_FNV_START 0xcbf29ce484222325ULL
uint64_t hash_fnv(uint64_t h, const void *data, size_t len);

/* The same over a number's eight bytes, the lowest first. */
uint64_t hash_fnv_u64(uint64_t h, uint64_t v);

#endif
