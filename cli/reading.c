/* SPDX-License-Identifier: MIT */
/* Verbs that show what somebody wrote: see reading.h. */
#include "cli/reading.h"

#include "base/err.h"
#include "base/fd.h"
#include "host/confined.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

/* Traces of hours are long; who reads one may wait for it or stop us. */
#define MEM_BYTES (8ULL << 30)
#define CPU_S	  3600

static void prepare(void)
{
	json_object_seed(0);
}

static int read_all(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	const struct reading *r = arg;

	*len = 0;
	return r->read(r->arg, err);
}

static int show_all(void *arg, FILE *to)
{
	const struct reading *r = arg;

	return r->show(r->arg, to);
}

int reading_run(const struct reading *r, struct cloche_err *err)
{
	cleanup_free int *fds = calloc(r->n_files + 1, sizeof(*fds));
	struct confined confined = { .what = "what was written",
				     .fd = -1,
				     .fds = fds,
				     .n_fds = r->n_files,
				     .prepare = prepare,
				     .job = read_all,
				     .say = show_all,
				     .arg = (void *)r,
				     .mem_bytes = MEM_BYTES,
				     .cpu_s = CPU_S };

	if (!fds)
		return cloche_err_sys(err, ENOMEM, "read files");
	for (size_t i = 0; i < r->n_files; i++)
		fds[i] = fileno(r->files[i]);
	return confined_copy(&confined, r->open, r->arg, err);
}
