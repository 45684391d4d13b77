/* SPDX-License-Identifier: MIT */
/*
 * The proof of a ledger, in words and as JSON. What is found is one of: the chain is broken; whole,
 * but records are or may be missing; whole, but not what a line kept elsewhere says it was; intact.
 */
#include "cli/audit_verify.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/quote.h"
#include "cli/audit_against.h"
#include "cli/ledger_args.h"
#include "cli/show.h"
#include "ledger/ledger_anchor.h"
#include "ledger/ledger_key.h"
#include "ledger/ledger_verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One line to be extended. */
struct line {
	struct ledger_anchor anchor;
	size_t number; /* in its file; 0: it was the argument itself */
	bool key_known;
	char why[160]; /* it is not extended; "" */
};

struct proof {
	const struct audit_proof *arg;
	unsigned char key[32];
	json_t *lost;	    /* what the chain says is missing, and where */
	json_t *heads;	    /* and where head was found as no death leaves it */
	struct line *lines; /* by record */
	size_t n, next;
	const struct line *refused; /* the first in the order they were given */
	size_t n_refused;
	struct ledger_anchor end; /* of the chain */
};

static int out_of_memory(void)
{
	struct cloche_err err = { 0 };

	(void)cloche_err_sys(&err, ENOMEM, "write JSON");
	return args_failed("audit", &err);
}

/* ---- the lines to be extended ---- */

static int line_parse(const char *line, size_t number, void *ret, struct cloche_err *err)
{
	struct line *l = ret;

	*l = (struct line){ .number = number };
	return ledger_anchor_parse(line, &l->anchor, err);
}

/* What comes of a file are numbers, none of which is a place in memory or a length. */
static void lines_take(struct proof *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct line *l = &p->lines[i];
		unsigned char is_signed;

		memcpy(&is_signed, &l->anchor.is_signed, 1);
		l->anchor.is_signed = is_signed != 0;
		l->anchor.met = l->key_known = false;
		l->anchor.differs = NULL;
		l->why[0] = '\0';
	}
}

static int by_record(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->anchor.number != y->anchor.number)
		return x->anchor.number < y->anchor.number ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static int lines_load(struct proof *p, struct cloche_err *err)
{
	const struct against form = { .word = LEDGER_ANCHOR_WORD,
				      .size = sizeof(struct line),
				      .parse = line_parse };
	void *lines = NULL;
	int r = against_load(p->arg->against, &form, &lines, &p->n, err);

	if (r < 0)
		return r;
	p->lines = lines;
	lines_take(p);
	qsort(p->lines, p->n, sizeof(*p->lines), by_record);
	return 0;
}

/* A key that sealed this chain, or that is to. */
static void key_learn(struct proof *p, const unsigned char key[static 32])
{
	for (size_t i = 0; i < p->n; i++)
		if (memcmp(p->lines[i].anchor.key, key, 32) == 0)
			p->lines[i].key_known = true;
}

static void line_judge(const struct proof *p, struct line *l, const struct ledger_finding *f)
{
	const struct ledger_anchor *a = &l->anchor;
	const char *why = a->differs;

	if (!a->met && f->end.number &&
	    memcmp(a->ledger_id, f->end.ledger_id, sizeof(a->ledger_id)) != 0)
		why = "it is of another ledger";
	else if (a->is_signed && !ledger_anchor_signed(a))
		why = "its signature is false";
	else if (p->arg->key && !a->is_signed)
		why = "it is not signed";
	else if (p->arg->key && memcmp(a->key, p->key, sizeof(p->key)) != 0)
		why = "it is signed by another key than the one given";
	else if (!p->arg->key && a->is_signed && !l->key_known)
		why = "it is signed by a key that this ledger does not know (--key FILE.pub names "
		      "one)";
	else if (!a->met)
		(void)snprintf(l->why, sizeof(l->why),
			       "the ledger ends before it, at record %" PRIu64
			       ": records were removed, or an older copy was put back",
			       f->end.number);
	if (why)
		(void)snprintf(l->why, sizeof(l->why), "%s", why);
}

static void lines_judge(struct proof *p, const struct ledger_finding *f)
{
	for (size_t i = 0; i < p->n; i++) {
		struct line *l = &p->lines[i];

		line_judge(p, l, f);
		if (!l->why[0])
			continue;
		p->n_refused++;
		if (!p->refused || l->number < p->refused->number)
			p->refused = l;
	}
}

