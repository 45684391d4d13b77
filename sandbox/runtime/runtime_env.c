/* SPDX-License-Identifier: MIT */
/* Lambda's environment of a function. See runtime_env.h. */
#include "runtime/runtime_env.h"

#include "base/err.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than there are. */
#define OURS_MAX 32

/* As Lambda's documentation lists them; what a runtime sets itself; and ours. */
static const char *const reserved[] = {
	"_HANDLER",
	"_X_AMZN_TRACE_ID",
	"AWS_DEFAULT_REGION",
	"AWS_REGION",
	"AWS_EXECUTION_ENV",
	"AWS_LAMBDA_FUNCTION_NAME",
	"AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
	"AWS_LAMBDA_FUNCTION_VERSION",
	"AWS_LAMBDA_INITIALIZATION_TYPE",
	"AWS_LAMBDA_LOG_GROUP_NAME",
	"AWS_LAMBDA_LOG_STREAM_NAME",
	"AWS_LAMBDA_RUNTIME_API",
	"AWS_ACCESS_KEY",
	"AWS_ACCESS_KEY_ID",
	"AWS_SECRET_ACCESS_KEY",
	"AWS_SESSION_TOKEN",
	"LAMBDA_TASK_ROOT",
	"LAMBDA_RUNTIME_DIR",
	"CLOCHE_REUSE",
};

static const char *const provided[] = { "/var/task/bootstrap", "/opt/bootstrap",
					"/var/runtime/bootstrap", NULL };
static const char *const python3[] = { "/var/runtime/python3", NULL };
static const char *const nodejs[] = { "/var/runtime/nodejs", NULL };

const char *const *runtime_candidates(enum runtime_family family)
{
	static const char *const *const of[RUNTIME_FAMILIES] = {
		[RUNTIME_PROVIDED] = provided,
		[RUNTIME_PYTHON3] = python3,
		[RUNTIME_NODEJS] = nodejs,
	};

	return of[family];
}

static size_t name_len(const char *variable)
{
	return strcspn(variable, "=");
}

static bool same_name(const char *a, const char *b)
{
	return name_len(a) == name_len(b) && strncmp(a, b, name_len(a)) == 0;
}

bool runtime_env_reserved(const char *name)
{
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (same_name(name, reserved[i]))
			return true;
	return false;
}

/* One of ours. */
struct variable {
	const char *name, *value;
};

static size_t list_ours(const struct runtime_about *a, const char *memory,
			struct variable ret[static OURS_MAX])
{
	const struct variable all[] = {
		{ "_HANDLER", a->handler },
		{ "AWS_DEFAULT_REGION", a->region },
		{ "AWS_REGION", a->region },
		{ "AWS_EXECUTION_ENV", a->execution_env },
		{ "AWS_LAMBDA_FUNCTION_NAME", a->function },
		{ "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory },
		{ "AWS_LAMBDA_FUNCTION_VERSION", a->version },
		{ "AWS_LAMBDA_INITIALIZATION_TYPE",
		  a->provisioned ? "provisioned-concurrency" : "on-demand" },
		{ "AWS_LAMBDA_LOG_GROUP_NAME", a->log_group },
		{ "AWS_LAMBDA_LOG_STREAM_NAME", a->log_stream },
		{ "AWS_LAMBDA_RUNTIME_API", a->api },
		{ "LAMBDA_TASK_ROOT", "/var/task" },
		{ "LAMBDA_RUNTIME_DIR", "/var/runtime" },
		{ "CLOCHE_REUSE", a->forks ? "fork" : NULL },
		{ "TZ", ":UTC" },
		{ "LANG", a->family == RUNTIME_IMAGE ? NULL : "en_US.UTF-8" },
		{ "HOME", "/tmp" },
		{ "PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin" },
		{ "LD_LIBRARY_PATH", a->family == RUNTIME_IMAGE
					     ? NULL
					     : "/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:"
					       "/var/task:/var/task/lib:/opt/lib" },
		{ "NODE_PATH", a->family == RUNTIME_NODEJS
				       ? "/opt/nodejs/node_modules:/var/runtime/node_modules:"
					 "/var/runtime:/var/task"
				       : NULL },
	};
	size_t n = 0;

	_Static_assert(sizeof(all) / sizeof(all[0]) <= OURS_MAX, "room");
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].value)
			ret[n++] = all[i];
	return n;
}

static bool is_set_by(const char *const *own, const char *name)
{
	for (; own && *own; own++)
		if (same_name(*own, name))
			return true;
	return false;
}

/* Of the same name the last one counts. */
static bool is_left_out(const char *const *own)
{
	return !strchr(*own, '=') || runtime_env_reserved(*own) || is_set_by(own + 1, *own);
}

int runtime_env_make(const struct runtime_about *about, char ***ret, struct cloche_err *err)
{
	struct variable ours[OURS_MAX];
	char memory[16];
	size_t n, size = sizeof(char *), at = 0;
	char **list, *text;

	(void)snprintf(memory, sizeof(memory), "%u", about->memory_mb);
	n = list_ours(about, memory, ours);
	for (size_t i = 0; i < n; i++)
		size += sizeof(char *) + strlen(ours[i].name) + strlen(ours[i].value) + 2;
	for (const char *const *own = about->own; own && *own; own++)
		size += sizeof(char *) + strlen(*own) + 1;
	list = malloc(size);
	if (!list)
		return cloche_err_sys(err, ENOMEM, "make a function's environment");
	text = (char *)list + size;
	for (size_t i = 0; i < n; i++) {
		if (is_set_by(about->own, ours[i].name) && !runtime_env_reserved(ours[i].name))
			continue;
		text -= strlen(ours[i].name) + strlen(ours[i].value) + 2;
		(void)sprintf(text, "%s=%s", ours[i].name, ours[i].value);
		list[at++] = text;
	}
	for (const char *const *own = about->own; own && *own; own++) {
		if (is_left_out(own))
			continue;
		text -= strlen(*own) + 1;
		memcpy(text, *own, strlen(*own) + 1);
		list[at++] = text;
	}
	list[at] = NULL;
	*ret = list;
	return 0;
}
