/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_STORES_H
#define CLOCHE_SERVE_STORES_H

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;
struct config;

/*
 * The launcher's side of images: the host's shared ones, root's, and each owner's own, below
 * STATE/owners/UID/images. All files of all stores are root's, written by image/image_make.h;
 * nobody but root comes to an owner's by a path. Who may read one has a descriptor of it
 * (image_store_show).
 */
#define STORES_OWNERS "owners" /* below the state directory */

/* The owner's own store, or the shared one. -ENOENT: there is none yet. */
int stores_open(const struct config *config, uint32_t owner, bool own, struct cloche_err *err);

/* For who may read them: descriptors, each the caller's; -1: there is no such store. */
enum { STORES_SHARED, STORES_OWN, STORES };
int stores_show(const struct config *config, uint32_t owner, int ret[static STORES],
		struct cloche_err *err);

#endif
