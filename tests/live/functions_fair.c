/* SPDX-License-Identifier: MIT */
/* What one owner does with his functions others do not feel: who has all places, who draws an init
 * out. Needs root. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/lib/functions.h"
#include "tests/lib/tmpdir.h"

#define OTHER "1001"

static const char app[] = "import time\n"
			  "def handler(event, context):\n"
			  "    return 'well'\n";

static void begin(struct project *s, const char *config)
{
	project_begin(s, config);
	project_dir(s, "code");
	project_put(s, "code/app.py", app);
}

/* How many contexts of a function a user has in that state. */
static unsigned count(struct project *s, const char *user, const char *function, const char *state)
{
	char of[100], in[40];
	unsigned n = 0;

	(void)snprintf(of, sizeof(of), "\"function\":\"%s\"", function);
	(void)snprintf(in, sizeof(in), "\"state\":\"%s\"", state);
	project_by(s, user, (const char *const[]){ "ps", "--json", NULL });
	for (char *line = strtok(s->run.out, "\n"); line; line = strtok(NULL, "\n"))
		n += strstr(line, of) && strstr(line, in);
	return n;
}

/* A process that is kept has a place among those that may run, and gives it up while it is idle. */
Test(functions_fair, what_is_kept_and_idle_gives_way_to_what_is_to_run)
{
	struct project s;

	begin(&s, "running: 1\n");
	project_deploy(&s, "functions:\n" F("kept", "128"));
	OWN("invoke", "kept");
	project_expect(&s, "\"well\"");
	cr_expect_eq(count(&s, DAEMON_USER, "kept", "ready"), 1);
	BY(OTHER, "run", "-q", "-m", "16M", "--cpu", "shared", "-t", "60s", "echo", "ran");
	project_expect(&s, "ran\n");
	cr_expect_eq(count(&s, DAEMON_USER, "kept", "ready"), 0);
	OWN("invoke", "kept");
	project_expect(&s, "\"well\"");
	/* It is what is asked for. */
	OWN("invoke", "kept");
	project_expect(&s, "\"well\"");
	project_end(&s);
}

/* Thirty inits, one after the other, of nearly all the time that each may have. */
Test(functions_fair, who_draws_an_init_out_holds_up_nobody_else)
{
	static const char yaml[] = "functions:\n"
				   "  soon: {runtime: python3, code: code, handler: app.handler,\n"
				   "         memory: 128, concurrency: {provisioned: %s}}\n";
	char text[sizeof(yaml) + 8];
	struct project s;

	begin(&s, "");
	project_put(&s, "code/app.py",
		    "import time\ntime.sleep(9)\n"
		    "def handler(event, context):\n    return 'well'\n");
	(void)snprintf(text, sizeof(text), yaml, "30");
	project_deploy_as(&s, DAEMON_USER, text);
	project_put(&s, "code/app.py", app);
	(void)snprintf(text, sizeof(text), yaml, "1");
	project_deploy_as(&s, OTHER, text);
	while (count(&s, OTHER, "soon", "ready") == 0)
		;
	cr_expect_lt(count(&s, DAEMON_USER, "soon", "ready"), 30);
	project_end(&s);
}
