/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_REMOTE_LEDGER_H
#define CLOCHE_SERVE_REMOTE_LEDGER_H

struct cloche_err;
struct ledger_finding;
struct ledger_walk;
struct remote;

/*
 * The client's side of serve/records.h: what ledger_verify() is for a ledger's directory, for the
 * daemon's, and with its signature. Root is told each frame; everybody else his own records, their
 * numbers counted from 1.
 *
 * The daemon proves the chain as it reads it; here nothing is proved. All is fetched before the
 * first is told, into memory: whoever takes his time holds up nobody. Once for each connection.
 * -EBADMSG: the ledger is broken; what came before was told, and *err says so.
 */
int remote_ledger_walk(const struct remote *remote, const struct ledger_walk *walk,
		       struct ledger_finding *ret, struct cloche_err *err);

#endif
