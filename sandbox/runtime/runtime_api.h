/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_RUNTIME_RUNTIME_API_H
#define CLOCHE_RUNTIME_RUNTIME_API_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Lambda's Runtime API as the host of one context has it: which call is in turn, what it is
 * answered, and what that tells whoever has the context. Pure: no socket, no clock, no allocation.
 *
 *	STARTED ─ next ─> READY ─ given ─> RUNNING ─ response ─> RESPONDING ─ read ─> SENT ─ next ─>
 *READY └─ init error ─> INIT_FAILED      └────── error ────> FAILING ────── read ─> SENT
 *
 * As Lambda does: a call is about the invocation that is under way, or its id is wrong; who asks
 *for the next one while it runs gets the same event once more, which is what a client needs whose
 * connection broke; all else is out of turn, and changes nothing. Source: the public Runtime API,
 *and internal/lambda/core/states.go of aws-lambda-runtime-interface-emulator.
 */
enum runtime_state {
	RUNTIME_STARTED,     /* init: it has not asked for an event yet */
	RUNTIME_INIT_FAILED, /* and said why it never will */
	RUNTIME_READY,	     /* it waits for an event */
	RUNTIME_RUNNING,     /* it has one */
	RUNTIME_RESPONDING,  /* the body of its response is being read */
	RUNTIME_FAILING,     /* that of its error is */
	RUNTIME_SENT,	     /* it has answered, and not yet asked for the next one */
	RUNTIME_STATES
};

enum runtime_call {
	RUNTIME_CALL_NEXT,
	RUNTIME_CALL_RESPONSE,
	RUNTIME_CALL_ERROR,
	RUNTIME_CALL_INIT_ERROR,
	RUNTIME_CALL_UNKNOWN, /* there is no such path */
	RUNTIME_CALL_METHOD,  /* there is, but not with that method */
	RUNTIME_CALLS
};

enum runtime_reply {
	RUNTIME_WAIT,		/* none, before there is an event */
	RUNTIME_EVENT,		/* the event */
	RUNTIME_READ,		/* none yet: read the body, then say how that ended */
	RUNTIME_ACCEPTED,	/* 202 */
	RUNTIME_WRONG_ID,	/* 400 */
	RUNTIME_WRONG_MODE,	/* 400 */
	RUNTIME_CUT_OFF,	/* 400: it broke off */
	RUNTIME_OUT_OF_TURN,	/* 403 */
	RUNTIME_NO_SUCH_PATH,	/* 404 */
	RUNTIME_NO_SUCH_METHOD, /* 405 */
	RUNTIME_TOO_LARGE,	/* 413 */
	RUNTIME_REPLIES
};

/* What whoever has the context is told. */
enum runtime_news {
	RUNTIME_NO_NEWS,
	RUNTIME_ASKED,	    /* for an event: init, or the invocation, is over */
	RUNTIME_RESPONDED,  /* the whole response is there */
	RUNTIME_FAILED,	    /* an error's, with its type */
	RUNTIME_INIT_ERROR, /* the same, of init */
	RUNTIME_OVERSIZED,  /* a response that is too large: Function.ResponseSizeTooLarge */
	RUNTIME_CUT,	    /* a response that broke off: Runtime.TruncatedResponse */
	RUNTIME_MODE,	    /* Runtime.InvalidResponseModeHeader */
	RUNTIME_INSISTED,   /* it goes on with what is refused, or sends without end: end it */
	RUNTIME_STREAMS,    /* a streamed response has begun, of which the parts are told */
	RUNTIME_PART,	    /* there is something of it */
};

/* Longer ones are nobody's: a request id is a UUID. */
#define RUNTIME_ID_MAX 64

/* 6 MiB and 100 bytes: what Lambda takes as an event and as a response. */
#define RUNTIME_PAYLOAD_MAX ((6U << 20) + 100)

struct runtime_api {
	enum runtime_state state;
	char id[RUNTIME_ID_MAX + 1]; /* of the invocation that is under way; "": none is */
	enum runtime_state turned_from, turned_to; /* of the last that was out of turn */
};

/* What is called. *ret_id: within path, of *ret_len bytes; is of response and error. */
enum runtime_call runtime_api_route(const char *method, const char *path, const char **ret_id,
				    size_t *ret_len);

/*
 * The head of a call is there. mode_known: its Lambda-Runtime-Function-Response-Mode is one that
 * there is, or it has none. RUNTIME_WAIT: answer with RUNTIME_EVENT when one is given.
 */
enum runtime_reply runtime_api_begin(struct runtime_api *a, enum runtime_call call, const char *id,
				     size_t id_len, bool mode_known, enum runtime_news *ret);

/* After RUNTIME_READ, how it ended: RUNTIME_ACCEPTED (it is there), TOO_LARGE or CUT_OFF; the reply
 * is the same. */
void runtime_api_end(struct runtime_api *a, enum runtime_reply how, enum runtime_news *ret);

/* There is an event for it. False: it is not READY, or the id cannot be one. */
bool runtime_api_give(struct runtime_api *a, const char *id);

/* The status of a reply, and its body (JSON). The latter's are Lambda's words. */
#define RUNTIME_TEXT_MAX 256
unsigned runtime_api_answer(const struct runtime_api *a, enum runtime_reply reply,
			    char ret[static RUNTIME_TEXT_MAX]);

#endif
