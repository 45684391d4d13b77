/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_IMAGE_CONFIG_H
#define CLOCHE_LAUNCH_IMAGE_CONFIG_H

#include <jansson.h>

struct cloche_err;

/*
 * What an image says of how it is run (OCI image-spec, config.md), out of its description: see
 * image.h. It is an author's text, so all of it is checked, and it rules nothing that the caller of
 * a run has a say in: environment, working directory, what command. The user that it names is not
 * taken: a function is always the same one.
 */
struct image_config {
	json_t *meta; /* owned: the texts of the lists are in it */
	/* NULL-terminated lists, owned; empty when it says nothing. */
	char **env; /* K=V each; what has another form is left out, as by others */
	char **entrypoint, **cmd;
	char *workdir; /* absolute, owned; NULL: it names none */
};

#define IMAGE_CONFIG_TEXTS_MAX 4096 /* of one list */

/* -EINVAL or -E2BIG: the text says what of the image's config cannot be; -EBADMSG: it is damaged.
 */
int image_config_parse(const char *meta, struct image_config *ret, struct cloche_err *err);
void image_config_free(struct image_config *config);

#endif
