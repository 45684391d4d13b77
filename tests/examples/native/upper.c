/* SPDX-License-Identifier: MIT */
/* A native function: its event in upper case. */
#include <cloche_handler.h>
#include <ctype.h>

static int upper(const struct cloche_event *event, struct cloche_response *response)
{
	static char out[CLOCHE_PAYLOAD_MAX];
	const char *in = (const char *)event->data;

	for (size_t i = 0; i < event->len; i++)
		out[i] = (char)toupper((unsigned char)in[i]);
	return cloche_respond(response, out, event->len);
}

int main(void)
{
	return cloche_serve(upper);
}
