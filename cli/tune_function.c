/* SPDX-License-Identifier: MIT */
/* Invocations of a deployed function at any memory size: see tune_function.h. */
#include "cli/tune_function.h"

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
#include <stdlib.h>
#include <string.h>

/* For want of room what is idle gives way, and so may the one that was warm. */
#define COLD_MAX 3

/* What of its configuration this takes. */
static int read_config(struct tune_function *f, const json_t *o, struct cloche_err *err)
{
	const json_t *versions = json_object_get(o, "versions");
	json_int_t wanted = f->version ? f->version : functions_number(o, "current");

	for (size_t i = 0; i < json_array_size(versions); i++) {
		const json_t *v = json_array_get(versions, i);
		const json_t *config = json_object_get(v, "config");
		const char *reuse = json_string_value(json_object_get(config, "reuse"));

		if (functions_number(v, "version") != wanted)
			continue;
		f->memory_bytes = (uint64_t)functions_number(config, "memory_mb") << 20;
		f->kept = reuse && (strcmp(reuse, "process") == 0 || strcmp(reuse, "fork") == 0);
		return 0;
	}
	return cloche_err_set(err, ENOENT, "function '%s' has no version %u", f->name, f->version);
}

int tune_function_open(struct tune_function *f, const char *ref, const char *payload,
		       const struct rights *as, struct cloche_err *err)
{
	json_t *o = NULL;
	int r;

	*f = (struct tune_function){ .remote = { .socket = -1 }, .cancel_fd = -1 };
	r = function_ref_parse(ref, f->name, &f->version, err);
	if (r == 0)
		r = event_read(payload, as, &f->event, &f->len, err);
	if (r == 0)
		r = remote_functions(functions_control(), f->name, &o, err);
	if (r == 0)
		r = read_config(f, o, err);
	json_decref(o);
	if (r == 0)
		r = remote_invoke_open(functions_control(), &f->remote, err);
	return r == 0 ? cancel_open(&f->cancel_fd, err) : r;
}

void tune_function_close(struct tune_function *f)
{
	remote_close(&f->remote);
	fd_close(&f->cancel_fd);
	free(f->event);
	f->event = NULL;
}

int tune_function_run(struct tune_function *f, uint64_t memory_bytes, struct outcome *out,
		      unsigned *ret_cold, char *ret_said, size_t said_size, struct cloche_err *err)
{
	const struct remote_event event = { .function = f->name,
					    .version = f->version,
					    .memory_bytes = memory_bytes,
					    .bytes = f->event,
					    .len = f->len,
					    .cancel_fd = f->cancel_fd };
	struct remote_response response;
	struct ledger_repair found;
	bool cold;
	int r;

	*ret_cold = 0;
	do {
		response = (struct remote_response){ NULL, 0, 0 };
		r = remote_invoke_by(&f->remote, &event, out, &found, &response, err);
		if (r < 0)
			return r;
		quote_field(ret_said, said_size, response.bytes ? response.bytes : "");
		free(response.bytes);
		cold = f->kept && out->verdict == VERDICT_OK && !out->context.warm;
		*ret_cold += cold;
	} while (cold && *ret_cold < COLD_MAX);
	return 0;
}
