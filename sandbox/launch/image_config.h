/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_IMAGE_CONFIG_H
#define CLOCHE_LAUNCH_IMAGE_CONFIG_H

#include "image/image.h"

#include <stddef.h>

struct cloche_err;

/*
 * What an image says of how it is run (OCI image-spec, config.md), out of its description: see
 * image.h. It is an author's text, so all of it is checked, and it rules nothing that the caller of
 * a run has a say in: environment, working directory, what command. The user that it names is not
 * taken: a function is always the same one.
 */
struct image_config {
	char *texts; /* owned: what the lists and workdir point into */
	/* NULL-terminated lists, owned; empty when it says nothing. */
	char **env; /* K=V each; what has another form is left out, as by others */
	char **entrypoint, **cmd;
	const char *workdir; /* absolute; NULL: it names none */
};

#define IMAGE_CONFIG_TEXTS_MAX 4096 /* of one list */

/*
 * Of an image that is open, by the name that messages give it. Its JSON is read by a confined
 * process (host/confined.h), once for each image and boot: what that says is kept below
 * HOST_RUN_DIR. -EINVAL or -E2BIG: the text says what of the image's config cannot be; -EBADMSG: it
 * is damaged.
 */
int image_config_load(const struct image *image, const char *name, struct image_config *ret,
		      struct cloche_err *err);
void image_config_free(struct image_config *config);

/*
 * The two halves of it. parse, there: from JSON to a record of at most IMAGE_CONFIG_SIZE bytes, a
 * head of four counts and the texts, each with its NUL. take, here: from bytes that may be anything
 * to a config, whose bounds are those above; -EBADMSG: they are no record.
 */
#define IMAGE_CONFIG_SIZE ((size_t)IMAGE_META_MAX + 64)

int image_config_parse(const char *meta, void *record, size_t size, size_t *len,
		       struct cloche_err *err);
int image_config_take(const void *record, size_t len, struct image_config *ret,
		      struct cloche_err *err);

#endif
