/* SPDX-License-Identifier: MIT */
/* Deployed functions, changed: see function_change.h. */
#include "function/function_change.h"

#include "base/err.h"
#include "base/fd.h"
#include "function/function_disk.h"
#include "function/function_json.h"
#include "function/function_kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One function of it: what it was and will be. */
struct one {
	struct function *before; /* the store's; NULL: it is new */
	struct function *after;	 /* owned; NULL: it is removed */
	struct function *taken;	 /* out of the store: owned */
	char name[FUNCTION_NAME_LEN];
	char *fresh; /* the file of its last version; NULL: there is none */
	uint32_t number;
	uint32_t gone[FUNCTION_VERSIONS_MAX]; /* whose files nobody needs then */
	size_t n_gone;
};

struct function_change {
	int dir; /* of all owners */
	uint32_t owner;
	struct one *ones;
	size_t n;
	char *index;
};

static struct function_change *change_free(struct function_change *c)
{
	for (size_t i = 0; c && i < c->n; i++) {
		(void)function_free(c->ones[i].after);
		(void)function_free(c->ones[i].taken);
		free(c->ones[i].fresh);
	}
	if (c) {
		fd_close(&c->dir);
		free(c->ones);
		free(c->index);
	}
	free(c);
	return NULL;
}

/* ---- what is to be --------------------------------------------------------------------------- */

static struct function *find(const struct function_store *s, uint32_t owner, const char *name)
{
	return (struct function *)(uintptr_t)function_store_find(s, owner, name);
}

static bool has(const struct function *f, uint32_t number)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->versions[i]->number == number)
			return true;
	return false;
}

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

/* With room for so many. */
static struct function_change *open_change(const struct function_store *s, uint32_t owner, size_t n)
{
	struct function_change *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->owner = owner;
	c->ones = calloc(n ? n : 1, sizeof(*c->ones));
	c->dir = fcntl(s->dir, F_DUPFD_CLOEXEC, 3);
	return c->ones && c->dir >= 0 ? c : change_free(c);
}

static struct one *add(struct function_change *c, const char *name, struct function *before,
		       struct function *after)
{
	struct one *o = &c->ones[c->n++];

	o->before = before;
	o->after = after;
	(void)snprintf(o->name, sizeof(o->name), "%s", name);
	return o;
}

/* All of the owner's, as they will be. */
static size_t merge(const struct function_store *s, const struct function_change *c,
		    const struct function **ret)
{
	const struct function *at;
	size_t n = 0, i = 0;

	while ((at = function_store_next(s, &i))) {
		const struct function *now = at;

		for (size_t j = 0; j < c->n; j++)
			if (c->ones[j].before == at)
				now = c->ones[j].after;
		if (at->owner == c->owner && now)
			ret[n++] = now;
	}
	for (size_t j = 0; j < c->n; j++)
		if (!c->ones[j].before)
			ret[n++] = c->ones[j].after;
	return n;
}

static void note_gone(struct one *o)
{
	for (size_t i = 0; o->before && o->after && i < o->before->n; i++)
		if (!has(o->after, o->before->versions[i]->number))
			o->gone[o->n_gone++] = o->before->versions[i]->number;
}

/* What is written is settled here. There is room in the store for what is new. */
static int settle(struct function_store *s, struct function_change *c, struct function_change **ret,
		  struct cloche_err *err)
{
	cleanup_free const struct function **all = calloc(s->n + c->n + 1, sizeof(void *));

	if (c->n == 0) {
		(void)change_free(c);
		*ret = NULL;
		return 0;
	}
	for (size_t i = 0; i < c->n; i++)
		note_gone(&c->ones[i]);
	if (all)
		c->index = disk_index_text(all, merge(s, c, all));
	if (!c->index) {
		(void)change_free(c);
		return cloche_err_sys(err, ENOMEM, "keep functions");
	}
	*ret = c;
	return 0;
}

/* ---- to deploy ------------------------------------------------------------------------------- */

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

static int add_version(struct function_store *s, struct one *o, struct function_put *put,
		       int64_t now_ns)
{
	struct function_version *v = calloc(1, sizeof(*v));
	struct function *f = o->after;

	if (!v)
		return -ENOMEM;
	*v = (struct function_version){ .refs = 1,
					.owner = f->owner,
					.number = f->last + 1,
					.id = ++s->last_id,
					.deployed_ns = now_ns };
	v->config = *put->config;
	*put->config = (struct function_config){ 0 };
	if (f->n)
		make_room(f);
	f->versions[f->n++] = v;
	f->last = f->current = v->number;
	put->version = o->number = v->number;
	o->fresh = disk_version_text(v);
	return o->fresh ? 0 : -ENOMEM;
}

static int put_one(struct function_store *s, struct function_change *c, struct function_put *put,
		   int64_t now_ns)
{
	struct function *is = find(s, c->owner, put->config->name), *f;
	const struct function_version *counts =
		function_store_get(s, c->owner, put->config->name, 0);

	if (counts && function_is_same(&counts->config, put->config)) {
		put->what = PUT_UNCHANGED;
		put->version = counts->number;
		return 0;
	}
	f = is ? copy(is) : begin(c->owner, put->config->name);
	if (!f)
		return -ENOMEM;
	put->what = is ? PUT_UPDATED : PUT_CREATED;
	return add_version(s, add(c, f->name, is, f), put, now_ns);
}

