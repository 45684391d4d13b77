/* SPDX-License-Identifier: MIT */
/* Reads what an image says of how it is run: see image_config.h. */
#include "launch/image_config.h"

#include "base/err.h"
#include "base/fd.h"
#include "host/confined.h"
#include "launch/image_cache.h"
#include "launch/spec.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The texts follow in this order. */
enum { LIST_ENV, LIST_ENTRYPOINT, LIST_CMD, LIST_WORKDIR, LIST_N };

struct head {
	uint32_t n[LIST_N];
};

static bool is_pair(const char *text)
{
	return text[0] != '=' && strchr(text, '=');
}

static int check_env(size_t sum, struct cloche_err *err)
{
	if (sum > SPEC_ENV_MAX)
		return cloche_err_set(err, E2BIG,
				      "the image's environment has %zu bytes, and may have %llu",
				      sum, (unsigned long long)SPEC_ENV_MAX);
	return 0;
}

/* ---- from JSON to a record ------------------------------------------------------------------ */

struct writer {
	char *at;
	size_t left;
	struct head head;
};

static int put(struct writer *w, int list, const char *before, const char *text,
	       struct cloche_err *err)
{
	int n = snprintf(w->at, w->left, "%s%s", before, text);

	if (n < 0 || (size_t)n >= w->left)
		return cloche_err_set(err, E2BIG, "the image's texts are too long");
	w->at += n + 1;
	w->left -= (size_t)n + 1;
	w->head.n[list]++;
	return 0;
}

/* A bare text is a list of one: so had it the first images of Docker's. */
static int put_list(struct writer *w, const json_t *meta, int list, const char *key,
		    struct cloche_err *err)
{
	const json_t *value = json_object_get(meta, key);
	size_t n = json_is_string(value) ? 1 : json_array_size(value), sum = 0;
	int r = 0;

	if (value && !json_is_string(value) && !json_is_array(value))
		return cloche_err_set(err, EINVAL, "the image's %s is no list of texts", key);
	if (n > IMAGE_CONFIG_TEXTS_MAX)
		return cloche_err_set(err, E2BIG, "the image's %s has %zu texts, and may have %d",
				      key, n, IMAGE_CONFIG_TEXTS_MAX);
	for (size_t i = 0; r == 0 && i < n; i++) {
		const char *text =
			json_string_value(json_is_string(value) ? value : json_array_get(value, i));

		if (!text)
			return cloche_err_set(err, EINVAL, "the image's %s is no list of texts",
					      key);
		if (list == LIST_ENV && !is_pair(text))
			continue;
		sum += strlen(text) + 1 + sizeof(char *);
		r = put(w, list, "", text, err);
	}
	return r == 0 && list == LIST_ENV ? check_env(sum, err) : r;
}

/* A relative one is taken from the root, where an image is at home. */
static int put_workdir(struct writer *w, const json_t *meta, struct cloche_err *err)
{
	const json_t *value = json_object_get(meta, "workdir");
	const char *text = json_string_value(value);

	if (value && !text)
		return cloche_err_set(err, EINVAL, "the image's workdir is no text");
	return text && *text ? put(w, LIST_WORKDIR, *text == '/' ? "" : "/", text, err) : 0;
}

int image_config_parse(const char *text, void *record, size_t size, size_t *len,
		       struct cloche_err *err)
{
	/* Texts with a NUL in them are none for jansson, unless asked for. */
	json_t *meta = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	struct writer w = { .at = (char *)record + sizeof(w.head), .left = size - sizeof(w.head) };
	int r = 0;

	if (!json_is_object(meta))
		r = cloche_err_set(err, EBADMSG, "the image's description is no JSON object");
	if (r == 0)
		r = put_list(&w, meta, LIST_ENV, "env", err);
	if (r == 0)
		r = put_list(&w, meta, LIST_ENTRYPOINT, "entrypoint", err);
	if (r == 0)
		r = put_list(&w, meta, LIST_CMD, "cmd", err);
	if (r == 0)
		r = put_workdir(&w, meta, err);
	json_decref(meta);
	if (r < 0)
		return r;
	memcpy(record, &w.head, sizeof(w.head));
	*len = size - w.left;
	return 0;
}