static void refused_print(const struct proof *p)
{
	const struct line *l = p->refused;
	char word[QUOTE_LEN];

	(void)printf("rolled back or replaced: ");
	if (l->number)
		(void)printf("it does not extend line %zu of %s", l->number,
			     quote(word, p->arg->against));
	else
		(void)printf("it does not extend the line given");
	(void)printf(" (record %" PRIu64 "): %s", l->anchor.number, l->why);
	if (p->n_refused > 1)
		(void)printf("; %zu of %zu lines are not extended", p->n_refused, p->n);
	(void)putchar('\n');
}

static json_t *against_json(const struct proof *p)
{
	json_t *refused = json_array();

	for (size_t i = 0; i < p->n; i++) {
		const struct line *l = &p->lines[i];

		if (l->why[0])
			(void)json_array_append_new(
				refused,
				json_pack("{sI sI ss}", "line", (json_int_t)l->number, "record",
					  (json_int_t)l->anchor.number, "why", l->why));
	}
	return json_pack("{sI so}", "lines", (json_int_t)p->n, "refused", refused);
}

/* ---- the walk ---- */

/* Records that were there are gone, or may be: nobody can tell whether the power took them or a
 * hand. */
static int note_take(struct proof *p, const struct ledger_entry *e)
{
	char noted[CLOCK_ISO_LEN];
	struct frame_repair note;

	(void)frame_repair_read(e->frame, &note);
	clock_format_iso(note.time_ns, noted);
	if (note.lost_frames &&
	    json_array_append_new(p->lost,
				  json_pack("{sI sI sI ss}", "before", (json_int_t)e->frame->number,
					    "segment", (json_int_t)e->segment, "entries",
					    (json_int_t)note.lost_frames, "noted_at", noted)) < 0)
		return -ENOMEM;
	if (ledger_head_finding(note.head) && note.head != LEDGER_HEAD_NEWER &&
	    json_array_append_new(
		    p->heads, json_pack("{sI sI ss ss}", "before", (json_int_t)e->frame->number,
					"segment", (json_int_t)e->segment, "head",
					ledger_head_state_text(note.head), "noted_at", noted)) < 0)
		return -ENOMEM;
	return 0;
}

static int entry_take(const struct ledger_entry *e, void *arg)
{
	struct proof *p = arg;
	struct frame_seal seal;

	ledger_anchor_take(e, &p->end);
	while (p->next < p->n && p->lines[p->next].anchor.number <= e->frame->number)
		ledger_anchor_compare(&p->lines[p->next++].anchor, e);
	if (e->frame->type == FRAME_SEAL) {
		memcpy(&seal, e->frame->body, sizeof(seal));
		if (ledger_key_present(&seal))
			key_learn(p, seal.public_key);
	}
	return e->frame->type == FRAME_REPAIR ? note_take(p, e) : 0;
}

/* ---- what is said ---- */

static void lost_print(const struct proof *p)
{
	json_t *one;
	size_t i;

	json_array_foreach (p->lost, i, one)
		(void)printf("missing: %" JSON_INTEGER_FORMAT
			     " records before record %" JSON_INTEGER_FORMAT
			     " (segment %" JSON_INTEGER_FORMAT "), as noted at %s\n",
			     json_integer_value(json_object_get(one, "entries")),
			     json_integer_value(json_object_get(one, "before")),
			     json_integer_value(json_object_get(one, "segment")),
			     json_string_value(json_object_get(one, "noted_at")));
	json_array_foreach (p->heads, i, one)
		(void)printf("head %s before record %" JSON_INTEGER_FORMAT
			     " (segment %" JSON_INTEGER_FORMAT
			     "), as noted at %s: records may have been removed there\n",
			     json_string_value(json_object_get(one, "head")),
			     json_integer_value(json_object_get(one, "before")),
			     json_integer_value(json_object_get(one, "segment")),
			     json_string_value(json_object_get(one, "noted_at")));
}

