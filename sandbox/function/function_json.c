/* SPDX-License-Identifier: MIT */
/* Functions on their way and on the disk: see function_json.h. */
#include "function/function_json.h"

#include "base/err.h"
#include "base/fd.h"
#include "policy/policy_join.h"

#include <errno.h>
#include <sodium.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static void json_cleanup(json_t **o)
{
	json_decref(*o);
}
#define cleanup_json __attribute__((cleanup(json_cleanup)))

/* ---- to -------------------------------------------------------------------------------------- */

static json_t *texts_to(char *const *texts)
{
	json_t *list = json_array();

	for (; texts && *texts; texts++)
		(void)json_array_append_new(list, json_string(*texts));
	return list;
}

static json_t *env_to(char *const *env)
{
	json_t *o = json_object();

	for (; env && *env; env++) {
		size_t len = strcspn(*env, "=");
		char *name = strndup(*env, len);

		if (name && (*env)[len])
			(void)json_object_set_new(o, name, json_string(*env + len + 1));
		free(name);
	}
	return o;
}

static json_t *layers_to(const struct function_config *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->n_layers; i++)
		(void)json_array_append_new(list, json_string(c->layers[i].sha256));
	return list;
}

/* NULL: there is nothing of the kind. */
static json_t *start_to(const struct function_config *c)
{
	const struct function_start *s = &c->start;

	if (!s->command)
		return NULL;
	return json_pack("{s:o, s:o, s:s}", "command", texts_to(s->command), "environment",
			 env_to(s->env), "workdir", s->workdir ? s->workdir : "");
}

/* Its bytes as hexadecimal digits. */
static json_t *filter_to(const struct function_config *c)
{
	size_t size = 2 * c->filter_size + 1;
	char *text = c->filter ? malloc(size) : NULL;
	json_t *o;

	if (!text)
		return NULL;
	o = json_string(
		sodium_bin2hex(text, size, (const unsigned char *)c->filter, c->filter_size));
	free(text);
	return o;
}

json_t *function_to_json(const struct function_config *c)
{
	return json_pack(
		"{s:s, s:s, s:o, s:s, s:o, s:s, s:I, s:I, s:o, s:s, s:{s:i, s:i, s:I}, s:I, s:s, "
		"s:s, s:o*, s:o*}",
		"name", c->name, "runtime", c->runtime, "handler", texts_to(c->handler), "code",
		c->code.sha256, "layers", layers_to(c), "image", c->image, "memory_mb",
		(json_int_t)c->memory_mb, "timeout_ns", (json_int_t)c->timeout_ns, "environment",
		env_to(c->env), "reuse", function_reuse_text(c->reuse), "concurrency", "reserved",
		(int)c->concurrency.reserved, "provisioned", (int)c->concurrency.provisioned,
		"wait_ns", (json_int_t)c->concurrency.wait_ns, "tmp_bytes",
		(json_int_t)c->tmp_bytes, "policy", c->policy, "network", function_net_text(c->net),
		"start", start_to(c), "filter", filter_to(c));
}

bool function_is_same(const struct function_config *a, const struct function_config *b)
{
	cleanup_json json_t *x = function_to_json(a), *y = function_to_json(b);

	return x && y && json_equal(x, y);
}

/* ---- from ------------------------------------------------------------------------------------ */

static int wrong(const char *what, struct cloche_err *err)
{
	return cloche_err_set(err, EBADMSG, "a function with a '%s' that is none", what);
}

static int text_from(const char *from, char *to, size_t size, const char *what,
		     struct cloche_err *err)
{
	if (strlen(from) >= size)
		return wrong(what, err);
	memcpy(to, from, strlen(from) + 1);
	return 0;
}

/* "" or 64 digits. */
static int hash_from(const char *from, char to[static HASH_HEX_LEN], const char *what,
		     struct cloche_err *err)
{
	size_t len = strlen(from);

	if (len && (len != HASH_HEX_LEN - 1 || strspn(from, "0123456789abcdef") != len))
		return wrong(what, err);
	memcpy(to, from, len + 1);
	return 0;
}

