/* SPDX-License-Identifier: MIT */
/* A native function: what it does, its event says. */
#include "runtime/cloche_handler.h"

#include <stdio.h>

static unsigned count;

static int answer(const struct cloche_event *event, struct cloche_response *response)
{
	static char text[128];
	const char *what = (const char *)event->data;

	count++;
	if (strcmp(what, "count") == 0) {
		(void)snprintf(text, sizeof(text), "%u %s", count, event->request_id);
		printf("event %u\n", count);
		(void)fflush(stdout);
		return cloche_respond(response, text, strlen(text));
	}
	if (strcmp(what, "fail") == 0)
		return cloche_fail(response, "Native.Error", "no \"such\" thing");
	if (strcmp(what, "leave") == 0)
		return 9;
	if (strcmp(what, "insist") == 0) {
		(void)cloche_send(CLOCHE_READY, NULL, 0);
		(void)pause();
	}
	return cloche_respond(response, event->data, event->len);
}

int main(void)
{
	puts("init");
	(void)fflush(stdout);
	return cloche_serve(answer);
}
