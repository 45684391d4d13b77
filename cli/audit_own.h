/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_AUDIT_OWN_H
#define CLOCHE_CLI_AUDIT_OWN_H

#include <stdbool.h>

struct ledger_from;

/*
 * `cloche audit verify` and `cloche audit head` by an owner, of the daemon's ledger: he sees his
 * records and no others, and proves what can be proved of these (ledger/ledger_own.h). What the
 * daemon says of the chain of all is said to be its word.
 */
struct audit_own {
	const struct ledger_from *from;
	const char *against; /* --against LINE|FILE, or NULL */
	bool json;
};

int audit_own_verify(const struct audit_own *own);
int audit_own_head(const struct audit_own *own);

#endif