static int verify_json(const struct proof *p, const struct ledger_finding *f)
{
	char hash[2 * FRAME_HASH + 1];
	int status = ledger_is_doubtful(f) || p->n_refused;
	json_t *o;

	(void)sodium_bin2hex(hash, sizeof(hash), f->end.hash, FRAME_HASH);
	o = json_pack("{ss sb sI sI sI sI sI sI sI sI sI sO ss sO ss}", "schema", "cloche.audit/1",
		      "intact", !status, "entries", (json_int_t)f->frames, "records",
		      (json_int_t)f->records, "segments", (json_int_t)f->segments, "sealed",
		      (json_int_t)f->sealed, "signed", (json_int_t)f->with_signature,
		      "signed_by_key", (json_int_t)f->signer_known, "torn_bytes",
		      (json_int_t)f->torn_bytes, "repairs", (json_int_t)f->repairs, "lost_entries",
		      (json_int_t)f->lost_frames, "lost", p->lost, "head",
		      ledger_head_state_text(f->head), "head_findings", p->heads, "last_sha256",
		      hash);
	if (o && f->broken)
		(void)json_object_set_new(o, "broken",
					  json_pack("{sI sI sI ss}", "number",
						    (json_int_t)f->number, "segment",
						    (json_int_t)f->segment, "offset",
						    (json_int_t)f->offset, "why", f->text));
	if (o && p->n)
		(void)json_object_set_new(o, "against", against_json(p));
	if (!o || show_json(o, JSON_COMPACT) < 0) {
		json_decref(o);
		return out_of_memory();
	}
	json_decref(o);
	(void)putchar('\n');
	return status;
}

static void doubt_print(const struct ledger_finding *f)
{
	if (f->lost_frames)
		(void)printf("not whole: %" PRIu64 " records are missing, lost with the power or "
			     "removed; what is left is as it was written:",
			     f->lost_frames);
	else if (ledger_head_finding(f->head))
		(void)printf("not proved whole: %s; what is left is as it was written:",
			     f->head_text);
	else
		(void)printf("not proved whole: its file 'head' was found missing, damaged or put "
			     "back, so that records may have been removed; what is left is as it "
			     "was written:");
}

static void notes_print(const struct proof *p, const struct ledger_finding *f)
{
	lost_print(p);
	if (f->lost_frames && ledger_head_finding(f->head))
		(void)printf("head: %s\n", f->head_text);
	if (f->head == LEDGER_HEAD_BEHIND)
		(void)printf("note: %s\n", f->head_text);
	if (f->with_signature && !p->arg->key)
		(void)printf("note: whose signatures these are was not checked; --key FILE.pub "
			     "does\n");
	if (f->cut_bytes)
		(void)printf("repaired: %" PRIu64
			     " bytes of records that a crash had torn were cut "
			     "off; 'cloche audit show' says where\n",
			     f->cut_bytes);
	if (f->torn_bytes)
		(void)printf("torn: %s\n", f->text);
}

static int verify_text(const struct proof *p, const struct ledger_finding *f)
{
	bool doubtful = ledger_is_doubtful(f);

	if (f->broken) {
		(void)printf("broken at record %" PRIu64 " (segment %" PRIu64 ", byte %" PRIu64
			     "): %s\n%" PRIu64 " records before it are as they were written\n",
			     f->number, f->segment, f->offset, f->text, f->number - 1);
		lost_print(p);
		return 1;
	}
	if (p->refused)
		refused_print(p);
	if (p->refused && !doubtful)
		return 1;
	if (doubtful)
		doubt_print(f);
	else
		(void)printf("intact:");
	(void)printf(" %" PRIu64 " records (%" PRIu64 " invocations) in %" PRIu64 " %s, %" PRIu64
		     " sealed, %" PRIu64 " signed",
		     f->frames, f->records, f->segments, f->segments == 1 ? "segment" : "segments",
		     f->sealed, f->with_signature);
	if (p->n && !p->refused)
		(void)printf("; extends what was given (%zu %s)", p->n,
			     p->n == 1 ? "line" : "lines");
	else if (!doubtful)
		(void)printf("; only --against shows a rollback of it all");
	(void)putchar('\n');
	notes_print(p, f);
	return doubtful;
}

/* ---- the commands ---- */

