/* SPDX-License-Identifier: MIT */
/*
 * The body of an invocation's record: one table says what is in it, in what order and how, and the
 * encoder, the decoder and the JSON walk that table. See ledger_record.h.
 */
#include "ledger/ledger_record.h"

#include "base/clock.h"
#include "base/err.h"
#include "ledger/prices.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <string.h>

enum kind {
	KIND_TEXT,
	KIND_BOOL,
	KIND_U32,
	KIND_U64,
	KIND_I64,
	KIND_TIME,
	KIND_NANO, /* U64 that JSON shows with nine decimals */
	KIND_MONEY,
	KIND_HASH,
};

struct field {
	const char *name;
	enum kind kind;
	size_t offset;
	size_t size;
};

#define FIELD(kind, member)                                            \
	{                                                              \
#member, kind, offsetof(struct ledger_record, member), \
			sizeof(((struct ledger_record *)0)->member)    \
	}

static const struct field fields[] = {
	FIELD(KIND_TEXT, request_id),
	FIELD(KIND_TEXT, function),
	FIELD(KIND_U32, owner_uid),
	FIELD(KIND_TEXT, owner_name),
	FIELD(KIND_TEXT, verdict),
	FIELD(KIND_I64, exit_code),
	FIELD(KIND_BOOL, cold),
	FIELD(KIND_TEXT, reuse),
	FIELD(KIND_TIME, started_ns),
	FIELD(KIND_I64, launch_ns),
	FIELD(KIND_I64, init_ns),
	FIELD(KIND_I64, wall_ns),
	FIELD(KIND_I64, busy_ns),
	FIELD(KIND_I64, waiting_ns),
	FIELD(KIND_I64, idle_ns),
	FIELD(KIND_I64, on_cpu_ns),
	FIELD(KIND_I64, user_ns),
	FIELD(KIND_I64, system_ns),
	FIELD(KIND_I64, throttled_ns),
	FIELD(KIND_I64, contention_ns),
	FIELD(KIND_I64, memory_limit_bytes),
	FIELD(KIND_I64, memory_peak_bytes),
	FIELD(KIND_I64, duration_ns),
	FIELD(KIND_U64, billed_ms),
	FIELD(KIND_NANO, gbs_nano),
	FIELD(KIND_MONEY, charge),
	FIELD(KIND_MONEY, request),
	FIELD(KIND_MONEY, fair),
	FIELD(KIND_TEXT, prices),
	FIELD(KIND_HASH, prices_sha256),
	FIELD(KIND_TEXT, policy),
	FIELD(KIND_HASH, policy_sha256),
	FIELD(KIND_HASH, code_sha256),
};
#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static size_t width_of(const struct field *f)
{
	switch (f->kind) {
	case KIND_TEXT:
	case KIND_BOOL:
		return 1;
	case KIND_U32:
		return 4;
	case KIND_MONEY:
		return 16;
	case KIND_HASH:
		return 32;
	default:
		return 8;
	}
}

void ledger_record_init(struct ledger_record *record)
{
	memset(record, 0, sizeof(*record));
	for (size_t i = 0; i < N_FIELDS; i++)
		if (fields[i].kind == KIND_I64)
			memcpy((char *)record + fields[i].offset, &(int64_t){ LEDGER_NULL },
			       sizeof(int64_t));
}

/* JSON is UTF-8; a text that is not could be stored but never shown. jansson's own check. */
static bool is_utf8(const char *text, size_t len)
{
	json_t *s;

	for (size_t i = 0;; i++) {
		if (i == len)
			return true;
		if ((unsigned char)text[i] >= 0x80)
			break;
	}
	s = json_stringn(text, len);
	json_decref(s);
	return s != NULL;
}

static int text_encode(const char *text, size_t size, unsigned char *p)
{
	size_t len = strnlen(text, size);

	if (len == size || !is_utf8(text, len))
		return -EINVAL;
	*p = (unsigned char)len;
	memcpy(p + 1, text, len);
	return (int)len + 1;
}

static int hash_encode(const char *hex, unsigned char *p)
{
	size_t len;

	if (!*hex) {
		memset(p, 0, 32);
		return 32;
	}
	if (strnlen(hex, 65) != 64 || sodium_hex2bin(p, 32, hex, 64, NULL, &len, NULL) || len != 32)
		return -EINVAL;
	return 32;
}

/* Every machine that this runs on is little-endian, as the format is. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the ledger's bytes are little-endian");

/* Amounts are never negative and have no digit below 10⁻¹² dollars: what is shown is all. */
static bool is_charged(money_t amount)
{
	return amount >= 0 && amount % MONEY_PICO == 0;
}

