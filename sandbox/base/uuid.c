/* SPDX-License-Identifier: MIT */
/*
 * Request ids. They come from the kernel's generator and not from a seeded one in the process,
 * because zygotes fork: two children must never draw the same number.
 */
#include "base/uuid.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/err.h"

int uuid_v4(char buf[static UUID_LEN], struct cloche_err *err)
{
	unsigned char b[16];
	ssize_t n;

	/* getrandom(2): up to 256 bytes come whole and cannot be interrupted once the generator is
	 * seeded; before that, early in boot, it waits and a signal may end the wait. */
	do {
		n = getrandom(b, sizeof(b), 0);
	} while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(b))
		return cloche_err_sys(err, n < 0 ? errno : EIO, "getrandom for a request id");
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40); /* version 4 */
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80); /* variant 10x */
	(void)snprintf(buf, UUID_LEN,
		       "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
		       b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		       b[13], b[14], b[15]);
	return 0;
}
