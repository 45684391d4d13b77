/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_IMAGE_IMAGE_RECIPE_H
#define CLOCHE_IMAGE_IMAGE_RECIPE_H

#include "image/image_make.h"

/*
 * The recipes of vm-images/recipes/ and the script that follows them, put into the program by
 * vm-images/embed.sh. A recipe is a list of Debian packages, one a line, with '#' comments;
 * "include NAME" is all of another recipe. The table ends with a NULL name.
 */
struct recipe {
	const char *name;
	const char *text;
};

extern const struct recipe recipes[];
extern const char *const recipe_script;

/* The text of a shipped recipe, or NULL. */
const char *recipe_find(const char *name);

/* The packages that it names, as base/texts.h has them; -EINVAL: what is wrong and on which line.
 */
int recipe_parse(const char *recipe, void *buf, size_t size, size_t *len, struct cloche_err *err);

/* The same, read by a confined process. */
struct recipe_names {
	char **of, *text; /* owned */
	size_t n;
};

int recipe_names(const char *recipe, struct recipe_names *ret, struct cloche_err *err);
void recipe_names_free(struct recipe_names *names);

/* Of the job its dir, which is the current directory, and the tree in it count. */
int recipe_unpack(struct image_job *job, const struct recipe_names *names, struct cloche_err *err);

/* Fillers for image_make(): arg is the text of a recipe; the absolute path of a directory. */
int recipe_fill(struct image_job *job, struct cloche_err *err);
int directory_fill(struct image_job *job, struct cloche_err *err);

/* With arg a descriptor (int) from which a directory can be read as archive_unpack_whole() has it.
 */
int stream_fill(struct image_job *job, struct cloche_err *err);

#endif
