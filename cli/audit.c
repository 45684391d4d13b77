/* SPDX-License-Identifier: MIT */
/* `cloche audit`: proves the ledger, shows its records, and keeps its seals, keys and index. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/err.h"
#include "cli/ledger_args.h"
#include "meter/ledger.h"
#include "meter/ledger_index.h"
#include "meter/ledger_key.h"
#include "meter/ledger_record.h"
#include "meter/ledger_verify.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
	"Usage: cloche audit verify [--key FILE.pub] [--json] [--ledger DIR]\n"
	"       cloche audit show [--request ID] [--json] [--ledger DIR]\n"
	"       cloche audit seal [--key FILE] [--ledger DIR]\n"
	"       cloche audit key FILE\n"
	"       cloche audit index [--ledger DIR]\n"
	"Proves and shows the ledger: one record per invocation, each with the SHA-256 of\n"
	"the one before.\n"
	"\n"
	"Commands:\n"
	"  verify   check every record; status 1 and the first broken one when it is not\n"
	"           what was written, and where records are missing that a writer found\n"
	"           gone and noted. A record torn by a crash at the very end is named,\n"
	"           cut off by the next append, and no failure.\n"
	"  show     the records: root's all, everybody else's own\n"
	"  seal     end the segment with a seal, signed when there is a key\n"
	"  key      make a key: FILE signs, FILE.pub checks\n"
	"  index    build the index for 'cloche bill' anew\n"
	"Options:\n"
	"  --key FILE      verify: every seal must be signed by this public key; seal:\n"
	"                  sign with this key (default: seal.key in the ledger, if there)\n"
	"  --request ID    show: this request's record only\n"
	"  --json          one JSON object (verify) or one for each record (show)\n"
	"  --ledger DIR    the ledger (default: $CLOCHE_LEDGER, else\n"
	"                  " LEDGER_DIR ")\n"
	"  -h, --help      this text\n"
	"\n"
	"Examples:\n"
	"  cloche audit verify --key auditor.pub\n"
	"  cloche audit show --json | jq -r .usd\n";

enum { OPT_KEY = 256, OPT_REQUEST, OPT_JSON, OPT_LEDGER };

static const struct option options[] = {
	{ "key", required_argument, NULL, OPT_KEY },
	{ "request", required_argument, NULL, OPT_REQUEST },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "ledger", required_argument, NULL, OPT_LEDGER },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

struct audit_args {
	const char *ledger, *key, *request, *file;
	bool json;
	uint64_t shown;
	json_t *lost; /* what the chain says is missing, and where */
};

static int out_of_memory(void)
{
	struct cloche_err err = { 0 };

	(void)cloche_err_sys(&err, ENOMEM, "write JSON");
	return args_failed("audit", &err);
}

/* Records that were there are gone: nobody can tell whether the power took them or a hand. */
static int lost_take(const struct ledger_entry *e, void *arg)
{
	struct audit_args *a = arg;
	char noted[CLOCK_ISO_LEN];
	struct frame_repair note;

	if (e->frame->type != FRAME_REPAIR)
		return 0;
	memcpy(&note, e->frame->body, sizeof(note));
	if (!note.lost_frames)
		return 0;
	clock_format_iso(note.time_ns, noted);
	if (json_array_append_new(a->lost,
				  json_pack("{sI sI sI ss}", "before", (json_int_t)e->frame->number,
					    "segment", (json_int_t)e->segment, "entries",
					    (json_int_t)note.lost_frames, "noted_at", noted)) < 0)
		return -ENOMEM;
	return 0;
}

static void lost_print(const struct audit_args *a)
{
	json_t *one;
	size_t i;

	json_array_foreach (a->lost, i, one)
		(void)printf("missing: %" JSON_INTEGER_FORMAT
			     " records before record %" JSON_INTEGER_FORMAT
			     " (segment %" JSON_INTEGER_FORMAT "), as noted at %s\n",
			     json_integer_value(json_object_get(one, "entries")),
			     json_integer_value(json_object_get(one, "before")),
			     json_integer_value(json_object_get(one, "segment")),
			     json_string_value(json_object_get(one, "noted_at")));
}

