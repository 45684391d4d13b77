/* SPDX-License-Identifier: MIT */
/*
 * The bootstraps as plain processes against the Runtime API: handlers, contexts and errors as
 * Lambda has them.
 */
#include "tests/lib/runtime_rig.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "launch/bootstraps.h"
#include "tests/lib/env.h"
#include "tests/lib/spawn.h"
#include "tests/lib/tmpdir.h"

#define ID "8476a536-e9f4-11e8-9739-2dfe598c3fcd"

struct file {
	const char *name, *text;
};

/* A runtime's process, and the host's side of it. */
struct host {
	struct runtime_rig rig;
	char *dir; /* with the bootstrap, "task", and its output in "log" */
	pid_t pid;
	struct runtime_answer answer;
	char *text; /* of the answer */
};

static void put(const char *dir, const char *name, const void *bytes, size_t len, mode_t mode)
{
	char path[512], *slash = tmpdir_path(path, dir, name) + strlen(dir) + 1;
	cleanup_fd int fd = -1;

	while ((slash = strchr(slash, '/'))) {
		*slash = '\0';
		(void)mkdir(path, 0755);
		*slash++ = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	cr_assert_geq(fd, 0, "%s: %m", path);
	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
}

static void put_bootstrap(const char *dir, const char *runtime)
{
	const struct bootstrap *b = bootstraps;

	while (b->name && strcmp(b->name, runtime) != 0)
		b++;
	cr_assert_not_null(b->name, "%s", runtime);
	put(dir, "bootstrap", b->bytes, b->len, 0755);
}

static void execute(const struct host *h, const char *handler)
{
	char api[64], task[600], name[300], path[512];
	char *env[] = { api,
			task,
			name,
			"AWS_LAMBDA_FUNCTION_NAME=f",
			"AWS_LAMBDA_FUNCTION_VERSION=7",
			"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128",
			"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/f",
			"AWS_LAMBDA_LOG_STREAM_NAME=stream",
			"PATH=/usr/local/bin:/usr/bin:/bin",
			"LANG=en_US.UTF-8",
			NULL };
	int out = open(tmpdir_path(path, h->dir, "log"), O_WRONLY | O_CREAT | O_APPEND, 0644);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)snprintf(api, sizeof(api), "AWS_LAMBDA_RUNTIME_API=%s", h->rig.address);
	(void)snprintf(task, sizeof(task), "LAMBDA_TASK_ROOT=%s/task", h->dir);
	(void)snprintf(name, sizeof(name), "_HANDLER=%s", handler);
	(void)dup2(out, STDOUT_FILENO);
	(void)dup2(out, STDERR_FILENO);
	if (chdir(strchr(task, '=') + 1) == 0)
		(void)execve(tmpdir_path(path, h->dir, "bootstrap"),
			     (char *[]){ "bootstrap", NULL }, env);
	_exit(99);
}

static void start(struct host *h, const char *runtime, const char *handler,
		  const struct file files[])
{
	char path[512];

	*h = (struct host){ .dir = tmpdir_make() };
	rig_open(&h->rig);
	put_bootstrap(h->dir, runtime);
	for (; files->name; files++)
		put(h->dir, tmpdir_path(path, "task", files->name), files->text,
		    strlen(files->text), 0644);
	h->pid = fork();
	if (h->pid == 0)
		execute(h, handler);
}

static char *log_of(const struct host *h)
{
	char path[512];

	return contents(tmpdir_path(path, h->dir, "log"));
}

static enum runtime_news next_news(struct host *h)
{
	enum runtime_news news = rig_news(&h->rig);

	if (news == RUNTIME_ASKED)
		return news;
	runtime_http_answer(h->rig.http, &h->answer);
	free(h->text);
	h->text = strndup(h->answer.bytes, h->answer.len);
	return news;
}

