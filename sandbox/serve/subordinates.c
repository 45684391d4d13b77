/* SPDX-License-Identifier: MIT */
/* Reads subuid(5), root's file: see subordinates.h. */
#include "serve/subordinates.h"

#include "base/err.h"
#include "base/fd.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct range {
	uint64_t first, end; /* end: behind the last */
};

struct ranges {
	struct range *of;
	size_t n, room;
};

/* A number up to `ends`, and what is behind it. */
static bool take_number(char **at, char ends, uint64_t *ret)
{
	char *end;

	errno = 0;
	if (!isdigit((unsigned char)**at))
		return false;
	*ret = strtoull(*at, &end, 10);
	if (errno || (*end != ends && !(ends == '\n' && *end == '\0')))
		return false;
	*at = *end ? end + 1 : end;
	return true;
}

/* WHO:FIRST:COUNT; nobody is called as a comment begins. */
static bool read_line(char *line, struct range *ret)
{
	uint64_t count;

	if (*line == '#')
		return false;
	while (*line && *line != ':')
		line++;
	if (!*line++)
		return false;
	if (!take_number(&line, ':', &ret->first) || !take_number(&line, '\n', &count))
		return false;
	if (ret->first > UINT32_MAX || count == 0)
		return false;
	ret->end = count > UINT32_MAX - ret->first ? UINT32_MAX + 1ULL : ret->first + count;
	return true;
}

static int add(struct ranges *r, const struct range *one)
{
	if (r->n == r->room) {
		size_t room = r->room ? 2 * r->room : 64;
		struct range *more = reallocarray(r->of, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		r->of = more;
		r->room = room;
	}
	r->of[r->n++] = *one;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

static int join(struct ranges *r, struct subordinates *ret)
{
	uint32_t n = 0;

	if (r->n > 0)
		qsort(r->of, r->n, sizeof(*r->of), compare);
	for (size_t i = 0; i < r->n; i++) {
		struct range *last = n ? &r->of[n - 1] : NULL;

		if (last && r->of[i].first <= last->end)
			last->end = r->of[i].end > last->end ? r->of[i].end : last->end;
		else
			r->of[n++] = r->of[i];
	}
	if (n > SUBORDINATES_MAX)
		return -E2BIG;
	for (uint32_t i = 0; i < n; i++) {
		ret->ranges[i].first = (uint32_t)r->of[i].first;
		ret->ranges[i].last = (uint32_t)(r->of[i].end - 1);
	}
	ret->n = n;
	return 0;
}

static int read_all(FILE *f, struct ranges *r)
{
	cleanup_free char *line = NULL;
	struct range one;
	size_t size = 0;
	int code = 0;

	while (code == 0 && getline(&line, &size, f) > 0)
		if (read_line(line, &one))
			code = add(r, &one);
	return code == 0 && ferror(f) ? -EIO : code;
}

int subordinates_read(const char *path, struct subordinates *ret, struct cloche_err *err)
{
	cleanup_file FILE *f = fopen(path, "re");
	struct ranges r = { 0 };
	int code = f ? 0 : -errno;

	if (code == -ENOENT) {
		ret->n = 0;
		return 0;
	}
	if (code == 0)
		code = read_all(f, &r);
	if (code == 0)
		code = join(&r, ret);
	free(r.of);
	if (code == -E2BIG)
		return cloche_err_set(err, E2BIG,
				      "'%.200s': more than %d ranges that do not touch each other",
				      path, SUBORDINATES_MAX);
	return code < 0 ? cloche_err_sys(err, -code, "read '%.200s'", path) : 0;
}

bool subordinates_have(const struct subordinates *s, uint32_t uid)
{
	uint32_t low = 0, high = s->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (s->ranges[middle].last < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->n && s->ranges[low].first <= uid;
}
