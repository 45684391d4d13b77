/* SPDX-License-Identifier: MIT */
/* Unpacks the code of functions: see image_code.h. */
#include "image/image_code.h"

#include "base/err.h"
#include "image/image_layer.h"

#include <string.h>
#include <unistd.h>

/* What a zip begins with: an entry's head, or the end of one without entries. */
static bool is_zip(int fd)
{
	char head[4] = { 0 };

	return pread(fd, head, sizeof(head), 0) == sizeof(head) &&
	       (memcmp(head, "PK\3\4", 4) == 0 || memcmp(head, "PK\5\6", 4) == 0);
}

int code_fill(struct image_job *job, struct cloche_err *err)
{
	const uint64_t *most = job->arg;

	return archive_unpack_code(job->tree_fd, job->archive, is_zip(job->archive), *most, err);
}
