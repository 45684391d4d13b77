/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_FUNCTION_FUNCTION_PACK_H
#define CLOCHE_FUNCTION_FUNCTION_PACK_H

#include "base/hash.h"

#include <stdint.h>

struct cloche_err;

/*
 * Code as it is sent, by the rights of whoever deploys it: a zip as it is, a directory as a tar
 * that is the same for the same content: in order of the names, of no time and nobody, and of
 * rights no more than whether a file can be executed. So what is deployed again is found to be
 * there.
 */
struct function_packed {
	int fd;		   /* at its beginning */
	uint64_t bytes;	   /* of the archive */
	uint64_t unpacked; /* what its files come to */
	char sha256[HASH_HEX_LEN];
};

/* scratch: a directory for what is packed. -EINVAL: there is something in it that no code can have;
 * -EFBIG. */
#define FUNCTION_PACK_MAX (8ULL << 30)
int function_pack(const char *path, const char *scratch, struct function_packed *ret,
		  struct cloche_err *err);

#endif
