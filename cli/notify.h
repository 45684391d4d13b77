/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_NOTIFY_H
#define CLOCHE_CLI_NOTIFY_H

/* Tells whoever started us, where $NOTIFY_SOCKET names a socket by its path (sd_notify(3), without
 * its library). That nobody hears it is no error. */
void notify_say(const char *text);

#endif
