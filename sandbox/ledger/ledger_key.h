/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LEDGER_LEDGER_KEY_H
#define CLOCHE_LEDGER_LEDGER_KEY_H

#include "ledger/ledger_frame.h"

#include <stdbool.h>

struct cloche_err;

/*
 * The key that signs seals: Ed25519 (RFC 8032) by libsodium. A secret key file holds the seed, a
 * public key file the public key, each as one line: a word that says which of the two it is, a
 * blank and 64 hexadecimal digits. Any 32 bytes are a seed, so that without the word a public key
 * would sign like a secret one that everybody knows. A signature proves that who sealed had the
 * key: keep it, or at least compare, on another machine than the ledger.
 *
 * Files without the word are of an older version. As a secret key they are taken when FILE.pub
 * beside them is what their digits make; otherwise they are refused with how to mend them.
 */
#define LEDGER_KEY_NAME	  "seal.key"
#define LEDGER_KEY_SECRET "cloche-seal-secret-1"
#define LEDGER_KEY_PUBLIC "cloche-seal-public-1"

/* Makes path (0600, must not exist) and path.pub. */
int ledger_key_make(const char *path, struct cloche_err *err);

/* The public key of a .pub file. -EINVAL for any other file. */
int ledger_key_public(const char *path, unsigned char ret[static 32], struct cloche_err *err);

/* The seed of a secret key file, relative to dirfd; to be wiped after use. */
int ledger_key_seed(int dirfd, const char *path, unsigned char ret[static 32],
		    struct cloche_err *err);

/* The public half of the key that is kept in the ledger, from it or the file beside it. -ENOENT
 * when there is none that may be read. */
int ledger_key_own(int dirfd, unsigned char ret[static 32]);

/* Whether the file, relative to dirfd, can sign: 0, or as ledger_key_sign would fail. */
int ledger_key_check(int dirfd, const char *path, struct cloche_err *err);

/* Signs the seal with the key at path, relative to dirfd. prev: the hash of the frame before. */
int ledger_key_sign(int dirfd, const char *path, struct frame_seal *seal,
		    const unsigned char prev[static FRAME_HASH], struct cloche_err *err);

/* Whether the seal has a signature by its own public_key and that is right. */
bool ledger_key_signed(const struct frame_seal *seal, const unsigned char prev[static FRAME_HASH]);

/* Whether there is a signature at all. */
bool ledger_key_present(const struct frame_seal *seal);

#endif
