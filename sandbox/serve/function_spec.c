/* SPDX-License-Identifier: MIT */
/* From a version of a function to a spec: see function_spec.h. */
#include "serve/function_spec.h"

#include "base/err.h"
#include "base/fd.h"
#include "function/function_store.h"
#include "launch/order.h"
#include "runtime/runtime_env.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define API "127.0.0.1:9001"

static enum runtime_family family_of(const struct function_config *c)
{
	switch (c->family) {
	case FAMILY_PYTHON3:
		return RUNTIME_PYTHON3;
	case FAMILY_NODEJS:
		return RUNTIME_NODEJS;
	case FAMILY_IMAGE:
		return RUNTIME_IMAGE;
	default:
		return RUNTIME_PROVIDED;
	}
}

/* One behind the other, of what stays where it is: the last of a name counts. */
static const char **joined(char *const *a, char *const *b)
{
	size_t n = 0, at = 0;
	const char **list;

	for (char *const *e = a; e && *e; e++)
		n++;
	for (char *const *e = b; e && *e; e++)
		n++;
	list = calloc(n + 1, sizeof(*list));
	for (char *const *e = a; list && e && *e; e++)
		list[at++] = *e;
	for (char *const *e = b; list && e && *e; e++)
		list[at++] = *e;
	return list;
}

/* Of what its runtime is told, what is not the configuration's own. */
static int make_env(const struct function_version *v, uint32_t asked, bool provisioned,
		    struct function_spec *s, struct cloche_err *err)
{
	const struct function_config *c = &v->config;
	cleanup_free const char **own = joined(c->start.env, c->env);
	char group[96], stream[96], as[64], number[16] = "$LATEST";
	struct runtime_about about = { .family = family_of(c),
				       .function = c->name,
				       .version = number,
				       .handler = c->handler ? c->handler[0] : NULL,
				       .region = FUNCTION_SPEC_REGION,
				       .log_group = group,
				       .log_stream = stream,
				       .execution_env = c->family == FAMILY_IMAGE ? NULL : as,
				       .api = c->family == FAMILY_EXEC || c->family == FAMILY_NATIVE
						      ? NULL
						      : API,
				       .memory_mb = (uint32_t)(s->spec.memory_bytes >> 20),
				       .provisioned = provisioned,
				       .forks = c->reuse == REUSE_FORK,
				       .own = own };
	time_t now = time(NULL);
	struct tm day;

	if (!own)
		return cloche_err_sys(err, ENOMEM, "make a function's environment");
	if (asked)
		(void)snprintf(number, sizeof(number), "%" PRIu32, asked);
	(void)gmtime_r(&now, &day);
	(void)snprintf(group, sizeof(group), "/aws/lambda/%s", c->name);
	(void)snprintf(stream, sizeof(stream), "%04d/%02d/%02d/[%s]%016" PRIx64, day.tm_year + 1900,
		       day.tm_mon + 1, day.tm_mday, number, v->id);
	(void)snprintf(as, sizeof(as), "AWS_Lambda_%s", c->runtime);
	return runtime_env_make(&about, &s->env, err);
}

/* A file of the runtime's, of the code, or what its image says. */
static void find_command(const struct function_config *c, struct function_spec *ret)
{
	struct spec *s = &ret->spec;

	if (c->family == FAMILY_IMAGE) {
		s->argv = c->start.command;
		return;
	}
	s->candidates = c->family == FAMILY_NATIVE ? NULL : runtime_candidates(family_of(c));
	ret->command[0] = s->candidates ? (char *)(uintptr_t)s->candidates[0] : ret->program;
	ret->command[1] = NULL;
	(void)snprintf(ret->program, sizeof(ret->program), "/var/task/%s",
		       c->handler ? c->handler[0] : "");
	s->argv = ret->command;
}

/* Where an image is at home is its root. */
static void find_place(const struct function_config *c, struct function_spec *ret)
{
	struct spec *s = &ret->spec;

	s->workdir = "/var/task";
	if (c->family != FAMILY_IMAGE)
		return;
	s->workdir = c->start.workdir ? c->start.workdir : "/";
	s->rootfs = c->image;
	ret->image.own = COMMAND_IMAGE_PINNED;
	(void)snprintf(ret->image.sha256, sizeof(ret->image.sha256), "%s", c->code.sha256);
	s->image = &ret->image;
}

/* Its init has ten seconds, and no longer than the host lets any function have. */
int function_spec_make(const struct function_version *v, uint32_t asked, bool provisioned,
		       struct function_spec *ret, struct cloche_err *err)
{
	const struct function_config *c = &v->config;
	struct spec *s = &ret->spec;

	spec_defaults(s);
	s->memory_bytes = ret->memory_bytes ? ret->memory_bytes : c->memory_mb << 20;
	s->tmp_bytes = c->tmp_bytes ? c->tmp_bytes : s->tmp_bytes;
	s->policy = c->policy;
	s->bare = c->filter;
	s->bare_size = c->filter_size;
	find_place(c, ret);
	s->pids = 1024;
	if (c->family == FAMILY_EXEC) {
		s->argv = c->handler;
		s->timeout_ns = c->timeout_ns;
		s->net = c->net;
	} else {
		find_command(c, ret);
		s->timeout_ns = ORDER_INIT_MAX_NS;
		s->kept = true;
		s->zygote = c->reuse == REUSE_FORK;
		s->api = c->family != FAMILY_NATIVE;
		s->net = s->api ? NET_LOOPBACK : c->net;
	}
	if (make_env(v, asked, provisioned, ret, err) < 0)
		return -err->code;
	s->env = ret->env;
	return 0;
}

void function_spec_free(struct function_spec *s)
{
	free(s->env);
	s->env = NULL;
}

/* Whose files they are is no matter where there are none of his. */
void function_spec_kind(const struct function_version *v, struct held_kind *ret)
{
	struct command_make *make = &ret->make;

	make->owner = make->owner_gid = v->owner;
	ret->function = v->id;
	if (v->config.family == FAMILY_IMAGE)
		return;
	(void)snprintf(make->code[0].sha256, sizeof(make->code[0].sha256), "%s",
		       v->config.code.sha256);
	for (size_t i = 0; i < v->config.n_layers; i++)
		(void)snprintf(make->code[i + 1].sha256, sizeof(make->code[i + 1].sha256), "%s",
			       v->config.layers[i].sha256);
}
