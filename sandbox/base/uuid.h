/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BASE_UUID_H
#define CLOCHE_BASE_UUID_H

struct cloche_err;

#define UUID_LEN sizeof("123e4567-e89b-42d3-a456-426614174000")

/* A new random UUID (RFC 9562, version 4) as lower-case text. On failure buf is unchanged. */
int uuid_v4(char buf[static UUID_LEN], struct cloche_err *err);

#endif
