/* SPDX-License-Identifier: MIT */
/* From the names in a cloche.yaml to a schema: see function_shape.h. */
#include "function/function_shape.h"

#include "base/err.h"
#include "base/quote.h"
#include "function/function.h"
#include "function/function_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { TEXT = 1, LIST = 2, MAP = 4 };

static const struct {
	const char *name;
	unsigned kinds;
} keys[] = {
	{ "runtime", TEXT },	{ "code", TEXT },	{ "handler", TEXT | LIST },
	{ "layers", LIST },	{ "image", TEXT },	{ "memory", TEXT },
	{ "timeout", TEXT },	{ "reuse", TEXT },	{ "environment", MAP },
	{ "concurrency", MAP }, { "tmp", TEXT },	{ "policy", TEXT },
	{ "network", TEXT },	{ "entrypoint", LIST }, { "workdir", TEXT },
};

#define KEYS	       (sizeof(keys) / sizeof(keys[0]))
#define OPTIONAL       (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define TEXT_MAX       (64U << 10)
#define WORD(s, field) CYAML_FIELD_STRING_PTR(#field, OPTIONAL, struct s, field, 0, TEXT_MAX)

static const cyaml_schema_value_t text_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0, TEXT_MAX),
};

static const cyaml_schema_field_t concurrency_fields[] = { WORD(shape_concurrency, reserved),
							   WORD(shape_concurrency, provisioned),
							   WORD(shape_concurrency, wait),
							   CYAML_FIELD_END };

/* The last two are one or the other, and what the shape makes. */
static const cyaml_schema_field_t fixed[] = {
	WORD(shape_function, runtime),
	WORD(shape_function, code),
	WORD(shape_function, image),
	WORD(shape_function, memory),
	WORD(shape_function, timeout),
	WORD(shape_function, reuse),
	WORD(shape_function, tmp),
	WORD(shape_function, policy),
	WORD(shape_function, network),
	WORD(shape_function, workdir),
	CYAML_FIELD_SEQUENCE_COUNT("layers", OPTIONAL, struct shape_function, layers, n_layers,
				   &text_entry, 0, 64),
	CYAML_FIELD_SEQUENCE_COUNT("entrypoint", OPTIONAL, struct shape_function, entrypoint,
				   n_entrypoint, &text_entry, 0, FUNCTION_WORDS_MAX),
	CYAML_FIELD_MAPPING_PTR("concurrency", OPTIONAL, struct shape_function, concurrency,
				concurrency_fields),
};

static const cyaml_schema_field_t one_word = WORD(shape_function, handler);
static const cyaml_schema_field_t words =
	CYAML_FIELD_SEQUENCE_COUNT("handler", OPTIONAL, struct shape_function, command, n_command,
				   &text_entry, 0, FUNCTION_WORDS_MAX);

#define FIXED (sizeof(fixed) / sizeof(fixed[0]))

/* ---- what stands where ----------------------------------------------------------------------- */

struct reading {
	yaml_document_t *doc;
	const char *name; /* of the file */
	struct shape *shape;
	struct cloche_err *err;
};

static unsigned line_of(const yaml_node_t *node)
{
	return node ? (unsigned)node->start_mark.line + 1 : 1;
}

static const char *text_of(const yaml_node_t *node)
{
	return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : "";
}

static unsigned kind_of(const yaml_node_t *node)
{
	if (!node)
		return 0;
	return node->type == YAML_SCALAR_NODE	  ? TEXT
	       : node->type == YAML_SEQUENCE_NODE ? LIST
	       : node->type == YAML_MAPPING_NODE  ? MAP
						  : 0;
}

static int wrong(const struct reading *r, const yaml_node_t *at, const char *key,
		 const char *expected)
{
	char shown[QUOTE_LEN];
	const char *quoted = quote(shown, key);
	size_t len = strlen(quoted);

	return cloche_err_set(r->err, EINVAL, "%.200s:%u: %.*s: expected %s", r->name, line_of(at),
			      (int)len - 2, quoted + 1, expected);
}

static const char *kind_text(unsigned kinds)
{
	return kinds == MAP		? "keys with values, as in {A: b}"
	       : kinds == LIST		? "a list, as in [a, b]"
	       : kinds == (TEXT | LIST) ? "a text or a list"
					: "a text or a number";
}

static yaml_node_t *node(const struct reading *r, int number)
{
	return yaml_document_get_node(r->doc, number);
}

/* A key is a text without NUL, once. */
static bool is_new(const struct reading *r, const yaml_node_t *map, const yaml_node_pair_t *pair)
{
	const yaml_node_t *key = node(r, pair->key);

	for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < pair; p++)
		if (strcmp(text_of(node(r, p->key)), text_of(key)) == 0)
			return false;
	return true;
}