static int verify_json(const struct audit_args *a, const struct ledger_finding *f)
{
	char hash[2 * FRAME_HASH + 1];
	json_t *o;

	(void)sodium_bin2hex(hash, sizeof(hash), f->end.hash, FRAME_HASH);
	o = json_pack("{ss sb sI sI sI sI sI sI sI sI sI sO ss}", "schema", "cloche.audit/1",
		      "intact", !f->broken && !f->lost_frames, "entries", (json_int_t)f->frames,
		      "records", (json_int_t)f->records, "segments", (json_int_t)f->segments,
		      "sealed", (json_int_t)f->sealed, "signed", (json_int_t)f->with_signature,
		      "signed_by_key", (json_int_t)f->signer_known, "torn_bytes",
		      (json_int_t)f->torn_bytes, "repairs", (json_int_t)f->repairs, "lost_entries",
		      (json_int_t)f->lost_frames, "lost", a->lost, "last_sha256", hash);
	if (o && f->broken)
		(void)json_object_set_new(o, "broken",
					  json_pack("{sI sI sI ss}", "number",
						    (json_int_t)f->number, "segment",
						    (json_int_t)f->segment, "offset",
						    (json_int_t)f->offset, "why", f->text));
	if (!o || json_dumpf(o, stdout, JSON_COMPACT) < 0) {
		json_decref(o);
		return out_of_memory();
	}
	json_decref(o);
	(void)putchar('\n');
	return f->broken || f->lost_frames;
}

static int verify_text(const struct audit_args *a, const struct ledger_finding *f)
{
	if (f->broken) {
		(void)printf("broken at record %" PRIu64 " (segment %" PRIu64 ", byte %" PRIu64
			     "): %s\n%" PRIu64 " records before it are as they were written\n",
			     f->number, f->segment, f->offset, f->text, f->number - 1);
		lost_print(a);
		return 1;
	}
	if (f->lost_frames)
		(void)printf("not whole: %" PRIu64 " records are missing, lost with the power or "
			     "removed; what is left is as it was written:",
			     f->lost_frames);
	else
		(void)printf("intact:");
	(void)printf(" %" PRIu64 " records (%" PRIu64 " invocations) in %" PRIu64 " %s, %" PRIu64
		     " sealed, %" PRIu64 " signed\n",
		     f->frames, f->records, f->segments, f->segments == 1 ? "segment" : "segments",
		     f->sealed, f->with_signature);
	lost_print(a);
	if (f->with_signature && !a->key)
		(void)printf("note: whose signatures these are was not checked; --key FILE.pub "
			     "does\n");
	if (f->cut_bytes)
		(void)printf("repaired: %" PRIu64
			     " bytes of records that a crash had torn were cut "
			     "off; 'cloche audit show' says where\n",
			     f->cut_bytes);
	if (f->torn_bytes)
		(void)printf("torn: %s\n", f->text);
	return f->lost_frames > 0;
}

static int audit_verify(struct audit_args *a)
{
	struct ledger_walk walk = { .each = lost_take, .arg = a };
	struct ledger_finding f;
	struct cloche_err err = { 0 };
	unsigned char key[32];
	int status;

	if (a->key) {
		if (ledger_key_public(a->key, key, &err) < 0)
			return args_failed("audit", &err);
		walk.public_key = key;
	}
	a->lost = json_array();
	if (ledger_verify(a->ledger, &walk, &f, &err) < 0)
		status = args_failed("audit", &err);
	else
		status = a->json ? verify_json(a, &f) : verify_text(a, &f);
	json_decref(a->lost);
	return status;
}

/* Openings, seals and repairs: root's view of the chain itself. */
static void show_mark(const struct ledger_entry *e)
{
	struct frame_repair repair;

	(void)printf("%8" PRIu64 "  -- %s of segment %" PRIu64, e->frame->number,
		     frame_type_text(e->frame->type), e->segment);
	if (e->frame->type == FRAME_REPAIR) {
		memcpy(&repair, e->frame->body, sizeof(repair));
		(void)printf(": %" PRIu64 " torn bytes cut off, %" PRIu64 " records lost",
			     repair.cut_bytes, repair.lost_frames);
	}
	(void)putchar('\n');
}