static bool amounts_fit(const struct ledger_record *r)
{
	return is_charged(r->charge) && is_charged(r->request) && is_charged(r->fair);
}

int ledger_record_encode(const struct ledger_record *record,
			 unsigned char buf[static LEDGER_BODY_MAX], struct cloche_err *err)
{
	unsigned char *p = buf;

	if (!amounts_fit(record))
		return cloche_err_set(err, EINVAL,
				      "ledger: an amount of a record is negative or finer than "
				      "10^-12 dollars");
	for (size_t i = 0; i < N_FIELDS; i++) {
		const struct field *f = &fields[i];
		const char *from = (const char *)record + f->offset;
		int n = (int)width_of(f);

		if (f->kind == KIND_TEXT)
			n = text_encode(from, f->size, p);
		else if (f->kind == KIND_HASH)
			n = hash_encode(from, p);
		else if (f->kind == KIND_BOOL)
			*p = *(const bool *)from;
		else
			memcpy(p, from, (size_t)n);
		if (n < 0)
			return cloche_err_set(err, EINVAL,
					      "ledger: field '%s' of a record is malformed",
					      f->name);
		p += n;
	}
	return (int)(p - buf);
}

static int text_decode(const unsigned char *p, size_t left, char *to, size_t size)
{
	size_t len = *p;

	if (len >= size || len + 1 > left || memchr(p + 1, '\0', len) ||
	    !is_utf8((const char *)p + 1, len))
		return -EBADMSG;
	memcpy(to, p + 1, len);
	to[len] = '\0';
	return (int)len + 1;
}

static void hash_decode(const unsigned char *p, char *to)
{
	if (sodium_is_zero(p, 32))
		*to = '\0';
	else
		(void)sodium_bin2hex(to, 65, p, 32);
}

int ledger_record_decode(const unsigned char *body, size_t len, struct ledger_record *ret)
{
	size_t at = 0;

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < N_FIELDS; i++) {
		const struct field *f = &fields[i];
		char *to = (char *)ret + f->offset;
		int n = (int)width_of(f);

		if (len - at < (size_t)n)
			return -EBADMSG;
		if (f->kind == KIND_TEXT)
			n = text_decode(body + at, len - at, to, f->size);
		else if (f->kind == KIND_HASH)
			hash_decode(body + at, to);
		else if (f->kind == KIND_BOOL && body[at] > 1)
			n = -EBADMSG;
		else
			memcpy(to, body + at, (size_t)n);
		if (n < 0)
			return n;
		at += (size_t)n;
	}
	if (at != len || !amounts_fit(ret))
		return -EBADMSG;
	return 0;
}

static json_t *field_json(const struct field *f, const char *from)
{
	char text[MONEY_LEN];
	char time[CLOCK_ISO_LEN];
	int64_t number;
	money_t amount;

	switch (f->kind) {
	case KIND_TEXT:
	case KIND_HASH:
		return *from ? json_string(from) : json_null();
	case KIND_BOOL:
		return json_boolean(*(const bool *)from);
	case KIND_U32:
		return json_integer(*(const uint32_t *)from);
	case KIND_MONEY:
		memcpy(&amount, from, sizeof(amount));
		money_format_fixed(amount, 12, text);
		return json_string(text);
	case KIND_NANO:
		prices_format_nano(*(const uint64_t *)from, text);
		return json_string(text);
	default:
		break;
	}
	memcpy(&number, from, sizeof(number));
	if (f->kind == KIND_I64 && number == LEDGER_NULL)
		return json_null();
	if (f->kind != KIND_TIME)
		return json_integer(number);
	clock_format_iso(number, time);
	return json_string(time);
}

json_t *ledger_record_json(const struct ledger_record *record)
{
	json_t *object = json_object();

	for (size_t i = 0; i < N_FIELDS && object; i++) {
		const struct field *f = &fields[i];
		/* As the report names them. */
		const char *name = f->kind == KIND_TIME		 ? "started_at"
				   : f->kind == KIND_NANO	 ? "gb_seconds"
				   : !strcmp(f->name, "charge")	 ? "usd"
				   : !strcmp(f->name, "request") ? "request_usd"
				   : !strcmp(f->name, "fair")	 ? "fair_usd"
								 : f->name;

		if (json_object_set_new(object, name,
					field_json(f, (const char *)record + f->offset)) < 0) {
			json_decref(object);
			object = NULL;
		}
	}
	return object;
}
