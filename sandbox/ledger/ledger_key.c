/* SPDX-License-Identifier: MIT */
/* Keys and signatures of the ledger's seals; see ledger_key.h. */
#include "ledger/ledger_key.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stddef.h>
#include <string.h>

#define KEY_LEN	   32
#define KEY_DIGITS ((size_t)2 * KEY_LEN)
#define WORD_LEN   (sizeof(LEDGER_KEY_SECRET) - 1)
#define KEY_LINE   (WORD_LEN + 1 + KEY_DIGITS + 1)

_Static_assert(sizeof(LEDGER_KEY_SECRET) == sizeof(LEDGER_KEY_PUBLIC), "one length for both");

enum key_kind { KEY_SECRET, KEY_PUBLIC, KEY_BARE /* it does not say */ };

static int key_read(int dirfd, const char *path, enum key_kind *ret_kind,
		    unsigned char ret[static KEY_LEN], struct cloche_err *err)
{
	char text[KEY_LINE + 2];
	const char *digits = text;
	size_t len = 0;
	int r;

	r = file_read_text(dirfd, path, text, sizeof(text), err);
	if (r < 0 && r != -EFBIG)
		return r;
	*ret_kind = KEY_BARE;
	if (r == 0 && !strncmp(text, LEDGER_KEY_SECRET " ", WORD_LEN + 1))
		*ret_kind = KEY_SECRET;
	else if (r == 0 && !strncmp(text, LEDGER_KEY_PUBLIC " ", WORD_LEN + 1))
		*ret_kind = KEY_PUBLIC;
	if (*ret_kind != KEY_BARE)
		digits += WORD_LEN + 1;
	if (r == -EFBIG || strlen(digits) != KEY_DIGITS ||
	    sodium_hex2bin(ret, KEY_LEN, digits, KEY_DIGITS, NULL, &len, NULL) || len != KEY_LEN)
		r = cloche_err_set(err, EINVAL,
				   "key '%.200s' is not one line of '" LEDGER_KEY_SECRET
				   "' or '" LEDGER_KEY_PUBLIC
				   "' and 64 hexadecimal digits; 'cloche audit key FILE' makes a "
				   "pair",
				   path);
	sodium_memzero(text, sizeof(text));
	return r;
}

static int key_write(const char *path, const char *word, const unsigned char key[static KEY_LEN],
		     mode_t mode, struct cloche_err *err)
{
	char text[KEY_LINE + 1], digits[KEY_DIGITS + 1];
	cleanup_fd int fd = -1;
	ssize_t n;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return cloche_err_sys(err, errno, "make key '%.200s'", path);
	(void)sodium_bin2hex(digits, sizeof(digits), key, KEY_LEN);
	(void)snprintf(text, sizeof(text), "%s %s\n", word, digits);
	errno = 0;
	n = write(fd, text, KEY_LINE);
	sodium_memzero(text, sizeof(text));
	sodium_memzero(digits, sizeof(digits));
	if (n == (ssize_t)KEY_LINE && fsync(fd) == 0)
		return 0;
	n = n < 0 || errno ? errno : ENOSPC;
	(void)unlink(path);
	return cloche_err_sys(err, (int)n, "write key '%.200s'", path);
}

/* Whether the digits of a file that says nothing are a secret key for certain: its public half
 * stands beside it. A public key has none that anybody could make. */