static int prove(struct proof *p, struct ledger_finding *f, struct cloche_err *err)
{
	struct ledger_walk walk = { .each = entry_take, .arg = p };
	unsigned char own[32];
	cleanup_fd int dir = -1;
	int r;

	if (p->arg->key)
		walk.public_key = p->key;
	p->lost = json_array();
	p->heads = json_array();
	r = ledger_verify(p->arg->ledger, &walk, f, err);
	if (r < 0)
		return r;
	dir = open(p->arg->ledger, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->n && dir >= 0 && ledger_key_own(dir, own) == 0)
		key_learn(p, own);
	if (!f->broken)
		lines_judge(p, f);
	return 0;
}

static void proof_free(struct proof *p)
{
	json_decref(p->lost);
	json_decref(p->heads);
	free(p->lines);
}

int audit_verify(const struct audit_proof *arg)
{
	struct proof p __attribute__((cleanup(proof_free))) = { .arg = arg };
	struct cloche_err err = { 0 };
	struct ledger_finding f;
	char word[QUOTE_LEN];

	if (arg->key && ledger_key_public(arg->key, p.key, &err) < 0)
		return args_failed("audit", &err);
	if (arg->against && lines_load(&p, &err) < 0)
		return args_usage("audit", "--against %s: %s", quote(word, arg->against), err.text);
	if (prove(&p, &f, &err) < 0)
		return args_failed("audit", &err);
	return arg->json ? verify_json(&p, &f) : verify_text(&p, &f);
}

/* The key that signs, if there is one. */
static int head_sign(const struct audit_proof *arg, struct ledger_anchor *a, struct cloche_err *err)
{
	cleanup_fd int dir = -1;

	if (arg->key)
		return ledger_anchor_sign(a, AT_FDCWD, arg->key, err);
	dir = open(arg->ledger, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || faccessat(dir, LEDGER_KEY_NAME, F_OK, 0) < 0)
		return 0;
	return ledger_anchor_sign(a, dir, LEDGER_KEY_NAME, err);
}

static int head_json(const struct ledger_anchor *a, const char *line)
{
	char id[33], hash[2 * FRAME_HASH + 1], key[65], signature[129];
	json_t *o;

	(void)sodium_bin2hex(id, sizeof(id), a->ledger_id, sizeof(a->ledger_id));
	(void)sodium_bin2hex(hash, sizeof(hash), a->hash, FRAME_HASH);
	(void)sodium_bin2hex(key, sizeof(key), a->key, sizeof(a->key));
	(void)sodium_bin2hex(signature, sizeof(signature), a->signature, sizeof(a->signature));
	o = json_pack("{ss ss sI sI sI sI ss ss? ss? ss}", "schema", "cloche.audit.head/1",
		      "ledger", id, "record", (json_int_t)a->number, "segment",
		      (json_int_t)a->segment, "end", (json_int_t)a->end, "invocations",
		      (json_int_t)a->records, "sha256", hash, "key", a->is_signed ? key : NULL,
		      "signature", a->is_signed ? signature : NULL, "line", line);
	if (!o || show_json(o, JSON_COMPACT) < 0) {
		json_decref(o);
		return out_of_memory();
	}
	json_decref(o);
	(void)putchar('\n');
	return 0;
}

/* A line of what cannot be proved would bless it. */
int audit_head(const struct audit_proof *arg)
{
	/* The key signs here: it is not what the seals are checked by. */
	const struct audit_proof plain = { .ledger = arg->ledger };
	struct proof p __attribute__((cleanup(proof_free))) = { .arg = &plain };
	char line[LEDGER_ANCHOR_LEN];
	struct cloche_err err = { 0 };
	struct ledger_finding f;

	if (prove(&p, &f, &err) < 0)
		return args_failed("audit", &err);
	if (f.broken)
		(void)cloche_err_set(&err, EBADMSG,
				     "the ledger is broken at record %" PRIu64 ": %.200s; no line "
				     "of it is given",
				     f.number, f.text);
	else if (ledger_head_finding(f.head))
		(void)cloche_err_set(&err, EBADMSG, "%.200s; no line of it is given", f.head_text);
	else if (!p.end.number)
		(void)cloche_err_set(&err, ENOENT, "the ledger has no record yet");
	if (err.code || head_sign(arg, &p.end, &err) < 0)
		return args_failed("audit", &err);
	ledger_anchor_format(&p.end, line);
	if (arg->json)
		return head_json(&p.end, line);
	(void)puts(line);
	return 0;
}
