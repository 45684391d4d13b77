/* SPDX-License-Identifier: MIT */
/* A cloche.yaml: what it says counts, what it does not say is as Lambda has it, and what is wrong
 * is named with its line, its key and what was expected. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "function/function_file.h"
#include "function/function_json.h"
#include "policy/policy_join.h"
#include "tests/lib/tmpdir.h"

static const struct spec_host host = { .memory_bytes = 2ULL << 30, .cpus = 2 };

static int read_text(const char *text, struct function_file *f, struct cloche_err *err)
{
	return function_file_read(text, strlen(text), "a/cloche.yaml", &host, f, err);
}

static const char whole[] = "# all there is\n"
			    "functions:\n"
			    "  thumbnail:\n"
			    "    runtime: python3.11\n"
			    "    code: ./thumbnail\n"
			    "    handler: app.handler\n"
			    "    layers: [deps, /abs/more.zip]\n"
			    "    memory: 1G\n"
			    "    timeout: 1.5s\n"
			    "    environment: {STAGE: dev, A: 1, EMPTY: '', Z_: 'a=b'}\n"
			    "    reuse: fork\n"
			    "    concurrency: {reserved: 4, provisioned: 1, wait: 0s}\n"
			    "    tmp: 600M\n"
			    "    policy: default\n"
			    "    network: loopback\n"
			    "  sort-it_2:\n"
			    "    runtime: exec\n"
			    "    handler: [sort, -n]\n"
			    "  other:\n"
			    "    image: own-image\n";

Test(function_file, what_is_said_counts)
{
	struct cloche_err err = { 0 };
	struct function_file f;
	struct function_config *c;

	cr_assert_eq(read_text(whole, &f, &err), 0, "%s", err.text);
	cr_assert_eq(f.n, 3);
	c = &f.functions[0];
	cr_assert(c != NULL);
	cr_expect_str_eq(c->name, "thumbnail");
	cr_expect_eq(c->family, FAMILY_PYTHON3);
	cr_expect_str_eq(c->runtime, "python3.11");
	cr_expect_str_eq(c->handler[0], "app.handler");
	cr_expect_null(c->handler[1]);
	cr_expect_str_eq(c->code.path, "a/thumbnail");
	cr_expect_eq(c->n_layers, 2);
	cr_expect_str_eq(c->layers[0].path, "a/deps");
	cr_expect_str_eq(c->layers[1].path, "/abs/more.zip");
	cr_expect_eq(c->memory_mb, 1024);
	cr_expect_eq(c->timeout_ns, 1500000000);
	cr_expect_str_eq(c->env[0], "A=1");
	cr_expect_str_eq(c->env[1], "EMPTY=");
	cr_expect_str_eq(c->env[2], "STAGE=dev");
	cr_expect_str_eq(c->env[3], "Z_=a=b");
	cr_expect_null(c->env[4]);
	cr_expect_eq(c->reuse, REUSE_FORK);
	cr_expect_eq(c->concurrency.reserved, 4);
	cr_expect_eq(c->concurrency.provisioned, 1);
	cr_expect_eq(c->concurrency.wait_ns, 0);
	cr_expect_eq(c->tmp_bytes, 600ULL << 20);
	cr_expect_eq(c->net, NET_LOOPBACK);
	function_file_free(&f);
}

Test(function_file, what_is_not_said_is_as_lambda_has_it)
{
	struct cloche_err err = { 0 };
	struct function_file f;
	struct function_config *c;

	cr_assert_eq(read_text(whole, &f, &err), 0, "%s", err.text);
	c = &f.functions[1];
	cr_expect_eq(c->family, FAMILY_EXEC);
	cr_expect_str_eq(c->handler[0], "sort");
	cr_expect_str_eq(c->handler[1], "-n");
	cr_expect_eq(c->memory_mb, 128);
	cr_expect_eq(c->timeout_ns, 3000000000);
	cr_expect_eq(c->reuse, REUSE_CONTEXT);
	cr_expect_eq(c->concurrency.wait_ns, 1000000000);
	cr_expect_str_eq(c->policy, "default");
	cr_expect_eq(c->net, NET_NONE);
	cr_expect_null(c->env);
	c = &f.functions[2];
	cr_expect_eq(c->family, FAMILY_IMAGE);
	cr_expect_str_eq(c->image, "own-image");
	cr_expect_eq(c->reuse, REUSE_PROCESS);
	cr_expect_null(c->handler);
	function_file_free(&f);
}

/* On its way and on the disk it stays what it is, but for the client's paths. */
Test(function_file, comes_back_from_json)
{
	struct cloche_err err = { 0 };
	struct function_file f;

	cr_assert_eq(read_text(whole, &f, &err), 0, "%s", err.text);
	for (size_t i = 0; i < f.functions[0].n_layers; i++)
		hash_sha256_hex("layer", i, f.functions[0].layers[i].sha256);
	for (size_t i = 0; i < f.n; i++) {
		json_t *o = function_to_json(&f.functions[i]);
		struct function_config back = { 0 };

		cr_assert_eq(function_from_json(o, &back, &err), 0, "%s", err.text);
		cr_expect(function_is_same(&f.functions[i], &back));
		cr_expect_null(back.code.path);
		back.memory_mb++;
		cr_expect_not(function_is_same(&f.functions[i], &back));
		function_config_free(&back);
		(void)json_object_set_new(o, "more", json_true());
		cr_expect_eq(function_from_json(o, &back, &err), -EBADMSG);
		json_decref(o);
	}
	function_file_free(&f);
}

