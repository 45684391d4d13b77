/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_BOOTSTRAPS_H
#define CLOCHE_LAUNCH_BOOTSTRAPS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The programs that run functions of a language (vm-images/bootstraps), which every root made of
 * the host's /usr has in /var/runtime: executable, everybody's to read. The last has no name.
 */
#define BOOTSTRAPS_DIR "/var/runtime"

struct bootstrap {
	const char *name;
	const unsigned char *bytes;
	size_t len;
};

extern const struct bootstrap bootstraps[];

/* Of all of them: another one, other files. */
extern const uint64_t bootstraps_hash;

#endif
