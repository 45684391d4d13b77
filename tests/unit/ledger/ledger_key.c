/* SPDX-License-Identifier: MIT */
/* Signed seals of the ledger, and the files of keys. */
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "ledger/ledger_key.h"
#include "tests/lib/ledgers.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Test(ledger_key, seals_are_signed_and_checked)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_tmpdir char *keys = tmpdir_make();
	struct ledger_options options = { .create = true };
	unsigned char pub[32], other[32];
	struct ledger_walk walk = { .public_key = pub };
	struct cloche_err err = { 0 };
	struct ledger_finding f;
	struct ledger *l;
	char a[512], b[512], path[512];

	options.key_file = tmpdir_path(a, keys, "a");
	cr_assert_eq(ledger_key_make(a, &err), 0, "%s", err.text);
	cr_assert_eq(ledger_key_make(a, &err), -EEXIST);
	cr_assert_eq(ledger_key_make(tmpdir_path(b, keys, "b"), &err), 0);
	cr_assert_eq(ledger_key_public(tmpdir_path(path, keys, "a.pub"), pub, &err), 0, "%s",
		     err.text);
	cr_assert_eq(ledger_key_public(tmpdir_path(path, keys, "b.pub"), other, &err), 0);
	cr_assert_eq(ledger_open(dir, &options, &l, &err), 0, "%s", err.text);
	ledgers_append(l, 0, 3);
	cr_assert_eq(ledger_seal(l, &err), 0, "%s", err.text);
	ledgers_append(l, 3, 5);
	(void)ledger_close(l);

	cr_assert_eq(ledger_verify(dir, &walk, &f, &err), 0);
	cr_assert(!f.broken, "%s", f.text);
	cr_assert_eq(f.signer_known, 1);
	walk.public_key = other;
	cr_assert_eq(ledger_verify(dir, &walk, &f, &err), 0);
	cr_assert(f.broken && strstr(f.text, "another key"), "%s", f.text);

	/* A seal without a signature, where one is asked for. */
	l = ledgers_open(dir, 0, false);
	cr_assert_eq(ledger_seal(l, &err), 0, "%s", err.text);
	(void)ledger_close(l);
	walk.public_key = pub;
	cr_assert_eq(ledger_verify(dir, &walk, &f, &err), 0);
	cr_assert(f.broken && strstr(f.text, "not signed"), "%s", f.text);
	cr_assert_eq(f.segment, 2);
	cr_assert(!ledgers_verify(dir).broken);
}