/* ---- from a record to a config -------------------------------------------------------------- */

void image_config_free(struct image_config *c)
{
	free(c->env);
	free(c->entrypoint);
	free(c->cmd);
	free(c->texts);
	*c = (struct image_config){ 0 };
}

static int bad(struct cloche_err *err)
{
	return cloche_err_set(err, EBADMSG,
			      "what was read of the image's description is no answer");
}

/* n texts of what is between *at and end, with a NUL each, become a list. */
static int take_list(char **at, const char *end, uint32_t n, char ***ret, struct cloche_err *err)
{
	char **list = calloc(n + 1U, sizeof(*list));

	if (!list)
		return cloche_err_sys(err, ENOMEM, "image");
	*ret = list;
	for (uint32_t i = 0; i < n; i++) {
		char *nul = memchr(*at, '\0', (size_t)(end - *at));

		if (!nul)
			return bad(err);
		list[i] = *at;
		*at = nul + 1;
	}
	return 0;
}

static int check_config(const struct image_config *c, struct cloche_err *err)
{
	size_t sum = 0;

	for (char *const *e = c->env; *e; e++) {
		if (!is_pair(*e))
			return bad(err);
		sum += strlen(*e) + 1 + sizeof(char *);
	}
	if (c->workdir && c->workdir[0] != '/')
		return bad(err);
	return check_env(sum, err);
}

int image_config_take(const void *record, size_t len, struct image_config *ret,
		      struct cloche_err *err)
{
	char ***const lists[] = { &ret->env, &ret->entrypoint, &ret->cmd };
	cleanup_free char **workdir = NULL;
	struct head head;
	char *at, *end;
	int r = 0;

	*ret = (struct image_config){ 0 };
	if (len < sizeof(head) || len > IMAGE_CONFIG_SIZE)
		return bad(err);
	memcpy(&head, record, sizeof(head));
	for (int i = 0; i < LIST_N; i++)
		if (head.n[i] > (i == LIST_WORKDIR ? 1 : IMAGE_CONFIG_TEXTS_MAX))
			return bad(err);
	len -= sizeof(head);
	ret->texts = malloc(len + 1);
	if (!ret->texts)
		return cloche_err_sys(err, ENOMEM, "image");
	memcpy(ret->texts, (const char *)record + sizeof(head), len);
	at = ret->texts;
	end = at + len;
	for (int i = 0; r == 0 && i < LIST_WORKDIR; i++)
		r = take_list(&at, end, head.n[i], lists[i], err);
	if (r == 0)
		r = take_list(&at, end, head.n[LIST_WORKDIR], &workdir, err);
	if (r == 0 && at != end)
		r = bad(err);
	if (r == 0) {
		ret->workdir = workdir[0];
		r = check_config(ret, err);
	}
	if (r < 0)
		image_config_free(ret);
	return r;
}

/* ---- of an image ---------------------------------------------------------------------------- */

struct source {
	const struct image *image;
	const char *name;
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

	return r < 0 ? r : image_config_parse(text, buf, size, len, err);
}

int image_config_load(const struct image *image, const char *name, struct image_config *ret,
		      struct cloche_err *err)
{
	struct source source = { image, name };
	const struct confined confined = { .what = "the image's description",
					   .fd = image->fd,
					   .prepare = prepare,
					   .job = parse,
					   .arg = &source,
					   .mem_bytes = 256ULL << 20,
					   .cpu_s = 10,
					   .wall_s = 60 };
	cleanup_free char *record = malloc(IMAGE_CONFIG_SIZE);
	size_t len = 0;
	int r;

	if (!record)
		return cloche_err_sys(err, ENOMEM, "image");
	if (image_cache_get(image, record, IMAGE_CONFIG_SIZE, &len) &&
	    image_config_take(record, len, ret, NULL) == 0)
		return 0;
	r = confined_run(&confined, record, IMAGE_CONFIG_SIZE, &len, err);
	if (r == 0)
		r = image_config_take(record, len, ret, err);
	if (r == 0)
		image_cache_try_put(image, record, len);
	return r;
}
