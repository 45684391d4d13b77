/* SPDX-License-Identifier: MIT */
/* What one owner does with his functions others do not feel: who has all places, who draws an init
 * out, whose versions a disk takes long to write. Needs root. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* ---- a disk that takes its time -------------------------------------------------------------- */

/* Where the first version of "slow" is to be written there is what lets nobody write before it is
 * read: a disk that does not answer. */
static void plant(const struct project *s, char ret[static 700])
{
	static const char *const above[] = { "1000", "1000/slow" };
	struct stat st;

	(void)snprintf(ret, 700, "%s/state/daemon", s->d.dir);
	cr_assert_eq(stat(ret, &st), 0, "%s: %m", ret);
	for (int i = 0; i < 2; i++) {
		(void)snprintf(ret, 700, "%s/state/daemon/functions/%s", s->d.dir, above[i]);
		cr_assert(mkdir(ret, 0700) == 0 && chown(ret, st.st_uid, st.st_gid) == 0, "%s: %m",
			  ret);
	}
	(void)snprintf(ret, 700, "%s/state/daemon/functions/1000/slow/1.json", s->d.dir);
	cr_assert(mkfifo(ret, 0600) == 0 && chown(ret, st.st_uid, st.st_gid) == 0, "%s: %m", ret);
}

/* A deploy of "slow", by the user, that does not end. */
static struct client begin_slow(struct project *s)
{
	struct daemon d = s->d;
	char path[700];

	project_put(s, "slow.yaml", "functions:\n" F("slow", "128"));
	(void)snprintf(path, sizeof(path), "%s/slow.yaml", s->project);
	d.verb = "deploy";
	return client_start(&d, (const char *const[]){ path, NULL });
}

/* Whoever waits to write has come, and who reads it then finds it open. */
static void let_go(const char *fifo, int ret[static 2])
{
	ret[0] = open(fifo, O_RDONLY | O_CLOEXEC);
	ret[1] = open(fifo, O_WRONLY | O_CLOEXEC);
	cr_assert(ret[0] >= 0 && ret[1] >= 0, "%m");
}

Test(functions_fair, whose_versions_are_not_written_holds_up_himself)
{
	struct project s;
	struct client c, next;
	struct daemon d;
	char fifo[700], path[700];
	int ends[2];

	begin(&s, "");
	plant(&s, fifo);
	c = begin_slow(&s);
	/* Behind it, and not before. */
	d = s.d;
	d.verb = "deploy";
	project_put(&s, "next.yaml", "functions:\n" F("next", "128"));
	(void)snprintf(path, sizeof(path), "%s/next.yaml", s.project);
	next = client_start(&d, (const char *const[]){ path, NULL });
	project_deploy_as(&s, OTHER, "functions:\n" F("other", "128"));
	project_expect(&s, "deployed other version 1 (new)");
	BY(OTHER, "invoke", "other");
	project_expect(&s, "\"well\"");
	BY(OTHER, "deploy", "--rollback", "other@1");
	project_expect(&s, "other");
	BY(OTHER, "remove", "other");
	cr_expect_eq(s.run.status, 0, "%s", s.run.err);
	/* He himself is served with all else. */
	OWN("functions", "--json");
	cr_expect_eq(s.run.status, 0, "%s", s.run.err);
	cr_expect_null(strstr(s.run.out, "slow"), "%s", s.run.out);
	OWN("run", "-q", "-m", "16M", "--cpu", "shared", "-t", "60s", "echo", "ran");
	project_expect(&s, "ran\n");
	/* No file can be made of that: it is refused, and what it began is undone. */
	let_go(fifo, ends);
	expect_line(c.err, "write '1.json'");
	cr_expect_neq(process_status(c.pid), 0);
	cr_expect_eq(process_status(next.pid), 0);
	OWN("functions", "--json");
	project_expect(&s, "\"next\"");
	cr_expect_null(strstr(s.run.out, "slow"), "%s", s.run.out);
	client_expect_over(&c);
	(void)close(ends[0]);
	(void)close(ends[1]);
	c = begin_slow(&s);
	cr_expect_eq(process_status(c.pid), 0);
	OWN("invoke", "slow");
	project_expect(&s, "\"well\"");
	project_end(&s);
}

/* It ends within the time of grace all the same, and what was not written is not there. */
Test(functions_fair, a_disk_that_does_not_answer_holds_up_no_end)
{
	struct project s;
	struct client c;
	char fifo[700];

	begin(&s, "");
	plant(&s, fifo);
	c = begin_slow(&s);
	/* Its code is there, and its versions are next. */
	while (project_codes(&s, DAEMON_USER) == 0)
		(void)usleep(1000);
	OWN("functions", "--json");
	cr_assert_eq(kill(s.d.pid, SIGTERM), 0);
	cr_expect_eq(process_status(s.d.pid), 0);
	cr_expect_neq(process_status(c.pid), 0);
	client_expect_over(&c);
	daemon_start(&s.d);
	OWN("functions", "--json");
	cr_expect_null(strstr(s.run.out, "slow"), "%s", s.run.out);
	c = begin_slow(&s);
	cr_expect_eq(process_status(c.pid), 0);
	project_end(&s);
}
