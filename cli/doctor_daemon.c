/* SPDX-License-Identifier: MIT */
/* Asks the daemon how it is: see doctor_daemon.h. */
#include "cli/doctor_daemon.h"

#include "base/err.h"
#include "base/fd.h"
#include "serve/listing.h"
#include "serve/remote.h"
#include "serve/request.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

void doctor_daemon_ask(struct doctor_daemon *ret)
{
	cleanup_free struct listing *l = NULL;
	const char *control = getenv("CLOCHE_CONTROL");
	struct cloche_err err = { 0 };
	int r;

	*ret = (struct doctor_daemon){ .control = control ? control : CONTROL_PATH };
	r = remote_list(ret->control, &l, &err);
	if (r < 0 || !l) {
		if (r != -ENOENT && r != -ECONNREFUSED)
			(void)snprintf(ret->why, sizeof(ret->why), "%.190s", err.text);
		return;
	}
	ret->serves = true;
	ret->contexts = l->n;
	clock_format_iso(l->since_ns, ret->since);
}

void doctor_daemon_show(const struct doctor_daemon *d)
{
	if (d->serves)
		(void)printf("The daemon serves at %s, version " CLOCHE_VERSION ", since %s: %u "
			     "contexts%s.\n",
			     d->control, d->since, d->contexts, d->contexts ? " now" : "");
	else if (d->why[0])
		(void)printf("The daemon at %s: %s\n", d->control, d->why);
	else
		(void)printf("No daemon serves at %s: 'cloche serve' lets users without privilege "
			     "run functions.\n",
			     d->control);
}

json_t *doctor_daemon_json(const struct doctor_daemon *d)
{
	if (d->serves)
		return json_pack("{s:s, s:b, s:s, s:s, s:i}", "control", d->control, "serves", true,
				 "version", CLOCHE_VERSION, "since", d->since, "contexts",
				 (int)d->contexts);
	if (d->why[0])
		return json_pack("{s:s, s:b, s:s}", "control", d->control, "serves", false, "why",
				 d->why);
	return json_null();
}