static bool bare_is_secret(int dirfd, const char *path, const unsigned char seed[static KEY_LEN])
{
	unsigned char pub[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
	unsigned char beside[KEY_LEN];
	char name[PATH_MAX];
	enum key_kind kind;

	if (snprintf(name, sizeof(name), "%s.pub", path) >= (int)sizeof(name) ||
	    key_read(dirfd, name, &kind, beside, NULL) < 0 || kind == KEY_SECRET)
		return false;
	(void)crypto_sign_seed_keypair(pub, secret, seed);
	sodium_memzero(secret, sizeof(secret));
	return sodium_memcmp(pub, beside, KEY_LEN) == 0;
}

int ledger_key_seed(int dirfd, const char *path, unsigned char ret[static KEY_LEN],
		    struct cloche_err *err)
{
	enum key_kind kind;
	int r = key_read(dirfd, path, &kind, ret, err);

	if (r < 0 || kind == KEY_SECRET)
		return r;
	if (kind == KEY_PUBLIC)
		return cloche_err_set(err, EINVAL,
				      "key '%.200s' is a public key, which only checks: sealing "
				      "takes the secret one, the file without .pub",
				      path);
	if (bare_is_secret(dirfd, path, ret))
		return 0;
	sodium_memzero(ret, KEY_LEN);
	return cloche_err_set(err, EINVAL,
			      "key '%.200s' does not say whether it is secret or public: if it is "
			      "the secret one, write '" LEDGER_KEY_SECRET " ' before its digits",
			      path);
}

int ledger_key_make(const char *path, struct cloche_err *err)
{
	unsigned char seed[crypto_sign_SEEDBYTES], pub[crypto_sign_PUBLICKEYBYTES];
	unsigned char secret[crypto_sign_SECRETKEYBYTES];
	char name[PATH_MAX];
	int r;

	if (sodium_init() < 0)
		return cloche_err_set(err, EIO, "make key '%.200s': no random numbers", path);
	if (snprintf(name, sizeof(name), "%s.pub", path) >= (int)sizeof(name))
		return cloche_err_sys(err, ENAMETOOLONG, "make key '%.200s'", path);
	randombytes_buf(seed, sizeof(seed));
	(void)crypto_sign_seed_keypair(pub, secret, seed);
	r = key_write(path, LEDGER_KEY_SECRET, seed, 0600, err);
	if (r == 0) {
		r = key_write(name, LEDGER_KEY_PUBLIC, pub, 0644, err);
		if (r < 0)
			(void)unlink(path);
	}
	sodium_memzero(seed, sizeof(seed));
	sodium_memzero(secret, sizeof(secret));
	return r;
}

int ledger_key_public(const char *path, unsigned char ret[static 32], struct cloche_err *err)
{
	enum key_kind kind;
	int r = key_read(AT_FDCWD, path, &kind, ret, err);

	if (r < 0 || kind == KEY_PUBLIC)
		return r;
	sodium_memzero(ret, KEY_LEN);
	if (kind == KEY_SECRET)
		return cloche_err_set(err, EINVAL,
				      "key '%.200s' is the secret one, which signs: checking takes "
				      "the public one, '%.200s.pub'",
				      path, path);
	return cloche_err_set(err, EINVAL,
			      "key '%.200s' does not say whether it is secret or public: if it is "
			      "the public one, write '" LEDGER_KEY_PUBLIC " ' before its digits",
			      path);
}

int ledger_key_own(int dirfd, unsigned char ret[static 32])
{
	unsigned char seed[crypto_sign_SEEDBYTES], secret[crypto_sign_SECRETKEYBYTES];
	enum key_kind kind;

	if (ledger_key_seed(dirfd, LEDGER_KEY_NAME, seed, NULL) == 0) {
		(void)crypto_sign_seed_keypair(ret, secret, seed);
		sodium_memzero(seed, sizeof(seed));
		sodium_memzero(secret, sizeof(secret));
		return 0;
	}
	if (key_read(dirfd, LEDGER_KEY_NAME ".pub", &kind, ret, NULL) == 0 && kind == KEY_PUBLIC)
		return 0;
	return -ENOENT;
}

int ledger_key_check(int dirfd, const char *path, struct cloche_err *err)
{
	unsigned char seed[crypto_sign_SEEDBYTES];
	int r = ledger_key_seed(dirfd, path, seed, err);

	sodium_memzero(seed, sizeof(seed));
	return r;
}

#define SIGNED_TEXT "cloche.ledger.seal/1"

/* What is signed, without padding: purpose, chain, the seal's own figures. */
static size_t message_of(const struct frame_seal *seal, const unsigned char *prev,
			 unsigned char *buf)
{
	const size_t figures = offsetof(struct frame_seal, public_key);

	memcpy(buf, SIGNED_TEXT, sizeof(SIGNED_TEXT));
	memcpy(buf + sizeof(SIGNED_TEXT), prev, FRAME_HASH);
	memcpy(buf + sizeof(SIGNED_TEXT) + FRAME_HASH, seal, figures);
	return sizeof(SIGNED_TEXT) + FRAME_HASH + figures;
}

int ledger_key_sign(int dirfd, const char *path, struct frame_seal *seal,
		    const unsigned char prev[static FRAME_HASH], struct cloche_err *err)
{
	unsigned char seed[crypto_sign_SEEDBYTES], secret[crypto_sign_SECRETKEYBYTES];
	unsigned char message[128];
	size_t len;
	int r;

	r = ledger_key_seed(dirfd, path, seed, err);
	if (r < 0)
		return r;
	(void)crypto_sign_seed_keypair(seal->public_key, secret, seed);
	len = message_of(seal, prev, message);
	(void)crypto_sign_detached(seal->signature, NULL, message, len, secret);
	sodium_memzero(seed, sizeof(seed));
	sodium_memzero(secret, sizeof(secret));
	return 0;
}

bool ledger_key_present(const struct frame_seal *seal)
{
	return !sodium_is_zero(seal->public_key, sizeof(seal->public_key)) ||
	       !sodium_is_zero(seal->signature, sizeof(seal->signature));
}

bool ledger_key_signed(const struct frame_seal *seal, const unsigned char prev[static FRAME_HASH])
{
	unsigned char message[128];
	size_t len = message_of(seal, prev, message);

	return !crypto_sign_verify_detached(seal->signature, message, len, seal->public_key);
}
