/* SPDX-License-Identifier: MIT */
/* How a function of an image is started: see function_start_make() in function.h. */
#include "function/function.h"

#include "base/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t count(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

/* Copies of texts behind those that a list has; false: no memory. */
static bool append(char **list, char *const *from)
{
	char **to = list + count(list);

	for (; from && *from; from++, to++) {
		*to = strdup(*from);
		if (!*to)
			return false;
	}
	return true;
}

/* Of one list's texts behind the other's; NULL: no memory. */
static char **joined(char *const *a, char *const *b)
{
	char **list = calloc(count(a) + count(b) + 1, sizeof(*list));

	if (list && append(list, a) && append(list, b))
		return list;
	for (char **at = list; at && *at; at++)
		free(*at);
	free(list);
	return NULL;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool same_name(const char *a, const char *b)
{
	size_t len = strcspn(a, "=");

	return strncmp(a, b, len) == 0 && b[len] == '=';
}

/* Of one name the last counts, before they are sorted. */
static void keep_last(char **env)
{
	size_t n = count(env), kept = 0;

	for (size_t i = 0; i < n; i++) {
		bool again = !strchr(env[i], '=');

		for (size_t j = i + 1; j < n && !again; j++)
			again = same_name(env[i], env[j]);
		if (again)
			free(env[i]);
		else
			env[kept++] = env[i];
	}
	if (env)
		env[kept] = NULL;
	if (kept > 1)
		qsort(env, kept, sizeof(*env), by_name);
}

int function_start_make(struct function_config *c, char *const *entrypoint, char *const *command,
			char *const *env, const char *workdir, struct cloche_err *err)
{
	struct function_start *s = &c->start;
	char **own = s->command;

	if (c->handler)
		command = c->handler;
	else if (own)
		command = NULL;
	s->command = joined(own ? own : entrypoint, command);
	for (char **at = own; at && *at; at++)
		free(*at);
	free(own);
	if (count(env))
		s->env = joined(env, NULL);
	if (workdir && !s->workdir)
		s->workdir = strdup(workdir);
	if (!s->command || (count(env) && !s->env) || (workdir && !s->workdir))
		return cloche_err_sys(err, ENOMEM, "image");
	keep_last(s->env);
	return 0;
}
