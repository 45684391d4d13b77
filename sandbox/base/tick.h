/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BASE_TICK_H
#define CLOCHE_BASE_TICK_H

/*
 * Calls that a stranger's descriptor could have wait, in a process that serves others or is to hear
 * who wants an end of it.
 *
 * Theory of operation. Who gives a descriptor away and closes its own leaves the last close(2) to
 * whoever has it: of a TCP socket with SO_LINGER (socket(7)) that waits for the peer, who is the
 * giver's, too; and so does recvmsg(2) that finds no room for it, and the close of a socket in
 * which it lies unread. No look at it beforehand helps, for the giver may change it afterwards. But
 * such a wait ends when a signal is there: between tick_begin and tick_end there is one each
 * millisecond (timer_create(2), SIGURG with a handler that does nothing and restarts nothing).
 *
 * A file system that somebody else answers for (FUSE) waits deafly; what is on one the front leaves
 * to threads (serve/closer.h).
 */

/* From now on; before, and where nobody has called it, the others do nothing. Takes SIGURG. */
void tick_allow(void);

/* They nest; one thread's. errno stays as it is. */
void tick_begin(void);
void tick_end(void);

/* Closes *fd when it is open and marks it closed. */
void tick_close(int *fd);

#endif
