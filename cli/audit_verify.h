/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_AUDIT_VERIFY_H
#define CLOCHE_CLI_AUDIT_VERIFY_H

#include <stdbool.h>

/* `cloche audit verify` and `cloche audit head`: the proof, and what to keep elsewhere of it. */
struct audit_proof {
	const char *ledger;
	const char *key;     /* --key FILE, or NULL */
	const char *against; /* --against LINE|FILE, or NULL */
	bool json;
};

int audit_verify(const struct audit_proof *proof);
int audit_head(const struct audit_proof *proof);

#endif