static int words_of(const json_t *list, size_t most, const char *what, char ***ret,
		    struct cloche_err *err)
{
	size_t n = json_array_size(list);
	char **words;

	if (!json_is_array(list) || n > most)
		return wrong(what, err);
	if (n == 0)
		return 0;
	*ret = words = calloc(n + 1, sizeof(*words));
	for (size_t i = 0; words && i < n; i++) {
		const char *word = json_string_value(json_array_get(list, i));

		if (!word || strlen(word) > FUNCTION_START_MAX)
			return wrong(what, err);
		words[i] = strdup(word);
		if (!words[i])
			return cloche_err_sys(err, ENOMEM, "read a function");
	}
	return words ? 0 : cloche_err_sys(err, ENOMEM, "read a function");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int env_from(json_t *o, char ***ret, struct cloche_err *err)
{
	size_t n = json_object_size(o), i = 0;
	const char *name;
	json_t *value;
	char **env;

	if (!json_is_object(o) || n > FUNCTION_ENV_N)
		return wrong("environment", err);
	if (n == 0)
		return 0;
	*ret = env = calloc(n + 1, sizeof(*env));
	if (!env)
		return cloche_err_sys(err, ENOMEM, "read a function");
	json_object_foreach (o, name, value) {
		if (!json_is_string(value) || strchr(name, '='))
			return wrong("environment", err);
		if (asprintf(&env[i], "%s=%s", name, json_string_value(value)) < 0) {
			env[i] = NULL;
			return cloche_err_sys(err, ENOMEM, "read a function");
		}
		i++;
	}
	qsort(env, n, sizeof(*env), by_name);
	return 0;
}

static int start_from(json_t *o, struct function_start *ret, struct cloche_err *err)
{
	const char *workdir;
	json_t *command, *env;
	int r;

	if (!o)
		return 0;
	if (json_unpack(o, "{s:o, s:o, s:s !}", "command", &command, "environment", &env, "workdir",
			&workdir) < 0 ||
	    json_array_size(command) == 0)
		return wrong("start", err);
	r = words_of(command, FUNCTION_START_MAX, "start", &ret->command, err);
	if (r == 0)
		r = env_from(env, &ret->env, err);
	if (r == 0 && workdir[0]) {
		ret->workdir = strdup(workdir);
		r = ret->workdir ? 0 : cloche_err_sys(err, ENOMEM, "read a function");
	}
	return r;
}

static int layers_from(const json_t *list, struct function_config *ret, struct cloche_err *err)
{
	int r = 0;

	if (!json_is_array(list) || json_array_size(list) > FUNCTION_LAYERS_MAX)
		return wrong("layers", err);
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		const char *hash = json_string_value(json_array_get(list, i));

		r = hash && *hash ? hash_from(hash, ret->layers[i].sha256, "layers", err)
				  : wrong("layers", err);
		ret->n_layers = i + 1;
	}
	return r;
}

/* What it does is the launcher's to judge (policy/policy_join.h), whenever it is loaded. */
static int filter_from(const char *text, struct function_config *ret, struct cloche_err *err)
{
	const size_t head = offsetof(struct policy_bare, insns);
	size_t size = text ? strlen(text) / 2 : 0, len = 0;
	struct policy_bare *bare;

	if (!text)
		return 0;
	if (size < head || size > sizeof(*bare))
		return wrong("filter", err);
	bare = calloc(1, size);
	if (!bare)
		return cloche_err_sys(err, ENOMEM, "read a function");
	ret->filter = bare;
	ret->filter_size = size;
	if (sodium_hex2bin((unsigned char *)bare, size, text, strlen(text), NULL, &len, NULL) < 0 ||
	    len != size || bare->n == 0 || bare->n > BPF_MAXINSNS ||
	    size != head + bare->n * sizeof(bare->insns[0]))
		return wrong("filter", err);
	return 0;
}

/* As json_unpack has them. */
struct raw {
	const char *name, *runtime, *code, *image, *reuse, *policy, *network, *filter;
	json_t *handler, *layers, *env, *start;
	json_int_t memory_mb, timeout_ns, reserved, provisioned, wait_ns, tmp_bytes;
};

