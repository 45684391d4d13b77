/* SPDX-License-Identifier: MIT */
/* Deployed functions: see function_store.h. How they are read at the start: function_reread.c. */
#include "function/function_store.h"

#include "base/err.h"
#include "base/fd.h"
#include "function/function_disk.h"
#include "function/function_json.h"
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

bool function_store_uses(const struct function_store *s, uint32_t owner, const char *sha256)
{
	for (size_t i = place_of(s, owner, ""); i < s->n && s->functions[i]->owner == owner; i++)
		for (size_t j = 0; j < s->functions[i]->n; j++) {
			const struct function_config *c = &s->functions[i]->versions[j]->config;

			if (strcmp(c->code.sha256, sha256) == 0)
				return true;
			for (size_t k = 0; k < c->n_layers; k++)
				if (strcmp(c->layers[k].sha256, sha256) == 0)
					return true;
		}
	return false;
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

static void drop(struct function_store *s, struct function *f)
{
	size_t at = place_of(s, f->owner, f->name);

	memmove(s->functions + at, s->functions + at + 1, (s->n - at - 1) * sizeof(void *));
	s->n--;
	(void)function_free(f);
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

/* What an owner has, as it is to be: then it counts. */
static int commit(const struct function_store *s, uint32_t owner,
		  const struct function *const *functions, size_t n, struct cloche_err *err)
{
	cleanup_fd int dir = owner_dir(s, owner, err);
	json_t *index = dir < 0 ? NULL : disk_index(functions, n);
	int r = dir;

	if (dir >= 0)
		r = index ? disk_write_index(dir, index, err)
			  : cloche_err_sys(err, ENOMEM, "keep a function");
	json_decref(index);
	return r < 0 ? r : 0;
}

/* ---- to deploy ------------------------------------------------------------------------------- */

/* What is being put: the owner's functions as they would be. */
struct putting {
	struct function **after; /* owned, and those that are not the store's */
	struct function **before;
	size_t n;
};

/* The same versions, held once more. */
static struct function *copy(const struct function *f)
{
	struct function *ret = malloc(sizeof(*ret));

	if (!ret)
		return NULL;
	*ret = *f;
	for (size_t i = 0; i < f->n; i++)
		(void)function_version_ref(f->versions[i]);
	return ret;
}

static struct function *begin(uint32_t owner, const char *name)
{
	struct function *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->owner = owner;
	(void)snprintf(f->name, sizeof(f->name), "%s", name);
	return f;
}

/* The oldest that does not count makes room. */
static void make_room(struct function *f)
{
	size_t gone = f->versions[0]->number == f->current ? 1 : 0;

	if (f->n < FUNCTION_VERSIONS_MAX)
		return;
	(void)function_version_unref(f->versions[gone]);
	memmove(&f->versions[gone], &f->versions[gone + 1], (f->n - gone - 1) * sizeof(void *));
	f->n--;
}

static int write_new(struct function_store *s, struct function *f, struct function_put *put,
		     int64_t now_ns, struct cloche_err *err)
{
	struct function_version *v = calloc(1, sizeof(*v));
	cleanup_fd int dir = function_store_dir(s, f->owner, f->name, err);
	int r;

	if (!v || dir < 0) {
		free(v);
		return dir < 0 ? dir : cloche_err_sys(err, ENOMEM, "keep a function");
	}
	*v = (struct function_version){ .refs = 1,
					.owner = f->owner,
					.number = f->last + 1,
					.id = ++s->last_id,
					.deployed_ns = now_ns };
	v->config = *put->config;
	r = disk_write_version(dir, v, err);
	if (r < 0) {
		free(v);
		return r;
	}
	*put->config = (struct function_config){ 0 };
	if (f->n)
		make_room(f);
	f->versions[f->n++] = v;
	f->last = f->current = v->number;
	put->version = v->number;
	return 0;
}

static int sync_new(const struct function_store *s, const struct function *f,
		    struct cloche_err *err)
{
	cleanup_fd int dir = function_store_dir(s, f->owner, f->name, err);

	return dir < 0 ? dir : disk_sync_version(dir, f->last, err);
}

static int put_one(struct function_store *s, uint32_t owner, struct function_put *put,
		   struct putting *p, int64_t now_ns, struct cloche_err *err)
{
	struct function *is = find(s, owner, put->config->name), *f;

	if (is && function_is_same(&version_of(is, is->current)->config, put->config)) {
		put->what = PUT_UNCHANGED;
		put->version = is->current;
		return 0;
	}
	f = is ? copy(is) : begin(owner, put->config->name);
	if (!f)
		return cloche_err_sys(err, ENOMEM, "keep a function");
	put->what = is ? PUT_UPDATED : PUT_CREATED;
	p->before[p->n] = is;
	p->after[p->n++] = f;
	return write_new(s, f, put, now_ns, err);
}

/* All of the owner's, the new ones instead of those that were. */
static size_t merge(const struct function_store *s, uint32_t owner, const struct putting *p,
		    const struct function **ret)
{
	size_t n = 0;

	for (size_t i = place_of(s, owner, ""); i < s->n && s->functions[i]->owner == owner; i++) {
		ret[n] = s->functions[i];
		for (size_t j = 0; j < p->n; j++)
			if (p->before[j] == s->functions[i])
				ret[n] = p->after[j];
		n++;
	}
	for (size_t j = 0; j < p->n; j++)
		if (!p->before[j])
			ret[n++] = p->after[j];
	return n;
}

/* Files of versions that only one of the two has. */
static void remove_files(const struct function_store *s, const struct function *of,
			 const struct function *kept)
{
	cleanup_fd int dir = function_store_dir(s, of->owner, of->name, NULL);

	for (size_t i = 0; dir >= 0 && i < of->n; i++)
		if (!kept || !version_of(kept, of->versions[i]->number))
			disk_try_remove_version(dir, of->versions[i]->number);
}

/* There is room for it. */
static void take(struct function_store *s, struct putting *p)
{
	for (size_t j = 0; j < p->n; j++) {
		struct function *is = p->before[j], *f = p->after[j];

		if (!is) {
			(void)function_store_add(s, f, NULL);
			continue;
		}
		remove_files(s, is, f);
		s->functions[place_of(s, f->owner, f->name)] = f;
		(void)function_free(is);
	}
}

/* Of what is new nothing is left. */
static void undo(const struct function_store *s, struct putting *p)
{
	for (size_t j = 0; j < p->n; j++) {
		remove_files(s, p->after[j], p->before[j]);
		(void)function_free(p->after[j]);
	}
}

int function_store_put(struct function_store *s, uint32_t owner, struct function_put *puts,
		       size_t n, int64_t now_ns, struct cloche_err *err)
{
	cleanup_free struct function **after = calloc(n + 1, sizeof(void *));
	cleanup_free struct function **before = calloc(n + 1, sizeof(void *));
	cleanup_free const struct function **all = calloc(s->n + n + 1, sizeof(void *));
	struct function **room = reallocarray(s->functions, s->n + n + 1, sizeof(void *));
	struct putting p = { .after = after, .before = before };
	int r = 0;

	s->functions = room ? room : s->functions;
	if (!after || !before || !all || !room)
		return cloche_err_sys(err, ENOMEM, "keep functions");
	for (size_t i = 0; r == 0 && i < n; i++)
		r = put_one(s, owner, &puts[i], &p, now_ns, err);
	for (size_t i = 0; r == 0 && i < p.n; i++)
		r = sync_new(s, p.after[i], err);
	if (r == 0 && p.n)
		r = commit(s, owner, all, merge(s, owner, &p, all), err);
	if (r == 0)
		take(s, &p);
	else
		undo(s, &p);
	return r;
}

size_t function_store_new(const struct function_store *s, uint32_t owner,
			  const struct function_put *puts, size_t n)
{
	size_t more = 0;

	for (size_t i = 0; i < n; i++)
		more += !find(s, owner, puts[i].config->name);
	return more;
}

/* ---- to change and to remove ----------------------------------------------------------------- */

static int no_function(const char *name, struct cloche_err *err)
{
	return cloche_err_set(err, ENOENT,
			      "there is no function '%.64s': 'cloche functions' shows those that "
			      "are there",
			      name);
}

/* Replaces one, or takes it away: NULL. */
static int commit_one(const struct function_store *s, struct function *is, struct function *f,
		      struct cloche_err *err)
{
	cleanup_free const struct function **all = calloc(s->n + 1, sizeof(void *));
	size_t n = 0;

	if (!all)
		return cloche_err_sys(err, ENOMEM, "keep functions");
	for (size_t i = place_of(s, is->owner, ""); i < s->n && s->functions[i]->owner == is->owner;
	     i++)
		if (s->functions[i] != is)
			all[n++] = s->functions[i];
		else if (f)
			all[n++] = f;
	return commit(s, is->owner, all, n, err);
}

/* The latest before the one that counts. */
static uint32_t before_current(const struct function *f)
{
	uint32_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		if (f->versions[i]->number < f->current)
			n = f->versions[i]->number;
	return n;
}

int function_store_rollback(struct function_store *s, uint32_t owner, const char *name,
			    uint32_t *version, struct cloche_err *err)
{
	struct function *f = find(s, owner, name), changed;
	uint32_t to;
	int r;

	if (!f)
		return no_function(name, err);
	to = *version ? *version : before_current(f);
	if (to == 0)
		return cloche_err_set(err, ENOENT,
				      "function '%s' has no version before %u, which counts", name,
				      f->current);
	if (!version_of(f, to))
		return cloche_err_set(err, ENOENT,
				      "function '%s' has no version %u: 'cloche show %s' shows "
				      "those that are there",
				      name, to, name);
	*version = to;
	if (to == f->current)
		return 0;
	changed = *f;
	changed.current = to;
	r = commit_one(s, f, &changed, err);
	if (r == 0)
		f->current = to;
	return r;
}

int function_store_remove(struct function_store *s, uint32_t owner, const char *name,
			  struct cloche_err *err)
{
	struct function *f = find(s, owner, name);
	cleanup_fd int dir = -1;
	int r;

	if (!f)
		return no_function(name, err);
	r = commit_one(s, f, NULL, err);
	if (r < 0)
		return r;
	dir = owner_dir(s, owner, NULL);
	if (dir >= 0)
		disk_try_clear(dir, name);
	drop(s, f);
	return 0;
}