/* One invocation; what comes of it is in h->answer and h->text. */
static enum runtime_news invoke(struct host *h, const struct runtime_event *event)
{
	while (next_news(h) != RUNTIME_ASKED)
		;
	cr_assert_eq(runtime_http_give(h->rig.http, event, NULL), 0);
	return next_news(h);
}

static enum runtime_news invoke_with(struct host *h, const char *payload)
{
	struct runtime_event e = { .request_id = ID,
				   .deadline_ms = 4102444800000,
				   .function_arn = "arn:f",
				   .payload = payload,
				   .len = strlen(payload) };

	return invoke(h, &e);
}

static int end(struct host *h, int signal)
{
	cleanup_fd int pidfd = pidfd_open(h->pid, 0);
	int status = -1;

	if (signal)
		(void)kill(h->pid, signal);
	while (waitpid(h->pid, &status, WNOHANG) == 0)
		rig_turn(&h->rig, pidfd);
	rig_close(&h->rig);
	free(h->text);
	tmpdir_free(&h->dir);
	return status;
}

static void expect_error(const struct host *h, const char *type, const char *message)
{
	json_t *error = json_loads(h->text, 0, NULL);

	cr_assert_not_null(error, "%s", h->text);
	cr_expect_str_eq(json_string_value(json_object_get(error, "errorType")), type);
	cr_expect_not_null(
		strstr(json_string_value(json_object_get(error, "errorMessage")), message), "%s",
		h->text);
	cr_expect_str_eq(h->answer.error_type, type);
	cr_expect(json_is_array(json_object_get(error, "stackTrace")) ||
		  json_is_array(json_object_get(error, "trace")));
	json_decref(error);
}

#define FILES(...) ((const struct file[]){ __VA_ARGS__, { NULL, NULL } })

/* ---- Python ---------------------------------------------------------------------------------- */

Test(python3, events_and_responses)
{
	struct host h;

	start(&h, "python3", "app.handler",
	      FILES({ "app.py", "n = 0\n"
				"def handler(event, context):\n"
				"    global n\n"
				"    n += 1\n"
				"    return {'n': n, 'event': event}\n" }));
	cr_assert_eq(invoke_with(&h, "{\"a\": [1, \"\\u00e9\"]}"), RUNTIME_RESPONDED);
	cr_assert_str_eq(h.text, "{\"n\": 1, \"event\": {\"a\": [1, \"\u00e9\"]}}");
	cr_assert_eq(invoke_with(&h, "null"), RUNTIME_RESPONDED);
	cr_assert_str_eq(h.text, "{\"n\": 2, \"event\": null}");
	cr_assert_eq(WTERMSIG(end(&h, SIGTERM)), SIGTERM);
}

Test(python3, nested_packages)
{
	struct host h;

	start(&h, "python3", "a.b.c.handler",
	      FILES({ "a/__init__.py", "" }, { "a/b/__init__.py", "" },
		    { "a/b/c.py", "from a import b\nhandler = lambda e, c: b.__name__\n" }));
	cr_assert_eq(invoke_with(&h, "{}"), RUNTIME_RESPONDED);
	cr_assert_str_eq(h.text, "\"a.b\"");
	(void)end(&h, SIGKILL);
	start(&h, "python3", "a/b/c.handler",
	      FILES({ "a/b/c.py", "handler = lambda e, c: __name__\n" }));
	cr_assert_eq(invoke_with(&h, "{}"), RUNTIME_RESPONDED);
	cr_assert_str_eq(h.text, "\"a.b.c\"");
	(void)end(&h, SIGKILL);
}

