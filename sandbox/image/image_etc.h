/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_IMAGE_IMAGE_ETC_H
#define CLOCHE_IMAGE_IMAGE_ETC_H

struct cloche_err;

/*
 * What programs look for in /etc and an image need not have, as whoever runs it provides it: places
 * for the context's own hosts, hostname and resolv.conf (empty files, which it mounts on:
 * launch/rootfs_enter.c), and in passwd and group a name for the user that a function is. Nothing
 * is touched that is not a regular file in a directory /etc: on the host a link might lead
 * anywhere.
 */
int image_etc_complete(int tree, struct cloche_err *err);

#endif
