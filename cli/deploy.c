/* SPDX-License-Identifier: MIT */
/* `cloche deploy`: the functions of a cloche.yaml, to the daemon: all of them or none. */
#include "cli/cli.h"
#include "cli/functions.h"
#include "cli/image_user.h"
#include "cli/show.h"
#include "cli/verb.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/quote.h"
#include "function/function_file.h"
#include "function/function_json.h"
#include "function/function_pack.h"
#include "function/function_program.h"
#include "launch/image_config.h"
#include "policy/policy.h"
#include "policy/policy_join.h"
#include "serve/code.h"
#include "serve/remote_function.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_ROLLBACK = 256 };

#define BUSY_TRIES 300
#define BUSY_MS	   100

static const struct verb_option options[] = {
	{ .text = "What" },
	{ .arg = "FILE", .text = "of the functions (default: ./cloche.yaml)" },
	{ "rollback", OPT_ROLLBACK, "NAME[@N]", "@function",
	  "that function goes back to version N, or by one" },

	{ .text = "Options" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ 0 },
};

const struct verb verb_deploy = {
	.name = "deploy",
	.run = cmd_deploy,
	.text = "load or update the functions of a cloche.yaml",
	.usage = "Usage: cloche deploy [FILE]\n"
		 "       cloche deploy --rollback NAME[@N]\n\n"
		 "Deploys the functions that a file names, all of them or none: what has changed\n"
		 "gets a new version, and invocations that run end as they have begun.\n",
	.options = options,
	.tail = "Exit status: 0; 1 when the file, its code or the daemon's limits do not let it\n"
		"be: then nothing has changed; 2 usage; 125 when no daemon answers.\n"
		"\n"
		"Examples:\n"
		"  cloche deploy\n"
		"  cloche deploy services/cloche.yaml\n"
		"  cloche deploy --rollback thumbnail@3\n"
		"\n"
		"A cloche.yaml, whose function is in ./hello/app.py (more in cloche-yaml(5)):\n"
		"  functions:\n"
		"    hello:\n"
		"      runtime: python3\n"
		"      code: ./hello\n"
		"      handler: app.handler\n",
	.values = "@file",
};

/* ---- code ------------------------------------------------------------------------------------ */

/* By path: what several functions have is packed once. */
struct piece {
	const char *path; /* of the configuration that named it first */
	struct function_packed packed;
};

struct deploying {
	const char *path;
	struct function_file file;
	struct piece *pieces;
	size_t n;
};

static const struct piece *find_piece(const struct deploying *d, const char *path)
{
	for (size_t i = 0; i < d->n; i++)
		if (strcmp(d->pieces[i].path, path) == 0)
			return &d->pieces[i];
	return NULL;
}

static int pack(struct deploying *d, const struct function_config *c, struct function_code *code,
		struct cloche_err *err)
{
	const char *scratch = getenv("TMPDIR");
	const struct piece *p = find_piece(d, code->path);
	int r;

	if (!p) {
		struct piece *more = reallocarray(d->pieces, d->n + 1, sizeof(*more));

		if (!more)
			return cloche_err_sys(err, ENOMEM, "deploy");
		d->pieces = more;
		r = function_pack(code->path, scratch ? scratch : "/tmp", &more[d->n].packed, err);
		if (r < 0)
			return cloche_err_wrap(err, "function '%s'", c->name);
		more[d->n].path = code->path;
		p = &more[d->n++];
	}
	(void)snprintf(code->sha256, sizeof(code->sha256), "%s", p->packed.sha256);
	return 0;
}

static int pack_all(struct deploying *d, struct cloche_err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < d->file.n; i++) {
		struct function_config *c = &d->file.functions[i];

		if (c->code.path)
			r = pack(d, c, &c->code, err);
		for (size_t j = 0; r == 0 && j < c->n_layers; j++)
			r = pack(d, c, &c->layers[j], err);
	}
	return r;
}

/* What could not be invoked at all. */
static int check_programs(const struct deploying *d, struct cloche_err *err)
{
	for (size_t i = 0; i < d->file.n; i++) {
		const struct function_config *c = &d->file.functions[i];

		if (function_program_check(c, err) < 0) {
			function_file_place(d->path, c->name, err);
			return -err->code;
		}
	}
	return 0;
}

/* ---- policies -------------------------------------------------------------------------------- */

