/* SPDX-License-Identifier: MIT */
/* A table of calls and states, and what each comes to: see the header. */
#include "runtime/runtime_api.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BASE "/2018-06-01/runtime/"

/* ---- what is called -------------------------------------------------------------------------- */

static enum runtime_call route_invocation(const char *method, const char *rest, const char **ret_id,
					  size_t *ret_len)
{
	size_t len = strcspn(rest, "/");
	enum runtime_call call = RUNTIME_CALL_UNKNOWN;

	if (strcmp(rest, "next") == 0)
		return strcmp(method, "GET") == 0 ? RUNTIME_CALL_NEXT : RUNTIME_CALL_METHOD;
	if (strcmp(rest + len, "/response") == 0)
		call = RUNTIME_CALL_RESPONSE;
	else if (strcmp(rest + len, "/error") == 0)
		call = RUNTIME_CALL_ERROR;
	else
		return call;
	*ret_id = rest;
	*ret_len = len;
	return strcmp(method, "POST") == 0 ? call : RUNTIME_CALL_METHOD;
}

/* As who believes to speak by a proxy has it, a server must take the whole address (RFC 9112,
 * 3.2.2); whose it says that it is is no matter. */
static const char *path_of(const char *target)
{
	size_t scheme = strlen("http://");

	if (strncasecmp(target, "http://", scheme) != 0)
		return target;
	return target + scheme + strcspn(target + scheme, "/");
}

enum runtime_call runtime_api_route(const char *method, const char *path, const char **ret_id,
				    size_t *ret_len)
{
	*ret_id = "";
	*ret_len = 0;
	path = path_of(path);
	if (strncmp(path, BASE, strlen(BASE)) != 0)
		return RUNTIME_CALL_UNKNOWN;
	path += strlen(BASE);
	if (strcmp(path, "init/error") == 0)
		return strcmp(method, "POST") == 0 ? RUNTIME_CALL_INIT_ERROR : RUNTIME_CALL_METHOD;
	if (strncmp(path, "invocation/", strlen("invocation/")) == 0)
		return route_invocation(method, path + strlen("invocation/"), ret_id, ret_len);
	return RUNTIME_CALL_UNKNOWN;
}

/* ---- whose turn it is ------------------------------------------------------------------------ */

static enum runtime_reply out_of_turn(struct runtime_api *a, enum runtime_state to)
{
	a->turned_from = a->state;
	a->turned_to = to;
	return RUNTIME_OUT_OF_TURN;
}

static enum runtime_reply begin_next(struct runtime_api *a, enum runtime_news *ret)
{
	switch (a->state) {
	case RUNTIME_STARTED:
	case RUNTIME_SENT:
		a->state = RUNTIME_READY;
		a->id[0] = '\0';
		*ret = RUNTIME_ASKED;
		return RUNTIME_WAIT;
	case RUNTIME_READY:
		return RUNTIME_WAIT;
	case RUNTIME_RUNNING:
		return RUNTIME_EVENT;
	default:
		return out_of_turn(a, RUNTIME_READY);
	}
}

static enum runtime_reply begin_answer(struct runtime_api *a, enum runtime_state to, const char *id,
				       size_t id_len)
{
	if (!id_len || id_len != strlen(a->id) || memcmp(id, a->id, id_len) != 0)
		return RUNTIME_WRONG_ID;
	if (a->state != RUNTIME_RUNNING)
		return out_of_turn(a, to);
	a->state = to;
	return RUNTIME_READ;
}

static enum runtime_reply begin_response(struct runtime_api *a, const char *id, size_t id_len,
					 bool mode_known, enum runtime_news *ret)
{
	enum runtime_reply reply = begin_answer(a, RUNTIME_RESPONDING, id, id_len);

	if (reply != RUNTIME_READ || mode_known)
		return reply;
	a->state = RUNTIME_SENT;
	*ret = RUNTIME_MODE;
	return RUNTIME_WRONG_MODE;
}

static enum runtime_reply begin_init_error(struct runtime_api *a)
{
	if (a->state != RUNTIME_STARTED)
		return out_of_turn(a, RUNTIME_INIT_FAILED);
	a->state = RUNTIME_INIT_FAILED;
	return RUNTIME_READ;
}

