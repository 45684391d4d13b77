/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_READING_H
#define CLOCHE_SERVE_READING_H

struct client;
struct cloche_err;
struct front;
struct reading;

/*
 * One client's reading of the daemon's ledger (serve/records.h): of its own records, root's of all,
 * up to where the chain ends when it asks. Whose a record is the kernel said when it was made, and
 * says of who asks.
 *
 * Whenever the socket takes something and the front has nothing else to do, one slice is read and
 * one message sent. So a client that asks much, or takes little, holds up nobody: others wait for
 * one slice, and there is one message in memory and what the socket holds. An owner's first reading
 * goes before anybody's second. Who takes nothing for long is left.
 */
#define READINGS_OF_ONE 16 /* at a time */

/* Goes on by itself, until client_read() is called. The socket stays the caller's. NULL: *err says
 * why, in words for that client. */
struct reading *reading_open(struct front *f, struct client *c, int socket, struct cloche_err *err);

/* Returns NULL; r may be NULL. */
struct reading *reading_close(struct reading *r);

#endif
