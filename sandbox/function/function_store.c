/* SPDX-License-Identifier: MIT */
/* Deployed functions: see function_store.h. How they are read at the start: function_reread.c; how
 * they change: function_change.c. */
#include "function/function_store.h"

#include "base/err.h"
#include "base/fd.h"
#include "function/function_disk.h"
#include "function/function_kept.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct function_version *function_version_ref(struct function_version *v)
{
	v->refs++;
	return v;
}

struct function_version *function_version_unref(struct function_version *v)
{
	if (v && --v->refs == 0) {
		function_config_free(&v->config);
		free(v);
	}
	return NULL;
}

struct function *function_free(struct function *f)
{
	for (size_t i = 0; f && i < f->n; i++)
		(void)function_version_unref(f->versions[i]);
	free(f);
	return NULL;
}

struct function_store *function_store_close(struct function_store *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < s->n; i++)
		(void)function_free(s->functions[i]);
	free(s->functions);
	fd_close(&s->dir);
	free(s);
	return NULL;
}

/* ---- what there is --------------------------------------------------------------------------- */

static int compare(const struct function *f, uint32_t owner, const char *name)
{
	if (f->owner != owner)
		return f->owner < owner ? -1 : 1;
	return strcmp(f->name, name);
}

/* Where it is, or would be. */
static size_t place_of(const struct function_store *s, uint32_t owner, const char *name)
{
	size_t from = 0, to = s->n;

	while (from < to) {
		size_t at = from + (to - from) / 2;

		if (compare(s->functions[at], owner, name) < 0)
			from = at + 1;
		else
			to = at;
	}
	return from;
}

static struct function *find(const struct function_store *s, uint32_t owner, const char *name)
{
	size_t at = place_of(s, owner, name);

	return at < s->n && compare(s->functions[at], owner, name) == 0 ? s->functions[at] : NULL;
}

const struct function *function_store_find(const struct function_store *s, uint32_t owner,
					   const char *name)
{
	return find(s, owner, name);
}

static struct function_version *version_of(const struct function *f, uint32_t number)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->versions[i]->number == number)
			return f->versions[i];
	return NULL;
}

struct function_version *function_store_get(const struct function_store *s, uint32_t owner,
					    const char *name, uint32_t version)
{
	const struct function *f = find(s, owner, name);

	return f ? version_of(f, version ? version : f->current) : NULL;
}

const struct function *function_store_next(const struct function_store *s, size_t *at)
{
	return *at < s->n ? s->functions[(*at)++] : NULL;
}

size_t function_store_count(const struct function_store *s, uint32_t owner)
{
	size_t from = place_of(s, owner, ""), n = 0;

	while (from + n < s->n && s->functions[from + n]->owner == owner)
		n++;
	return n;
}

bool function_has_code(const struct function *f, const char *sha256)
{
	for (size_t j = 0; j < f->n; j++) {
		const struct function_config *c = &f->versions[j]->config;

		if (strcmp(c->code.sha256, sha256) == 0)
			return true;
		for (size_t k = 0; k < c->n_layers; k++)
			if (strcmp(c->layers[k].sha256, sha256) == 0)
				return true;
	}
	return false;
}

bool function_store_uses(const struct function_store *s, uint32_t owner, const char *sha256)
{
	for (size_t i = place_of(s, owner, ""); i < s->n && s->functions[i]->owner == owner; i++)
		if (function_has_code(s->functions[i], sha256))
			return true;
	return false;
}

size_t function_store_new(const struct function_store *s, uint32_t owner,
			  const struct function_put *puts, size_t n)
{
	size_t more = 0;

	for (size_t i = 0; i < n; i++)
		more += !find(s, owner, puts[i].config->name);
	return more;
}

int function_store_add(struct function_store *s, struct function *f, struct cloche_err *err)
{
	size_t at = place_of(s, f->owner, f->name);
	struct function **more = reallocarray(s->functions, s->n + 1, sizeof(void *));

	if (!more)
		return cloche_err_sys(err, ENOMEM, "keep a function");
	s->functions = more;
	memmove(more + at + 1, more + at, (s->n - at) * sizeof(void *));
	more[at] = f;
	s->n++;
	return 0;
}

size_t function_store_place(const struct function_store *s, const struct function *f)
{
	return place_of(s, f->owner, f->name);
}

void function_store_take_out(struct function_store *s, const struct function *f)
{
	size_t at = function_store_place(s, f);

	memmove(s->functions + at, s->functions + at + 1, (s->n - at - 1) * sizeof(void *));
	s->n--;
}

/* ---- the owner's directory ------------------------------------------------------------------- */

static int owner_dir(const struct function_store *s, uint32_t owner, struct cloche_err *err)
{
	char name[12];

	(void)snprintf(name, sizeof(name), "%u", owner);
	return disk_dir(s->dir, name, err);
}

int function_store_dir(const struct function_store *s, uint32_t owner, const char *name,
		       struct cloche_err *err)
{
	cleanup_fd int dir = owner_dir(s, owner, err);

	return dir < 0 ? dir : disk_dir(dir, name, err);
}
