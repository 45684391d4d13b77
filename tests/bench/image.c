/* SPDX-License-Identifier: MIT */
/*
 * The function image beside the host's /usr: made by the program under measurement, as its users
 * make theirs, in a store of the bench's own. Without a package archive there is none, and the rows
 * that would run in it say so.
 */
#include "subject.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "run.h"

static int image_command(const struct stage *stage, const char *verb, struct cloche_err *err)
{
	struct command command = { .name = "cloche image",
				   .id_at = -1,
				   .argv = { (char *)stage->cloche, (char *)"image", (char *)verb,
					     (char *)STAGE_IMAGE } };
	int64_t ns;

	return run_once(&command, stage, &ns, err);
}

void stage_image_make(struct stage *stage)
{
	struct cloche_err err = { 0 };
	char store[96];
	int r;

	snprintf(store, sizeof(store), "%s/images", stage->dir);
	r = stage_mkdir(store, &err);
	if (r == 0) {
		printf("\nbuilding the image '%s' ...\n", STAGE_IMAGE);
		fflush(stdout);
		r = image_command(stage, "build", &err);
	}
	stage->has_image = r == 0;
	if (r < 0)
		snprintf(stage->no_image, sizeof(stage->no_image), "%s", err.text);
}

void stage_image_remove(struct stage *stage)
{
	struct cloche_err err = { 0 };

	/* Its mount, too: removing the directory alone would leave that. */
	if (stage->has_image && image_command(stage, "remove", &err) < 0)
		fprintf(stderr, "bench: %s\n", err.text);
	stage->has_image = false;
}
