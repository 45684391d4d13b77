/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as an image's description that is to be shown, and as what is said to have come of one.
 * What is accepted is text of the asked form; a refusal is one line.
 */
#include "image/image_about.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const own[] = { "name", "bytes", NULL };

static void judge(const struct image_about *a, enum image_about_form form)
{
	size_t lines = 0;

	if (!a->kind[0] || strlen(a->kind) >= IMAGE_KIND_LEN || strchr(a->kind, '\n') ||
	    strlen(a->text) != a->len)
		abort();
	for (size_t i = 0; i < a->len; i++) {
		lines += a->text[i] == '\n';
		if ((unsigned char)a->text[i] < ' ' && a->text[i] != '\n')
			abort();
	}
	if (form == IMAGE_ABOUT_JSON && (lines > 0 || a->len < 2))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *record = malloc(IMAGE_KIND_LEN + 16 * size + 64);
	enum image_about_form form = size % 2 ? IMAGE_ABOUT_JSON : IMAGE_ABOUT_LINES;
	struct image_about about = { 0 };
	struct cloche_err err = { 0 };
	size_t len = 0;
	int r;

	if (!text || !record)
		abort();
	if (image_about_take(data, size, form, &about, &err) == 0)
		judge(&about, form);
	image_about_free(&about);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	r = image_about_parse(text, form, own, record, IMAGE_KIND_LEN + 16 * size + 64, &len, &err);
	if (r < 0 && (!err.text[0] || strchr(err.text, '\n')))
		abort();
	if (r == 0 && image_about_take(record, len, form, &about, &err) < 0)
		abort();
	if (r == 0)
		judge(&about, form);
	image_about_free(&about);
	free(text);
	free(record);
	return 0;
}
