/* SPDX-License-Identifier: MIT */
/*
 * Price lists from YAML, by libcyaml's schema. Amounts are taken as text: a YAML float would lose
 * digits.
 */
#include "ledger/prices_file.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/quote.h"
#include "base/yaml_error.h"
#include "base/yaml_line.h"
#include "ledger/prices.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

#define FILE_MAX  (64u << 10)
#define MS_MAX	  3600000u
#define TIER_MAX  1000000000000000ULL
#define PRICE_MAX (MONEY_USD * 1000000)

enum init_word { INIT_BILLED, INIT_FREE };

struct yaml_tier {
	uint64_t up_to;
	char *gb_second;
};

struct yaml_prices {
	char *name, *gb_second, *request, *round, *minimum;
	enum init_word init;
	struct yaml_tier *tiers;
	unsigned tiers_count;
};

static const cyaml_strval_t init_words[] = { { "billed", INIT_BILLED }, { "free", INIT_FREE } };

static const cyaml_schema_field_t tier_fields[] = {
	CYAML_FIELD_UINT("up_to", CYAML_FLAG_OPTIONAL, struct yaml_tier, up_to),
	CYAML_FIELD_STRING_PTR("gb_second", CYAML_FLAG_POINTER, struct yaml_tier, gb_second, 1, 40),
	CYAML_FIELD_END
};

static const cyaml_schema_value_t tier_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_tier, tier_fields),
};

#define OPTIONAL_TEXT (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
static const cyaml_schema_field_t prices_fields[] = {
	CYAML_FIELD_STRING_PTR("name", OPTIONAL_TEXT, struct yaml_prices, name, 1,
			       PRICES_NAME_LEN - 1),
	CYAML_FIELD_STRING_PTR("gb_second", CYAML_FLAG_POINTER, struct yaml_prices, gb_second, 1,
			       40),
	CYAML_FIELD_STRING_PTR("request", OPTIONAL_TEXT, struct yaml_prices, request, 1, 40),
	CYAML_FIELD_STRING_PTR("round", OPTIONAL_TEXT, struct yaml_prices, round, 1, 20),
	CYAML_FIELD_STRING_PTR("minimum", OPTIONAL_TEXT, struct yaml_prices, minimum, 1, 20),
	CYAML_FIELD_ENUM("init", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct yaml_prices, init,
			 init_words, CYAML_ARRAY_LEN(init_words)),
	CYAML_FIELD_SEQUENCE("tiers", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct yaml_prices,
			     tiers, &tier_schema, 1, PRICES_TIERS_MAX),
	CYAML_FIELD_END
};

static const cyaml_schema_value_t prices_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct yaml_prices, prices_fields),
};

/* Of a word libcyaml does not say whose it is, nor which there are. */
static void mend_word(struct yaml_error *e)
{
	char word[40];

	if (strncmp(e->text, "Invalid ENUM value: ", 20) != 0)
		return;
	(void)snprintf(word, sizeof(word), "%.38s", e->text + 20);
	(void)snprintf(e->text, sizeof(e->text), "init: '%s': expected billed or free", word);
}

