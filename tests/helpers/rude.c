/* SPDX-License-Identifier: MIT */
/*
 * A native function that does not keep to its frames: the event says how.
 *
 *	"echo"	 (and all that is not below) the event is the response
 *	"junk"	 bytes that are no frame, and then the response
 *	"twice"	 the response, and another one, at once
 *	"many"	 ten of them, and another one
 *	"huge"	 a response that is longer than there may be
 *	"half0"	 half a response, and the end with status 0
 *	"typed"	 an error whose type and message are no texts
 *	"closed" no socket any more, and no end
 *	"zero"	 status 0 without an answer; "killed": by SIGKILL
 *	"writes" the response, and a child that writes escape sequences to its output for ever
 */
#include "runtime/cloche_handler.h"

static void send_frame(const struct cloche_event *e, uint32_t len, const char *bytes, size_t n)
{
	char all[512] = { 0 };
	struct cloche_frame frame = { .kind = CLOCHE_RESPONSE, .len = len };

	memcpy(frame.request_id, e->request_id, sizeof(frame.request_id));
	memcpy(all, &frame, sizeof(frame));
	memcpy(all + sizeof(frame), bytes, n);
	(void)cloche_write_all(all, sizeof(frame) + n);
}

static void write_for_ever(void)
{
	if (fork())
		return;
	for (;;)
		(void)!write(STDOUT_FILENO, "\033[2J\n", 5);
}

static int is(const struct cloche_event *e, const char *how)
{
	return strcmp((const char *)e->data, how) == 0;
}

static int answer(const struct cloche_event *e, struct cloche_response *response)
{
	uint32_t len = (uint32_t)e->len;

	if (is(e, "\"junk\""))
		(void)cloche_write_all("\001\002\003junk\n", 8);
	if (is(e, "\"twice\""))
		send_frame(e, len, (const char *)e->data, e->len);
	if (is(e, "\"many\""))
		for (int i = 0; i < 10; i++)
			send_frame(e, len, (const char *)e->data, e->len);
	if (is(e, "\"huge\"")) {
		send_frame(e, UINT32_MAX, "x", 1);
		(void)pause();
	}
	if (is(e, "\"half0\"")) {
		send_frame(e, 100, "half", 4);
		_exit(0);
	}
	if (is(e, "\"typed\"")) {
		response->kind = CLOCHE_ERROR;
		response->data = "\033[2J\xff\xfe";
		response->len = 6;
		return 0;
	}
	if (is(e, "\"closed\"")) {
		(void)close(CLOCHE_SOCKET);
		(void)pause();
	}
	if (is(e, "\"zero\""))
		_exit(0);
	if (is(e, "\"killed\""))
		(void)raise(SIGKILL);
	if (is(e, "\"writes\""))
		write_for_ever();
	return cloche_respond(response, e->data, e->len);
}

int main(void)
{
	return cloche_serve(answer);
}
