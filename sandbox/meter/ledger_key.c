/* SPDX-License-Identifier: MIT */
/* Keys and signatures of the ledger's seals; see ledger_key.h. */
#include "meter/ledger_key.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stddef.h>
#include <string.h>

#define KEY_LEN 32

static int hex_read(int dirfd, const char *path, unsigned char ret[static KEY_LEN],
		    struct cloche_err *err)
{
	char text[2 * KEY_LEN + 3];
	size_t len = 0;
	int r;

	r = file_read_text(dirfd, path, text, sizeof(text), err);
	if (r < 0 && r != -EFBIG)
		return r;
	if (r == -EFBIG || strlen(text) != (size_t)2 * KEY_LEN ||
	    sodium_hex2bin(ret, KEY_LEN, text, strlen(text), NULL, &len, NULL) || len != KEY_LEN)
		return cloche_err_set(err, EINVAL,
				      "key '%.200s' is not one line of 64 hexadecimal digits; "
				      "'cloche audit key FILE' makes one",
				      path);
	return 0;
}

static int hex_write(const char *path, const unsigned char key[static KEY_LEN], mode_t mode,
		     struct cloche_err *err)
{
	cleanup_fd int fd = -1;
	char text[2 * KEY_LEN + 2];
	ssize_t n;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return cloche_err_sys(err, errno, "make key '%.200s'", path);
	(void)sodium_bin2hex(text, sizeof(text), key, KEY_LEN);
	text[(size_t)2 * KEY_LEN] = '\n';
	n = write(fd, text, (size_t)2 * KEY_LEN + 1);
	sodium_memzero(text, sizeof(text));
	if (n == 2 * KEY_LEN + 1 && fsync(fd) == 0)
		return 0;
	n = n < 0 || errno ? errno : ENOSPC;
	(void)unlink(path);
	return cloche_err_sys(err, (int)n, "write key '%.200s'", path);
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
	errno = 0;
	r = hex_write(path, seed, 0600, err);
	if (r == 0) {
		r = hex_write(name, pub, 0644, err);
		if (r < 0)
			(void)unlink(path);
	}
	sodium_memzero(seed, sizeof(seed));
	sodium_memzero(secret, sizeof(secret));
	return r;
}

int ledger_key_public(const char *path, unsigned char ret[static 32], struct cloche_err *err)
{
	return hex_read(AT_FDCWD, path, ret, err);
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

	r = hex_read(dirfd, path, seed, err);
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
