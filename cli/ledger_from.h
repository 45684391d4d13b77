/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_LEDGER_FROM_H
#define CLOCHE_CLI_LEDGER_FROM_H

#include "serve/remote.h"

#include <stdbool.h>

struct cloche_err;
struct ledger_finding;
struct ledger_index;
struct ledger_walk;

/*
 * Which ledger a verb reads: the directory that is named, by --ledger or $CLOCHE_LEDGER; else, for
 * whoever is not root or says where a daemon is ($CLOCHE_CONTROL), the daemon's, of which he gets
 * his own records and root all; else the one of 'cloche run' on this host.
 */
struct ledger_from {
	const char *dir;      /* NULL: the daemon's */
	const char *control;  /* where the daemon is looked for; NULL: it is not */
	struct remote remote; /* of the daemon's */
};

/* given: --ledger, or NULL. *err: the daemon was named and cannot be reached. */
int ledger_from_open(const char *given, struct ledger_from *ret, struct cloche_err *err);

/* As ledger_verify(); once. */
int ledger_from_walk(const struct ledger_from *from, const struct ledger_walk *walk,
		     struct ledger_finding *ret, struct cloche_err *err);

/* As ledger_index_open(), of the daemon's in memory; once. */
int ledger_from_index(const struct ledger_from *from, struct ledger_index *ret,
		      struct cloche_err *err);

/* For what takes the ledger itself: -ENOTSUP for the daemon's, and *err says what to do. */
int ledger_from_directory(const struct ledger_from *from, struct cloche_err *err);

void ledger_from_close(struct ledger_from *from);
#define cleanup_ledger_from __attribute__((cleanup(ledger_from_close)))

#endif
