/* SPDX-License-Identifier: MIT */
/* Reads what an image says of how it is run: see image_config.h. */
#include "launch/image_config.h"

#include "base/err.h"
#include "launch/spec.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void image_config_free(struct image_config *c)
{
	free(c->env);
	free(c->entrypoint);
	free(c->cmd);
	free(c->workdir);
	json_decref(c->meta);
	*c = (struct image_config){ 0 };
}

static bool is_pair(const char *text)
{
	return text[0] != '=' && strchr(text, '=');
}

static bool is_any(const char *text)
{
	(void)text;
	return true;
}

/* A bare text is a list of one: so had it the first images of Docker's. */
static int texts_take(const struct image_config *c, const char *key, bool (*fits)(const char *text),
		      char ***ret, struct cloche_err *err)
{
	const json_t *value = json_object_get(c->meta, key);
	size_t n = json_is_string(value) ? 1 : json_array_size(value), used = 0;
	char **list;

	if (value && !json_is_string(value) && !json_is_array(value))
		return cloche_err_set(err, EINVAL, "the image's %s is no list of texts", key);
	if (n > IMAGE_CONFIG_TEXTS_MAX)
		return cloche_err_set(err, E2BIG, "the image's %s has %zu texts, and may have %d",
				      key, n, IMAGE_CONFIG_TEXTS_MAX);
	list = calloc(n + 1, sizeof(*list));
	if (!list)
		return cloche_err_sys(err, ENOMEM, "image");
	*ret = list;
	for (size_t i = 0; i < n; i++) {
		const char *text =
			json_string_value(json_is_string(value) ? value : json_array_get(value, i));

		if (!text)
			return cloche_err_set(err, EINVAL, "the image's %s is no list of texts",
					      key);
		if (fits(text))
			list[used++] = (char *)text;
	}
	return 0;
}

static int env_check(const struct image_config *c, struct cloche_err *err)
{
	size_t sum = 0;

	for (char *const *e = c->env; *e; e++)
		sum += strlen(*e) + 1 + sizeof(char *);
	if (sum > SPEC_ENV_MAX)
		return cloche_err_set(err, E2BIG,
				      "the image's environment has %zu bytes, and may have %llu",
				      sum, (unsigned long long)SPEC_ENV_MAX);
	return 0;
}

/* A relative one is taken from the root, where an image is at home. */
static int workdir_take(struct image_config *c, struct cloche_err *err)
{
	const json_t *value = json_object_get(c->meta, "workdir");
	const char *text = json_string_value(value);

	if (value && !text)
		return cloche_err_set(err, EINVAL, "the image's workdir is no text");
	if (!text || !*text)
		return 0;
	if (asprintf(&c->workdir, "%s%s", *text == '/' ? "" : "/", text) < 0) {
		c->workdir = NULL;
		return cloche_err_sys(err, ENOMEM, "image");
	}
	return 0;
}

int image_config_parse(const char *meta, struct image_config *ret, struct cloche_err *err)
{
	/* Texts with a NUL in them are none for jansson, unless asked for. */
	struct image_config c = { .meta = json_loads(meta, JSON_REJECT_DUPLICATES, NULL) };
	int r = 0;

	if (!json_is_object(c.meta))
		r = cloche_err_set(err, EBADMSG, "the image's description is no JSON object");
	if (r == 0)
		r = texts_take(&c, "env", is_pair, &c.env, err);
	if (r == 0)
		r = texts_take(&c, "entrypoint", is_any, &c.entrypoint, err);
	if (r == 0)
		r = texts_take(&c, "cmd", is_any, &c.cmd, err);
	if (r == 0)
		r = env_check(&c, err);
	if (r == 0)
		r = workdir_take(&c, err);
	if (r < 0) {
		image_config_free(&c);
		return r;
	}
	*ret = c;
	return 0;
}