static int show_entry(const struct ledger_entry *e, void *arg)
{
	struct audit_args *a = arg;
	const struct ledger_record *r = e->record;
	int64_t owner = args_owner();
	char time[CLOCK_ISO_LEN], usd[MONEY_LEN];
	json_t *o;

	if (!r) {
		if (owner < 0 && !a->json && !a->request)
			show_mark(e);
		return 0;
	}
	if ((owner >= 0 && r->owner_uid != owner) ||
	    (a->request && strcmp(a->request, r->request_id) != 0))
		return 0;
	a->shown++;
	if (!a->json) {
		clock_format_iso(r->started_ns, time);
		money_format_fixed(r->charge, 12, usd);
		(void)printf("%8" PRIu64 "  %s  %s  %-12s  %-10s  %8" PRIu64 " ms  %5" PRId64
			     " MB  $%s\n",
			     e->frame->number, time, r->request_id,
			     r->function[0] ? r->function : "-", r->verdict, r->billed_ms,
			     r->memory_limit_bytes >> 20, usd);
		return 0;
	}
	o = ledger_record_json(r);
	if (!o)
		return -ENOMEM;
	(void)json_object_set_new(o, "number", json_integer((json_int_t)e->frame->number));
	if (json_dumpf(o, stdout, JSON_COMPACT) < 0) {
		json_decref(o);
		return -ENOMEM;
	}
	json_decref(o);
	(void)putchar('\n');
	return 0;
}

static int audit_show(struct audit_args *a)
{
	struct ledger_finding f;
	struct cloche_err err = { 0 };

	if (ledger_verify(a->ledger, &(struct ledger_walk){ .each = show_entry, .arg = a }, &f,
			  &err) < 0)
		return args_failed("audit", &err);
	if (f.broken) {
		(void)cloche_err_set(&err, EBADMSG,
				     "the ledger is broken at record %" PRIu64 ": %.200s; nothing "
				     "from there on is shown",
				     f.number, f.text);
		return args_failed("audit", &err);
	}
	if (a->request && !a->shown) {
		(void)cloche_err_set(&err, ENOENT, "no record of request '%.60s'", a->request);
		return args_failed("audit", &err);
	}
	return 0;
}

static int audit_seal(struct audit_args *a)
{
	const struct ledger_options opt = { .key_file = a->key };
	struct ledger *l = NULL;
	struct cloche_err err = { 0 };
	int r = ledger_open(a->ledger, &opt, &l, &err);

	if (r == 0)
		r = ledger_seal(l, &err);
	if (l)
		args_lost("audit", a->ledger, ledger_repaired(l).lost_frames);
	(void)ledger_close(l);
	return r < 0 ? args_failed("audit", &err) : 0;
}

static int audit_key(struct audit_args *a)
{
	struct cloche_err err = { 0 };

	if (ledger_key_make(a->file, &err) < 0)
		return args_failed("audit", &err);
	(void)printf("%s signs: keep it secret; %s.pub checks: give it to the auditor\n", a->file,
		     a->file);
	return 0;
}

static int audit_index(struct audit_args *a)
{
	cleanup_ledger_index struct ledger_index index = { 0 };
	struct cloche_err err = { 0 };

	if (ledger_index_open(a->ledger, true, &index, &err) < 0)
		return args_failed("audit", &err);
	if (index.in_memory) {
		(void)cloche_err_set(&err, EROFS, "the index of '%.200s' cannot be written",
				     a->ledger);
		return args_failed("audit", &err);
	}
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct audit_args *a);
	bool file; /* takes one */
} commands[] = {
	{ "verify", audit_verify, false }, { "show", audit_show, false },
	{ "seal", audit_seal, false },	   { "key", audit_key, true },
	{ "index", audit_index, false },
};

static int command_run(struct audit_args *a, int argc, char **argv)
{
	if (optind == argc)
		return args_usage("audit", "say verify, show, seal, key or index");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[optind], commands[i].name) != 0)
			continue;
		if (commands[i].file && optind + 1 == argc)
			return args_usage("audit", "%s needs a FILE", commands[i].name);
		if (argc - optind > 1 + commands[i].file)
			return args_usage("audit", "unexpected argument '%.80s'",
					  argv[optind + 1 + commands[i].file]);
		a->file = argv[optind + 1];
		return commands[i].run(a);
	}
	return args_usage("audit", "'%.80s' is none of verify, show, seal, key, index",
			  argv[optind]);
}

int cmd_audit(int argc, char **argv)
{
	struct audit_args a = { .ledger = args_ledger() };
	int opt, status;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (opt == 'h')
			return fputs(help, stdout) < 0;
		if (opt == OPT_KEY)
			a.key = optarg;
		else if (opt == OPT_REQUEST)
			a.request = optarg;
		else if (opt == OPT_LEDGER)
			a.ledger = optarg;
		else if (opt == OPT_JSON)
			a.json = true;
		else
			return args_refused("audit", argv, opt);
	}
	status = command_run(&a, argc, argv);
	if (fflush(stdout) || ferror(stdout)) {
		(void)fprintf(stderr, "cloche audit: standard output could not be written\n");
		return 1;
	}
	return status;
}
