/* SPDX-License-Identifier: MIT */
/*
 * The bootstrap of Python as a plain process against the Runtime API: handlers, contexts and errors
 * as Lambda has them.
 */
#include "tests/lib/runtime_host.h"

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

/* JSON as Python's own module has it. */
Test(python3, json)
{
	static const char *const same[] = {
		"1",
		"-1.5e+300",
		"\"\"",
		"\" \u00e4\"",
		"[]",
		"{}",
		"[1, [2]]",
		"{\"a\": null}",
		"[true, false]",
		"12345678901234567890",
		"[NaN]",
		"[Infinity]",
		"\"\\u0001\\n\\\\\"",
	};
	static const char *const wrong[] = { "",     " ",	 "1 2", "{\"a\"}",
					     "[1,]", "\"\xff\"", "nul", "\"a" };
	static char deep[100001];
	struct host h;

	start(&h, "python3", "app.handler",
	      FILES({ "app.py", "def handler(event, context):\n"
				"    if event != 'self': return event\n"
				"    a = []; a.append(a); return a\n" }));
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		cr_expect_eq(invoke_with(&h, same[i]), RUNTIME_RESPONDED, "%s", same[i]);
		cr_expect_str_eq(h.text, same[i]);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		cr_expect_eq(invoke_with(&h, wrong[i]), RUNTIME_FAILED, "%s", wrong[i]);
		expect_error(&h, "Runtime.UnmarshalError", "Unable to unmarshal input: ");
	}
	memset(deep, '[', sizeof(deep) - 1);
	cr_expect_eq(invoke_with(&h, deep), RUNTIME_FAILED);
	expect_error(&h, "Runtime.UnmarshalError", "recursion");
	cr_expect_eq(invoke_with(&h, " \n{\"a\":1}\t "), RUNTIME_RESPONDED);
	cr_expect_str_eq(h.text, "{\"a\": 1}");
	cr_assert_eq(invoke_with(&h, "\"self\""), RUNTIME_FAILED);
	expect_error(&h, "Runtime.MarshalError", "Circular reference detected");
	(void)end(&h, SIGKILL);
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
