/* SPDX-License-Identifier: MIT */
/*
 * Statistics of the text on standard input, as one JSON object: the demo's native function.
 * tests/e2e/demo/stats.py is the same in Python, and the two must give the same answer to the
 * byte; a word is a run of ASCII letters, in lower case.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOP 5

struct word {
	const char *text; /* points into the input, which is cut into words in place */
	size_t count;
};

static char *input_read(size_t *ret_len)
{
	size_t len = 0, room = 1 << 16;
	char *buf = malloc(room), *more;
	ssize_t n;

	while (buf) {
		n = read(STDIN_FILENO, buf + len, room - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		len += (size_t)n;
		if (n == 0) {
			buf[len] = '\0';
			*ret_len = len;
			return buf;
		}
		if (room - len > 1)
			continue;
		more = realloc(buf, room *= 2);
		if (!more)
			break;
		buf = more;
	}
	free(buf);
	return NULL;
}

/* Counts the words; with a list, cuts them out of the text and puts them there. */
static size_t words_cut(char *text, size_t len, struct word *list)
{
	size_t n = 0;

	for (size_t i = 0, start; i < len; i++) {
		for (start = i; i < len && (text[i] | 0x20) >= 'a' && (text[i] | 0x20) <= 'z'; i++)
			if (list)
				text[i] |= 0x20;
		if (i == start)
			continue;
		if (list) {
			text[i] = '\0';
			list[n] = (struct word){ .text = text + start, .count = 1 };
		}
		n++;
	}
	return n;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct word *)a)->text, ((const struct word *)b)->text);
}

static int by_count(const void *a, const void *b)
{
	const struct word *x = a, *y = b;

	return x->count != y->count ? (x->count < y->count ? 1 : -1) : strcmp(x->text, y->text);
}

/* Sorted by text, the same words lie together. */
static size_t words_merge(struct word *list, size_t n)
{
	size_t distinct = 0;

	qsort(list, n, sizeof(*list), by_text);
	for (size_t i = 0; i < n; i++) {
		if (distinct && strcmp(list[distinct - 1].text, list[i].text) == 0)
			list[distinct - 1].count++;
		else
			list[distinct++] = list[i];
	}
	return distinct;
}

int main(void)
{
	size_t len = 0, lines = 0, n, distinct;
	char *text = input_read(&len);
	const char *longest = "";
	struct word *list;

	if (!text) {
		perror("wordstat: standard input");
		return 1;
	}
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	n = words_cut(text, len, NULL);
	list = calloc(n + 1, sizeof(*list));
	if (!list) {
		perror("wordstat");
		free(text);
		return 1;
	}
	(void)words_cut(text, len, list);
	distinct = words_merge(list, n);
	for (size_t i = 0; i < distinct; i++)
		if (strlen(list[i].text) > strlen(longest))
			longest = list[i].text;
	printf("{\"bytes\": %zu, \"lines\": %zu, \"words\": %zu, \"distinct\": %zu, "
	       "\"longest\": \"%s\", \"top\": [",
	       len, lines, n, distinct, longest);
	qsort(list, distinct, sizeof(*list), by_count);
	for (size_t i = 0; i < distinct && i < TOP; i++)
		printf("%s[\"%s\", %zu]", i ? ", " : "", list[i].text, list[i].count);
	puts("]}");
	free(list);
	free(text);
	return fflush(stdout) == 0 ? 0 : 1;
}
