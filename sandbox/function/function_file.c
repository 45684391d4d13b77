/* SPDX-License-Identifier: MIT */
/* Reads a cloche.yaml: see function_file.h. */
#include "function/function_file.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/yaml_error.h"
#include "base/yaml_line.h"
#include "function/function_shape.h"
#include "policy/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* name: of the function. */
struct reading {
	const char *text;
	size_t len;
	const char *path, *name;
	const struct spec_host *host;
	struct cloche_err *err;
};

/* What is wrong begins with its key: it is named whole, and its line. */
static int place(const struct reading *r)
{
	char key[200], said[sizeof(r->err->text)];
	size_t len = function_key_len(r->err->text);

	(void)snprintf(key, sizeof(key), "functions/%s/%.*s", r->name, (int)len, r->err->text);
	(void)snprintf(said, sizeof(said), "%s", r->err->text);
	return cloche_err_set(r->err, EINVAL, "%.200s:%u: functions/%s/%s", r->path,
			      yaml_line(r->text, r->len, key), r->name, said);
}

static int wrong(const struct reading *r, const char *key, const char *expected)
{
	(void)cloche_err_set(r->err, EINVAL, "%s: expected %s", key, expected);
	return place(r);
}

static int no_memory(const struct reading *r)
{
	return cloche_err_sys(r->err, ENOMEM, "read '%.200s'", r->path);
}

/* Of what text says the range is function_check()'s. */
static int read_numbers(const struct reading *r, const struct shape_function *y,
			struct function_config *c)
{
	uint64_t bytes = c->memory_mb << 20;

	if (y->memory && (parse_size(y->memory, &bytes, NULL) < 0 || bytes % (1 << 20)))
		return wrong(r, "memory", "a size of whole megabytes, as in 512 or 1G");
	c->memory_mb = bytes >> 20;
	if (y->timeout && parse_duration(y->timeout, &c->timeout_ns, NULL) < 0)
		return wrong(r, "timeout", "a duration, as in 250ms or 3s, from 1ms to 900s");
	if (y->tmp && (parse_size(y->tmp, &c->tmp_bytes, NULL) < 0 || !c->tmp_bytes))
		return wrong(r, "tmp", "a size, as in 512M, of up to 10240M");
	return 0;
}

static int read_count(const struct reading *r, const char *key, const char *text, uint32_t *ret)
{
	char expected[60];
	uint64_t n;

	if (!text)
		return 0;
	(void)snprintf(expected, sizeof(expected), "a number from 0 to %d", FUNCTION_KEPT_MAX);
	if (parse_count(text, 0, FUNCTION_KEPT_MAX, &n, NULL) < 0)
		return wrong(r, key, expected);
	*ret = (uint32_t)n;
	return 0;
}

static int read_concurrency(const struct reading *r, const struct shape_concurrency *y,
			    struct function_config *c)
{
	int code;

	if (!y)
		return 0;
	code = read_count(r, "concurrency/reserved", y->reserved, &c->concurrency.reserved);
	if (code == 0)
		code = read_count(r, "concurrency/provisioned", y->provisioned,
				  &c->concurrency.provisioned);
	if (code == 0 && y->wait && parse_duration(y->wait, &c->concurrency.wait_ns, NULL) < 0)
		code = wrong(r, "concurrency/wait",
			     "a duration, as in 250ms or 1s, from 0s to 60s");
	return code;
}

static int read_text(const struct reading *r, const char *key, const char *text, char *to,
		     size_t size)
{
	if (!text)
		return 0;
	if (!text[0] || strlen(text) >= size)
		return wrong(r, key, "a name");
	(void)snprintf(to, size, "%s", text);
	return 0;
}

/* Relative to where the file is. */
static char *path_from(const struct reading *r, const char *path)
{
	const char *slash = strrchr(r->path, '/');
	char *ret = NULL;

	if (path[0] == '/' || !slash)
		return strdup(path);
	if (strncmp(path, "./", 2) == 0)
		path += 2;
	if (asprintf(&ret, "%.*s/%s", (int)(slash - r->path), r->path, path) < 0)
		return NULL;
	return ret;
}

