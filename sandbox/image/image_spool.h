/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_IMAGE_IMAGE_SPOOL_H
#define CLOCHE_IMAGE_IMAGE_SPOOL_H

struct cloche_err;

/*
 * What comes by a descriptor, in a file without a name of the current directory, when it is what
 * was announced: 64 digits of the SHA-256 of all of it. So who takes an archive apart, and may be
 * taken over by it, says nothing of what it was; and an archive can be read in any order. Nothing
 * here looks into it. A descriptor to read from; -EBADMSG: it is something else; -EFBIG, -ENOSPC.
 */
int image_spool(int from, const char *sha256, struct cloche_err *err);

#endif
