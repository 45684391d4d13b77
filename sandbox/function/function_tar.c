/* SPDX-License-Identifier: MIT */
/* A tar, block by block: see function_tar.h. tar(5). */
#include "function/function_tar.h"

#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BLOCK 512

struct head {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100],
		magic[8], user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct head) == BLOCK, "it is a block");

/* Digits and a NUL, right before the next field. */
static void octal(char *to, size_t size, uint64_t n)
{
	to[size - 1] = '\0';
	for (size_t i = size - 1; i-- > 0; n >>= 3)
		to[i] = (char)('0' + (n & 7));
}

static int head_write(int fd, char type, const char *name, const char *target, unsigned mode,
		      uint64_t size)
{
	struct head h = { .type = type };
	const unsigned char *bytes = (const unsigned char *)&h;
	unsigned sum = 0;

	memcpy(h.name, name, strnlen(name, sizeof(h.name)));
	memcpy(h.link, target, strnlen(target, sizeof(h.link)));
	octal(h.mode, sizeof(h.mode), mode);
	octal(h.uid, sizeof(h.uid), 0);
	octal(h.gid, sizeof(h.gid), 0);
	octal(h.size, sizeof(h.size), size);
	octal(h.mtime, sizeof(h.mtime), 0);
	memcpy(h.magic, "ustar  ", sizeof(h.magic));
	memset(h.checksum, ' ', sizeof(h.checksum));
	for (size_t i = 0; i < sizeof(h); i++)
		sum += bytes[i];
	octal(h.checksum, 7, sum);
	return file_write_all(fd, (const char *)&h, sizeof(h));
}

/* What is too long for a field comes before, as an entry of its own. */
static int long_write(int fd, char type, const char *text)
{
	uint64_t size = strlen(text) + 1;
	int r;

	if (size <= sizeof(((struct head *)0)->name))
		return 0;
	r = head_write(fd, type, "././@LongLink", "", 0, size);
	if (r == 0)
		r = file_write_all(fd, text, size);
	return r == 0 ? tar_pad(fd, size) : r;
}

int tar_entry(int fd, char type, const char *name, const char *target, unsigned mode, uint64_t size)
{
	int r = long_write(fd, 'K', target ? target : "");

	if (size >> 33)
		return -EFBIG;
	if (r == 0)
		r = long_write(fd, 'L', name);
	return r == 0 ? head_write(fd, type, name, target ? target : "", mode, size) : r;
}

int tar_pad(int fd, uint64_t size)
{
	static const char zeros[BLOCK];

	return file_write_all(fd, zeros, (BLOCK - size % BLOCK) % BLOCK);
}

int tar_end(int fd)
{
	static const char zeros[2 * BLOCK];

	return file_write_all(fd, zeros, sizeof(zeros));
}