/* A file's name is that of the policy, without what says its kind. */
static int read_policy(const struct reading *r, const char *text, struct function_config *c)
{
	char *name = strrchr(text ? text : "", '/'), *end;
	int code;

	if (!text || !policy_is_path(text))
		return read_text(r, "policy", text, c->policy, sizeof(c->policy));
	c->policy_path = path_from(r, text);
	name = strdup(name ? name + 1 : text);
	if (!c->policy_path || !name) {
		free(name);
		return no_memory(r);
	}
	end = strrchr(name, '.');
	if (end && strcmp(end, ".json") == 0)
		*end = '\0';
	code = read_text(r, "policy", name, c->policy, sizeof(c->policy));
	free(name);
	return code;
}

static int read_words(const struct reading *r, const struct shape_function *y,
		      struct function_config *c)
{
	int code = read_policy(r, y->policy, c);

	if (code == 0 && y->reuse && !function_reuse_of(y->reuse, &c->reuse))
		code = wrong(r, "reuse", "none, context, fork or process");
	if (code == 0 && y->network && !function_net_of(y->network, &c->net))
		code = wrong(r, "network", "none or loopback");
	return code;
}

static int read_code(const struct reading *r, const struct shape_function *y,
		     struct function_config *c)
{
	if (y->n_layers > FUNCTION_LAYERS_MAX)
		return wrong(r, "layers", "no more than 5");
	if (y->code && !y->code[0])
		return wrong(r, "code", "a directory or a zip");
	if (y->code) {
		c->code.path = path_from(r, y->code);
		if (!c->code.path)
			return no_memory(r);
	}
	for (uint32_t i = 0; i < y->n_layers; i++) {
		if (!y->layers[i][0])
			return wrong(r, "layers", "directories or zips");
		c->layers[i].path = path_from(r, y->layers[i]);
		if (!c->layers[i].path)
			return no_memory(r);
		c->n_layers = i + 1;
	}
	return 0;
}

static int read_list(const struct reading *r, char *const *from, size_t n, char ***ret)
{
	char **list;

	if (n == 0)
		return 0;
	*ret = list = calloc(n + 1, sizeof(*list));
	for (size_t i = 0; list && i < n; i++) {
		list[i] = strdup(from[i]);
		if (!list[i])
			return no_memory(r);
	}
	return list ? 0 : no_memory(r);
}

static int read_handler(const struct reading *r, const struct shape_function *y,
			struct function_config *c)
{
	return y->handler ? read_list(r, &y->handler, 1, &c->handler)
			  : read_list(r, y->command, y->n_command, &c->handler);
}

/* Of what an image says what is not its own. */
static int read_start(const struct reading *r, const struct shape_function *y,
		      struct function_config *c)
{
	int code = read_list(r, y->entrypoint, y->n_entrypoint, &c->start.command);

	if (code < 0 || !y->workdir)
		return code;
	c->start.workdir = strdup(y->workdir);
	return c->start.workdir ? 0 : no_memory(r);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_env(const struct reading *r, const struct shape_function *y,
		    const struct shape_env *names, struct function_config *c)
{
	if (!y->env || !names->n)
		return 0;
	c->env = calloc(names->n + 1, sizeof(*c->env));
	for (size_t i = 0; c->env && i < names->n; i++)
		if (asprintf(&c->env[i], "%s=%s", names->names[i], y->env[i] ? y->env[i] : "") <
		    0) {
			c->env[i] = NULL;
			return no_memory(r);
		}
	if (!c->env)
		return no_memory(r);
	qsort(c->env, names->n, sizeof(*c->env), by_name);
	return 0;
}

/* *ret may hold what is to be freed, also after an error. */
static int read_function(const struct reading *r, const struct shape_function *y,
			 const struct shape_env *env, struct function_config *ret)
{
	enum function_family family = FAMILY_IMAGE;
	int code = 0;

	if (!y->image && !y->runtime)
		return wrong(r, "runtime",
			     "this key, or 'image': python3, nodejs, provided, native or exec");
	if (y->runtime && !function_family_of(y->runtime, &family))
		return wrong(r, "runtime",
			     "python3, nodejs, provided, native or exec, or a name of Lambda's, "
			     "as python3.11");
	function_config_defaults(ret, family);
	(void)snprintf(ret->name, sizeof(ret->name), "%s", r->name);
	code = read_text(r, "runtime", y->runtime, ret->runtime, sizeof(ret->runtime));
	if (code == 0)
		code = read_text(r, "image", y->image, ret->image, sizeof(ret->image));
	if (code == 0)
		code = read_code(r, y, ret);
	if (code == 0)
		code = read_handler(r, y, ret);
	if (code == 0)
		code = read_start(r, y, ret);
	if (code == 0)
		code = read_numbers(r, y, ret);
	if (code == 0)
		code = read_concurrency(r, y->concurrency, ret);
	if (code == 0)
		code = read_words(r, y, ret);
	if (code == 0)
		code = read_env(r, y, env, ret);
	if (code == 0 && function_check(ret, r->host, r->err) < 0)
		code = place(r);
	return code;
}

static int read_all(struct reading *r, const struct shape *s, const struct shape_root *y,
		    struct function_file *ret)
{
	int code = 0;

