/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_IMAGE_USER_H
#define CLOCHE_CLI_IMAGE_USER_H

#include "image/image.h"
#include "image/image_make.h"
#include "serve/stores.h"

#include <stdbool.h>

struct cloche_err;

/*
 * Images of whoever is not root: the daemon keeps them, and shows the host's beside them. Whoever
 * says by CLOCHE_IMAGES where images are, and root, has those, and no daemon is asked.
 */
struct image_stores {
	int fd[STORES]; /* -1: there is none */
};

bool image_user_is(void);

/* Without a daemon the host's are there all the same. */
int image_stores_open(struct image_stores *ret, struct cloche_err *err);
void image_stores_close(struct image_stores *stores);

/* An own one goes before the host's of the same name. */
int image_stores_find(const struct image_stores *stores, const char *name, struct image *ret,
		      bool *ret_own, struct cloche_err *err);

/* With the user's own rights what is read. file "-": standard input. */
int image_user_import(const char *file, const char *ref, const char *name, struct cloche_err *err);
int image_user_build(const char *dir, const char *name, struct cloche_err *err);

/* The packages of a recipe's text are unpacked with the user's rights, too. */
int image_user_build_packages(const char *recipe, const char *name, image_progress *progress,
			      struct cloche_err *err);

/* The code of a function: what can be read of fd has that hash, and comes to so many bytes in
 * memory, packed and unpacked. */
int image_user_send_code(int fd, const char *sha256, uint64_t bytes, struct cloche_err *err);

/* The image of that name and hash, for this user's functions, whatever becomes of its name.
 * -ESTALE: the name means another one. */
int image_user_keep(const char *name, const char *sha256, struct cloche_err *err);

int image_user_remove(const char *name, struct cloche_err *err);

#endif
