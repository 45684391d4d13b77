/* SPDX-License-Identifier: MIT */
/* `cloche audit`: proves the ledger, shows its records, and keeps its seals, keys and index. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/quote.h"
#include "cli/audit_own.h"
#include "cli/audit_verify.h"
#include "cli/ledger_args.h"
#include "cli/ledger_from.h"
#include "cli/run_caller.h"
#include "cli/show.h"
#include "cli/verb.h"
#include "ledger/ledger.h"
#include "ledger/ledger_index.h"
#include "ledger/ledger_key.h"
#include "ledger/ledger_record.h"
#include "ledger/ledger_verify.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { OPT_KEY = 256, OPT_AGAINST, OPT_REQUEST, OPT_JSON, OPT_LEDGER };

static const struct verb *const words[] = {
	&(const struct verb){
		.name = "verify",
		.takes = "key against json ledger",
		.text = "check every record; status 1 and the first broken one when it is not what "
			"was written, and where records are missing that a writer found gone and "
			"noted, or may be: where the file 'head', which knows the end, is or was "
			"missing, damaged or older than it. A record torn by a crash at the very "
			"end is named, cut off by the next append, and no failure. That all of it "
			"was put back to an older copy shows only with --against. Of the daemon's "
			"ledger, without root: your own records" },
	&(const struct verb){
		.name = "head",
		.takes = "key json ledger",
		.text = "where it ends now, as one line to be kept out of reach of whoever can "
			"write the ledger; signed when there is a key. Of the daemon's, without "
			"root: where your own records end" },
	&(const struct verb){ .name = "show",
			      .takes = "request json ledger",
			      .text = "the records: root's all, everybody else's own" },
	&(const struct verb){ .name = "seal",
			      .takes = "key ledger",
			      .text = "end the segment with a seal, signed when there is a key" },
	&(const struct verb){ .name = "key",
			      .text = "make a key: FILE signs, FILE.pub checks",
			      .values = "@file" },
	&(const struct verb){ .name = "index",
			      .takes = "ledger",
			      .text = "build the index for 'cloche bill' anew" },
	NULL,
};

static const struct verb_option options[] = {
	{ .text = "Options" },
	{ "key", OPT_KEY, "FILE", "@file",
	  "verify: every seal and line of --against must be signed by this public key; seal, "
	  "head: sign with this key (default: seal.key in the ledger, if there)" },
	{ "against", OPT_AGAINST, "LINE|FILE", "@file",
	  "verify: the ledger must extend this line of 'audit head', or all lines of this file; "
	  "status 1 when one is not extended" },
	{ "request", OPT_REQUEST, "ID", NULL, "show: this request's record only" },
	{ "json", OPT_JSON, NULL, NULL,
	  "one JSON object (verify, head) or one for each record (show)" },
	{ "ledger", OPT_LEDGER, "DIR", "@dir",
	  "the ledger (default: $CLOCHE_LEDGER, else the daemon's, and root's " LEDGER_DIR ")" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ 0 },
};

const struct verb verb_audit = {
	.name = "audit",
	.run = cmd_audit,
	.text = "check the ledger's chain; show records",
	.usage =
		"Usage: cloche audit verify [--key FILE.pub] [--against LINE|FILE] [--json]\n"
		"                           [--ledger DIR]\n"
		"       cloche audit head [--key FILE] [--json] [--ledger DIR]\n"
		"       cloche audit show [--request ID] [--json] [--ledger DIR]\n"
		"       cloche audit seal [--key FILE] [--ledger DIR]\n"
		"       cloche audit key FILE\n"
		"       cloche audit index [--ledger DIR]\n\n"
		"Proves and shows the ledger: one record per invocation, each with the SHA-256 of\n"
		"the one before.\n",
	.commands = words,
	.options = options,
	.tail = "Examples:\n"
		"  cloche audit verify --key auditor.pub\n"
		"  cloche audit head | ssh auditor 'cat >>heads'\n"
		"  cloche audit verify --against heads\n"
		"  cloche audit show --json | jq -r .usd\n",
};

struct audit_args {
	const char *ledger, *key, *request, *against, *file;
	bool json;
	uint64_t shown;
	struct ledger_from from;
};

/* The daemon's ledger, by somebody who sees his own records of it. */
static bool is_owners(const struct audit_args *a)
{
	return !a->from.dir && args_owner() >= 0;
}

static int verify(struct audit_args *a)
{
	if (is_owners(a) && a->key)
		return args_usage("audit", "--key: seals and signed lines are of the chain of all, "
					   "which only root can prove");
	if (is_owners(a))
		return audit_own_verify(&(struct audit_own){
			.from = &a->from, .against = a->against, .json = a->json });
	return audit_verify(&(struct audit_proof){
		.ledger = a->ledger, .key = a->key, .against = a->against, .json = a->json });
}

static int head(struct audit_args *a)
{
	if (is_owners(a) && a->key)
		return args_usage("audit", "--key: it signs lines of the chain of all, which only "
					   "root can prove");
	if (is_owners(a))
		return audit_own_head(&(struct audit_own){ .from = &a->from, .json = a->json });
	return audit_head(
		&(struct audit_proof){ .ledger = a->ledger, .key = a->key, .json = a->json });
}