/* The file is the owner's, until it is compiled; what has become of it comes back as it was. */
Test(function_file, a_policy_may_be_a_file)
{
	static const char text[] = "functions:\n"
				   "  f: {runtime: python3, code: ./c, handler: a.b,\n"
				   "      policy: ./sub/mine.json}\n";
	static const char *const wrong[] = { "", "00", "000000000100000006000000", "zz",
					     "00000000000000000600000000000000" };
	const size_t size = offsetof(struct policy_bare, insns) + sizeof(struct sock_filter);
	struct function_config *c, back;
	struct cloche_err err = { 0 };
	struct function_file f;
	json_t *o;

	cr_assert_eq(read_text(text, &f, &err), 0, "%s", err.text);
	c = &f.functions[0];
	cr_expect_str_eq(c->policy, "mine");
	cr_expect_str_eq(c->policy_path, "a/sub/mine.json");
	cr_assert_null(c->filter);
	c->filter = calloc(1, sizeof(*c->filter));
	c->filter_size = size;
	c->filter->n = 1;
	c->filter->insns[0] = (struct sock_filter){ BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW };
	o = function_to_json(c);
	cr_assert_eq(function_from_json(o, &back, &err), 0, "%s", err.text);
	cr_expect(function_is_same(c, &back));
	cr_assert_eq(back.filter_size, size);
	cr_expect_eq(memcmp(back.filter, c->filter, size), 0);
	function_config_free(&back);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		(void)json_object_set_new(o, "filter", json_string(wrong[i]));
		cr_expect_eq(function_from_json(o, &back, &err), -EBADMSG, "'%s'", wrong[i]);
	}
	json_decref(o);
	function_file_free(&f);
}

/* What an image says goes with the version: entrypoint, its command or the handler; the last of
 * what comes twice. */
