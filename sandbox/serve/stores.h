/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_STORES_H
#define CLOCHE_SERVE_STORES_H

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;
struct config;

/*
 * The launcher's side of images: the host's shared ones, root's, and each owner's own, below
 * STATE/owners/UID/images; and beside these the code of his functions, STATE/owners/UID/code, each
 * named by the SHA-256 of the archive that it was, and the images that functions are made of, each
 * named by its own. All files of all stores are root's, written by
 * image/image_make.h; nobody but root comes to an owner's by a path. Who may read one has a
 * descriptor of it (image_store_show).
 */
enum image_form {		    /* of what an image is made */
		  IMAGE_OF_ARCHIVE, /* as image/image_oci.h has it */
		  IMAGE_OF_TREE,    /* as image/image_recipe.h has it (stream_fill) */
		  IMAGE_OF_CODE,    /* no image: as image/image_code.h has it */
		  IMAGE_OF_IMAGE,   /* one that is there, kept beside the code: image/image_pin.h */
		  IMAGE_FORMS
};

#define STORES_OWNERS "owners" /* below the state directory */

#define STORES_PATH_LEN (4096 + 64)

/* Where the owner's own store is or would be, of images or of code; make: it is made. */
void stores_path(const struct config *config, uint32_t owner, bool code,
		 char ret[static STORES_PATH_LEN]);
int stores_make(const struct config *config, uint32_t owner, bool code,
		char ret[static STORES_PATH_LEN], struct cloche_err *err);

/* The same for traces that are kept: STATE/owners/UID/traces, root's alone; and how many may be.
 * -EDQUOT: none. */
struct trace_store_limits;
void stores_traces_path(const struct config *config, uint32_t owner,
			char ret[static STORES_PATH_LEN]);
int stores_make_traces(const struct config *config, uint32_t owner,
		       char ret[static STORES_PATH_LEN], struct trace_store_limits *ret_limits,
		       struct cloche_err *err);

/* What is in it takes of the disk, and how many they are. */
int stores_used(const struct config *config, uint32_t owner, bool code, uint64_t *ret_bytes,
		unsigned *ret_n, struct cloche_err *err);

/* Removes what is half made in any of them, of a launcher that is dead. */
void stores_sweep(const struct config *config);

/* Of owners' images none stays mounted; the host's are not the daemon's alone. */
void stores_unmount(const struct config *config);

/* The owner's own store, or the shared one. -ENOENT: there is none yet. */
int stores_open(const struct config *config, uint32_t owner, bool own, struct cloche_err *err);

/* That of the owner's code. -ENOENT: there is none yet. */
int stores_open_code(const struct config *config, uint32_t owner, struct cloche_err *err);

/* What is shown of them: a mount for each store (image_store_show), of which all who ask get the
 * same: whoever asks again and again, and closes none, has the kernel keep no more for it. */
#define STORES_SHOWN 64
struct stores {
	struct {
		uint64_t dev, ino; /* of the store */
		int fd;		   /* -1: none */
	} shown[STORES_SHOWN];
	unsigned next; /* whose place the next one takes */
};

void stores_open_shown(struct stores *s);
void stores_close_shown(struct stores *s);

/* For who may read them: descriptors, each the caller's; -1: there is no such store. Of code there
 * is the owner's own alone. */
enum { STORES_SHARED, STORES_OWN, STORES };
int stores_show(struct stores *s, const struct config *config, uint32_t owner, bool code,
		int ret[static STORES], struct cloche_err *err);

#endif
