/* SPDX-License-Identifier: MIT */
/* Text at the edge of the readable: see guard.h. */
#include "tests/lib/guard.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The readable pages in front of the guard; never none, so that an empty text has an address. */
static size_t readable_size(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (len / page + 1) * page;
}

char *guard_copy(const void *data, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = readable_size(len);
	char *map =
		mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert(map != MAP_FAILED, "mmap: %m");
	cr_assert_eq(mprotect(map + size, page, PROT_NONE), 0, "mprotect: %m");
	if (len)
		memcpy(map + size - len, data, len);
	return map + size - len;
}

void guard_free(char *copy, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = readable_size(len);

	(void)munmap(copy + len - size, size + page);
}