	ret->functions = calloc(s->n, sizeof(*ret->functions));
	if (!ret->functions)
		return no_memory(r);
	for (size_t i = 0; code == 0 && i < s->n; i++) {
		r->name = s->names[i];
		ret->n = i + 1;
		code = read_function(r, &y->functions[i], &s->envs[i], &ret->functions[i]);
	}
	return code;
}

static int load(struct reading *r, const struct shape *s, struct function_file *ret)
{
	struct yaml_error said = { .line = 0 };
	const cyaml_config_t how = { .log_fn = yaml_error_take,
				     .log_ctx = &said,
				     .mem_fn = cyaml_mem,
				     .log_level = CYAML_LOG_ERROR,
				     .flags = CYAML_CFG_NO_ALIAS };
	struct shape_root *y = NULL;
	cyaml_err_t yerr = cyaml_load_data((const uint8_t *)r->text, r->len, &how, &s->schema,
					   (cyaml_data_t **)&y, NULL);
	int code;

	if (yerr != CYAML_OK) {
		yaml_error_mend(&said, yerr, r->text, r->len);
		return cloche_err_set(r->err, EINVAL, "%.200s:%u: %s", r->path,
				      said.line ? said.line : 1, said.text);
	}
	code = y && y->functions ? read_all(r, s, y, ret)
				 : cloche_err_set(r->err, EINVAL,
						  "%.200s:1: functions: expected "
						  "this key",
						  r->path);
	(void)cyaml_free(&how, &s->schema, y, 0);
	return code;
}

int function_file_read(const char *text, size_t len, const char *path, const struct spec_host *host,
		       struct function_file *ret, struct cloche_err *err)
{
	struct reading r = { .text = text, .len = len, .path = path, .host = host, .err = err };
	struct function_file file = { 0 };
	struct shape shape;
	int code = shape_read(text, len, path, &shape, err);

	if (code == 0)
		code = load(&r, &shape, &file);
	shape_free(&shape);
	if (code < 0)
		function_file_free(&file);
	else
		*ret = file;
	return code;
}

int function_file_load(const char *path, const struct spec_host *host, struct function_file *ret,
		       struct cloche_err *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r = file_load(AT_FDCWD, path, FUNCTION_FILE_MAX, &text, &len, err);

	return r == 0 ? function_file_read(text, len, path, host, ret, err) : r;
}

void function_file_place(const char *path, const char *name, struct cloche_err *err)
{
	cleanup_free char *text = NULL;
	struct reading r = { .path = path, .name = name, .err = err };

	if (file_load(AT_FDCWD, path, FUNCTION_FILE_MAX, &text, &r.len, NULL) < 0)
		return;
	r.text = text;
	(void)place(&r);
}

void function_file_free(struct function_file *file)
{
	for (size_t i = 0; i < file->n; i++)
		function_config_free(&file->functions[i]);
	free(file->functions);
	*file = (struct function_file){ 0 };
}
