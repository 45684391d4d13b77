/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as the daemon's configuration. What is refused changes nothing and is explained in one
 * line; what is accepted is within its bounds, also on top of what was there.
 */
#include "serve/config.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file = -1; /* in memory, one for all inputs */
static char path[64];

static void file_put(const uint8_t *data, size_t size)
{
	if (file < 0) {
		file = memfd_create("config", MFD_CLOEXEC);
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	}
	if (ftruncate(file, 0) < 0 || pwrite(file, data, size, 0) != (ssize_t)size)
		abort();
}

static bool is_same_limits(const struct owner_limits *a, const struct owner_limits *b)
{
	return a->memory_bytes == b->memory_bytes && a->vcpu_milli == b->vcpu_milli &&
	       a->pids == b->pids && a->images_bytes == b->images_bytes &&
	       a->kept_bytes == b->kept_bytes && a->code_bytes == b->code_bytes &&
	       a->unpacked_bytes == b->unpacked_bytes && a->contexts == b->contexts &&
	       a->waiting == b->waiting && a->records == b->records && a->traces == b->traces &&
	       a->functions == b->functions;
}

static bool is_same(const struct config *a, const struct config *b)
{
	return strcmp(a->control, b->control) == 0 && strcmp(a->state, b->state) == 0 &&
	       a->contexts == b->contexts && a->n_owners == b->n_owners &&
	       is_same_limits(&a->per_owner, &b->per_owner) && a->memory_bytes == b->memory_bytes &&
	       a->grace_ns == b->grace_ns && a->idle_expiry_ns == b->idle_expiry_ns;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config was, c;
	struct cloche_err err = { 0 };

	config_defaults(&was);
	c = was;
	file_put(data, size);
	if (config_load(path, &c, &err) < 0) {
		if (!is_same(&c, &was) || !err.code || strchr(err.text, '\n'))
			abort();
		return 0;
	}
	if (c.contexts < 1 || c.per_owner.contexts < 1 || c.n_owners > CONFIG_OWNERS_MAX ||
	    c.grace_ns < 0 || c.idle_expiry_ns < 0 || !memchr(c.control, '\0', sizeof(c.control)) ||
	    !memchr(c.state, '\0', sizeof(c.state)))
		abort();
	return 0;
}
