/* SPDX-License-Identifier: MIT */
/* Between libcyaml's log and an error message: see yaml_error.h. */
#include "base/yaml_error.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN	 "key: "
#define REPEATED "already seen: "

void yaml_error_take(cyaml_log_t level, void *error, const char *fmt, va_list args)
{
	struct yaml_error *e = error;
	char text[sizeof(e->text)];
	const char *at;

	if (level < CYAML_LOG_ERROR)
		return;
	(void)vsnprintf(text, sizeof(text), fmt, args);
	text[strcspn(text, "\n")] = '\0';
	at = strstr(text, "line: ");
	if (at && !e->line)
		e->line = (unsigned)strtoul(at + 6, NULL, 10);
	if (e->text[0])
		return;
	(void)snprintf(e->text, sizeof(e->text), "%s",
		       strncmp(text, "Load: ", 6) == 0 ? text + 6 : text);
	for (char *p = e->text; *p; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			*p = '?';
}

static bool is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

unsigned yaml_error_line(const char *yaml, size_t len, const char *key, size_t key_len,
			 unsigned from)
{
	unsigned line = 1;

	for (size_t i = 0; key_len > 0 && key_len < len && i < len - key_len; i++) {
		size_t end = i + key_len;

		line += yaml[i] == '\n';
		if (line < from || memcmp(yaml + i, key, key_len) != 0 ||
		    (i > 0 && !is_one_of(yaml[i - 1], " \t\n{,-\"'")))
			continue;
		while (end < len && is_one_of(yaml[end], " \"'"))
			end++;
		if (end < len && yaml[end] == ':')
			return line;
	}
	return 0;
}

void yaml_error_mend(struct yaml_error *e, cyaml_err_t code, const char *yaml, size_t len)
{
	const char *repeated = strstr(e->text, REPEATED), *key = strstr(e->text, UNKNOWN);
	unsigned line;

	if (!e->text[0] || strncmp(e->text, "Backtrace", 9) == 0)
		(void)snprintf(e->text, sizeof(e->text), "%s", cyaml_strerror(code));
	if (!repeated && !key)
		return;
	key = repeated ? repeated + strlen(REPEATED) : key + strlen(UNKNOWN);
	/* The one before it, where the same key stands when it is repeated. */
	line = yaml_error_line(yaml, len, key, strlen(key), e->line + (repeated ? 1 : 0));
	if (line)
		e->line = line;
}
