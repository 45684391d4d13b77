/* SPDX-License-Identifier: MIT */
/* What an owner proves of his own records: see audit_own.h. */
#include "cli/audit_own.h"

#include "base/err.h"
#include "base/quote.h"
#include "cli/audit_against.h"
#include "cli/ledger_args.h"
#include "cli/ledger_from.h"
#include "cli/show.h"
#include "ledger/ledger_own.h"
#include "ledger/ledger_record.h"
#include "ledger/ledger_verify.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One line to be extended. */
struct line {
	struct ledger_own own;
	size_t number; /* in its file; 0: it was the argument itself */
	char why[120]; /* it is not extended; "" */
};

struct proof {
	const struct audit_own *arg;
	struct ledger_own own; /* so far */
	struct line *lines;    /* by record */
	size_t n, next, n_refused;
	const struct line *refused; /* the first in the order they were given */
};

static void proof_free(struct proof *p)
{
	free(p->lines);
}

/* ---- the lines to be extended ---------------------------------------------------------------- */

static int line_parse(const char *line, size_t number, void *ret, struct cloche_err *err)
{
	struct line *l = ret;

	*l = (struct line){ .number = number };
	return ledger_own_parse(line, &l->own, err);
}

static int by_record(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->own.records != y->own.records)
		return x->own.records < y->own.records ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static int lines_load(struct proof *p, struct cloche_err *err)
{
	const struct against form = { .word = LEDGER_OWN_WORD,
				      .size = sizeof(struct line),
				      .parse = line_parse };
	void *lines = NULL;
	int r = against_load(p->arg->against, &form, &lines, &p->n, err);

	if (r < 0)
		return r;
	p->lines = lines;
	for (size_t i = 0; i < p->n; i++)
		p->lines[i].why[0] = '\0';
	qsort(p->lines, p->n, sizeof(*p->lines), by_record);
	return 0;
}

static void refuse(struct proof *p, struct line *l)
{
	p->n_refused++;
	if (!p->refused || l->number < p->refused->number)
		p->refused = l;
}

/* Those that stand at the record that was the last. */
static void lines_compare(struct proof *p)
{
	for (; p->next < p->n && p->lines[p->next].own.records <= p->own.records; p->next++) {
		struct line *l = &p->lines[p->next];

		if (l->own.uid != p->own.uid)
			(void)snprintf(l->why, sizeof(l->why), "it is of user %" PRIu32,
				       l->own.uid);
		else if (memcmp(l->own.hash, p->own.hash, sizeof(l->own.hash)) != 0)
			(void)snprintf(l->why, sizeof(l->why), "other records stand there");
		if (l->why[0])
			refuse(p, l);
	}
}

static void lines_end(struct proof *p)
{
	for (; p->next < p->n; p->next++) {
		struct line *l = &p->lines[p->next];

		(void)snprintf(l->why, sizeof(l->why),
			       "there are %" PRIu64
			       " only: records were removed, or an older copy was put back",
			       p->own.records);
		refuse(p, l);
	}
}

/* ---- the walk -------------------------------------------------------------------------------- */

static int take(const struct ledger_entry *e, void *arg)
{
	struct proof *p = arg;

	if (!e->record || e->record->owner_uid != p->own.uid)
		return -EBADMSG;
	ledger_own_add(&p->own, e->frame->body, e->frame->body_len);
	lines_compare(p);
	return 0;
}

static int prove(struct proof *p, struct ledger_finding *f, struct cloche_err *err)
{
	const struct ledger_walk walk = { .each = take, .arg = p };
	int r;

	ledger_own_begin(getuid(), &p->own);
	r = ledger_from_walk(p->arg->from, &walk, f, err);
	if (r == 0)
		lines_end(p);
	return r;
}

/* ---- what is said ---------------------------------------------------------------------------- */

static int print_json(json_t *o)
{
	int r = o ? show_json(o, JSON_COMPACT) : -ENOMEM;
	struct cloche_err err = { 0 };

	json_decref(o);
	if (r < 0) {
		(void)cloche_err_sys(&err, ENOMEM, "write JSON");
		return args_failed("audit", &err);
	}
	(void)putchar('\n');
	return 0;
}

