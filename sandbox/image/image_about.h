/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_IMAGE_IMAGE_ABOUT_H
#define CLOCHE_IMAGE_IMAGE_ABOUT_H

#include <stddef.h>

struct cloche_err;
struct image;

/*
 * What an image's description says of it, as text to be shown. The description is an author's, so
 * it is parsed by a confined process (host/confined.h), and what that says is believed to be text
 * of the asked form and no more.
 */
enum image_about_form {
	IMAGE_ABOUT_JSON,  /* one object on one line, without a line end */
	IMAGE_ABOUT_LINES, /* "KEY         VALUE\n" for each member */
};

#define IMAGE_KIND_LEN 32

struct image_about {
	char kind[IMAGE_KIND_LEN]; /* one line, "?" where it does not say */
	char *text;		   /* owned, len bytes; without the members that own names */
	size_t len;
};

/*
 * own: names of members, NULL-terminated, which the caller knows better. -EBADMSG: the description
 * is no JSON object; -E2BIG: its text would be longer than IMAGE_ABOUT_MAX; or as confined_run().
 * name is for messages.
 */
#define IMAGE_ABOUT_MAX ((size_t)8 << 20)

int image_about_load(const struct image *image, const char *name, enum image_about_form form,
		     const char *const *own, struct image_about *ret, struct cloche_err *err);
void image_about_free(struct image_about *about);

/*
 * The two halves of it. parse, there: from JSON to a record, the kind and then the text. take,
 * here: from bytes that may be anything; -EBADMSG: they are no record.
 */
int image_about_parse(const char *meta, enum image_about_form form, const char *const *own,
		      void *record, size_t size, size_t *len, struct cloche_err *err);
int image_about_take(const void *record, size_t len, enum image_about_form form,
		     struct image_about *ret, struct cloche_err *err);

#endif
