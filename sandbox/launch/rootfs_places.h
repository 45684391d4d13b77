/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_ROOTFS_PLACES_H
#define CLOCHE_LAUNCH_ROOTFS_PLACES_H

/*
 * Where in a root mount points can be made; between rootfs.c and rootfs_enter.c.
 *
 * Directories of the template's top that have nothing in them.
 */
static const char *const rootfs_empty[] = { "/mnt",  "/opt", "/run",  "/home",
					    "/root", "/srv", "/media" };
#define ROOTFS_EMPTY_N (sizeof(rootfs_empty) / sizeof(rootfs_empty[0]))

#endif