/* What its owner has written is his own to read and compile. */
static int compile(struct function_config *c, struct cloche_err *err)
{
	cleanup_free struct policy_bare *bare = malloc(sizeof(*bare));
	struct policy_text text;
	size_t size = 0;
	int r;

	if (!bare)
		return cloche_err_sys(err, ENOMEM, "deploy");
	r = policy_text_load(&policy_dirs_default, c->policy_path, &text, err);
	if (r < 0)
		return r;
	r = policy_bare_make(&text, bare, &size, err);
	policy_text_free(&text);
	if (r < 0)
		return r;
	c->filter = malloc(size);
	if (!c->filter)
		return cloche_err_sys(err, ENOMEM, "deploy");
	memcpy(c->filter, bare, size);
	c->filter_size = size;
	return 0;
}

static int compile_all(struct deploying *d, struct cloche_err *err)
{
	for (size_t i = 0; i < d->file.n; i++) {
		struct function_config *c = &d->file.functions[i];

		if (c->policy_path && compile(c, err) < 0) {
			(void)cloche_err_wrap(err, "policy");
			function_file_place(d->path, c->name, err);
			return -err->code;
		}
	}
	return 0;
}

/* ---- images ---------------------------------------------------------------------------------- */

/* What it is made of is what its name means now, and stays that. */
static int find_image(const struct image_stores *stores, struct function_config *c,
		      struct cloche_err *err)
{
	struct image image = { .fd = -1 };
	struct image_config said = { 0 };
	bool own = false;
	int r = image_stores_find(stores, c->image, &image, &own, err);

	if (r == 0)
		r = image_config_load(&image, c->image, &said, err);
	if (r == 0)
		r = function_start_make(c, said.entrypoint, said.cmd, said.env, said.workdir, err);
	(void)snprintf(c->code.sha256, sizeof(c->code.sha256), "%s", image.sha256);
	image_config_free(&said);
	image_close(&image);
	return r < 0 ? cloche_err_wrap(err, "image") : 0;
}

static int find_images(struct deploying *d, const struct spec_host *host, struct cloche_err *err)
{
	struct image_stores stores = { .fd = { -1, -1 } };
	bool opened = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < d->file.n; i++) {
		struct function_config *c = &d->file.functions[i];

		if (c->family != FAMILY_IMAGE)
			continue;
		r = opened ? 0 : remote_function_images(functions_control(), stores.fd, err);
		if (r < 0)
			break;
		opened = true;
		r = find_image(&stores, c, err);
		if (r == 0)
			r = function_check(c, host, err);
		if (r < 0)
			function_file_place(d->path, c->name, err);
	}
	image_stores_close(&stores);
	return r;
}

/* ---- what the daemon lacks ------------------------------------------------------------------- */

/* One of an owner's is made at a time: another deploy of his is waited for. */
static int keep_image(const struct function_config *c, struct cloche_err *err)
{
	int r = -EBUSY;

	for (int i = 0; r == -EBUSY && i < BUSY_TRIES; i++) {
		*err = (struct cloche_err){ 0 };
		if (i)
			(void)poll(NULL, 0, BUSY_MS);
		r = image_user_keep(c->image, c->code.sha256, err);
	}
	return r < 0 ? cloche_err_wrap(err, "function '%s'", c->name) : 0;
}

static int keep_lacking(const struct deploying *d, int codes, struct cloche_err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < d->file.n; i++) {
		const struct function_config *c = &d->file.functions[i];

		if (c->family == FAMILY_IMAGE && !code_is_there(codes, c->code.sha256))
			r = keep_image(c, err);
	}
	return r;
}

static int send_piece(const struct piece *p, struct cloche_err *err)
{
	char shown[QUOTE_LEN];
	int r = -EBUSY;

	for (int i = 0; r == -EBUSY && i < BUSY_TRIES; i++) {
		*err = (struct cloche_err){ 0 };
		if (i)
			(void)poll(NULL, 0, BUSY_MS);
		if (lseek(p->packed.fd, 0, SEEK_SET) < 0)
			return cloche_err_sys(err, errno, "read it again");
		/* Of each file some more is needed. */
		r = image_user_send_code(p->packed.fd, p->packed.sha256,
					 p->packed.bytes + p->packed.unpacked, err);
	}
	return r < 0 ? cloche_err_wrap(err, "code %s", quote(shown, p->path)) : 0;
}