int change_put(struct function_store *s, uint32_t owner, struct function_put *puts, size_t n,
	       int64_t now_ns, struct function_change **ret, struct cloche_err *err)
{
	struct function_change *c = open_change(s, owner, n);
	int r = c ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = put_one(s, c, &puts[i], now_ns);
	if (r == 0)
		return settle(s, c, ret, err);
	(void)change_free(c);
	return cloche_err_sys(err, -r, "keep functions");
}

/* ---- to go back and to remove ---------------------------------------------------------------- */

static int no_function(const char *name, struct cloche_err *err)
{
	return cloche_err_set(err, ENOENT,
			      "there is no function '%.64s': 'cloche functions' shows those that "
			      "are there",
			      name);
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

static int check_version(const struct function *f, uint32_t to, struct cloche_err *err)
{
	if (to == 0)
		return cloche_err_set(err, ENOENT,
				      "function '%s' has no version before %u, which counts",
				      f->name, f->current);
	if (!has(f, to))
		return cloche_err_set(err, ENOENT,
				      "function '%s' has no version %u: 'cloche show %s' shows "
				      "those that are there",
				      f->name, to, f->name);
	return 0;
}

int change_rollback(struct function_store *s, uint32_t owner, const char *name, uint32_t *version,
		    struct function_change **ret, struct cloche_err *err)
{
	struct function *f = find(s, owner, name), *after;
	struct function_change *c;
	uint32_t to;

	*ret = NULL;
	if (!f)
		return no_function(name, err);
	to = *version ? *version : before_current(f);
	if (check_version(f, to, err) < 0)
		return -ENOENT;
	*version = to;
	if (to == f->current)
		return 0;
	c = open_change(s, owner, 1);
	after = c ? copy(f) : NULL;
	if (!after) {
		(void)change_free(c);
		return cloche_err_sys(err, ENOMEM, "keep functions");
	}
	after->current = to;
	(void)add(c, name, f, after);
	return settle(s, c, ret, err);
}

int change_remove(struct function_store *s, uint32_t owner, const char *name,
		  struct function_change **ret, struct cloche_err *err)
{
	struct function *f = find(s, owner, name);
	struct function_change *c;

	if (!f)
		return no_function(name, err);
	c = open_change(s, owner, 1);
	if (!c)
		return cloche_err_sys(err, ENOMEM, "keep functions");
	(void)add(c, name, f, NULL);
	if (settle(s, c, ret, err) < 0)
		return -ENOMEM;
	function_store_take_out(s, f);
	c->ones[0].taken = f;
	return 0;
}

bool change_uses(const struct function_change *c, const char *sha256)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->ones[i].after && function_has_code(c->ones[i].after, sha256))
			return true;
	return false;
}

/* ---- to write -------------------------------------------------------------------------------- */

static int write_fresh(int dir, const struct one *o, struct cloche_err *err)
{
	cleanup_fd int own = disk_dir(dir, o->name, err);

	return own < 0 ? own : disk_write_version(own, o->number, o->fresh, err);
}

static int sync_fresh(int dir, const struct one *o, struct cloche_err *err)
{
	cleanup_fd int own = disk_dir(dir, o->name, err);

	return own < 0 ? own : disk_sync_version(own, o->number, err);
}

/* Whether it counts or does not: what nobody needs then. */
static void try_clear(int dir, const struct one *o, bool counts)
{
	cleanup_fd int own = -1;

	if (counts && !o->after) {
		disk_try_clear(dir, o->name);
		return;
	}
	own = openat(dir, o->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (own >= 0 && !counts && o->fresh)
		disk_try_remove_version(own, o->number);
	for (size_t i = 0; own >= 0 && counts && i < o->n_gone; i++)
		disk_try_remove_version(own, o->gone[i]);
}

int change_write(const struct function_change *c, struct cloche_err *err)
{
	cleanup_fd int dir = -1;
	char name[12];
	int r;

	(void)snprintf(name, sizeof(name), "%u", c->owner);
	dir = disk_dir(c->dir, name, err);
	if (dir < 0)
		return dir;
	r = 0;
	for (size_t i = 0; r == 0 && i < c->n; i++)
		r = c->ones[i].fresh ? write_fresh(dir, &c->ones[i], err) : 0;
	for (size_t i = 0; r == 0 && i < c->n; i++)
		r = c->ones[i].fresh ? sync_fresh(dir, &c->ones[i], err) : 0;
	if (r == 0)
		r = disk_write_index(dir, c->index, err);
	for (size_t i = 0; i < c->n; i++)
		try_clear(dir, &c->ones[i], r == 0);
	return r;
}

/* ---- to end ---------------------------------------------------------------------------------- */

static int end_one(struct function_store *s, struct one *o, bool counts)
{
	struct function **fresh = counts ? &o->after : &o->taken;

	if (counts && o->before && o->after) {
		s->functions[function_store_place(s, o->before)] = o->after;
		o->after = o->before;
		return 0;
	}
	if (*fresh && function_store_add(s, *fresh, NULL) < 0)
		return -ENOMEM;
	*fresh = NULL;
	return 0;
}

int change_end(struct function_store *s, struct function_change *c, int written)
{
	int r = 0;

	for (size_t i = 0; c && r == 0 && i < c->n; i++)
		r = end_one(s, &c->ones[i], written == 0);
	(void)change_free(c);
	return r;
}
