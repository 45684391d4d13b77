/* SPDX-License-Identifier: MIT */
/* Functions for whoever asks: see function_list.h. */
#include "serve/function_list.h"

#include "base/err.h"
#include "function/function_json.h"
#include "function/function_store.h"
#include "serve/front.h"
#include "serve/held.h"

#include <errno.h>
#include <string.h>

static json_t *owner_of(struct owner_names *names, const struct function *f)
{
	char name[OWNER_NAME_LEN];

	owner_name_again(names, f->owner, name);
	return json_pack("{s:I, s:o}", "uid", (json_int_t)f->owner, "name",
			 name[0] ? json_string(name) : json_null());
}

static bool is_of(const struct function *f, const struct held *h)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->versions[i]->id == h->kind.function)
			return true;
	return false;
}

/* Of all its versions. */
static json_t *contexts_of(const struct front *front, const struct function *f)
{
	unsigned warm = 0, busy = 0;

	for (const struct pool_context *c = front->pool.first; c; c = c->all.next) {
		const struct held *h = (const struct held *)c;

		if (!h->kind.function || h->kind.tuned || !is_of(f, h))
			continue;
		warm += c->state == POOL_IDLE;
		busy += c->state == POOL_BUSY || c->state == POOL_VERIFYING ||
			c->state == POOL_RESERVED;
	}
	return json_pack("{s:i, s:i}", "warm", (int)warm, "busy", (int)busy);
}

static const struct function_version *current_of(const struct function *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->versions[i]->number == f->current)
			return f->versions[i];
	return f->versions[0];
}

json_t *function_list(const struct front *front, uid_t uid)
{
	struct owner_names names = { .n = 0 };
	json_t *list = json_array();
	const struct function *f;
	size_t at = 0;

	while (list && (f = function_store_next(front->functions, &at))) {
		const struct function_version *v = current_of(f);
		json_t *config;

		if (uid != 0 && f->owner != uid)
			continue;
		config = function_to_json(&v->config);
		(void)json_object_del(config, "environment");
		(void)json_array_append_new(
			list, json_pack("{s:o, s:I, s:I, s:o, s:o}", "owner", owner_of(&names, f),
					"version", (json_int_t)v->number, "deployed_ns",
					(json_int_t)v->deployed_ns, "contexts",
					contexts_of(front, f), "config", config));
	}
	return list;
}

static const struct function *find(const struct front *front, uid_t uid, const char *name)
{
	const struct function *f = function_store_find(front->functions, uid, name), *any;
	size_t at = 0;

	while (!f && uid == 0 && (any = function_store_next(front->functions, &at)))
		if (strcmp(any->name, name) == 0)
			f = any;
	return f;
}

json_t *function_show(const struct front *front, uid_t uid, const char *name,
		      struct cloche_err *err)
{
	const struct function *f = find(front, uid, name);
	struct owner_names names = { .n = 0 };
	json_t *versions;

	if (!f) {
		(void)cloche_err_set(err, ENOENT,
				     "there is no function '%.64s': 'cloche functions' shows those "
				     "that are there",
				     name);
		return NULL;
	}
	versions = json_array();
	for (size_t i = 0; versions && i < f->n; i++) {
		const struct function_version *v = f->versions[i];

		(void)json_array_append_new(
			versions, json_pack("{s:I, s:I, s:o}", "version", (json_int_t)v->number,
					    "deployed_ns", (json_int_t)v->deployed_ns, "config",
					    function_to_json(&v->config)));
	}
	return json_pack("{s:o, s:I, s:o, s:o}", "owner", owner_of(&names, f), "current",
			 (json_int_t)f->current, "contexts", contexts_of(front, f), "versions",
			 versions);
}
