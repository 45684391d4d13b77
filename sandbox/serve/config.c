/* SPDX-License-Identifier: MIT */
/* The daemon's configuration from YAML, by libcyaml's schema: see config.h. */
#include "serve/config.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/parse.h"
#include "serve/request.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (64U << 10)
/* Each is a process, some cgroups and 30 descriptors. */
#define CONTEXTS_MAX 1000
#define GRACE_MAX_NS (900LL * 1000000000)
#define IDLE_MAX_NS  (86400LL * 1000000000)

struct yaml_config {
	char *control, *state, *grace, *memory, *idle_expiry;
	uint32_t *contexts, *contexts_per_owner;
};

#define OPTIONAL (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
static const cyaml_schema_field_t fields[] = {
	CYAML_FIELD_STRING_PTR("control", OPTIONAL, struct yaml_config, control, 1,
			       CONFIG_CTL_LEN - 1),
	CYAML_FIELD_STRING_PTR("state", OPTIONAL, struct yaml_config, state, 1, 4000),
	CYAML_FIELD_STRING_PTR("grace", OPTIONAL, struct yaml_config, grace, 1, 40),
	CYAML_FIELD_STRING_PTR("idle_expiry", OPTIONAL, struct yaml_config, idle_expiry, 1, 40),
	CYAML_FIELD_STRING_PTR("memory", OPTIONAL, struct yaml_config, memory, 1, 40),
	CYAML_FIELD_UINT_PTR("contexts", OPTIONAL, struct yaml_config, contexts),
	CYAML_FIELD_UINT_PTR("contexts_per_owner", OPTIONAL, struct yaml_config,
			     contexts_per_owner),
	CYAML_FIELD_END
};

static const cyaml_schema_value_t schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct yaml_config, fields),
};

/* What libcyaml said first, and the first line that it named. */
struct said {
	char text[160];
	unsigned line;
};

static void take(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));
static void take(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
	struct said *said = ctx;
	char text[sizeof(said->text)];
	const char *at;

	if (level < CYAML_LOG_ERROR)
		return;
	(void)vsnprintf(text, sizeof(text), fmt, args);
	text[strcspn(text, "\n")] = '\0';
	at = strstr(text, "line: ");
	if (at && !said->line)
		said->line = (unsigned)strtoul(at + 6, NULL, 10);
	if (!said->text[0])
		(void)snprintf(said->text, sizeof(said->text), "%s",
			       strncmp(text, "Load: ", 6) == 0 ? text + 6 : text);
}

void config_defaults(struct config *ret)
{
	*ret = (struct config){ .control = CONTROL_PATH,
				.state = CONFIG_STATE,
				.contexts = 64,
				.per_owner = 32,
				.grace_ns = 5000000000LL,
				.idle_expiry_ns = 60000000000LL };
}

static int apply(const struct yaml_config *y, struct config *c, struct cloche_err *err)
{
	if (y->control && y->control[0] != '/')
		return cloche_err_set(err, EINVAL, "control: an absolute path is needed");
	if (y->state && y->state[0] != '/')
		return cloche_err_set(err, EINVAL, "state: an absolute path is needed");
	if ((y->contexts && (*y->contexts < 1 || *y->contexts > CONTEXTS_MAX)) ||
	    (y->contexts_per_owner &&
	     (*y->contexts_per_owner < 1 || *y->contexts_per_owner > CONTEXTS_MAX)))
		return cloche_err_set(err, ERANGE, "contexts, contexts_per_owner: from 1 to %d",
				      CONTEXTS_MAX);
	if (y->grace && (parse_duration(y->grace, &c->grace_ns, err) < 0 || c->grace_ns < 0 ||
			 c->grace_ns > GRACE_MAX_NS))
		return cloche_err_set(err, EINVAL, "grace: a duration of at most 900s is needed");
	if (y->idle_expiry && (parse_duration(y->idle_expiry, &c->idle_expiry_ns, err) < 0 ||
			       c->idle_expiry_ns < 0 || c->idle_expiry_ns > IDLE_MAX_NS))
		return cloche_err_set(err, EINVAL,
				      "idle_expiry: a duration of at most 86400s is needed");
	if (y->memory && (parse_size(y->memory, &c->memory_bytes, err) < 0 || c->memory_bytes == 0))
		return cloche_err_set(err, EINVAL, "memory: a size is needed, as in 8G");
	if (y->control)
		(void)snprintf(c->control, sizeof(c->control), "%s", y->control);
	if (y->state)
		(void)snprintf(c->state, sizeof(c->state), "%s", y->state);
	c->contexts = y->contexts ? *y->contexts : c->contexts;
	c->per_owner = y->contexts_per_owner ? *y->contexts_per_owner : c->per_owner;
	return 0;
}

static int parse(const char *text, size_t len, struct config *c, struct cloche_err *err)
{
	struct said said = { .line = 0 };
	const cyaml_config_t how = { .log_fn = take,
				     .log_ctx = &said,
				     .mem_fn = cyaml_mem,
				     .log_level = CYAML_LOG_ERROR,
				     .flags = CYAML_CFG_NO_ALIAS };
	struct config changed = *c;
	struct yaml_config *y = NULL;
	cyaml_err_t yerr = cyaml_load_data((const uint8_t *)text, len, &how, &schema,
					   (cyaml_data_t **)&y, NULL);
	int r;

	if (yerr != CYAML_OK)
		return cloche_err_set(err, EINVAL, "line %u: %s", said.line ? said.line : 1,
				      said.text[0] ? said.text : cyaml_strerror(yerr));
	/* NULL: there is no document, but comments perhaps. */
	r = y ? apply(y, &changed, err) : 0;
	(void)cyaml_free(&how, &schema, y, 0);
	if (r == 0)
		*c = changed;
	return r;
}

int config_load(const char *path, struct config *config, struct cloche_err *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r = file_load(AT_FDCWD, path, FILE_MAX, &text, &len, err);

	if (r == 0)
		r = parse(text, len, config, err);
	return r < 0 ? cloche_err_wrap(err, "configuration '%.200s'", path) : 0;
}