/* libcyaml reads the first document and leaves the others: no price may go unheard. */
static int refuse_second(const char *buf, size_t len, const char *path, struct cloche_err *err)
{
	yaml_parser_t parser;
	yaml_event_t event;
	bool end = false;
	unsigned documents = 0, line = 0;

	if (!yaml_parser_initialize(&parser))
		return cloche_err_sys(err, ENOMEM, "price list");
	yaml_parser_set_input_string(&parser, (const unsigned char *)buf, len);
	while (!end && documents < 2 && yaml_parser_parse(&parser, &event)) {
		documents += event.type == YAML_DOCUMENT_START_EVENT;
		line = (unsigned)event.start_mark.line + 1;
		end = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	if (!end)
		return cloche_err_set(
			err, EINVAL,
			documents < 2 ? "price list '%.200s': something that cannot be read "
					"behind line %u"
				      : "price list '%.200s', line %u: a second document; a "
					"price list is one",
			path, line);
	return 0;
}

int prices_file_open(const char *path)
{
	/* A price list named by a user may be a FIFO or a device: opening it must not wait or act.
	 */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? -errno : fd;
}

int prices_file_read(int fd, const char *path, char **ret, size_t *ret_len, struct cloche_err *err)
{
	struct stat st;
	int r;

	if (fd < 0)
		return cloche_err_sys(err, -fd, "open price list '%.200s'", path);
	if (fstat(fd, &st) < 0)
		return cloche_err_sys(err, errno, "read price list '%.200s'", path);
	if (!S_ISREG(st.st_mode))
		return cloche_err_set(err, EINVAL, "price list '%.200s' is not a regular file",
				      path);
	r = file_load_fd(fd, path, FILE_MAX, ret, ret_len, err);
	return r < 0 ? cloche_err_wrap(err, "price list") : 0;
}

static int amount_of(const char *key, const char *text, money_t *ret, struct cloche_err *err)
{
	int r = money_parse(text, ret, err);

	if (r < 0)
		return cloche_err_wrap(err, "%s", key);
	if (*ret > PRICE_MAX)
		return cloche_err_set(err, ERANGE, "%s: '%s' is more than 1000000 dollars", key,
				      text);
	return 0;
}

static int ms_of(const char *key, const char *text, uint32_t least, uint32_t *ret,
		 struct cloche_err *err)
{
	int64_t ns;
	int r = parse_duration(text, &ns, err);

	if (r < 0)
		return cloche_err_wrap(err, "%s", key);
	if (ns % NSEC_PER_MSEC || ns < least * NSEC_PER_MSEC || ns > MS_MAX * NSEC_PER_MSEC)
		return cloche_err_set(err, ERANGE,
				      "%s: '%s' is not a whole number of milliseconds from %ums "
				      "to 1h",
				      key, text, least);
	*ret = (uint32_t)(ns / NSEC_PER_MSEC);
	return 0;
}

static int tiers_of(const struct yaml_prices *y, struct prices *ret, struct cloche_err *err)
{
	uint64_t last = 0;

	for (unsigned i = 0; i < y->tiers_count; i++) {
		const struct yaml_tier *t = &y->tiers[i];
		bool is_last = i + 1 == y->tiers_count;
		int r;

		if (is_last != !t->up_to)
			return cloche_err_set(err, EINVAL, "tiers: tier %u: %s", i + 1,
					      is_last ? "the last tier must have no up_to"
						      : "only the last tier may lack up_to");
		if (!is_last && (t->up_to <= last || t->up_to > TIER_MAX))
			return cloche_err_set(err, EINVAL,
					      "tiers: tier %u: up_to must be above the tier "
					      "before and at most %llu GB-seconds",
					      i + 1, TIER_MAX);
		last = t->up_to;
		ret->tiers[i].up_to = t->up_to;
		r = amount_of("tiers: gb_second", t->gb_second, &ret->tiers[i].gb_second, err);
		if (r < 0)
			return r;
	}
	ret->n_tiers = y->tiers_count;
	return 0;
}

static bool is_name_char(char c)
{
	return c > ' ' && c <= '~' && c != '"' && c != '\\';
}

/* The name in the file, else the file's own without its ending. It goes into reports, so that no
 * control character may be in it. */
static int name_of(const struct yaml_prices *y, const char *path, struct prices *ret,
		   struct cloche_err *err)
{
	const char *base = strrchr(path, '/');
	char word[QUOTE_LEN];
	size_t len;

	base = y->name ? y->name : base ? base + 1 : path;
	len = strlen(base);
	if (!y->name && strrchr(base, '.') && strrchr(base, '.') != base)
		len = (size_t)(strrchr(base, '.') - base);
	if (!len || len >= sizeof(ret->name))
		return cloche_err_set(err, EINVAL, "name: must have 1 to %d characters",
				      PRICES_NAME_LEN - 1);
	for (size_t i = 0; i < len; i++)
		if (!is_name_char(base[i]))
			return cloche_err_set(err, EINVAL,
					      "name: %s must have printable ASCII characters "
					      "only, no blanks or quotes",
					      quote(word, base));
	memcpy(ret->name, base, len);
	ret->name[len] = '\0';
	if (!strcmp(ret->name, "lambda") || !strcmp(ret->name, "lambda-2019"))
		return cloche_err_set(err, EINVAL, "name: '%s' is a built-in price list's",
				      ret->name);
	return 0;
}

static int prices_of(const struct yaml_prices *y, const char *path, struct prices *ret,
		     struct cloche_err *err)
{
	struct prices p = { .round_ms = 1, .init_billed = y->init == INIT_BILLED };
	int r;

	r = name_of(y, path, &p, err);
	if (r == 0)
		r = amount_of("gb_second", y->gb_second, &p.gb_second, err);
	if (r == 0 && y->request)
		r = amount_of("request", y->request, &p.request, err);
	if (r == 0 && p.request % MONEY_PICO)
		r = cloche_err_set(err, EINVAL, "request: '%s' has more than 12 decimals",
				   y->request);
	if (r == 0 && y->round)
		r = ms_of("round", y->round, 1, &p.round_ms, err);
	if (r == 0 && y->minimum)
		r = ms_of("minimum", y->minimum, 0, &p.min_ms, err);
	if (r == 0)
		r = tiers_of(y, &p, err);
	if (r < 0)
		return r;
	prices_seal(&p);
	*ret = p;
	return 0;
}

/* Of what a message begins with; 0: a name that is the file's own stands in none. */
static unsigned line_of(const struct yaml_prices *y, const char *buf, size_t len, const char *text)
{
	char key[40];

	(void)snprintf(key, sizeof(key), "%.*s", (int)strcspn(text, ":"), text);
	return strcmp(key, "name") != 0 || y->name ? yaml_line(buf, len, key) : 0;
}

int prices_file_parse(const char *buf, size_t len, const char *path, struct prices *ret,
		      struct cloche_err *err)
{
	struct yaml_error said = { .line = 0 };
	const cyaml_config_t config = {
		.log_fn = yaml_error_take,
		.log_ctx = &said,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_ERROR,
		.flags = CYAML_CFG_NO_ALIAS,
	};
	struct yaml_prices *y = NULL;
	cyaml_err_t yerr;
	unsigned line;
	int r;

	yerr = cyaml_load_data((const uint8_t *)buf, len, &config, &prices_schema,
			       (cyaml_data_t **)&y, NULL);
	if (yerr != CYAML_OK) {
		yaml_error_mend(&said, yerr, buf, len);
		mend_word(&said);
		if (!said.line)
			return cloche_err_set(err, EINVAL, "price list '%.200s': %s", path,
					      said.text);
		return cloche_err_set(err, EINVAL, "price list '%.200s', line %u: %s", path,
				      said.line, said.text);
	}
	if (!y)
		return cloche_err_set(err, EINVAL,
				      "price list '%.200s' is empty: gb_second is required", path);
	r = refuse_second(buf, len, path, err);
	if (r == 0) {
		r = prices_of(y, path, ret, err);
		line = r < 0 ? line_of(y, buf, len, err->text) : 0;
		if (r < 0 && line)
			(void)cloche_err_wrap(err, "price list '%.200s', line %u", path, line);
		else if (r < 0)
			(void)cloche_err_wrap(err, "price list '%.200s'", path);
	}
	(void)cyaml_free(&config, &prices_schema, y, 0);
	return r;
}

int prices_file_load(const char *path, struct prices *ret, struct cloche_err *err)
{
	cleanup_fd int fd = prices_file_open(path);
	cleanup_free char *text = NULL;
	size_t len = 0;
	int r = prices_file_read(fd, path, &text, &len, err);

	return r < 0 ? r : prices_file_parse(text, len, path, ret, err);
}

/* ---- of somebody else's making -------------------------------------------------------------- */

static bool is_amount(money_t amount)
{
	return amount >= 0 && amount <= PRICE_MAX;
}

static bool tiers_hold(const struct prices *p)
{
	uint64_t last = 0;

	for (uint32_t i = 0; i < p->n_tiers; i++) {
		bool is_last = i + 1 == p->n_tiers;

		if (!is_amount(p->tiers[i].gb_second) || is_last != !p->tiers[i].up_to ||
		    (!is_last && (p->tiers[i].up_to <= last || p->tiers[i].up_to > TIER_MAX)))
			return false;
		last = p->tiers[i].up_to;
	}
	return true;
}

static bool holds(const struct prices *p)
{
	size_t len = strnlen(p->name, sizeof(p->name));

	for (size_t i = 0; i < len; i++)
		if (!is_name_char(p->name[i]))
			return false;
	return len > 0 && len < sizeof(p->name) && strcmp(p->name, "lambda") != 0 &&
	       strcmp(p->name, "lambda-2019") != 0 && p->round_ms >= 1 && p->round_ms <= MS_MAX &&
	       p->min_ms <= MS_MAX && p->unit_decimals == 0 && p->memory_min_mib == 0 &&
	       p->memory_step_mib == 0 && p->memory_max_mib == 0 && is_amount(p->gb_second) &&
	       is_amount(p->request) && p->request % MONEY_PICO == 0 &&
	       p->n_tiers <= PRICES_TIERS_MAX && tiers_hold(p);
}

int prices_file_take(const void *bytes, size_t len, struct prices *ret, struct cloche_err *err)
{
	struct prices p;

	/* A bool is none of the others before it is known to be one. */
	if (len != sizeof(p) ||
	    ((const unsigned char *)bytes)[offsetof(struct prices, init_billed)] > 1)
		return cloche_err_set(err, EBADMSG, "what was read of the price list is none");
	memcpy(&p, bytes, sizeof(p));
	if (!holds(&p))
		return cloche_err_set(err, EBADMSG, "what was read of the price list is none");
	prices_seal(&p);
	*ret = p;
	return 0;
}
