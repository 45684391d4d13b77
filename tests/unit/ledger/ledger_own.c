/* SPDX-License-Identifier: MIT */
/* One owner's records in a chain of their own, and the line that says where it was. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "ledger/ledger_own.h"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static void add(struct ledger_own *own, const char *text)
{
	ledger_own_add(own, (const unsigned char *)text, strlen(text));
}

/* As sha256sum(1) has it: of 32 zeros and "a", of that and "b". */
Test(ledger_own, each_hash_is_of_the_one_before_and_the_record)
{
	char line[LEDGER_OWN_LEN];
	struct ledger_own own;

	ledger_own_begin(1000, &own);
	add(&own, "a");
	ledger_own_format(&own, line);
	cr_expect_str_eq(line, "cloche-own-1 owner=1000 invocations=1 sha256="
			       "41a0370c3d9f42773a59e8e01651911cf43b1e3f66944cbb690029debc4eb647");
	add(&own, "b");
	ledger_own_format(&own, line);
	cr_expect_str_eq(line, "cloche-own-1 owner=1000 invocations=2 sha256="
			       "abccbe9b24d2bbd3aa1360d605147a841dd051130131c6929d6004e1ae4796e8");
}

Test(ledger_own, a_line_comes_back_as_it_was)
{
	char line[LEDGER_OWN_LEN], again[LEDGER_OWN_LEN];
	struct ledger_own own, read;
	struct cloche_err err = { 0 };

	ledger_own_begin(4294967295U, &own);
	for (int i = 0; i < 300; i++)
		add(&own, "record");
	ledger_own_format(&own, line);
	cr_assert_eq(ledger_own_parse(line, &read, &err), 0, "%s", err.text);
	cr_expect(read.uid == own.uid && read.records == 300 &&
		  memcmp(read.hash, own.hash, sizeof(own.hash)) == 0);
	ledger_own_format(&read, again);
	cr_expect_str_eq(again, line);
}

Test(ledger_own, anything_else_is_none)
{
	static const char *const lines[] = {
		"",
		"cloche-own-1",
		"cloche-own-1 owner=1 invocations=0 sha256=" ZEROS,
		"cloche-own-1 owner=01 invocations=1 sha256=" ZEROS,
		"cloche-own-1 owner=-1 invocations=1 sha256=" ZEROS,
		"cloche-own-1 owner=4294967296 invocations=1 sha256=" ZEROS,
		"cloche-own-1 owner=1 invocations=1 sha256=" ZEROS " ",
		"cloche-own-1 owner=1 invocations=1 sha256=" ZEROS "0",
		"cloche-own-1  owner=1 invocations=1 sha256=" ZEROS,
		"cloche-own-1 owner=1 invocations=1 sha256=A" ZEROS,
		"cloche-own-1 owner=1 invocations=1 sha256=abc",
		"cloche-own-2 owner=1 invocations=1 sha256=" ZEROS,
		"cloche-ledger-1 ledger=0 record=1 segment=1 end=1 invocations=1 sha256=" ZEROS,
	};
	struct ledger_own own = { .records = 7 };

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct cloche_err err = { 0 };

		cr_expect_eq(ledger_own_parse(lines[i], &own, &err), -EINVAL, "%s", lines[i]);
		cr_expect_eq(own.records, 7);
	}
}