Test(function_file, an_image_says_how_it_is_started)
{
	char *entrypoint[] = { "/start", "it", NULL }, *command[] = { "image's", NULL };
	char *env[] = { "B=1", "A=2", "B=3", "none", NULL };
	struct cloche_err err = { 0 };
	struct function_file f;
	struct function_config *c, back = { 0 };
	json_t *o;

	cr_assert_eq(
		read_text("functions:\n  f: {image: x, handler: [mine, too]}\n  g: {image: x}\n",
			  &f, &err),
		0, "%s", err.text);
	c = &f.functions[0];
	cr_assert_eq(function_start_make(c, entrypoint, command, env, "/w", &err), 0);
	cr_expect_str_eq(c->start.command[1], "it");
	cr_expect_str_eq(c->start.command[2], "mine");
	cr_expect_str_eq(c->start.command[3], "too");
	cr_expect_null(c->start.command[4]);
	cr_expect_str_eq(c->start.env[0], "A=2");
	cr_expect_str_eq(c->start.env[1], "B=3");
	cr_expect_null(c->start.env[2]);
	cr_expect_eq(function_check(c, &(struct spec_host){ 1ULL << 40, 8 }, &err), 0, "%s",
		     err.text);
	hash_sha256_hex("", 0, c->code.sha256);
	o = function_to_json(c);
	cr_assert_eq(function_from_json(o, &back, &err), 0, "%s", err.text);
	cr_expect(function_is_same(c, &back));
	cr_expect_str_eq(back.start.workdir, "/w");
	free(back.start.workdir);
	back.start.workdir = NULL;
	cr_expect_not(function_is_same(c, &back));
	json_decref(o);
	function_config_free(&back);
	c = &f.functions[1];
	cr_assert_eq(function_start_make(c, NULL, command, NULL, NULL, &err), 0);
	cr_expect_str_eq(c->start.command[0], "image's");
	cr_expect_null(c->start.env);
	function_file_free(&f);
}

/* The image's command was for the other entrypoint. */
Test(function_file, an_image_may_be_started_otherwise)
{
	char *entrypoint[] = { "/start", "it", NULL }, *command[] = { "image's", NULL };
	struct cloche_err err = { 0 };
	struct function_file f;
	struct function_config *c;

	cr_assert_eq(read_text("functions:\n  f: {image: x, entrypoint: [own, b], workdir: /own}\n",
			       &f, &err),
		     0, "%s", err.text);
	c = &f.functions[0];
	cr_assert_eq(function_start_make(c, entrypoint, command, NULL, "/w", &err), 0);
	cr_expect_str_eq(c->start.command[0], "own");
	cr_expect_str_eq(c->start.command[1], "b");
	cr_expect_null(c->start.command[2]);
	cr_expect_str_eq(c->start.workdir, "/own");
	function_file_free(&f);
}

#define F  "functions:\n  f:\n    runtime: python3\n    code: .\n    handler: a.b\n"
#define AT "a/cloche.yaml:"