static int check_key(const struct reading *r, const yaml_node_t *map, const yaml_node_pair_t *pair,
		     const char *path)
{
	const yaml_node_t *key = node(r, pair->key);

	if (!key || kind_of(key) != TEXT || strlen(text_of(key)) != key->data.scalar.length)
		return wrong(r, key, path, "keys that are texts");
	return is_new(r, map, pair) ? 0 : wrong(r, key, path, "each key once");
}

/* ---- the schema ------------------------------------------------------------------------------ */

static void free_names(char **names, size_t n)
{
	for (size_t i = 0; names && i < n; i++)
		free(names[i]);
	free(names);
}

static char **names_of(const struct reading *r, const yaml_node_t *map, size_t *ret_n)
{
	size_t n = map ? (size_t)(map->data.mapping.pairs.top - map->data.mapping.pairs.start) : 0;
	char **names = calloc(n + 1, sizeof(*names));

	for (size_t i = 0; names && i < n; i++) {
		names[i] = strdup(text_of(node(r, map->data.mapping.pairs.start[i].key)));
		if (!names[i]) {
			free_names(names, i);
			return NULL;
		}
	}
	*ret_n = names ? n : 0;
	return names;
}

static cyaml_schema_field_t text_field(const char *key, size_t offset)
{
	return (cyaml_schema_field_t){ .key = key,
				       .data_offset = (uint32_t)offset,
				       .value = { CYAML_VALUE_STRING(OPTIONAL, char *, 0,
								     TEXT_MAX) } };
}

static cyaml_schema_field_t map_field(const char *key, size_t offset, enum cyaml_flag flags,
				      size_t size, const cyaml_schema_field_t *fields)
{
	return (cyaml_schema_field_t){ .key = key,
				       .data_offset = (uint32_t)offset,
				       .value = { .type = CYAML_MAPPING,
						  .flags = flags,
						  .data_size = (uint32_t)(size ? size : 1),
						  .mapping = { .fields = fields } } };
}

static int env_shape(const struct reading *r, const yaml_node_t *map, const char *path,
		     struct shape_env *ret)
{
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
	     p++) {
		int code = check_key(r, map, p, path);

		if (code == 0 && kind_of(node(r, p->value)) != TEXT)
			code = wrong(r, node(r, p->key), path, "values that are texts");
		if (code < 0)
			return code;
	}
	ret->names = names_of(r, map, &ret->n);
	ret->fields = calloc(ret->n + 1, sizeof(*ret->fields));
	if (!ret->names || !ret->fields)
		return cloche_err_sys(r->err, ENOMEM, "read it");
	for (size_t i = 0; i < ret->n; i++)
		ret->fields[i] = text_field(ret->names[i], i * sizeof(char *));
	return 0;
}

static int unknown(const struct reading *r, const yaml_node_t *at, const char *path)
{
	char expected[256] = "one of";
	size_t len = strlen(expected);

	for (size_t i = 0; i < KEYS; i++)
		len += (size_t)snprintf(expected + len, sizeof(expected) - len, "%s %s",
					i ? "," : "", keys[i].name);
	return wrong(r, at, path, expected);
}

static int check_function_key(const struct reading *r, const yaml_node_pair_t *p, const char *path)
{
	const yaml_node_t *key = node(r, p->key);

	for (size_t i = 0; i < KEYS; i++)
		if (strcmp(text_of(key), keys[i].name) == 0)
			return kind_of(node(r, p->value)) & keys[i].kinds
				       ? 0
				       : wrong(r, key, path, kind_text(keys[i].kinds));
	return unknown(r, key, path);
}

static int function_shape(const struct reading *r, const char *name, const yaml_node_t *map,
			  size_t i)
{
	cyaml_schema_field_t *fields = calloc(FIXED + 3, sizeof(*fields));
	struct shape_env *env = &r->shape->envs[i];
	const cyaml_schema_field_t *handler = &one_word;
	char path[200];

	r->shape->fields[i] = fields;
	if (!fields)
		return cloche_err_sys(r->err, ENOMEM, "read it");
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
	     p++) {
		const char *key = text_of(node(r, p->key));
		int code;

		(void)snprintf(path, sizeof(path), "functions/%s/%.80s", name, key);
		code = check_key(r, map, p, path);
		if (code == 0)
			code = check_function_key(r, p, path);
		if (code == 0 && strcmp(key, "environment") == 0)
			code = env_shape(r, node(r, p->value), path, env);
		if (code < 0)
			return code;
		if (strcmp(key, "handler") == 0 && kind_of(node(r, p->value)) == LIST)
			handler = &words;
	}
	memcpy(fields, fixed, sizeof(fixed));
	fields[FIXED] = *handler;
	fields[FIXED + 1] =
		map_field("environment", offsetof(struct shape_function, env), OPTIONAL,
			  env->n * sizeof(char *), env->fields ? env->fields : fields + FIXED + 2);
	return 0;
}

