/* SPDX-License-Identifier: MIT */
/*
 * The bootstrap of Node.js as a plain process against the Runtime API: handlers, contexts and
 * errors as Lambda has them.
 */
#include "tests/lib/runtime_host.h"

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
		   "  if (e === 'lost') setImmediate(() => {\n"
		   "    setImmediate(() => out.write('after the end'));\n"
		   "    throw new Error('lost');\n"
		   "  });\n"
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