static int numbers_from(const struct raw *raw, struct function_config *ret, struct cloche_err *err)
{
	if (raw->memory_mb < 0 || raw->timeout_ns < 0 || raw->tmp_bytes < 0 || raw->wait_ns < 0)
		return wrong("number", err);
	if (raw->reserved < 0 || raw->reserved > UINT32_MAX || raw->provisioned < 0 ||
	    raw->provisioned > UINT32_MAX)
		return wrong("concurrency", err);
	ret->memory_mb = (uint64_t)raw->memory_mb;
	ret->timeout_ns = raw->timeout_ns;
	ret->tmp_bytes = (uint64_t)raw->tmp_bytes;
	ret->concurrency.wait_ns = raw->wait_ns;
	ret->concurrency.reserved = (uint32_t)raw->reserved;
	ret->concurrency.provisioned = (uint32_t)raw->provisioned;
	return 0;
}

static int words_from(const struct raw *raw, struct function_config *ret, struct cloche_err *err)
{
	int r = text_from(raw->name, ret->name, sizeof(ret->name), "name", err);

	if (r == 0)
		r = text_from(raw->runtime, ret->runtime, sizeof(ret->runtime), "runtime", err);
	if (r == 0)
		r = text_from(raw->image, ret->image, sizeof(ret->image), "image", err);
	if (r == 0)
		r = text_from(raw->policy, ret->policy, sizeof(ret->policy), "policy", err);
	if (r < 0)
		return r;
	ret->family = FAMILY_IMAGE;
	if (raw->runtime[0] && !function_family_of(raw->runtime, &ret->family))
		return wrong("runtime", err);
	if (!function_reuse_of(raw->reuse, &ret->reuse))
		return wrong("reuse", err);
	return function_net_of(raw->network, &ret->net) ? 0 : wrong("network", err);
}

static int take(const struct raw *raw, struct function_config *ret, struct cloche_err *err)
{
	int r = words_from(raw, ret, err);

	if (r == 0)
		r = numbers_from(raw, ret, err);
	if (r == 0)
		r = hash_from(raw->code, ret->code.sha256, "code", err);
	if (r == 0)
		r = words_of(raw->handler, FUNCTION_WORDS_MAX, "handler", &ret->handler, err);
	if (r == 0)
		r = layers_from(raw->layers, ret, err);
	if (r == 0)
		r = env_from(raw->env, &ret->env, err);
	if (r == 0)
		r = filter_from(raw->filter, ret, err);
	return r == 0 ? start_from(raw->start, &ret->start, err) : r;
}

int function_from_json(const json_t *o, struct function_config *ret, struct cloche_err *err)
{
	struct function_config c = { 0 };
	struct raw raw = { 0 };
	int r = json_unpack((json_t *)(uintptr_t)o,
			    "{s:s, s:s, s:o, s:s, s:o, s:s, s:I, s:I, s:o, s:s, s:{s:I, s:I, s:I "
			    "!}, s:I, s:s, s:s, s?o, s?s !}",
			    "name", &raw.name, "runtime", &raw.runtime, "handler", &raw.handler,
			    "code", &raw.code, "layers", &raw.layers, "image", &raw.image,
			    "memory_mb", &raw.memory_mb, "timeout_ns", &raw.timeout_ns,
			    "environment", &raw.env, "reuse", &raw.reuse, "concurrency", "reserved",
			    &raw.reserved, "provisioned", &raw.provisioned, "wait_ns", &raw.wait_ns,
			    "tmp_bytes", &raw.tmp_bytes, "policy", &raw.policy, "network",
			    &raw.network, "start", &raw.start, "filter", &raw.filter);

	if (r < 0)
		return cloche_err_set(err, EBADMSG, "a function that is none");
	r = take(&raw, &c, err);
	if (r < 0) {
		function_config_free(&c);
		return r;
	}
	*ret = c;
	return 0;
}

json_t *function_parse(const char *text, size_t len, struct cloche_err *err)
{
	json_error_t why;
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);

	if (!o)
		(void)cloche_err_set(err, EBADMSG, "line %d: %.100s", why.line, why.text);
	return o;
}