static json_t *against_json(const struct proof *p)
{
	json_t *refused = json_array();

	for (size_t i = 0; i < p->n; i++) {
		const struct line *l = &p->lines[i];

		if (l->why[0])
			(void)json_array_append_new(
				refused, json_pack("{sI sI ss}", "line", (json_int_t)l->number,
						   "invocations", (json_int_t)l->own.records, "why",
						   l->why));
	}
	return json_pack("{sI so}", "lines", (json_int_t)p->n, "refused", refused);
}

static int verify_json(const struct proof *p, bool doubtful)
{
	int status = doubtful || p->n_refused, r;
	char hash[HASH_HEX_LEN];
	json_t *o;

	(void)sodium_bin2hex(hash, sizeof(hash), p->own.hash, sizeof(p->own.hash));
	o = json_pack("{ss sb sI sI ss s{ss sb}}", "schema", "cloche.audit.own/1", "intact",
		      !status, "owner", (json_int_t)p->own.uid, "records",
		      (json_int_t)p->own.records, "sha256", hash, "chain_of_all", "proved_by",
		      "daemon", "intact", !doubtful);
	if (o && p->n)
		(void)json_object_set_new(o, "against", against_json(p));
	r = print_json(o);
	return r ? r : status;
}

static void print_refused(const struct proof *p)
{
	const struct line *l = p->refused;
	char word[QUOTE_LEN];

	(void)printf("rolled back or replaced: ");
	if (l->number)
		(void)printf("they do not extend line %zu of %s", l->number,
			     quote(word, p->arg->against));
	else
		(void)printf("they do not extend the line given");
	(void)printf(" (%" PRIu64 " invocations): %s", l->own.records, l->why);
	if (p->n_refused > 1)
		(void)printf("; %zu of %zu lines are not extended", p->n_refused, p->n);
	(void)putchar('\n');
}

/* Who has proved what: nobody shall think that he has seen what he was only told. */
static int verify_text(const struct proof *p, bool doubtful)
{
	(void)printf("your records: %" PRIu64 " invocations of user %" PRIu32, p->own.records,
		     p->own.uid);
	if (!p->n)
		(void)printf(", as the daemon has sent them; that they are as they were only "
			     "--against shows");
	else if (!p->refused)
		(void)printf("; proved here: they extend what was given (%zu %s)", p->n,
			     p->n == 1 ? "line" : "lines");
	(void)putchar('\n');
	if (p->refused)
		print_refused(p);
	(void)printf(
		"the chain of all: %s, says the daemon, which has proved it; here it was not\n",
		doubtful ? "records are missing, or may be, of whomever" : "intact");
	return doubtful || p->refused;
}

/* ---- the commands ---------------------------------------------------------------------------- */

int audit_own_verify(const struct audit_own *own)
{
	struct proof p __attribute__((cleanup(proof_free))) = { .arg = own };
	struct cloche_err err = { 0 };
	struct ledger_finding f;
	char word[QUOTE_LEN];

	if (own->against && lines_load(&p, &err) < 0)
		return args_usage("audit", "--against %s: %s", quote(word, own->against), err.text);
	if (prove(&p, &f, &err) < 0)
		return args_failed("audit", &err);
	return own->json ? verify_json(&p, ledger_is_doubtful(&f))
			 : verify_text(&p, ledger_is_doubtful(&f));
}

int audit_own_head(const struct audit_own *own)
{
	struct proof p = { .arg = own };
	char line[LEDGER_OWN_LEN], hash[HASH_HEX_LEN];
	struct cloche_err err = { 0 };
	struct ledger_finding f;

	if (prove(&p, &f, &err) < 0)
		return args_failed("audit", &err);
	if (!p.own.records) {
		(void)cloche_err_set(&err, ENOENT, "the ledger has no record of yours yet");
		return args_failed("audit", &err);
	}
	ledger_own_format(&p.own, line);
	if (!own->json) {
		(void)puts(line);
		return 0;
	}
	(void)sodium_bin2hex(hash, sizeof(hash), p.own.hash, sizeof(p.own.hash));
	return print_json(json_pack("{ss sI sI ss ss}", "schema", "cloche.audit.own.head/1",
				    "owner", (json_int_t)p.own.uid, "invocations",
				    (json_int_t)p.own.records, "sha256", hash, "line", line));
}
