/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POLICY_POLICY_CACHE_H
#define CLOCHE_POLICY_POLICY_CACHE_H

#include <stdbool.h>

struct policy;

/*
 * Compiled filters, one file each, named by everything that they depend on: the SHA-256 of the
 * profile and of the walls behind it, libseccomp's version, the architecture, the kernel's version
 * (minKernel) and our own compiler's revision. What is found is trusted only when the directory and
 * the file belong to this process's user and nobody else can write them, and when length, key and
 * checksum fit.
 *
 * policy->sha256 and .walls are the key. get fills kills, flags and prog and returns true; false:
 * not there or not to be trusted. try_put is best effort: it makes the directory (0700) when it is
 * missing.
 */
bool policy_cache_get(const char *dir, struct policy *policy);
void policy_cache_try_put(const char *dir, const struct policy *policy);

#endif
