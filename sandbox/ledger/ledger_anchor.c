/* SPDX-License-Identifier: MIT */
/* Lines that say where a ledger was; see ledger_anchor.h. */
#include "ledger/ledger_anchor.h"

#include "base/err.h"
#include "ledger/ledger_key.h"
#include "ledger/ledger_verify.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ledger_anchor_take(const struct ledger_entry *entry, struct ledger_anchor *ret)
{
	*ret = (struct ledger_anchor){
		.number = entry->frame->number,
		.segment = entry->segment,
		.end = entry->end,
		.records = entry->records,
	};
	memcpy(ret->ledger_id, entry->ledger_id, sizeof(ret->ledger_id));
	memcpy(ret->hash, entry->frame->hash, FRAME_HASH);
}

/* The line up to where the signature would begin; its length. */
static size_t format_unsigned(const struct ledger_anchor *a, char buf[static LEDGER_ANCHOR_LEN])
{
	char id[33], hash[2 * FRAME_HASH + 1], key[65] = "";

	(void)sodium_bin2hex(id, sizeof(id), a->ledger_id, sizeof(a->ledger_id));
	(void)sodium_bin2hex(hash, sizeof(hash), a->hash, FRAME_HASH);
	if (a->is_signed)
		(void)sodium_bin2hex(key, sizeof(key), a->key, sizeof(a->key));
	return (size_t)snprintf(buf, LEDGER_ANCHOR_LEN,
				LEDGER_ANCHOR_WORD " ledger=%s record=%" PRIu64 " segment=%" PRIu64
						   " end=%" PRIu64 " invocations=%" PRIu64
						   " sha256=%s%s%s",
				id, a->number, a->segment, a->end, a->records, hash,
				a->is_signed ? " key=" : "", key);
}

void ledger_anchor_format(const struct ledger_anchor *a, char buf[static LEDGER_ANCHOR_LEN])
{
	size_t len = format_unsigned(a, buf);
	char signature[129];

	if (!a->is_signed)
		return;
	(void)sodium_bin2hex(signature, sizeof(signature), a->signature, sizeof(a->signature));
	(void)snprintf(buf + len, LEDGER_ANCHOR_LEN - len, " signature=%s", signature);
}

int ledger_anchor_sign(struct ledger_anchor *a, int dirfd, const char *path, struct cloche_err *err)
{
	unsigned char seed[crypto_sign_SEEDBYTES], secret[crypto_sign_SECRETKEYBYTES];
	char line[LEDGER_ANCHOR_LEN];
	int r = ledger_key_seed(dirfd, path, seed, err);

	if (r < 0)
		return r;
	(void)crypto_sign_seed_keypair(a->key, secret, seed);
	a->is_signed = true;
	(void)crypto_sign_detached(a->signature, NULL, (const unsigned char *)line,
				   format_unsigned(a, line), secret);
	sodium_memzero(seed, sizeof(seed));
	sodium_memzero(secret, sizeof(secret));
	return 0;
}

bool ledger_anchor_signed(const struct ledger_anchor *a)
{
	char line[LEDGER_ANCHOR_LEN];
	size_t len = format_unsigned(a, line);

	return a->is_signed &&
	       !crypto_sign_verify_detached(a->signature, (const unsigned char *)line, len, a->key);
}

/* The value behind " name=", which must come next; *p moves behind it. */
static bool take_hex(const char **p, const char *name, unsigned char *ret, size_t len)
{
	size_t n = strlen(name), got = 0;

	if (strncmp(*p, name, n) != 0 || strlen(*p + n) < 2 * len ||
	    sodium_hex2bin(ret, len, *p + n, 2 * len, NULL, &got, NULL) != 0 || got != len)
		return false;
	*p += n + 2 * len;
	return true;
}

static bool take_number(const char **p, const char *name, uint64_t *ret)
{
	size_t n = strlen(name), digits;

	if (strncmp(*p, name, n) != 0)
		return false;
	*p += n;
	digits = strspn(*p, "0123456789");
	if (!digits || digits > 18)
		return false;
	*ret = strtoull(*p, NULL, 10);
	*p += digits;
	return true;
}

int ledger_anchor_parse(const char *line, struct ledger_anchor *ret, struct cloche_err *err)
{
	struct ledger_anchor a = { 0 };
	char again[LEDGER_ANCHOR_LEN];
	const char *p = line;
	bool ok = strncmp(p, LEDGER_ANCHOR_WORD, sizeof(LEDGER_ANCHOR_WORD) - 1) == 0;

	p += ok ? sizeof(LEDGER_ANCHOR_WORD) - 1 : 0;
	ok = ok && take_hex(&p, " ledger=", a.ledger_id, sizeof(a.ledger_id)) &&
	     take_number(&p, " record=", &a.number) && take_number(&p, " segment=", &a.segment) &&
	     take_number(&p, " end=", &a.end) && take_number(&p, " invocations=", &a.records) &&
	     take_hex(&p, " sha256=", a.hash, FRAME_HASH);
	if (ok && *p) {
		a.is_signed = true;
		ok = take_hex(&p, " key=", a.key, sizeof(a.key)) &&
		     take_hex(&p, " signature=", a.signature, sizeof(a.signature));
	}
	/* One form: what was read must come out again, or leading zeros and capitals would pass. */
	if (ok) {
		ledger_anchor_format(&a, again);
		ok = a.number && a.segment && a.records < a.number && strcmp(line, again) == 0;
	}
	if (!ok)
		return cloche_err_set(err, EINVAL, "not a line of 'cloche audit head'");
	*ret = a;
	return 0;
}

void ledger_anchor_compare(struct ledger_anchor *a, const struct ledger_entry *entry)
{
	struct ledger_anchor here;

	if (memcmp(a->ledger_id, entry->ledger_id, sizeof(a->ledger_id)) != 0) {
		a->met = true;
		a->differs = "it is of another ledger";
	}
	if (a->met || a->number != entry->frame->number)
		return;
	a->met = true;
	ledger_anchor_take(entry, &here);
	if (memcmp(here.hash, a->hash, FRAME_HASH) != 0)
		a->differs = "another record stands there";
	else if (here.segment != a->segment || here.end != a->end || here.records != a->records)
		a->differs = "its figures are not those of the record with this hash";
}