static int functions_shape(struct reading *r, const yaml_node_t *map)
{
	struct shape *s = r->shape;
	size_t n = 0;
	int code = 0;

	s->names = names_of(r, map, &s->n);
	s->envs = calloc(s->n + 1, sizeof(*s->envs));
	s->fields = calloc(s->n + 1, sizeof(void *));
	s->functions = calloc(s->n + 1, sizeof(*s->functions));
	if (!s->names || !s->envs || !s->fields || !s->functions)
		return cloche_err_sys(r->err, ENOMEM, "read it");
	if (s->n == 0 || s->n > FUNCTION_FILE_FUNS)
		return wrong(r, map, "functions", "from 1 to 256 functions");
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start;
	     code == 0 && p < map->data.mapping.pairs.top; p++, n++) {
		struct cloche_err why = { 0 };
		char path[120];

		(void)snprintf(path, sizeof(path), "functions/%.70s", s->names[n]);
		code = check_key(r, map, p, path);
		if (code == 0 && function_name_check(s->names[n], &why) < 0)
			code = wrong(r, node(r, p->key), path,
				     "a name of up to 64 letters, digits, '-' and '_'");
		if (code == 0 && kind_of(node(r, p->value)) != MAP)
			code = wrong(r, node(r, p->key), path,
				     "keys with values, as runtime: python3");
		if (code == 0)
			code = function_shape(r, s->names[n], node(r, p->value), n);
		if (code == 0)
			s->functions[n] = map_field(s->names[n], n * sizeof(struct shape_function),
						    CYAML_FLAG_DEFAULT,
						    sizeof(struct shape_function), s->fields[n]);
	}
	return code;
}

static int root_shape(struct reading *r)
{
	const yaml_node_t *root = yaml_document_get_root_node(r->doc);
	const yaml_node_t *functions = NULL;
	struct shape *s = r->shape;
	int code = 0;

	if (kind_of(root) != MAP)
		return wrong(r, root, "functions", "this key, and functions below it");
	for (yaml_node_pair_t *p = root->data.mapping.pairs.start;
	     code == 0 && p < root->data.mapping.pairs.top; p++) {
		const yaml_node_t *key = node(r, p->key);

		code = check_key(r, root, p, text_of(key));
		functions = node(r, p->value);
		if (code == 0 && strcmp(text_of(key), "functions") != 0)
			code = wrong(r, key, text_of(key), "'functions' alone");
		if (code == 0 && kind_of(functions) != MAP)
			code = wrong(r, key, "functions", "functions by their names");
	}
	if (code == 0 && !functions)
		code = wrong(r, root, "functions", "this key, and functions below it");
	if (code == 0)
		code = functions_shape(r, functions);
	if (code < 0)
		return code;
	s->root[0] =
		map_field("functions", offsetof(struct shape_root, functions), CYAML_FLAG_POINTER,
			  s->n * sizeof(struct shape_function), s->functions);
	s->schema = (cyaml_schema_value_t){ .type = CYAML_MAPPING,
					    .flags = CYAML_FLAG_POINTER,
					    .data_size = sizeof(struct shape_root),
					    .mapping = { .fields = s->root } };
	return 0;
}

/* ---- the text -------------------------------------------------------------------------------- */

static int syntax(const yaml_parser_t *p, const char *name, struct cloche_err *err)
{
	char shown[QUOTE_LEN];

	return cloche_err_set(err, EINVAL, "%.200s:%zu: expected YAML: %s", name,
			      p->problem_mark.line + 1,
			      quote(shown, p->problem ? p->problem : "it ends too early"));
}

/* A second document would be left unread, and nobody told. */
static int check_end(yaml_parser_t *parser, const char *name, struct cloche_err *err)
{
	yaml_document_t doc;
	const yaml_node_t *root;
	int r = 0;

	if (!yaml_parser_load(parser, &doc))
		return syntax(parser, name, err);
	root = yaml_document_get_root_node(&doc);
	if (root)
		r = cloche_err_set(err, EINVAL, "%.200s:%u: expected one document", name,
				   line_of(root));
	yaml_document_delete(&doc);
	return r;
}

int shape_read(const char *text, size_t len, const char *name, struct shape *ret,
	       struct cloche_err *err)
{
	struct reading r = { .name = name, .shape = ret, .err = err };
	yaml_parser_t parser;
	yaml_document_t doc;
	int code;

	*ret = (struct shape){ 0 };
	if (!yaml_parser_initialize(&parser))
		return cloche_err_sys(err, ENOMEM, "read it");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (!yaml_parser_load(&parser, &doc)) {
		code = syntax(&parser, name, err);
	} else {
		r.doc = &doc;
		code = root_shape(&r);
		yaml_document_delete(&doc);
		if (code == 0)
			code = check_end(&parser, name, err);
	}
	yaml_parser_delete(&parser);
	return code;
}

void shape_free(struct shape *s)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->envs) {
			free_names(s->envs[i].names, s->envs[i].n);
			free(s->envs[i].fields);
		}
		if (s->fields)
			free(s->fields[i]);
	}
	free_names(s->names, s->n);
	free(s->envs);
	free(s->fields);
	free(s->functions);
	*s = (struct shape){ 0 };
}
