/* SPDX-License-Identifier: MIT */
/* The machine of the Runtime API: each call in each state, and the words of each reply. */
#include <criterion/criterion.h>
#include <string.h>

#include "runtime/runtime_api.h"

#define ID    "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
#define OTHER "8476a536-e9f4-11e8-9739-2dfe598c3fce"

static enum runtime_call route(const char *method, const char *path)
{
	const char *id;
	size_t len;

	return runtime_api_route(method, path, &id, &len);
}

Test(runtime_api, paths)
{
	static const struct {
		const char *method, *path;
		enum runtime_call call;
	} cases[] = {
		{ "GET", "/2018-06-01/runtime/invocation/next", RUNTIME_CALL_NEXT },
		{ "POST", "/2018-06-01/runtime/invocation/next", RUNTIME_CALL_METHOD },
		{ "HEAD", "/2018-06-01/runtime/invocation/next", RUNTIME_CALL_METHOD },
		{ "POST", "/2018-06-01/runtime/invocation/a/response", RUNTIME_CALL_RESPONSE },
		{ "PUT", "/2018-06-01/runtime/invocation/a/response", RUNTIME_CALL_METHOD },
		{ "POST", "/2018-06-01/runtime/invocation//response", RUNTIME_CALL_RESPONSE },
		{ "POST", "/2018-06-01/runtime/invocation/a/error", RUNTIME_CALL_ERROR },
		{ "POST", "/2018-06-01/runtime/invocation/a/error/", RUNTIME_CALL_UNKNOWN },
		{ "POST", "/2018-06-01/runtime/invocation/a/b/error", RUNTIME_CALL_UNKNOWN },
		{ "POST", "/2018-06-01/runtime/init/error", RUNTIME_CALL_INIT_ERROR },
		{ "GET", "/2018-06-01/runtime/init/error", RUNTIME_CALL_METHOD },
		{ "GET", "/2018-06-01/runtime/invocation/next/", RUNTIME_CALL_UNKNOWN },
		{ "GET", "/2018-06-01/runtime/", RUNTIME_CALL_UNKNOWN },
		{ "GET", "/2015-03-31/runtime/invocation/next", RUNTIME_CALL_UNKNOWN },
		{ "GET", "", RUNTIME_CALL_UNKNOWN },
	};
	const char *id;
	size_t len;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(route(cases[i].method, cases[i].path), cases[i].call, "%s %s",
			     cases[i].method, cases[i].path);
	(void)runtime_api_route("POST", "/2018-06-01/runtime/invocation/abc/error", &id, &len);
	cr_assert_eq(len, 3);
	cr_assert_eq(memcmp(id, "abc", 3), 0);
}

static enum runtime_reply call(struct runtime_api *a, enum runtime_call what, const char *id,
			       enum runtime_news *news)
{
	return runtime_api_begin(a, what, id, strlen(id), true, news);
}

static struct runtime_api in_state(enum runtime_state state)
{
	struct runtime_api a = { 0 };
	enum runtime_news news;

	if (state == RUNTIME_STARTED)
		return a;
	if (state == RUNTIME_INIT_FAILED) {
		(void)call(&a, RUNTIME_CALL_INIT_ERROR, "", &news);
		return a;
	}
	(void)call(&a, RUNTIME_CALL_NEXT, "", &news);
	if (state == RUNTIME_READY)
		return a;
	cr_assert(runtime_api_give(&a, ID));
	if (state == RUNTIME_RUNNING)
		return a;
	(void)call(&a, state == RUNTIME_FAILING ? RUNTIME_CALL_ERROR : RUNTIME_CALL_RESPONSE, ID,
		   &news);
	if (state == RUNTIME_SENT)
		runtime_api_end(&a, RUNTIME_ACCEPTED, &news);
	return a;
}

/* What each call is answered in each state; what is refused leaves it as it is. */
Test(runtime_api, every_call_in_every_state)
{
#define W RUNTIME_WAIT
#define E RUNTIME_EVENT
#define R RUNTIME_READ
#define I RUNTIME_WRONG_ID
#define T RUNTIME_OUT_OF_TURN
	static const enum runtime_reply want[RUNTIME_STATES][4] = {
		/* next, response, error, init error */
		[RUNTIME_STARTED] = { W, I, I, R },    [RUNTIME_INIT_FAILED] = { T, I, I, T },
		[RUNTIME_READY] = { W, I, I, T },      [RUNTIME_RUNNING] = { E, R, R, T },
		[RUNTIME_RESPONDING] = { T, T, T, T }, [RUNTIME_FAILING] = { T, T, T, T },
		[RUNTIME_SENT] = { W, T, T, T },
	};

	for (int state = 0; state < RUNTIME_STATES; state++) {
		for (int what = 0; what < 4; what++) {
			struct runtime_api a = in_state((enum runtime_state)state);
			enum runtime_news news;
			enum runtime_reply got;

			cr_assert_eq((int)a.state, state);
			got = call(&a, (enum runtime_call)what, ID, &news);
			cr_expect_eq(got, want[state][what], "call %d in state %d: %d", what, state,
				     got);
			if (got == I || got == T)
				cr_expect_eq((int)a.state, state);
			cr_expect_eq(news == RUNTIME_ASKED,
				     what == RUNTIME_CALL_NEXT &&
					     (state == RUNTIME_STARTED || state == RUNTIME_SENT));
		}
		for (int what = RUNTIME_CALL_UNKNOWN; what < RUNTIME_CALLS; what++) {
			struct runtime_api a = in_state((enum runtime_state)state);
			enum runtime_news news;

			(void)call(&a, (enum runtime_call)what, ID, &news);
			cr_expect_eq((int)a.state, state);
			cr_expect_eq(news, RUNTIME_NO_NEWS);
		}
	}
}

