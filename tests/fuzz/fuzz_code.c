/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as the code of a function, a zip or a tar by what they begin with: refused with one
 * line, or a tree that lies where it should (tests/lib/scratch.h), of no more bytes than it may
 * have.
 */
#include "image/image_code.h"

#include "base/err.h"
#include "base/fd.h"
#include "tests/lib/scratch.h"

#include <fcntl.h>
#include <fts.h>
#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t bytes_in(const char *tree)
{
	FTS *fts = fts_open((char *[]){ (char *)(uintptr_t)tree, NULL }, FTS_PHYSICAL | FTS_NOCHDIR,
			    NULL);
	uint64_t bytes = 0;
	FTSENT *e;

	while (fts && (e = fts_read(fts)))
		if (e->fts_info == FTS_F && e->fts_statp->st_nlink == 1)
			bytes += (uint64_t)e->fts_statp->st_size;
	if (!fts || fts_close(fts) < 0)
		abort();
	return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t most = MOST;
	struct image_job job = { .tree = "tree", .arg = &most };
	cleanup_fd int fd = memfd_create("code", MFD_CLOEXEC), tree = -1;
	struct cloche_err err = { 0 };
	struct scratch s;
	int r;

	if (!setlocale(LC_CTYPE, "C.UTF-8") || fd < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	s = scratch_enter();
	tree = open("tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	job.tree_fd = tree;
	job.archive = fd;
	r = code_fill(&job, &err);
	if ((r < 0) != (err.code != 0) || strchr(err.text, '\n') || bytes_in("tree") > MOST)
		abort();
	scratch_leave(&s);
	return 0;
}
