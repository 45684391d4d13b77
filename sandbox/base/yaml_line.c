/* SPDX-License-Identifier: MIT */
/* Where in a YAML text something stands, which libcyaml does not keep: see yaml_line.h. */
#include "base/yaml_line.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* ret_key: what stands before it. */
static yaml_node_t *of_mapping(yaml_document_t *doc, const yaml_node_t *in, const char *name,
			       size_t len, const yaml_node_t **ret_key)
{
	for (yaml_node_pair_t *p = in->data.mapping.pairs.start; p < in->data.mapping.pairs.top;
	     p++) {
		yaml_node_t *key = yaml_document_get_node(doc, p->key);

		if (key && key->type == YAML_SCALAR_NODE && key->data.scalar.length == len &&
		    memcmp(key->data.scalar.value, name, len) == 0) {
			*ret_key = key;
			return yaml_document_get_node(doc, p->value);
		}
	}
	return NULL;
}

static yaml_node_t *of_sequence(yaml_document_t *doc, const yaml_node_t *in, const char *name)
{
	yaml_node_item_t *item = in->data.sequence.items.start + strtoul(name, NULL, 10);

	return item < in->data.sequence.items.top ? yaml_document_get_node(doc, *item) : NULL;
}

static unsigned line_in(yaml_document_t *doc, const char *key)
{
	yaml_node_t *next = yaml_document_get_root_node(doc);
	const yaml_node_t *at = next;
	size_t len = strcspn(key, "/");

	while (next && len) {
		const yaml_node_t *in = next;

		next = in->type == YAML_MAPPING_NODE	? of_mapping(doc, in, key, len, &at)
		       : in->type == YAML_SEQUENCE_NODE ? of_sequence(doc, in, key)
							: NULL;
		if (next && in->type == YAML_SEQUENCE_NODE)
			at = next;
		key += len + (key[len] == '/');
		len = strcspn(key, "/");
	}
	return at ? (unsigned)at->start_mark.line + 1 : 1;
}

unsigned yaml_line(const char *text, size_t len, const char *key)
{
	yaml_parser_t parser;
	yaml_document_t doc;
	unsigned line = 1;

	if (!yaml_parser_initialize(&parser))
		return line;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (yaml_parser_load(&parser, &doc)) {
		line = line_in(&doc, key);
		yaml_document_delete(&doc);
	}
	yaml_parser_delete(&parser);
	return line;
}
