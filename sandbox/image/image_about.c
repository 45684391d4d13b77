/* SPDX-License-Identifier: MIT */
/* Makes text of what an image's description says, where that can do no harm: see image_about.h. */
#include "image/image_about.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/quote.h"
#include "host/confined.h"
#include "image/image.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_MAX (IMAGE_KIND_LEN + IMAGE_ABOUT_MAX)

/* ---- from JSON to a record ------------------------------------------------------------------ */

/* As quote(), but for the quotes around it. */
static void put_bare(FILE *to, const char *text, size_t len, int width)
{
	char shown[QUOTE_LEN];
	size_t n;

	quote_n(shown, text, len);
	n = strlen(shown + 1);
	if (shown[n] == '\'')
		n--; /* else "..." is behind it */
	(void)fprintf(to, "%-*.*s", width, (int)n, shown + 1);
}

static void put_list(FILE *to, const json_t *list)
{
	char shown[QUOTE_LEN];
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item)
		(void)fprintf(to, " %s",
			      json_is_string(item) ? quote_n(shown, json_string_value(item),
							     json_string_length(item))
						   : "?");
}

static void put_line(FILE *to, const char *key, const json_t *value)
{
	cleanup_free char *text = NULL;

	put_bare(to, key, strlen(key), 12);
	if (json_is_string(value)) {
		(void)fputc(' ', to);
		put_bare(to, json_string_value(value), json_string_length(value), 0);
	} else if (json_is_array(value)) {
		put_list(to, value);
	} else {
		text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		(void)fprintf(to, " %s", text ? text : "?");
	}
	(void)fputc('\n', to);
}

static int put_text(json_t *meta, enum image_about_form form, char **ret, size_t *ret_len)
{
	FILE *to = open_memstream(ret, ret_len);
	json_t *value;
	const char *key;
	int r = 0;

	if (!to)
		return -ENOMEM;
	if (form == IMAGE_ABOUT_JSON)
		r = json_dumpf(meta, to, JSON_COMPACT);
	else
		json_object_foreach (meta, key, value)
			put_line(to, key, value);
	return fclose(to) == 0 && r == 0 ? 0 : -ENOMEM;
}

static int put_record(json_t *meta, enum image_about_form form, char *record, size_t size,
		      size_t *len, struct cloche_err *err)
{
	const char *kind = json_string_value(json_object_get(meta, "kind"));
	cleanup_free char *text = NULL;
	size_t n = 0;
	int r = put_text(meta, form, &text, &n);

	if (r < 0)
		return cloche_err_sys(err, -r, "show its description");
	if (size < IMAGE_KIND_LEN || n > size - IMAGE_KIND_LEN)
		return cloche_err_set(err, E2BIG, "its description is too long to be shown");
	memset(record, 0, IMAGE_KIND_LEN);
	quote_field(record, IMAGE_KIND_LEN, kind && *kind ? kind : "?");
	memcpy(record + IMAGE_KIND_LEN, text, n);
	*len = IMAGE_KIND_LEN + n;
	return 0;
}

int image_about_parse(const char *meta, enum image_about_form form, const char *const *own,
		      void *record, size_t size, size_t *len, struct cloche_err *err)
{
	json_t *o = json_loads(meta, JSON_REJECT_DUPLICATES, NULL);
	int r;

	if (!json_is_object(o)) {
		json_decref(o);
		return cloche_err_set(
			err, EBADMSG,
			"its description is no JSON object; build or import it again");
	}
	for (size_t i = 0; own[i]; i++)
		(void)json_object_del(o, own[i]);
	r = put_record(o, form, record, size, len, err);
	json_decref(o);
	return r;
}

/* ---- from a record to a text ---------------------------------------------------------------- */

void image_about_free(struct image_about *about)
{
	free(about->text);
	*about = (struct image_about){ 0 };
}

/* What else may harm a terminal is kept from it where it is written. */
static bool has_controls(const char *text, size_t len, char but)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' && (!but || text[i] != but))
			return true;
	return false;
}

static bool is_kind(const char *kind)
{
	size_t len = strnlen(kind, IMAGE_KIND_LEN);

	return len > 0 && len < IMAGE_KIND_LEN && !has_controls(kind, len, '\0');
}

static bool is_of_form(const char *text, size_t len, enum image_about_form form)
{
	if (form == IMAGE_ABOUT_LINES)
		return !has_controls(text, len, '\n') && (len == 0 || text[len - 1] == '\n');
	return !has_controls(text, len, '\0') && len >= 2 && text[0] == '{' && text[len - 1] == '}';
}

int image_about_take(const void *record, size_t len, enum image_about_form form,
		     struct image_about *ret, struct cloche_err *err)
{
	const char *kind = record, *text = kind + IMAGE_KIND_LEN;

	*ret = (struct image_about){ 0 };
	if (len < IMAGE_KIND_LEN || len > RECORD_MAX || !is_kind(kind) ||
	    !is_of_form(text, len - IMAGE_KIND_LEN, form))
		return cloche_err_set(err, EBADMSG,
				      "what was read of its description is no answer");
	ret->len = len - IMAGE_KIND_LEN;
	ret->text = malloc(ret->len + 1);
	if (!ret->text)
		return cloche_err_sys(err, ENOMEM, "show its description");
	memcpy(ret->text, text, ret->len);
	ret->text[ret->len] = '\0';
	memcpy(ret->kind, kind, IMAGE_KIND_LEN);
	return 0;
}

/* ---- of an image ---------------------------------------------------------------------------- */

struct source {
	const struct image *image;
	const char *name;
	enum image_about_form form;
	const char *const *own;
};

static void prepare(void)
{
	json_object_seed(0);
}

static int parse(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	const struct source *s = arg;
	cleanup_free char *text = NULL;
	int r = image_meta(s->image, s->name, &text, err);

	return r < 0 ? r : image_about_parse(text, s->form, s->own, buf, size, len, err);
}

int image_about_load(const struct image *image, const char *name, enum image_about_form form,
		     const char *const *own, struct image_about *ret, struct cloche_err *err)
{
	struct source source = { image, name, form, own };
	const struct confined confined = { .what = "the description",
					   .fd = image->fd,
					   .prepare = prepare,
					   .job = parse,
					   .arg = &source,
					   .mem_bytes = 256ULL << 20,
					   .cpu_s = 10,
					   .wall_s = 60 };
	cleanup_free char *record = malloc(RECORD_MAX);
	size_t len = 0;
	int r;

	if (!record)
		return cloche_err_sys(err, ENOMEM, "image '%s'", name);
	r = confined_run(&confined, record, RECORD_MAX, &len, err);
	if (r == 0)
		r = image_about_take(record, len, form, ret, err);
	return r < 0 ? cloche_err_wrap(err, "image '%s'", name) : 0;
}