static int send_lacking(const struct deploying *d, struct cloche_err *err)
{
	cleanup_fd int codes = -1;
	int r = remote_codes(functions_control(), &codes, err);

	for (size_t i = 0; r == 0 && i < d->n; i++) {
		bool sent = code_is_there(codes, d->pieces[i].packed.sha256);

		for (size_t j = 0; j < i; j++)
			sent |= strcmp(d->pieces[j].packed.sha256, d->pieces[i].packed.sha256) == 0;
		if (!sent)
			r = send_piece(&d->pieces[i], err);
	}
	return r == 0 ? keep_lacking(d, codes, err) : r;
}

/* ---- the functions --------------------------------------------------------------------------- */

static json_t *all_json(const struct function_file *file)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < file->n; i++)
		if (json_array_append_new(list, function_to_json(&file->functions[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static int send_all(const struct deploying *d, json_t **ret, struct cloche_err *err)
{
	json_t *list = all_json(&d->file);
	int r = -ESTALE;

	if (!list)
		return cloche_err_sys(err, ENOMEM, "deploy");
	/* What was there may have been removed since, with the last function that had it. */
	for (int i = 0; r == -ESTALE && i < 3; i++) {
		*err = (struct cloche_err){ 0 };
		r = send_lacking(d, err);
		if (r == 0)
			r = remote_deploy(functions_control(), list, ret, err);
	}
	json_decref(list);
	return r;
}

static void say(const json_t *done)
{
	for (size_t i = 0; i < json_array_size(done); i++) {
		const json_t *o = json_array_get(done, i);
		struct functions_text name = functions_string(o, "name");
		struct functions_text what = functions_string(o, "what");
		int64_t version = functions_number(o, "version");

		if (strcmp(what.s, "unchanged") == 0)
			(void)printf("%s unchanged, version %" PRId64 "\n", name.s, version);
		else
			(void)printf("deployed %s version %" PRId64 " (%s)\n", name.s, version,
				     what.s);
	}
}

static void close_all(struct deploying *d)
{
	for (size_t i = 0; i < d->n; i++)
		fd_close(&d->pieces[i].packed.fd);
	free(d->pieces);
	function_file_free(&d->file);
}

static int deploy(const char *path)
{
	struct deploying d = { .path = path };
	struct cloche_err err = { 0 };
	struct spec_host host;
	json_t *done = NULL;
	int r;

	spec_host_read(&host);
	r = function_file_load(path, &host, &d.file, &err);
	if (r == 0)
		r = check_programs(&d, &err);
	if (r == 0)
		r = find_images(&d, &host, &err);
	if (r == 0)
		r = compile_all(&d, &err);
	if (r == 0)
		r = pack_all(&d, &err);
	if (r == 0)
		r = send_all(&d, &done, &err);
	close_all(&d);
	if (r < 0)
		return functions_fail("deploy", &err);
	say(done);
	json_decref(done);
	return 0;
}

static int roll_back(const char *ref)
{
	struct cloche_err err = { 0 };
	char name[FUNCTION_NAME_LEN];
	uint32_t version = 0;
	json_t *done = NULL;

	if (function_ref_parse(ref, name, &version, &err) < 0) {
		show_line("cloche deploy: --rollback: %s; see 'cloche deploy --help'", err.text);
		return EXIT_USAGE;
	}
	if (remote_rollback(functions_control(), name, version, &done, &err) < 0)
		return functions_fail("deploy", &err);
	say(done);
	json_decref(done);
	return 0;
}

static int usage(const char *what, const char *word)
{
	show_line("cloche deploy: %s '%.64s'; see 'cloche deploy --help'", what, word);
	return EXIT_USAGE;
}

int cmd_deploy(int argc, char **argv)
{
	struct verb_getopt known;
	const char *back = NULL;
	int c;

	verb_getopt_init(&known, &verb_deploy, ":");
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, known.shorts, known.longs, NULL)) >= 0) {
		if (c == OPT_ROLLBACK)
			back = optarg;
		else if (c == 'h')
			return verb_help(&verb_deploy);
		else
			return usage(c == ':' ? "expected a function after" : "unknown option",
				     argv[optind - 1]);
	}
	if (argc - optind > (back ? 0 : 1))
		return usage("unexpected argument", argv[optind + (back ? 0 : 1)]);
	if (back)
		return roll_back(back);
	return deploy(optind < argc ? argv[optind] : "./cloche.yaml");
}
