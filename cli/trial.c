/* SPDX-License-Identifier: MIT */
/* Invocations of a deployed function, to see what it does: see trial.h. */
#include "cli/trial.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/quote.h"
#include "cli/cancel.h"
#include "cli/event.h"
#include "cli/functions.h"
#include "ledger/ledger.h"
#include "run/outcome.h"
#include "serve/remote_function.h"
#include "serve/remote_invoke.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For want of room what is idle gives way, and so may the one that was warm. */
#define COLD_MAX 3

/* What speaks the Runtime API has its loopback in any case. */
static bool is_offline(const json_t *config)
{
	const char *runtime = json_string_value(json_object_get(config, "runtime"));
	const char *network = json_string_value(json_object_get(config, "network"));
	struct function_config c = { .family = FAMILY_IMAGE };

	(void)(runtime && *runtime && function_family_of(runtime, &c.family));
	return !function_speaks_http(&c) && network && strcmp(network, "none") == 0;
}

/* What of its configuration this takes. */
static int read_config(struct trial *t, const json_t *o, struct cloche_err *err)
{
	const json_t *versions = json_object_get(o, "versions");
	json_int_t wanted = t->version ? t->version : functions_number(o, "current");

	for (size_t i = 0; i < json_array_size(versions); i++) {
		const json_t *v = json_array_get(versions, i);
		const json_t *config = json_object_get(v, "config");
		const char *reuse = json_string_value(json_object_get(config, "reuse"));

		if (functions_number(v, "version") != wanted)
			continue;
		t->own_policy = json_object_get(config, "filter") != NULL;
		t->memory_bytes = (uint64_t)functions_number(config, "memory_mb") << 20;
		t->kept = reuse && (strcmp(reuse, "process") == 0 || strcmp(reuse, "fork") == 0);
		t->offline = is_offline(config);
		(void)snprintf(t->policy, sizeof(t->policy), "%s",
			       functions_string(config, "policy").s);
		return 0;
	}
	return cloche_err_set(err, ENOENT, "function '%s' has no version %u", t->name, t->version);
}

int trial_open(struct trial *t, const char *ref, struct cloche_err *err)
{
	json_t *o = NULL;
	int r;

	*t = (struct trial){ .remote = { .socket = -1 }, .cancel_fd = -1 };
	r = function_ref_parse(ref, t->name, &t->version, err);
	if (r == 0)
		r = remote_functions(functions_control(), t->name, &o, err);
	if (r == 0)
		r = read_config(t, o, err);
	json_decref(o);
	if (r == 0)
		r = remote_invoke_open(functions_control(), &t->remote, err);
	return r == 0 ? cancel_open(&t->cancel_fd, err) : r;
}

int trial_event(struct trial *t, const char *payload, const struct rights *as,
		struct cloche_err *err)
{
	free(t->event);
	t->event = NULL;
	t->len = 0;
	return event_read(payload, as, &t->event, &t->len, err);
}

void trial_close(struct trial *t)
{
	remote_close(&t->remote);
	fd_close(&t->cancel_fd);
	free(t->event);
	t->event = NULL;
}

int trial_run(struct trial *t, uint64_t memory_bytes, struct outcome *out, unsigned *ret_cold,
	      char *ret_said, size_t said_size, struct cloche_err *err)
{
	const struct remote_event event = { .function = t->name,
					    .version = t->version,
					    .memory_bytes = memory_bytes,
					    .bytes = t->event,
					    .len = t->len,
					    .cancel_fd = t->cancel_fd };
	struct remote_response response;
	struct ledger_repair found;
	bool cold;
	int r;

	if (ret_cold)
		*ret_cold = 0;
	do {
		response = (struct remote_response){ NULL, 0, 0 };
		r = remote_invoke_by(&t->remote, &event, out, &found, &response, err);
		if (r < 0)
			return r;
		quote_field(ret_said, said_size, response.bytes ? response.bytes : "");
		free(response.bytes);
		cold = ret_cold && t->kept && out->verdict == VERDICT_OK && !out->context.warm;
		if (cold)
			++*ret_cold;
	} while (cold && *ret_cold < COLD_MAX);
	return 0;
}
