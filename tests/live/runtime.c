/* SPDX-License-Identifier: MIT */
/*
 * What a function may do with the Runtime API, by a small static client of it (helpers/runtime.c):
 * each invocation has one answer. And the bootstraps where contexts find them.
 */
#include "tests/lib/runtime_host.h"

#include "tests/lib/run.h"

static void start_helper(struct host *h, const char *argument)
{
	static const char *client[] = { NULL, NULL };

	client[0] = env_helper("runtime");
	start_any(h, NULL, client, argument,
		  (const struct file[]){ { "none", "" }, { NULL, NULL } });
}

Test(runtime, answers_once)
{
	static const struct {
		const char *event;
		enum runtime_news news;
		const char *text;
	} cases[] = {
		{ "{\"a\":1}", RUNTIME_RESPONDED, "{\"a\":1}" },
		{ "\"error\"", RUNTIME_FAILED, "{\"errorType\":\"Of.Mine\"}" },
		{ "\"twice\"", RUNTIME_RESPONDED, "\"twice\"" },
		{ "\"others\"", RUNTIME_RESPONDED, "\"others\"" },
		{ "\"early\"", RUNTIME_RESPONDED, "\"early\"" },
		{ "\"half\"", RUNTIME_CUT, NULL },
		{ "\"large\"", RUNTIME_OVERSIZED, NULL },
		{ "\"junk\"", RUNTIME_RESPONDED, "\"junk\"" },
		{ "\"crowd\"", RUNTIME_RESPONDED, "\"crowd\"" },
		{ "2", RUNTIME_RESPONDED, "2" },
	};
	struct host h;
	int status;

	start_helper(&h, "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(invoke_with(&h, cases[i].event), cases[i].news, "%s", cases[i].event);
		if (cases[i].text)
			cr_expect_str_eq(h.text, cases[i].text);
	}
	while (next_news(&h) != RUNTIME_ASKED)
		;
	rig_give(&h.rig, ID, "\"exit\"");
	status = end(&h, 0);
	cr_assert_eq(WEXITSTATUS(status), 7);
}

Test(runtime, error_of_init)
{
	struct host h;
	int status;

	start_helper(&h, "init");
	cr_assert_eq(next_news(&h), RUNTIME_INIT_ERROR);
	cr_assert_str_eq(h.text, "{\"errorType\":\"Of.Init\"}");
	status = end(&h, 0);
	cr_assert_eq(WEXITSTATUS(status), 9);
}

/* The Runtime API in miniature, in the context itself: one event for the bootstrap that argv names.
 */
static const char miniature[] =
	"import os, socket, sys\n"
	"open('/tmp/app.py', 'w').write('def handler(e, c): return [e, c.aws_request_id]')\n"
	"open('/tmp/app.js', 'w').write('exports.handler = async (e, c) => [e, c.awsRequestId]')\n"
	"s = socket.socket(); s.bind(('127.0.0.1', 9001)); s.listen()\n"
	"if os.fork() == 0:\n"
	"    os.execve(sys.argv[1], sys.argv[1:], {'AWS_LAMBDA_RUNTIME_API': '127.0.0.1:9001',\n"
	"        'LAMBDA_TASK_ROOT': '/tmp', '_HANDLER': 'app.handler'})\n"
	"c, _ = s.accept(); c.recv(9999)\n"
	"c.sendall(b'HTTP/1.1 200 OK\\r\\nLambda-Runtime-Aws-Request-Id: id\\r\\n'\n"
	"          b'Content-Length: 1\\r\\n\\r\\n5')\n"
	"data = b''\n"
	"while b']' not in data: data += c.recv(9999)\n"
	"print(data.decode())\n";

static void expect_bootstrap(const char *name, const char *response)
{
	cleanup_run struct run run = { 0 };
	char path[64];

	(void)snprintf(path, sizeof(path), BOOTSTRAPS_DIR "/%s", name);
	RUN_CLOCHE(&run, ROOMY, "-m", "1G", "--net", "loopback", "--", "/usr/bin/python3", "-c",
		   miniature, path);
	expect_end(&run, 0, "ok");
	expect_has(run.out, "POST /2018-06-01/runtime/invocation/id/response HTTP/1.1\r\n");
	expect_has(run.out, response);
}

Test(runtime, bootstraps_in_a_context)
{
	expect_bootstrap("python3", "[5, \"id\"]");
	if (access("/usr/bin/node", X_OK) == 0)
		expect_bootstrap("nodejs", "[5,\"id\"]");
}
