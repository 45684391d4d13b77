/* SPDX-License-Identifier: MIT */
/* Reads the tables of expected verdicts: see verdict_table.h. For tests only: it aborts. */
#include "tests/lib/verdict_table.h"

#include <ctype.h>
#include <errno.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	uint32_t action;
} actions[] = {
	{ "ALLOW", SECCOMP_RET_ALLOW },
	{ "LOG", SECCOMP_RET_LOG },
	{ "KILL_PROCESS", SECCOMP_RET_KILL_PROCESS },
	{ "KILL_THREAD", SECCOMP_RET_KILL_THREAD },
	{ "TRAP", SECCOMP_RET_TRAP },
};

static void broken(const char *path, unsigned int line, const char *what, const char *text)
{
	(void)fprintf(stderr, "%s:%u: %s '%s'\n", path, line, what, text);
	abort();
}

static bool action_read(const char *text, uint32_t *ret)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].name, text) == 0) {
			*ret = actions[i].action;
			return true;
		}
	}
	for (int e = 1; e < 4096; e++) {
		const char *name = strerrorname_np(e);

		if (name && strcmp(name, text) == 0) {
			*ret = SECCOMP_RET_ERRNO | (uint32_t)e;
			return true;
		}
	}
	return false;
}

const char *verdict_name(uint32_t action)
{
	static char other[16];

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (actions[i].action == action)
			return actions[i].name;
	if ((action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO &&
	    strerrorname_np((int)(action & SECCOMP_RET_DATA)))
		return strerrorname_np((int)(action & SECCOMP_RET_DATA));
	(void)snprintf(other, sizeof(other), "0x%08x", action);
	return other;
}

/* NAME|NUMBER[(ARG,…)] with an ABI in front. */
static bool call_read(char *text, struct seccomp_data *data)
{
	char *args = strchr(text, '('), *end = text;
	uint32_t bits = 0, arch = SCMP_ARCH_X86_64;
	int nr;

	if (args)
		*args++ = '\0';
	data->arch = AUDIT_ARCH_X86_64;
	if (strncmp(text, "x32:", 4) == 0) {
		bits = 0x40000000;
		text += 4;
	} else if (strncmp(text, "i386:", 5) == 0) {
		data->arch = AUDIT_ARCH_I386;
		arch = SCMP_ARCH_X86;
		text += 5;
	}
	nr = isdigit((unsigned char)*text) ? (int)strtoul(text, &end, 0)
					   : seccomp_syscall_resolve_name_arch(arch, text);
	if (nr < 0 || (isdigit((unsigned char)*text) && *end))
		return false;
	data->nr = (int)((uint32_t)nr | bits);
	for (int i = 0; args && *args && *args != ')'; i++) {
		if (i == 6)
			return false;
		errno = 0;
		data->args[i] = strtoull(args, &end, 0); /* also -1 */
		if (end == args || errno || (*end != ',' && *end != ')'))
			return false;
		args = *end == ',' ? end + 1 : end;
	}
	return !args || strcmp(args, ")") == 0;
}

struct verdict_table verdict_table_read(const char *path)
{
	struct verdict_table table = { 0 };
	FILE *f = fopen(path, "re");
	char text[1024], *save;

	if (!f)
		broken(path, 0, "cannot open", path);
	for (unsigned int line = 1; fgets(text, sizeof(text), f); line++) {
		uint32_t action;
		char *word;

		text[strcspn(text, "#\n")] = '\0';
		word = strtok_r(text, " \t", &save);
		if (!word)
			continue;
		if (!action_read(word, &action))
			broken(path, line, "unknown verdict", word);
		while ((word = strtok_r(NULL, " \t", &save))) {
			struct verdict v = { .line = line, .action = action };

			(void)snprintf(v.call, sizeof(v.call), "%s", word);
			if (!call_read(word, &v.data))
				broken(path, line, "cannot read call", v.call);
			table.rows = realloc(table.rows, (table.n + 1) * sizeof(*table.rows));
			if (!table.rows)
				abort();
			table.rows[table.n++] = v;
		}
	}
	(void)fclose(f);
	return table;
}

void verdict_table_free(struct verdict_table *table)
{
	free(table->rows);
	*table = (struct verdict_table){ 0 };
}