static const struct {
	const char *text, *says;
} bad[] = {
	{ "", AT "1: functions: expected" },
	{ "# nothing\n", AT "1: functions: expected" },
	{ "[1]\n", AT "1: functions: expected" },
	{ "functions:\n", AT "1: functions: expected" },
	{ "functions: {}\n", AT "1: functions: expected from 1" },
	{ "version: 1\n" F, AT "1: version: expected 'functions' alone" },
	{ F "  f:\n    runtime: exec\n", AT "6: functions/f: expected each key once" },
	{ F "    handler: a.c\n", AT "6: functions/f/handler: expected each key once" },
	{ F "    mem: 1\n", AT "6: functions/f/mem: expected one of runtime, code" },
	{ F "    memory: [1]\n", AT "6: functions/f/memory: expected a text" },
	{ F "    memory: 1K\n", AT "6: functions/f/memory: expected a size" },
	{ F "    memory: 3G\n", AT "6: functions/f/memory: expected a size" },
	{ F "    memory:\n", AT "6: functions/f/memory: expected a size" },
	{ F "    timeout: 901s\n", AT "6: functions/f/timeout: expected a duration" },
	{ F "    timeout: soon\n", AT "6: functions/f/timeout: expected a duration" },
	{ F "    tmp: 11G\n", AT "6: functions/f/tmp: expected a size" },
	{ F "    layers: a\n", AT "6: functions/f/layers: expected a list" },
	{ F "    layers: [a, b, c, d, e, f]\n", AT "6: functions/f/layers: expected no more" },
	{ F "    layers: [{}]\n", AT "6: " },
	{ F "    reuse: always\n", AT "6: functions/f/reuse: expected none" },
	{ F "    network: egress\n", AT "6: functions/f/network: expected none" },
	{ F "    policy: mine\n", AT "6: functions/f/policy: there is no 'mine'" },
	{ F "    environment: [A]\n", AT "6: functions/f/environment: expected keys" },
	{ F "    environment:\n      A: [b]\n",
	  AT "7: functions/f/environment: expected values that are texts" },
	{ F "    environment:\n      A: b\n      A: c\n",
	  AT "8: functions/f/environment: expected each key once" },
	{ F "    environment:\n      1A: b\n", AT "6: functions/f/environment: '1A' is no name" },
	{ F "    environment:\n      A: b\n      AWS_LAMBDA_RUNTIME_API: c\n",
	  AT "8: functions/f/environment/AWS_LAMBDA_RUNTIME_API: it is reserved" },
	{ F "    concurrency: {reserved: x}\n",
	  AT "6: functions/f/concurrency/reserved: expected a number" },
	{ F "    concurrency:\n      reserved: 1\n      provisioned: 2\n",
	  AT "8: functions/f/concurrency/provisioned: expected a number from 0 to 1" },
	{ F "    concurrency: {wait: 61s}\n", AT "6: functions/f/concurrency/wait: expected" },
	{ F "    concurrency: {most: 61}\n", AT "6: " },
	{ F "    image: x\n", AT "6: functions/f/image: expected no 'runtime'" },
	{ F "    entrypoint: [a]\n", AT "6: functions/f/entrypoint: expected 'image'" },
	{ F "    workdir: /a\n", AT "6: functions/f/workdir: expected 'image'" },
	{ "functions:\n  f:\n    image: x\n    workdir: a\n",
	  AT "4: functions/f/workdir: expected an absolute path" },
	{ "functions:\n  f:\n    image: x\n    entrypoint: ['']\n",
	  AT "4: functions/f/entrypoint: expected no empty text" },
	{ "functions:\n  f:\n    image: x\n    entrypoint: a\n",
	  AT "4: functions/f/entrypoint: expected a list" },
	{ F "    reuse: &a none\n    network: *a\n", AT "7: " },
	{ F "---\n" F, AT "7: expected one document" },
	{ F "    memory: {\n", AT "7: expected YAML" },
	{ "functions:\n  a b:\n    runtime: exec\n", AT "2: functions/a b: expected a name" },
	{ "functions:\n  f: 1\n", AT "2: functions/f: expected keys" },
	{ "functions:\n  f:\n    code: .\n", AT "2: functions/f/runtime: expected this key" },
	{ "functions:\n  f:\n    runtime: python4\n", AT "3: functions/f/runtime: expected" },
	{ "functions:\n  f:\n    runtime: python3.\n", AT "3: functions/f/runtime: expected" },
	{ "functions:\n  f:\n    runtime: python3\n    handler: a.b\n",
	  AT "2: functions/f/code: expected a directory" },
	{ "functions:\n  f:\n    runtime: python3\n    code: .\n    handler: ab\n",
	  AT "5: functions/f/handler: expected MODULE.FUNCTION" },
	{ "functions:\n  f:\n    runtime: python3\n    code: .\n    handler: [a.b, c]\n",
	  AT "5: functions/f/handler: expected one text" },
	{ "functions:\n  f:\n    runtime: exec\n",
	  AT "2: functions/f/handler: expected the command" },
	{ "functions:\n  f:\n    runtime: exec\n    handler: [sort]\n    reuse: process\n",
	  AT "5: functions/f/reuse: a command of 'exec'" },
	{ "functions:\n  f:\n    runtime: nodejs20.x\n    code: .\n    handler: a.b\n    reuse: "
	  "fork\n",
	  AT "6: functions/f/reuse: what runs 'nodejs' cannot be forked" },
};

