/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BASE_HASH_H
#define CLOCHE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct cloche_err;

#define HASH_LEN     32
#define HASH_HEX_LEN (2 * HASH_LEN + 1)

/* SHA-256 (FIPS 180-4) of len bytes; data may be NULL when len is 0. Cannot fail. */
void hash_sha256(const void *data, size_t len, unsigned char ret[static HASH_LEN]);

/* The same as 64 lower-case hexadecimal digits, as sha256sum(1) prints it. */
void hash_sha256_hex(const void *data, size_t len, char ret[static HASH_HEX_LEN]);

/* The same of len bytes of a file from an offset on, read with pread(2). -EIO when it is shorter.
 */
int hash_sha256_fd(int fd, uint64_t from, uint64_t len, char ret[static HASH_HEX_LEN],
		   struct cloche_err *err);

#endif