Test(runtime_api, ids_of_others)
{
	static const char *const ids[] = { OTHER, "", "8476a536", ID "x" };

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct runtime_api a = in_state(RUNTIME_RUNNING);
		enum runtime_news news;

		cr_expect_eq(call(&a, RUNTIME_CALL_RESPONSE, ids[i], &news), RUNTIME_WRONG_ID);
		cr_expect_eq(call(&a, RUNTIME_CALL_ERROR, ids[i], &news), RUNTIME_WRONG_ID);
		cr_expect_eq(a.state, RUNTIME_RUNNING);
	}
}

/* How a body ended is the news, and it is the runtime's turn again. */
Test(runtime_api, ends_of_bodies)
{
	static const struct {
		enum runtime_state state;
		enum runtime_reply how;
		enum runtime_news news;
	} cases[] = {
		{ RUNTIME_RESPONDING, RUNTIME_ACCEPTED, RUNTIME_RESPONDED },
		{ RUNTIME_RESPONDING, RUNTIME_TOO_LARGE, RUNTIME_OVERSIZED },
		{ RUNTIME_RESPONDING, RUNTIME_CUT_OFF, RUNTIME_CUT },
		{ RUNTIME_FAILING, RUNTIME_ACCEPTED, RUNTIME_FAILED },
		{ RUNTIME_FAILING, RUNTIME_TOO_LARGE, RUNTIME_OVERSIZED },
		{ RUNTIME_FAILING, RUNTIME_CUT_OFF, RUNTIME_CUT },
		{ RUNTIME_INIT_FAILED, RUNTIME_ACCEPTED, RUNTIME_INIT_ERROR },
		{ RUNTIME_INIT_FAILED, RUNTIME_CUT_OFF, RUNTIME_INIT_ERROR },
		{ RUNTIME_RUNNING, RUNTIME_ACCEPTED, RUNTIME_NO_NEWS },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct runtime_api a = in_state(cases[i].state);
		enum runtime_news news;

		runtime_api_end(&a, cases[i].how, &news);
		cr_expect_eq(news, cases[i].news, "case %zu", i);
		if (cases[i].state == RUNTIME_RESPONDING || cases[i].state == RUNTIME_FAILING)
			cr_expect_eq(a.state, RUNTIME_SENT);
	}
}

Test(runtime_api, mode_that_there_is_not)
{
	struct runtime_api a = in_state(RUNTIME_RUNNING);
	enum runtime_news news;

	cr_assert_eq(runtime_api_begin(&a, RUNTIME_CALL_RESPONSE, ID, strlen(ID), false, &news),
		     RUNTIME_WRONG_MODE);
	cr_assert_eq(news, RUNTIME_MODE);
	cr_assert_eq(a.state, RUNTIME_SENT);
}

Test(runtime_api, given_in_turn_only)
{
	char longest[RUNTIME_ID_MAX + 2];

	for (int state = 0; state < RUNTIME_STATES; state++) {
		struct runtime_api a = in_state((enum runtime_state)state);

		cr_expect_eq(runtime_api_give(&a, OTHER), state == RUNTIME_READY);
	}
	memset(longest, 'x', sizeof(longest));
	longest[RUNTIME_ID_MAX + 1] = '\0';
	struct runtime_api a = in_state(RUNTIME_READY);

	cr_assert_not(runtime_api_give(&a, longest));
	cr_assert_not(runtime_api_give(&a, ""));
	cr_assert_not(runtime_api_give(&a, "a/b"));
	longest[RUNTIME_ID_MAX] = '\0';
	cr_assert(runtime_api_give(&a, longest));
}

Test(runtime_api, words)
{
	struct runtime_api a = in_state(RUNTIME_SENT);
	char text[RUNTIME_TEXT_MAX];
	enum runtime_news news;

	cr_assert_eq(runtime_api_answer(&a, RUNTIME_ACCEPTED, text), 202);
	cr_assert_str_eq(text, "{\"status\":\"OK\"}\n");
	cr_assert_eq(runtime_api_answer(&a, RUNTIME_WRONG_ID, text), 400);
	cr_assert_str_eq(text, "{\"errorMessage\":\"Invalid request ID\","
			       "\"errorType\":\"InvalidRequestID\"}\n");
	(void)call(&a, RUNTIME_CALL_RESPONSE, ID, &news);
	cr_assert_eq(runtime_api_answer(&a, RUNTIME_OUT_OF_TURN, text), 403);
	cr_assert_str_eq(text, "{\"errorMessage\":\"State transition from ResponseSent to "
			       "InvocationResponse failed for runtime. Error: State transition is "
			       "not allowed\",\"errorType\":\"InvalidStateTransition\"}\n");
	cr_assert_eq(runtime_api_answer(&a, RUNTIME_TOO_LARGE, text), 413);
	cr_assert_str_eq(text, "{\"errorMessage\":\"Exceeded maximum allowed payload size "
			       "(6291556 bytes).\",\"errorType\":\"RequestEntityTooLarge\"}\n");
	for (int r = RUNTIME_ACCEPTED; r < RUNTIME_REPLIES; r++)
		cr_expect_geq(runtime_api_answer(&a, (enum runtime_reply)r, text), 202);
}
