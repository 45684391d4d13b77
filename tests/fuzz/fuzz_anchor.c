/* SPDX-License-Identifier: MIT */
/* Any text as a line of `cloche audit head`, root's or an owner's: what is accepted has that one
 * form. */
#include "ledger/ledger_anchor.h"
#include "ledger/ledger_own.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_own(const char *line)
{
	char again[LEDGER_OWN_LEN];
	struct ledger_own own;
	struct cloche_err err = { 0 };

	if (ledger_own_parse(line, &own, &err) < 0) {
		if (!err.code || strchr(err.text, '\n'))
			abort();
		return;
	}
	ledger_own_format(&own, again);
	if (strcmp(again, line) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of the exact size, so that the sanitizer sees a read behind the NUL. */
	char *line = malloc(size + 1), again[LEDGER_ANCHOR_LEN];
	struct ledger_anchor anchor;
	struct cloche_err err = { 0 };

	if (!line)
		return 0;
	if (size)
		memcpy(line, data, size);
	line[size] = '\0';
	if (ledger_anchor_parse(line, &anchor, &err) < 0) {
		if (!err.code || strchr(err.text, '\n'))
			abort();
	} else {
		(void)ledger_anchor_signed(&anchor);
		ledger_anchor_format(&anchor, again);
		if (strcmp(again, line) != 0)
			abort();
	}
	fuzz_own(line);
	free(line);
	return 0;
}