Test(python3, context)
{
	struct runtime_event e = {
		.request_id = ID,
		.deadline_ms = 4102444800000,
		.function_arn = "arn:f",
		.trace_id = "Root=1-2-3",
		.client_context = "{\"client\":{\"app_title\":\"t\"},\"custom\":{\"k\":1}}",
		.cognito_identity = "{\"cognitoIdentityId\":\"i\"}",
		.payload = "{}",
		.len = 2
	};
	struct host h;

	start(&h, "python3", "app.handler",
	      FILES({ "app.py",
		      "import os\n"
		      "def handler(event, c):\n"
		      "    return [c.function_name, c.function_version, c.invoked_function_arn,\n"
		      "            c.memory_limit_in_mb, c.aws_request_id, c.log_group_name,\n"
		      "            c.log_stream_name, c.identity.cognito_identity_id,\n"
		      "            c.client_context and c.client_context.client.app_title,\n"
		      "            c.client_context and c.client_context.custom['k'],\n"
		      "            c.get_remaining_time_in_millis() > 1000,\n"
		      "            os.environ.get('_X_AMZN_TRACE_ID')]\n" }));
	cr_assert_eq(invoke(&h, &e), RUNTIME_RESPONDED);
	cr_assert_str_eq(h.text,
			 "[\"f\", \"7\", \"arn:f\", \"128\", \"" ID "\", \"/aws/lambda/f\", "
			 "\"stream\", \"i\", \"t\", 1, true, \"Root=1-2-3\"]");
	cr_assert_eq(invoke_with(&h, "{}"), RUNTIME_RESPONDED);
	cr_assert_str_eq(h.text,
			 "[\"f\", \"7\", \"arn:f\", \"128\", \"" ID "\", \"/aws/lambda/f\", "
			 "\"stream\", null, null, null, true, null]",
			 "nothing of the one before");
	(void)end(&h, SIGKILL);
}

/* An exception is that invocation's error, and the next one's turn comes. */
Test(python3, errors)
{
	cleanup_free char *log = NULL;
	struct host h;

	start(&h, "python3", "app.handler",
	      FILES({ "app.py", "def fail(event):\n"
				"    raise ValueError('no ' + event)\n"
				"def handler(event, context):\n"
				"    if event == 'set':\n"
				"        return {1}\n"
				"    return fail(event)\n" }));
	cr_assert_eq(invoke_with(&h, "\"way\""), RUNTIME_FAILED);
	expect_error(&h, "ValueError", "no way");
	cr_assert_not_null(strstr(h.text, "\"requestId\": \"" ID "\""));
	cr_assert_not_null(
		strstr(h.text, "/app.py\\\", line 6, in handler\\n    return fail(event)"));
	cr_assert_not_null(strstr(h.text, "/app.py\\\", line 2, in fail\\n"));
	cr_assert_null(strstr(h.text, "run_handler"));
	cr_assert_eq(invoke_with(&h, "\"set\""), RUNTIME_FAILED);
	expect_error(&h, "Runtime.MarshalError", "Unable to marshal response: Object of type set");
	cr_assert_eq(invoke_with(&h, "{"), RUNTIME_FAILED);
	expect_error(&h, "Runtime.UnmarshalError", "Unable to unmarshal input: ");
	log = log_of(&h);
	cr_assert_not_null(strstr(log, "[ERROR] ValueError: no way\nTraceback"));
	(void)end(&h, SIGKILL);
}