Test(function_file, what_is_wrong_is_named)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct cloche_err err = { 0 };
		struct function_file f = { 0 };

		cr_expect_eq(read_text(bad[i].text, &f, &err), -EINVAL, "%s", bad[i].text);
		cr_expect_eq(strncmp(err.text, bad[i].says, strlen(bad[i].says)), 0,
			     "%s\nsays: %s\nnot: %s", bad[i].text, err.text, bad[i].says);
		cr_expect(f.n == 0 && !f.functions);
	}
}

/* Who keeps functions keeps many. */
Test(function_file, a_command_has_an_end)
{
	char text[20000] = "functions:\n  f:\n    runtime: exec\n    handler: [x";
	struct cloche_err err = { 0 };
	struct function_file f = { 0 };

	for (int i = 0; i < 3; i++) {
		size_t len = strlen(text);

		(void)snprintf(text + len, sizeof(text) - len, ", %04000d", i);
	}
	(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "]\n");
	cr_expect_eq(read_text(text, &f, &err), -EINVAL);
	cr_expect(strstr(err.text, "functions/f/handler: expected up to"), "%s", err.text);
}

Test(function_file, aliases_of_runtimes)
{
	static const struct {
		const char *name;
		int family; /* -1: none */
	} rows[] = {
		{ "python3", FAMILY_PYTHON3 },
		{ "python3.12", FAMILY_PYTHON3 },
		{ "nodejs", FAMILY_NODEJS },
		{ "nodejs22.x", FAMILY_NODEJS },
		{ "provided", FAMILY_PROVIDED },
		{ "provided.al2", FAMILY_PROVIDED },
		{ "provided.al2023", FAMILY_PROVIDED },
		{ "native", FAMILY_NATIVE },
		{ "exec", FAMILY_EXEC },
		{ "exec1", -1 },
		{ "python2.7", -1 },
		{ "python", -1 },
		{ "nodejs/x", -1 },
		{ "image", -1 },
		{ "", -1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum function_family family = FAMILIES;
		bool is = function_family_of(rows[i].name, &family);

		cr_expect_eq(is, rows[i].family >= 0, "%s", rows[i].name);
		cr_expect(!is || (int)family == rows[i].family, "%s", rows[i].name);
	}
}

Test(function_file, from_a_file)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	struct cloche_err err = { 0 };
	struct function_file file;
	char path[512], code[560];
	FILE *f = fopen(tmpdir_path(path, dir, "cloche.yaml"), "we");

	cr_assert(f && fputs(F, f) >= 0 && fclose(f) == 0);
	cr_assert_eq(function_file_load(path, &host, &file, &err), 0, "%s", err.text);
	(void)snprintf(code, sizeof(code), "%s/.", dir);
	cr_expect_str_eq(file.functions[0].code.path, code);
	function_file_free(&file);
	cr_expect_eq(function_file_load("/nowhere/cloche.yaml", &host, &file, &err), -ENOENT);
}

Test(function_file, names_with_versions)
{
	struct cloche_err err = { 0 };
	char name[FUNCTION_NAME_LEN];
	uint32_t version = 7;

	cr_expect_eq(function_ref_parse("ab-c", name, &version, &err), 0);
	cr_expect(strcmp(name, "ab-c") == 0 && version == 0);
	cr_expect_eq(function_ref_parse("ab-c@12", name, &version, &err), 0);
	cr_expect(strcmp(name, "ab-c") == 0 && version == 12);
	cr_expect_lt(function_ref_parse("ab@0", name, &version, &err), 0);
	cr_expect_lt(function_ref_parse("ab@", name, &version, &err), 0);
	cr_expect_lt(function_ref_parse("ab@x", name, &version, &err), 0);
	cr_expect_lt(function_ref_parse("@1", name, &version, &err), 0);
	cr_expect_lt(function_ref_parse("a/b", name, &version, &err), 0);
}
