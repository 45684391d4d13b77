/* SPDX-License-Identifier: MIT */
/*
 * AWS's own client for Node.js, unmodified, against the Runtime API: aws-lambda-ric, in the folder
 * that RIC names (tests/clients.mk puts it there).
 */
#include "tests/lib/runtime_host.h"

static void start_ric(struct host *h, const char *handler, const char *code)
{
	static char path[600];
	static const char *const client[] = { "/usr/bin/node", path, NULL };

	(void)snprintf(path, sizeof(path), "%s/node_modules/aws-lambda-ric/bin/index.mjs",
		       env_need("RIC"));
	start_any(h, NULL, client, handler, FILES({ "app.js", code }));
}

Test(ric, responses_and_errors)
{
	struct host h;

	start_ric(&h, "app.handler",
		  "let n = 0;\n"
		  "exports.handler = async (e, c) => {\n"
		  "  if (e === 'fail') throw new RangeError('no way');\n"
		  "  return [++n, e, c.awsRequestId, c.invokedFunctionArn];\n"
		  "};");
	cr_assert_eq(invoke_with(&h, "{\"a\":1}"), RUNTIME_RESPONDED);
	cr_assert_str_eq(h.text, "[1,{\"a\":1},\"" ID "\",\"arn:f\"]");
	cr_assert_eq(invoke_with(&h, "\"fail\""), RUNTIME_FAILED);
	cr_assert_not_null(strstr(h.text, "\"errorType\":\"RangeError\""), "%s", h.text);
	cr_assert_not_null(strstr(h.text, "\"errorMessage\":\"no way\""));
	cr_assert_eq(invoke_with(&h, "2"), RUNTIME_RESPONDED);
	cr_assert_str_eq(h.text, "[2,2,\"" ID "\",\"arn:f\"]");
	(void)end(&h, SIGKILL);
}

Test(ric, streamed)
{
	struct host h;

	start_ric(&h, "app.handler",
		  "exports.handler = awslambda.streamifyResponse(async (e, out) => {\n"
		  "  out.write('abc');\n"
		  "  await new Promise(r => setTimeout(r, 1));\n"
		  "  if (e) throw new RangeError('in the middle');\n"
		  "  out.end('def');\n"
		  "});");
	cr_assert_eq(invoke_with(&h, "0"), RUNTIME_RESPONDED);
	cr_assert_str_eq(h.text, "abcdef");
	cr_assert(h.answer.streamed);
	cr_assert_eq(invoke_with(&h, "1"), RUNTIME_RESPONDED);
	cr_assert_str_eq(h.answer.trailer_type, "RangeError");
	cr_assert_neq(*h.answer.trailer_body, '\0');
	(void)end(&h, SIGKILL);
}

/* What nobody catches it tells, and ends. */
Test(ric, uncaught)
{
	struct host h;
	int status;

	start_ric(&h, "app.handler",
		  "exports.handler = async () => {\n"
		  "  setTimeout(() => { throw new RangeError('later'); }, 1);\n"
		  "  await new Promise(() => {});\n"
		  "};");
	cr_assert_eq(invoke_with(&h, "1"), RUNTIME_FAILED);
	cr_assert_not_null(strstr(h.text, "\"errorMessage\":\"later\""), "%s", h.text);
	status = end(&h, 0);
	cr_assert_eq(WEXITSTATUS(status), 129);
}

Test(ric, init_error)
{
	struct host h;
	int status;

	start_ric(&h, "app.none", "exports.handler = async () => 1;");
	cr_assert_eq(next_news(&h), RUNTIME_INIT_ERROR);
	cr_assert_str_eq(h.answer.error_type, "Runtime.HandlerNotFound");
	status = end(&h, 0);
	cr_assert_eq(WEXITSTATUS(status), 129);
}

Test(ric, large)
{
	static char payload[6 << 20];
	struct runtime_event e = { .request_id = ID,
				   .deadline_ms = 4102444800000,
				   .payload = payload,
				   .len = sizeof(payload) };
	struct host h;

	memset(payload, 'x', sizeof(payload));
	payload[0] = payload[sizeof(payload) - 1] = '"';
	start_ric(&h, "app.handler",
		  "exports.handler = async (e) => e === 'more' ? 'x'.repeat(7 << 20) : e;");
	cr_assert_eq(invoke(&h, &e), RUNTIME_RESPONDED);
	cr_assert_eq(h.answer.len, sizeof(payload));
	cr_assert_eq(memcmp(h.answer.bytes, payload, sizeof(payload)), 0);
	cr_assert_eq(invoke_with(&h, "\"more\""), RUNTIME_OVERSIZED);
	(void)end(&h, SIGKILL);
}

/* It tells an error's causes in the head, however long those are. */
Test(ric, long_errors)
{
	struct host h;

	start_ric(&h, "app.handler",
		  "exports.handler = async (e) => { throw new Error('x'.repeat(e)); };");
	cr_assert_eq(invoke_with(&h, "50000"), RUNTIME_FAILED);
	cr_assert_eq(invoke_with(&h, "500000"), RUNTIME_OVERSIZED);
	cr_assert_eq(invoke_with(&h, "5"), RUNTIME_FAILED);
	cr_assert_not_null(strstr(h.text, "\"errorMessage\":\"xxxxx\""));
	(void)end(&h, SIGKILL);
}