Test(python3, errors_of_init)
{
	static const struct {
		const char *handler, *code, *type, *message;
	} cases[] = {
		{ "none.handler", "", "Runtime.ImportModuleError",
		  "Unable to import module 'none': No module named 'none'" },
		{ "app.handler", "import nothing_here", "Runtime.ImportModuleError",
		  "Unable to import module 'app': No module named 'nothing_here'" },
		{ "app.handler", "x = 1", "Runtime.HandlerNotFound",
		  "Handler 'handler' missing on module 'app'" },
		{ "app.handler", "def handler(", "Runtime.UserCodeSyntaxError",
		  "Syntax error in module 'app': '(' was never closed (app.py, line 1)" },
		{ "app", "", "Runtime.MalformedHandlerName", "Bad handler 'app'" },
		{ "sys.exit", "", "Runtime.BuiltInModuleConflict", "sys" },
		{ "app.handler", "1 / 0", "ZeroDivisionError", "division by zero" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct host h;
		int status;

		start(&h, "python3", cases[i].handler, FILES({ "app.py", cases[i].code }));
		cr_assert_eq(next_news(&h), RUNTIME_INIT_ERROR);
		expect_error(&h, cases[i].type, cases[i].message);
		status = end(&h, 0);
		cr_expect_eq(WEXITSTATUS(status), 1);
	}
}

/* What is printed is there before the response is. */
Test(python3, log_lines)
{
	cleanup_free char *log = NULL;
	struct host h;

	start(&h, "python3", "app.handler",
	      FILES({ "app.py", "import logging\n"
				"logging.getLogger().setLevel('INFO')\n"
				"def handler(event, context):\n"
				"    print('one', end='')\n"
				"    print('two')\n"
				"    logging.info('three')\n"
				"    print('four', end='')\n" }));
	cr_assert_eq(invoke_with(&h, "{}"), RUNTIME_RESPONDED);
	log = log_of(&h);
	cr_assert_eq(strncmp(log, "onetwo\n[INFO]\t20", 16), 0, "%s", log);
	cr_assert_not_null(strstr(log, "Z\t" ID "\tthree\nfour"), "%s", log);
	(void)end(&h, SIGKILL);
}

Test(python3, large_and_odd)
{
	static char payload[6 << 20];
	struct runtime_event e = { .request_id = ID, .payload = payload, .len = sizeof(payload) };
	struct host h;

	memset(payload, 'x', sizeof(payload));
	payload[0] = payload[sizeof(payload) - 1] = '"';
	start(&h, "python3", "app.handler",
	      FILES({ "app.py", "def handler(event, context):\n"
				"    return event if event != 'more' else 'x' * (7 << 20)\n" }));
	cr_assert_eq(invoke(&h, &e), RUNTIME_RESPONDED);
	cr_assert_eq(h.answer.len, sizeof(payload));
	cr_assert_eq(memcmp(h.answer.bytes, payload, sizeof(payload)), 0);
	cr_assert_eq(invoke_with(&h, "\"more\""), RUNTIME_OVERSIZED);
	cr_assert_eq(invoke_with(&h, "\"\\ud800\""), RUNTIME_FAILED);
	expect_error(&h, "Runtime.MarshalError", "surrogates not allowed");
	cr_assert_eq(invoke_with(&h, "1"), RUNTIME_RESPONDED);
	(void)end(&h, SIGKILL);
}

/* ---- Node.js --------------------------------------------------------------------------------- */

static void need_node(void)
{
	if (access("/usr/bin/node", X_OK) < 0)
		test_skip("/usr/bin/node is not there");
}

static void start_node(struct host *h, const char *handler, const char *name, const char *code)
{
	need_node();
	start(h, "nodejs", handler, FILES({ name, code }));
}

/* Each kind of module and of handler, invoked twice. */
Test(nodejs, kinds_of_handlers)
{
	static const struct {
		const char *handler, *name, *code;
	} cases[] = {
		{ "app.handler", "app.js", "exports.handler = async (e) => ({ e });" },
		{ "app.handler", "app.mjs",
		  "await 1; export const handler = async (e) => ({ e });" },
		{ "app.handler", "app.cjs",
		  "exports.handler = (e, c, done) => done(null, { e });" },
		{ "app.handler", "app.js",
		  "exports.handler = (e, c, done) => setTimeout(() => done(null, { e }), 1);" },
		{ "app.handler", "app.js", "exports.handler = (e, c) => c.succeed({ e });" },
		{ "app.handler", "app.js", "exports.handler = (e, c) => c.done(null, { e });" },
		{ "app.handler", "app.js", "exports.handler = (e) => Promise.resolve({ e });" },
		{ "app.a.b", "app.js", "exports.a = { b: async (e) => ({ e }) };" },
		{ "src/app.handler", "src/app.js", "exports.handler = async (e) => ({ e });" },
		{ "pack.handler", "node_modules/pack/index.js",
		  "exports.handler = async (e) => ({ e });" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct host h;

		start_node(&h, cases[i].handler, cases[i].name, cases[i].code);
		for (int n = 0; n < 2; n++) {
			cr_expect_eq(invoke_with(&h, "[1]"), RUNTIME_RESPONDED, "case %zu", i);
			cr_expect_str_eq(h.text, "{\"e\":[1]}", "case %zu", i);
		}
		(void)end(&h, SIGKILL);
	}
}

Test(nodejs, package_of_modules)
{
	struct host h;

	need_node();
	start(&h, "nodejs", "app.handler",
	      FILES({ "package.json", "{\"type\": \"module\"}" },
		    { "app.js", "export const handler = async () => import.meta.url.slice(-6);" }));
	cr_assert_eq(invoke_with(&h, "{}"), RUNTIME_RESPONDED);
	cr_assert_str_eq(h.text, "\"app.js\"");
	(void)end(&h, SIGKILL);
}

Test(nodejs, context)
{
	struct runtime_event e = { .request_id = ID,
				   .deadline_ms = 4102444800000,
				   .function_arn = "arn:f",
				   .trace_id = "Root=1-2-3",
				   .client_context = "{\"custom\":{\"k\":1}}",
				   .cognito_identity = "{\"cognitoIdentityId\":\"i\"}",
				   .payload = "{}",
				   .len = 2 };
	struct host h;

	start_node(&h, "app.handler", "app.js",
		   "exports.handler = async (e, c) => [c.functionName, c.functionVersion,\n"
		   "  c.invokedFunctionArn, c.memoryLimitInMB, c.awsRequestId, c.logGroupName,\n"
		   "  c.logStreamName, c.identity && c.identity.cognitoIdentityId,\n"
		   "  c.clientContext && c.clientContext.custom.k,\n"
		   "  c.getRemainingTimeInMillis() > 1000, process.env._X_AMZN_TRACE_ID];");
	cr_assert_eq(invoke(&h, &e), RUNTIME_RESPONDED);
	cr_assert_str_eq(h.text, "[\"f\",\"7\",\"arn:f\",\"128\",\"" ID "\",\"/aws/lambda/f\","
				 "\"stream\",\"i\",1,true,\"Root=1-2-3\"]");
	cr_assert_eq(invoke_with(&h, "{}"), RUNTIME_RESPONDED);
	cr_assert_str_eq(h.text, "[\"f\",\"7\",\"arn:f\",\"128\",\"" ID "\",\"/aws/lambda/f\","
				 "\"stream\",null,null,true,null]");
	(void)end(&h, SIGKILL);
}

/* The callback's answer waits for what is left to do, unless the handler says not to; and who never
 * answers has answered null when there is nothing left. */
Test(nodejs, empty_event_loop)
{
	struct host h;

	start_node(&h, "app.handler", "app.js",
		   "let left = [];\n"
		   "exports.handler = (wait, context, done) => {\n"
		   "  if (wait === 'never') return;\n"
		   "  context.callbackWaitsForEmptyEventLoop = wait;\n"
		   "  const mine = left = [];\n"
		   "  const t = setTimeout(() => mine.push(1), wait ? 5 : 1e6);\n"
		   "  done(null, mine);\n"
		   "};");
	cr_assert_eq(invoke_with(&h, "true"), RUNTIME_RESPONDED);
	cr_assert_str_eq(h.text, "[1]");
	cr_assert_eq(invoke_with(&h, "\"never\""), RUNTIME_RESPONDED);
	cr_assert_str_eq(h.text, "null");
	cr_assert_eq(invoke_with(&h, "false"), RUNTIME_RESPONDED);
	cr_assert_str_eq(h.text, "[]");
	(void)end(&h, SIGKILL);
}

Test(nodejs, errors)
{
	cleanup_free char *log = NULL;
	struct host h;

	start_node(&h, "app.handler", "app.js",
		   "exports.handler = (e, c, done) => {\n"
		   "  if (e === 'throw') throw new RangeError('no way');\n"
		   "  if (e === 'reject') return Promise.reject(new TypeError('not so'));\n"
		   "  if (e === 'call') return done(new Error('called'));\n"
		   "  if (e === 'text') return done('just so');\n"
		   "  const a = {}; a.a = a; return Promise.resolve(a);\n"
		   "};");
	cr_assert_eq(invoke_with(&h, "\"throw\""), RUNTIME_FAILED);
	expect_error(&h, "RangeError", "no way");
	cr_assert_not_null(strstr(h.text, "/app.js:2:"));
	cr_assert_eq(invoke_with(&h, "\"reject\""), RUNTIME_FAILED);
	expect_error(&h, "TypeError", "not so");
	cr_assert_eq(invoke_with(&h, "\"call\""), RUNTIME_FAILED);
	expect_error(&h, "Error", "called");
	cr_assert_eq(invoke_with(&h, "\"text\""), RUNTIME_FAILED);
	expect_error(&h, "string", "just so");
	cr_assert_eq(invoke_with(&h, "0"), RUNTIME_FAILED);
	expect_error(&h, "Runtime.MarshalError", "Unable to stringify response body");
	cr_assert_eq(invoke_with(&h, "{"), RUNTIME_FAILED);
	expect_error(&h, "Runtime.UnmarshalError", "");
	log = log_of(&h);
	cr_assert_not_null(strstr(log, "\t" ID "\tERROR\tInvoke Error \t{\"errorType\":"), "%s",
			   log);
	(void)end(&h, SIGKILL);
}

/* What nobody catches is the invocation's error, and the process's end. */
Test(nodejs, uncaught)
{
	struct host h;
	int status;

	start_node(&h, "app.handler", "app.js",
		   "exports.handler = (e, c, done) => {\n"
		   "  setTimeout(() => { throw new Error('later'); }, 1);\n"
		   "};");
	cr_assert_eq(invoke_with(&h, "0"), RUNTIME_FAILED);
	expect_error(&h, "Error", "later");
	status = end(&h, 0);
	cr_assert_eq(WEXITSTATUS(status), 129);
	start_node(&h, "app.handler", "app.js",
		   "exports.handler = (e, c, done) => {\n"
		   "  Promise.reject(new Error('nobody looks'));\n"
		   "  setTimeout(() => done(null, 1), 1e6);\n"
		   "};");
	cr_assert_eq(invoke_with(&h, "0"), RUNTIME_FAILED);
	expect_error(&h, "Runtime.UnhandledPromiseRejection", "Error: nobody looks");
	status = end(&h, 0);
	cr_assert_eq(WEXITSTATUS(status), 128);
}

Test(nodejs, errors_of_init)
{
	static const struct {
		const char *handler, *code, *type, *message;
	} cases[] = {
		{ "none.handler", "", "Runtime.ImportModuleError", "Cannot find module 'none'" },
		{ "app.handler", "require('nothing-here')", "Runtime.ImportModuleError",
		  "Cannot find module 'nothing-here'" },
		{ "app.handler", "exports.x = 1", "Runtime.HandlerNotFound",
		  "app.handler is undefined or not exported" },
		{ "app.handler", "exports.handler = (", "Runtime.UserCodeSyntaxError",
		  "SyntaxError" },
		{ "app", "", "Runtime.MalformedHandlerName", "Bad handler 'app'" },
		{ "../app.handler", "", "Runtime.MalformedHandlerName", "'../app.handler'" },
		{ "app.handler", "throw new RangeError('at once')", "RangeError", "at once" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct host h;
		int status;

		start_node(&h, cases[i].handler, "app.js", cases[i].code);
		cr_assert_eq(next_news(&h), RUNTIME_INIT_ERROR);
		expect_error(&h, cases[i].type, cases[i].message);
		status = end(&h, 0);
		cr_expect_eq(WEXITSTATUS(status), 129);
	}
}

Test(nodejs, log_lines)
{
	cleanup_free char *log = NULL;
	struct host h;

	start_node(&h, "app.handler", "app.js",
		   "exports.handler = async () => { console.log('one %d', 1); "
		   "console.error('two'); };");
	cr_assert_eq(invoke_with(&h, "{}"), RUNTIME_RESPONDED);
	cr_assert_str_eq(h.text, "null");
	log = log_of(&h);
	cr_assert_not_null(strstr(log, "Z\t" ID "\tINFO\tone 1\n20"), "%s", log);
	cr_assert_not_null(strstr(log, "Z\t" ID "\tERROR\ttwo\n"), "%s", log);
	(void)end(&h, SIGKILL);
}

Test(nodejs, streamed)
{
	static const char prelude[] = "{\"statusCode\":201}\0\0\0\0\0\0\0\0abcdef";
	struct host h;
	int status;

	start_node(&h, "app.handler", "app.js",
		   "exports.handler = awslambda.streamifyResponse(async (e, out, c) => {\n"
		   "  if (e === 'lost') setImmediate(() => { throw new Error('lost'); });\n"
		   "  if (e === 'early') throw new TypeError('at once');\n"
		   "  if (e === 'http') out = awslambda.HttpResponseStream.from(out, { statusCode: "
		   "201 });\n"
		   "  out.setContentType && e !== 'http' && out.setContentType('text/x');\n"
		   "  out.write('abc');\n"
		   "  await new Promise(r => setTimeout(r, 1));\n"
		   "  if (e === 'late') throw new RangeError('in the middle');\n"
		   "  out.write('def');\n"
		   "  out.end();\n"
		   "});");
	cr_assert_eq(invoke_with(&h, "0"), RUNTIME_RESPONDED);
	cr_assert_str_eq(h.text, "abcdef");
	cr_assert(h.answer.streamed);
	cr_assert_str_eq(h.answer.content_type, "text/x");
	cr_assert_str_eq(h.answer.trailer_type, "");
	cr_assert_eq(invoke_with(&h, "\"http\""), RUNTIME_RESPONDED);
	cr_assert_eq(h.answer.len, sizeof(prelude) - 1);
	cr_assert_eq(memcmp(h.answer.bytes, prelude, sizeof(prelude) - 1), 0);
	cr_assert_eq(invoke_with(&h, "\"early\""), RUNTIME_FAILED);
	expect_error(&h, "TypeError", "at once");
	cr_assert_eq(invoke_with(&h, "\"late\""), RUNTIME_RESPONDED);
	cr_assert_str_eq(h.text, "abc");
	cr_assert_str_eq(h.answer.trailer_type, "RangeError");
	cr_assert_neq(*h.answer.trailer_body, '\0');
	cr_assert_eq(invoke_with(&h, "0"), RUNTIME_RESPONDED);
	cr_assert_eq(invoke_with(&h, "\"lost\""), RUNTIME_RESPONDED);
	cr_assert_str_eq(h.text, "abc");
	cr_assert_str_eq(h.answer.trailer_type, "Error");
	status = end(&h, 0);
	cr_assert_eq(WEXITSTATUS(status), 129);
}

Test(nodejs, large)
{
	static char payload[6 << 20];
	struct runtime_event e = { .request_id = ID, .payload = payload, .len = sizeof(payload) };
	struct host h;

	memset(payload, 'x', sizeof(payload));
	payload[0] = payload[sizeof(payload) - 1] = '"';
	start_node(&h, "app.handler", "app.js",
		   "exports.handler = async (e) => e === 'more' ? 'x'.repeat(7 << 20) : e;");
	cr_assert_eq(invoke(&h, &e), RUNTIME_RESPONDED);
	cr_assert_eq(h.answer.len, sizeof(payload));
	cr_assert_eq(memcmp(h.answer.bytes, payload, sizeof(payload)), 0);
	cr_assert_eq(invoke_with(&h, "\"more\""), RUNTIME_OVERSIZED);
	cr_assert_eq(invoke_with(&h, "1"), RUNTIME_RESPONDED);
	(void)end(&h, SIGKILL);
}
