/* SPDX-License-Identifier: MIT */
/* The chain of one owner's records, and lines that say where it was; see ledger_own.h. */
#include "ledger/ledger_own.h"

#include "base/err.h"
#include "ledger/ledger_record.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

void ledger_own_begin(uint32_t uid, struct ledger_own *ret)
{
	*ret = (struct ledger_own){ .uid = uid };
}

void ledger_own_add(struct ledger_own *own, const unsigned char *body, size_t len)
{
	unsigned char bytes[HASH_LEN + LEDGER_BODY_MAX];

	assert(len <= LEDGER_BODY_MAX);
	memcpy(bytes, own->hash, HASH_LEN);
	memcpy(bytes + HASH_LEN, body, len);
	hash_sha256(bytes, HASH_LEN + len, own->hash);
	own->records++;
}

void ledger_own_format(const struct ledger_own *own, char buf[static LEDGER_OWN_LEN])
{
	char hash[HASH_HEX_LEN];

	(void)sodium_bin2hex(hash, sizeof(hash), own->hash, HASH_LEN);
	(void)snprintf(buf, LEDGER_OWN_LEN,
		       LEDGER_OWN_WORD " owner=%" PRIu32 " invocations=%" PRIu64 " sha256=%s",
		       own->uid, own->records, hash);
}

int ledger_own_parse(const char *line, struct ledger_own *ret, struct cloche_err *err)
{
	struct ledger_own own = { 0 };
	char hash[HASH_HEX_LEN] = "", again[LEDGER_OWN_LEN];
	size_t got = 0;

	/* One form: what was read must come out again, or leading zeros and capitals would pass. */
	if (strlen(line) < LEDGER_OWN_LEN &&
	    sscanf(line,
		   LEDGER_OWN_WORD " owner=%10" SCNu32 " invocations=%18" SCNu64 " sha256=%64s",
		   &own.uid, &own.records, hash) == 3 &&
	    sodium_hex2bin(own.hash, HASH_LEN, hash, strlen(hash), NULL, &got, NULL) == 0 &&
	    got == HASH_LEN && own.records) {
		ledger_own_format(&own, again);
		if (strcmp(line, again) == 0) {
			*ret = own;
			return 0;
		}
	}
	return cloche_err_set(err, EINVAL, "not a line of an owner's 'cloche audit head'");
}