enum runtime_reply runtime_api_begin(struct runtime_api *a, enum runtime_call call, const char *id,
				     size_t id_len, bool mode_known, enum runtime_news *ret)
{
	*ret = RUNTIME_NO_NEWS;
	switch (call) {
	case RUNTIME_CALL_NEXT:
		return begin_next(a, ret);
	case RUNTIME_CALL_RESPONSE:
		return begin_response(a, id, id_len, mode_known, ret);
	case RUNTIME_CALL_ERROR:
		return begin_answer(a, RUNTIME_FAILING, id, id_len);
	case RUNTIME_CALL_INIT_ERROR:
		return begin_init_error(a);
	case RUNTIME_CALL_METHOD:
		return RUNTIME_NO_SUCH_METHOD;
	default:
		return RUNTIME_NO_SUCH_PATH;
	}
}

void runtime_api_end(struct runtime_api *a, enum runtime_reply how, enum runtime_news *ret)
{
	*ret = RUNTIME_NO_NEWS;
	/* Why init failed is news even when the rest of it is missing. */
	if (a->state == RUNTIME_INIT_FAILED) {
		*ret = RUNTIME_INIT_ERROR;
		return;
	}
	if (a->state != RUNTIME_RESPONDING && a->state != RUNTIME_FAILING)
		return;
	*ret = how == RUNTIME_TOO_LARGE		? RUNTIME_OVERSIZED
	       : how == RUNTIME_CUT_OFF		? RUNTIME_CUT
	       : a->state == RUNTIME_RESPONDING ? RUNTIME_RESPONDED
						: RUNTIME_FAILED;
	a->state = RUNTIME_SENT;
}

bool runtime_api_give(struct runtime_api *a, const char *id)
{
	size_t len = strlen(id);

	if (a->state != RUNTIME_READY || !len || len > RUNTIME_ID_MAX || strchr(id, '/'))
		return false;
	memcpy(a->id, id, len + 1);
	a->state = RUNTIME_RUNNING;
	return true;
}

/* ---- Lambda's words -------------------------------------------------------------------------- */

static const char *const state_names[RUNTIME_STATES] = {
	[RUNTIME_STARTED] = "Started",
	[RUNTIME_INIT_FAILED] = "InitError",
	[RUNTIME_READY] = "Ready",
	[RUNTIME_RUNNING] = "Running",
	[RUNTIME_RESPONDING] = "InvocationResponse",
	[RUNTIME_FAILING] = "InvocationErrorResponse",
	[RUNTIME_SENT] = "ResponseSent",
};

static const struct {
	unsigned status;
	const char *type, *message;
} answers[RUNTIME_REPLIES] = {
	[RUNTIME_ACCEPTED] = { 202, NULL, NULL },
	[RUNTIME_WRONG_ID] = { 400, "InvalidRequestID", "Invalid request ID" },
	[RUNTIME_WRONG_MODE] = { 400, "InvalidFunctionResponseMode",
				 "Invalid function response mode" },
	[RUNTIME_CUT_OFF] = { 400, "TruncatedHTTPRequest", "HTTP request detected as truncated" },
	[RUNTIME_OUT_OF_TURN] = { 403, "InvalidStateTransition", NULL },
	[RUNTIME_NO_SUCH_PATH] = { 404, "NotFound", "404 page not found" },
	[RUNTIME_NO_SUCH_METHOD] = { 405, "MethodNotAllowed", "405 method not allowed" },
	[RUNTIME_TOO_LARGE] = { 413, "RequestEntityTooLarge",
				"Exceeded maximum allowed payload size (6291556 bytes)." },
};

_Static_assert(RUNTIME_PAYLOAD_MAX == 6291556, "the text names it");

unsigned runtime_api_answer(const struct runtime_api *a, enum runtime_reply reply,
			    char ret[static RUNTIME_TEXT_MAX])
{
	if (reply == RUNTIME_ACCEPTED)
		(void)snprintf(ret, RUNTIME_TEXT_MAX, "{\"status\":\"OK\"}\n");
	else if (reply == RUNTIME_OUT_OF_TURN)
		(void)snprintf(
			ret, RUNTIME_TEXT_MAX,
			"{\"errorMessage\":\"State transition from %s to %s failed for runtime. "
			"Error: State transition is not allowed\",\"errorType\":\"%s\"}\n",
			state_names[a->turned_from], state_names[a->turned_to],
			answers[reply].type);
	else
		(void)snprintf(ret, RUNTIME_TEXT_MAX,
			       "{\"errorMessage\":\"%s\",\"errorType\":\"%s\"}\n",
			       answers[reply].message ? answers[reply].message : "",
			       answers[reply].type ? answers[reply].type : "");
	return answers[reply].status;
}
