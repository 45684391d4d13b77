/* SPDX-License-Identifier: MIT */
/* Invokes a function by a connection that stays: see caller.h. */
#include "caller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "ledger/ledger.h"
#include "run/outcome.h"
#include "serve/remote_invoke.h"

int caller_open(const char *control, const char *function, struct caller *ret,
		struct cloche_err *err)
{
	int r;

	*ret = (struct caller){ .function = function };
	r = remote_invoke_open(control, &ret->remote, err);
	/* Who is silent for ten seconds is hung up on: it may be so before the first event. */
	ret->remote.kept = r == 0;
	return r;
}

void caller_close(struct caller *c)
{
	remote_close(&c->remote);
}

int caller_call(struct caller *c, const char *event, int64_t *ret_ns, int64_t *ret_own,
		struct cloche_err *err)
{
	const struct remote_event e = {
		.function = c->function, .bytes = event, .len = strlen(event), .cancel_fd = -1
	};
	struct remote_response response = { NULL, 0, 0 };
	struct ledger_repair found;
	static struct outcome out; /* it is large, and this program has one thread */
	int64_t start = clock_now_ns();
	int r = remote_invoke_by(&c->remote, &e, &out, &found, &response, err);

	*ret_ns = clock_now_ns() - start;
	if (r == 0 && out.verdict != VERDICT_OK)
		r = cloche_err_set(err, EIO, "%s: %s: %.200s %.200s", c->function,
				   verdict_text(out.verdict), out.err.text,
				   response.bytes ? response.bytes : "");
	*ret_own = r == 0 && response.bytes ? strtoll(response.bytes, NULL, 10) : 0;
	free(response.bytes);
	return r;
}
