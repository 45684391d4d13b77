/* SPDX-License-Identifier: MIT */
/*
 * Any calls of a runtime, one a line: "METHOD PATH" is its head, "." the end of a body, "!" one
 * that breaks off, "+" one that is too large, "ID" alone an event with that id. Whatever is called:
 * an invocation has one answer, and each is given, read and told in its turn.
 */
#include "runtime/runtime_api.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct told {
	unsigned asked, given, answered, init_errors;
};

static void expect(bool right)
{
	if (!right)
		abort();
}

static void note(struct told *t, enum runtime_news news)
{
	t->asked += news == RUNTIME_ASKED;
	t->init_errors += news == RUNTIME_INIT_ERROR;
	t->answered += news == RUNTIME_RESPONDED || news == RUNTIME_FAILED || news == RUNTIME_CUT ||
		       news == RUNTIME_OVERSIZED || news == RUNTIME_MODE;
}

static void call(struct runtime_api *a, struct told *t, char *line, char *path)
{
	enum runtime_state before = a->state;
	char text[RUNTIME_TEXT_MAX];
	enum runtime_reply reply;
	enum runtime_news news;
	const char *id;
	size_t len;

	*path++ = '\0';
	reply = runtime_api_begin(a, runtime_api_route(line, path, &id, &len), id, len,
				  strlen(line) % 2 == 0, &news);
	note(t, news);
	if (reply == RUNTIME_EVENT)
		expect(before == RUNTIME_RUNNING);
	if (reply == RUNTIME_READ)
		expect(before == RUNTIME_RUNNING || before == RUNTIME_STARTED);
	if (reply > RUNTIME_READ && news == RUNTIME_NO_NEWS)
		expect(a->state == before);
	if (reply > RUNTIME_READ)
		expect(runtime_api_answer(a, reply, text) >= 202 && *text == '{');
}

static void end(struct runtime_api *a, struct told *t, enum runtime_reply how)
{
	enum runtime_news news;

	runtime_api_end(a, how, &news);
	/* Once: a second end of the same is nobody's. */
	if (a->state == RUNTIME_INIT_FAILED && t->init_errors)
		return;
	note(t, news);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct runtime_api a = { 0 };
	struct told t = { 0 };
	char *text = malloc(size + 1), *rest = text, *line, *space;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	while ((line = strsep(&rest, "\n"))) {
		space = strchr(line, ' ');
		if (space)
			call(&a, &t, line, space);
		else if (strchr(".!+", *line) && *line)
			end(&a, &t,
			    *line == '.'   ? RUNTIME_ACCEPTED
			    : *line == '!' ? RUNTIME_CUT_OFF
					   : RUNTIME_TOO_LARGE);
		else
			t.given += runtime_api_give(&a, line);
		expect(t.answered <= t.given && t.given <= t.asked && t.asked <= t.answered + 1);
		expect(!t.init_errors || !t.asked);
		expect((a.state == RUNTIME_READY) == (t.asked > t.given));
		expect((*a.id != '\0') == (a.state > RUNTIME_READY));
	}
	free(text);
	return 0;
}