/* The first line of the file at path, without its newline, to be freed. */
static char *line_of(const char *path)
{
	char *text;
	size_t len;

	cr_assert_eq(file_load(AT_FDCWD, path, 1000, &text, &len, NULL), 0);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static void line_write(const char *path, const char *line)
{
	cleanup_file FILE *f = fopen(path, "we");

	cr_assert(f && fprintf(f, "%s\n", line) > 0);
}

static size_t count_files(const char *dir)
{
	struct dirent **list;
	int n = scandir(dir, &list, NULL, NULL);

	cr_assert_geq(n, 0);
	for (int i = 0; i < n; i++)
		free(list[i]);
	free(list);
	return (size_t)n;
}

/* A ledger with something to seal: nothing is written when the key is not one that signs. */
static void expect_no_signer(const char *dir, const char *key, const char *says)
{
	const struct ledger_options options = { .key_file = key };
	struct ledger_finding before = ledgers_verify(dir), after;
	size_t files = count_files(dir);
	struct cloche_err err = { 0 };
	struct ledger *l = NULL;

	cr_assert_eq(ledger_open(dir, &options, &l, &err), -EINVAL, "%s: '%s'", key, err.text);
	cr_assert(strstr(err.text, says), "'%s' lacks '%s'", err.text, says);
	after = ledgers_verify(dir);
	cr_assert_eq(after.frames, before.frames);
	cr_assert_eq(count_files(dir), files);
}

Test(ledger_key, the_two_halves_of_a_key_are_told_apart)
{
	cleanup_tmpdir char *dir = tmpdir_make(), *keys = tmpdir_make();
	struct ledger *l = ledgers_open(dir, 0, false);
	char key[512], pub[520], own[512];
	struct ledger_options options = { .key_file = key };
	cleanup_free char *secret = NULL, *public = NULL;
	unsigned char bytes[32];
	struct cloche_err err = { 0 };
	size_t files;

	ledgers_append(l, 0, 3);
	(void)ledger_close(TAKE_PTR(l));
	cr_assert_eq(ledger_key_make(tmpdir_path(key, keys, "k"), &err), 0, "%s", err.text);
	(void)snprintf(pub, sizeof(pub), "%s.pub", key);
	secret = line_of(key);
	public = line_of(pub);
	cr_assert_eq(strncmp(secret, "cloche-seal-secret-1 ", 21), 0, "%s", secret);
	cr_assert_eq(strncmp(public, "cloche-seal-public-1 ", 21), 0, "%s", public);
	expect_no_signer(dir, pub, "is a public key");
	cr_assert_eq(ledger_key_public(key, bytes, &err), -EINVAL);
	cr_assert(strstr(err.text, "is the secret one") && strstr(err.text, "k.pub'"), "%s",
		  err.text);

	/* The ledger's own key file: nothing is begun with the wrong half. */
	line_write(tmpdir_path(own, dir, LEDGER_KEY_NAME), public);
	l = ledgers_open(dir, 0, false);
	files = count_files(dir);
	cr_assert_eq(ledger_seal(l, &err), -EINVAL);
	cr_assert(strstr(err.text, "is a public key"), "%s", err.text);
	cr_assert_eq(count_files(dir), files);
	(void)ledger_close(TAKE_PTR(l));
	cr_assert_eq(unlink(own), 0);

	/* Files of before, without the word: alone they may be either. */
	line_write(pub, public + 21);
	expect_no_signer(dir, pub, "write 'cloche-seal-secret-1 '");
	cr_assert_eq(ledger_key_public(pub, bytes, &err), -EINVAL);
	cr_assert(strstr(err.text, "write 'cloche-seal-public-1 '"), "%s", err.text);
	cr_assert_eq(unlink(pub), 0);
	line_write(key, secret + 21);
	expect_no_signer(dir, key, "write 'cloche-seal-secret-1 '");
	/* The secret one with its public half beside it cannot be the other. */
	line_write(pub, public + 21);
	cr_assert_eq(ledger_open(dir, &options, &l, &err), 0, "%s", err.text);
	cr_assert_eq(ledger_seal(l, &err), 0, "%s", err.text);
	(void)ledger_close(l);
	cr_assert_eq(ledgers_verify(dir).with_signature, 1);
}

/* Who changes a seal and makes all hashes right again still lacks the key. */
Test(ledger_key, a_seal_that_was_made_again_without_the_key_is_found)
{
	cleanup_tmpdir char *dir = tmpdir_make(), *keys = tmpdir_make();
	struct ledger_options options = { .create = true };
	const struct ledger_walk walk = { 0 };
	struct cloche_err err = { 0 };
	char key[512], path[512];
	unsigned char *buf;
	struct ledger *l;
	size_t len, body = sizeof(struct frame_seal), at;

	options.key_file = tmpdir_path(key, keys, "key");
	cr_assert_eq(ledger_key_make(key, &err), 0, "%s", err.text);
	cr_assert_eq(ledger_open(dir, &options, &l, &err), 0, "%s", err.text);
	ledgers_append(l, 0, 3);
	cr_assert_eq(ledger_seal(l, &err), 0, "%s", err.text);
	(void)ledger_close(l);
	cr_assert_eq(file_load(AT_FDCWD, tmpdir_path(path, dir, "000000000001.seg"), 1 << 20,
			       (char **)&buf, &len, &err),
		     0);
	at = len - FRAME_HEAD - body - FRAME_HASH;
	/* Each part in turn: the time, the public key, the signature. */
	for (size_t part = 24; part < body; part += 8) {
		struct ledger_head head = { .segment = 1 };
		struct ledger_finding f = { 0 };
		unsigned char prev[FRAME_HASH];

		memcpy(prev, buf + at + 24, FRAME_HASH);
		buf[at + FRAME_HEAD + part] ^= 1;
		(void)frame_finish(buf + at, FRAME_SEAL, 5, prev, body);
		cr_assert_eq(ledger_verify_bytes(buf, len, true, &walk, &head, &f), 0);
		cr_assert(f.broken && f.number == 5, "byte %zu of the seal", part);
		cr_assert(strstr(f.text, "signature"), "%s", f.text);
		buf[at + FRAME_HEAD + part] ^= 1;
	}
	free(buf);
}