/* Openings, seals and repairs: root's view of the chain itself. */
static void show_mark(const struct ledger_entry *e)
{
	struct frame_repair repair;

	(void)printf("%8" PRIu64 "  -- %s of segment %" PRIu64, e->frame->number,
		     frame_type_text(e->frame->type), e->segment);
	if (e->frame->type == FRAME_REPAIR) {
		(void)frame_repair_read(e->frame, &repair);
		(void)printf(": %" PRIu64 " torn bytes cut off, %" PRIu64 " records lost, head %s",
			     repair.cut_bytes, repair.lost_frames,
			     ledger_head_state_text(repair.head));
	}
	(void)putchar('\n');
}

static int show_entry(const struct ledger_entry *e, void *arg)
{
	struct audit_args *a = arg;
	const struct ledger_record *r = e->record;
	int64_t owner = args_owner();
	char time[CLOCK_ISO_LEN], usd[MONEY_LEN], function[80], verdict[24];
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
		/* One line a record, whatever its texts hold. */
		quote_field(function, sizeof(function), r->function[0] ? r->function : "-");
		quote_field(verdict, sizeof(verdict), r->verdict);
		clock_format_iso(r->started_ns, time);
		money_format_fixed(r->charge, 12, usd);
		(void)printf("%8" PRIu64 "  %s  %s  %-12s  %-10s  %8" PRIu64 " ms  %5" PRId64
			     " MB  $%s\n",
			     e->frame->number, time, r->request_id, function, verdict, r->billed_ms,
			     r->memory_limit_bytes >> 20, usd);
		return 0;
	}
	o = ledger_record_json(r);
	if (!o)
		return -ENOMEM;
	(void)json_object_set_new(o, "number", json_integer((json_int_t)e->frame->number));
	if (show_json(o, JSON_COMPACT) < 0) {
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

	if (ledger_from_walk(&a->from, &(struct ledger_walk){ .each = show_entry, .arg = a }, &f,
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
	if (l) {
		const struct ledger_repair found = ledger_repaired(l);

		args_lost("audit", a->ledger, &found);
	}
	(void)ledger_close(l);
	return r < 0 ? args_failed("audit", &err) : 0;
}

static int audit_key(struct audit_args *a)
{
	struct cloche_err err = { 0 };

	if (run_caller_become(&err) < 0 || ledger_key_make(a->file, &err) < 0)
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

enum subject {
	THE_FILE,    /* it takes one, and no ledger */
	ANY_RECORDS, /* of a ledger, the daemon's too */
	THE_CHAIN,   /* the ledger itself; */
	OR_OWN,	     /* or, of the daemon's, an owner's records */
};

static const struct {
	const char *name;
	int (*run)(struct audit_args *a);
	enum subject subject;
} commands[] = {
	{ "verify", verify, OR_OWN },	     { "head", head, OR_OWN },
	{ "show", audit_show, ANY_RECORDS }, { "seal", audit_seal, THE_CHAIN },
	{ "key", audit_key, THE_FILE },	     { "index", audit_index, THE_CHAIN },
};

static int run_on_ledger(struct audit_args *a, int (*run)(struct audit_args *a),
			 enum subject subject)
{
	struct cloche_err err = { 0 };
	int r = ledger_from_open(a->ledger, &a->from, &err);

	if (r == 0 && (subject == THE_CHAIN || (subject == OR_OWN && !is_owners(a))))
		r = ledger_from_directory(&a->from, &err);
	a->ledger = a->from.dir;
	r = r < 0 ? args_failed("audit", &err) : run(a);
	ledger_from_close(&a->from);
	return r;
}

static int command_run(struct audit_args *a, int argc, char **argv)
{
	int file;

	if (optind == argc)
		return args_usage("audit", "say verify, head, show, seal, key or index");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[optind], commands[i].name) != 0)
			continue;
		file = commands[i].subject == THE_FILE;
		if (file && optind + 1 == argc)
			return args_usage("audit", "%s needs a FILE", commands[i].name);
		if (argc - optind > 1 + file)
			return args_usage("audit", "unexpected argument '%.80s'",
					  argv[optind + 1 + file]);
		a->file = argv[optind + 1];
		if (file)
			return commands[i].run(a);
		return run_on_ledger(a, commands[i].run, commands[i].subject);
	}
	return args_usage("audit", "'%.80s' is none of verify, head, show, seal, key, index",
			  argv[optind]);
}

int cmd_audit(int argc, char **argv)
{
	struct audit_args a = { .from = { .remote = { .socket = -1 } } };
	struct verb_getopt known;
	int opt, status;

	verb_getopt_init(&known, &verb_audit, ":");
	opterr = 0;
	while ((opt = getopt_long(argc, argv, known.shorts, known.longs, NULL)) != -1) {
		if (opt == 'h')
			return verb_help(&verb_audit);
		if (opt == OPT_KEY)
			a.key = optarg;
		else if (opt == OPT_AGAINST)
			a.against = optarg;
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
