/* SPDX-License-Identifier: MIT */
/*
 * Functions in imported images: what the image says of environment, working directory and command
 * applies as it does elsewhere, what the command line says comes first, and what was private to the
 * image's users can be read.
 */
#include "base/fd.h"
#include "base/hash.h"
#include "image/image.h"
#include "tests/lib/env.h"
#include "tests/lib/images.h"
#include "tests/lib/oci.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A tree with the program that tells how it was started, as /app/bin/teller. */
static const char *told_tree(const struct store *s)
{
	const char *tree = tree_make(s, "tree"), *bin = store_file(s, "tree/app/bin");
	cleanup_free char *teller = env_helper("teller");
	cleanup_run struct run run = { 0 };

	RUN(&run, "install", "-D", "-t", bin, teller);
	cr_assert_eq(run.status, 0, "%s", run.err);
	return tree;
}

/* Imports a tree as image "x" of one layer, with this as the "config" of its config. */
static void import_tree(const struct store *s, const char *tree, const char *config)
{
	const char *dir = store_file(s, "oci"), *tar = store_file(s, "layer.tar");
	cleanup_run struct run run = { 0 };
	char hex[HASH_HEX_LEN];
	json_t *c, *d;

	RUN(&run, "tar", "-C", tree, "-cf", tar, ".");
	cr_assert_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	RUN(&run, "cat", tar);
	hash_sha256_hex(run.out, run.out_len, hex);
	oci_start(dir);
	d = oci_blob(dir, run.out, run.out_len, "application/vnd.oci.image.layer.v1.tar");
	run_free(&run);
	c = json_pack("{s:s, s:s, s:o, s:{s:s, s:[o]}}", "architecture", IMAGE_ARCH, "os", "linux",
		      "config", json_loads(config, 0, NULL), "rootfs", "type", "layers", "diff_ids",
		      json_sprintf("sha256:%s", hex));
	cr_assert(c, "%s", config);
	d = json_pack("{s:o, s:[o]}", "config", oci_json(dir, c, "c"), "layers", d);
	oci_index(dir, json_pack("[o]", oci_json(dir, d, "m")));
	RUN_IMAGE(&run, "import", dir, "x");
	cr_assert_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	RUN(&run, "rm", "-r", dir);
	cr_assert_eq(run.status, 0, "%s", run.err);
}

static void expect_line(const struct run *run, const char *line)
{
	const char *at = run->out;
	size_t len = strlen(line);

	cr_assert_eq(run->status, 0, "%d: %s", run->status, run->err);
	while ((at = strstr(at, line)) && ((at != run->out && at[-1] != '\n') || at[len] != '\n'))
		at++;
	cr_assert(at, "'%s' is not in: %s", line, run->out);
}

/* ---- environment, working directory, command ---- */

#define FULL                                                                              \
	"{\"Env\":[\"PATH=/app/bin:/bin\",\"MINE=image\",\"LANG=C\",\"odd\",\"=odder\"]," \
	"\"WorkingDir\":\"/app\",\"Entrypoint\":[\"teller\",\"first\"],\"Cmd\":[\"second\"]}"

Test(image_run, what_the_image_says_applies)
{
	cleanup_store struct store s = store_make();
	cleanup_run struct run run = { 0 };

	import_tree(&s, told_tree(&s), FULL);
	RUN_CLOCHE(&run, "--rootfs", "x");
	expect_line(&run, "arg first\narg second\nenv PATH=/app/bin:/bin");
	expect_line(&run, "env MINE=image");
	expect_line(&run, "env LANG=C");
	expect_line(&run, "env HOME=/tmp");
	expect_line(&run, "cwd /app");
	cr_assert_not(strstr(run.out, "odd"), "%s", run.out);
}

Test(image_run, what_the_caller_says_comes_first)
{
	cleanup_store struct store s = store_make();
	cleanup_run struct run run = { 0 };

	import_tree(&s, told_tree(&s), FULL);
	RUN_CLOCHE(&run, "-e", "MINE=caller", "-w", "/", "--rootfs", "x", "third", "fourth");
	expect_line(&run, "arg first\narg third\narg fourth\nenv PATH=/app/bin:/bin");
	expect_line(&run, "env MINE=caller");
	expect_line(&run, "cwd /");
	cr_assert_not(strstr(run.out, "env MINE=image"), "%s", run.out);
	run_free(&run);
	/* The PATH that it has in the end is what the command is looked up in. */
	RUN_CLOCHE(&run, "-e", "PATH=/nowhere", "--rootfs", "x");
	cr_assert_eq(run.status, 127, "%s%s", run.out, run.err);
	run_free(&run);
	/* The image's command goes with its entrypoint. */
	RUN_CLOCHE(&run, "--entrypoint", "/app/bin/teller", "--rootfs", "x");
	expect_line(&run, "env PATH=/app/bin:/bin");
	cr_assert_not(strstr(run.out, "arg "), "%s", run.out);
	run_free(&run);
	RUN_CLOCHE(&run, "--rootfs", "x", "--entrypoint", "", "--", "teller", "alone");
	expect_line(&run, "arg alone\nenv PATH=/app/bin:/bin");
}

/* A command only, as most images of languages have it: the command line takes its place. */
Test(image_run, a_command_without_an_entrypoint)
{
	cleanup_store struct store s = store_make();
	cleanup_run struct run run = { 0 };

	import_tree(&s, told_tree(&s),
		    "{\"Entrypoint\":null,\"Cmd\":[\"/app/bin/teller\",\"a\"],"
		    "\"WorkingDir\":\"\"}");
	RUN_CLOCHE(&run, "--rootfs", "x");
	expect_line(&run, "arg a");
	expect_line(&run, "cwd /tmp");
	run_free(&run);
	RUN_CLOCHE(&run, "--rootfs", "x", "/noop");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_str_eq(run.out, "");
}

/* Made with the image, as nothing can be made in it later; a relative one is below the root. */
Test(image_run, a_working_directory_is_made)
{
	cleanup_store struct store s = store_make();
	const char *tree = told_tree(&s);
	cleanup_run struct run run = { 0 };

	import_tree(&s, tree, "{\"Cmd\":[\"/app/bin/teller\"],\"WorkingDir\":\"srv/new\"}");
	RUN_CLOCHE(&run, "--rootfs", "x");
	expect_line(&run, "cwd /srv/new");
	run_free(&run);
	import_tree(&s, tree, "{\"Cmd\":[\"/noop\"],\"WorkingDir\":\"/noop/below\"}");
	RUN_CLOCHE(&run, "--rootfs", "x");
	expect_refused(&run, 125, "/noop/below");
}

/* Whoever the image names. */
Test(image_run, the_user_is_the_contexts_own)
{
	static const char *const users[] = { "0", "root", "999:999", "no-such-user" };
	cleanup_store struct store s = store_make();
	const char *tree = told_tree(&s);
	cleanup_run struct run run = { 0 };

	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		char says[64];

		(void)snprintf(says, sizeof(says), "{\"User\":\"%s\"}", users[i]);
		import_tree(&s, tree, says);
		RUN_CLOCHE(&run, "--rootfs", "x", "/app/bin/teller", "read", "/proc/self/status");
		cr_assert_eq(run.status, 0, "%s: %s", users[i], run.err);
		expect_line(&run, "Uid:\t1000\t1000\t1000\t1000");
		expect_line(&run, "Gid:\t1000\t1000\t1000\t1000");
		run_free(&run);
	}
}

/* Also what only the image's own user could. */
Test(image_run, private_files_are_readable)
{
	cleanup_store struct store s = store_make();
	const char *tree = told_tree(&s), *key = store_file(&s, "tree/app/key");
	cleanup_run struct run run = { 0 };

	PUT(key, "secret\n");
	cr_assert_eq(chmod(key, 0600), 0);
	cr_assert_eq(chown(key, 999, 999), 0);
	cr_assert_eq(chmod(store_file(&s, "tree/app"), 0700), 0);
	import_tree(&s, tree, "{\"User\":\"999\"}");
	RUN_CLOCHE(&run, "--rootfs", "x", "/app/bin/teller", "read", "/app/key");
	expect_line(&run, "secret");
}

/* ---- what whoever runs an image provides ---- */

/* The host's name and localhost are names, the function's user has one, and there is no other name
 * server than none. */
Test(image_run, names_are_the_contexts_own)
{
	static const char hosts[] = "127.0.0.1 localhost\n127.0.1.1 cloche\n";
	cleanup_store struct store s = store_make();
	const char *tree = told_tree(&s);
	cleanup_run struct run run = { 0 };

	import_tree(&s, tree, "{\"Entrypoint\":[\"/app/bin/teller\",\"read\"]}");
	RUN_CLOCHE(&run, "--rootfs", "x", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf",
		   "/etc/passwd", "/etc/group");
	cr_assert_eq(run.status, 0, "%s%s", run.out, run.err);
	cr_assert(strstr(run.out, hosts) == run.out, "%s", run.out);
	expect_line(&run, "cloche");
	expect_line(&run, "root:x:0:0:root:/root:/bin/sh");
	expect_line(&run, "function:x:1000:1000:function:/tmp:/bin/sh");
	expect_line(&run, "function:x:1000:");
	run_free(&run);
	/* What the image has of where it was made does not count; what it has of users does. */
	cr_assert_eq(mkdir(store_file(&s, "tree/etc"), 0755), 0);
	PUT(store_file(&s, "tree/etc/hosts"), "10.0.0.1 elsewhere\n");
	PUT(store_file(&s, "tree/etc/resolv.conf"), "nameserver 10.0.0.1\n");
	PUT(store_file(&s, "tree/etc/passwd"), "app:x:10000:1000::/:/bin/sh");
	PUT(store_file(&s, "tree/etc/group"), "node:x:1000:\n");
	import_tree(&s, tree, "{\"Entrypoint\":[\"/app/bin/teller\",\"read\"]}");
	RUN_CLOCHE(&run, "--rootfs", "x", "/etc/hosts", "/etc/resolv.conf", "/etc/passwd",
		   "/etc/group");
	cr_assert(strstr(run.out, hosts) == run.out, "%s", run.out);
	expect_line(&run,
		    "app:x:10000:1000::/:/bin/sh\nfunction:x:1000:1000:function:/tmp:/bin/sh\n"
		    "node:x:1000:");
	cr_assert_not(strstr(run.out, "10.0.0.1"), "%s", run.out);
	run_free(&run);
	/* A caller's bind comes last. */
	RUN_CLOCHE(&run, "-b", store_file(&s, "tree/etc/hosts:/etc/hosts"), "--rootfs", "x",
		   "/etc/hosts");
	expect_line(&run, "10.0.0.1 elsewhere");
}

/* Neither where it is packed nor where it runs is anything behind a link touched. */
Test(image_run, links_in_the_place_of_names_are_left)
{
	cleanup_store struct store s = store_make();
	const char *tree = told_tree(&s), *outside = store_file(&s, "outside");
	cleanup_run struct run run = { 0 };
	struct stat st;

	PUT(outside, "mine\n");
	cr_assert_eq(mkdir(store_file(&s, "tree/etc"), 0755), 0);
	cr_assert_eq(symlink(outside, store_file(&s, "tree/etc/passwd")), 0);
	cr_assert_eq(symlink("/proc/self/fd/3", store_file(&s, "tree/etc/hosts")), 0);
	cr_assert_eq(symlink("../run/no", store_file(&s, "tree/etc/resolv.conf")), 0);
	cr_assert_eq(mkdir(store_file(&s, "tree/etc/hostname"), 0755), 0);
	import_tree(&s, tree, "{}");
	RUN_CLOCHE(&run, "--rootfs", "x", "/app/bin/teller", "read", "/proc/self/mountinfo");
	cr_assert_eq(run.status, 0, "%s%s", run.out, run.err);
	cr_assert_not(strstr(run.out, " /etc/"), "%s", run.out);
	cr_assert(stat(outside, &st) == 0 && st.st_size == 5);
	run_free(&run);
	/* /etc itself is one that leads to where there are such files. */
	RUN(&run, "rm", "-r", store_file(&s, "tree/etc"));
	cr_assert_eq(symlink(s.dir, store_file(&s, "tree/etc")), 0);
	PUT(store_file(&s, "hosts"), "");
	run_free(&run);
	import_tree(&s, tree, "{}");
	RUN_CLOCHE(&run, "--rootfs", "x", "/app/bin/teller", "read", "/proc/self/mountinfo");
	cr_assert_eq(run.status, 0, "%s%s", run.out, run.err);
	cr_assert_not(strstr(run.out, " /etc/"), "%s", run.out);
	cr_assert(access(store_file(&s, "passwd"), F_OK) < 0);
}

/* In a directory what its owner wrote counts; an empty file is a place, as docker export has it. */
Test(image_run, a_directory_keeps_its_names)
{
	cleanup_store struct store s = store_make();
	const char *tree = told_tree(&s);
	cleanup_run struct run run = { 0 };

	RUN(&run, "sh", "-c", "cd \"$0\" && mkdir dev proc sys tmp etc", tree);
	cr_assert_eq(run.status, 0, "%s", run.err);
	PUT(store_file(&s, "tree/etc/hosts"), "10.0.0.1 elsewhere\n");
	PUT(store_file(&s, "tree/etc/hostname"), "");
	run_free(&run);
	RUN_CLOCHE(&run, "--rootfs", tree, "/app/bin/teller", "read", "/etc/hosts",
		   "/etc/hostname");
	expect_line(&run, "10.0.0.1 elsewhere\ncloche");
}

/* Of nothing that an author can write there anything is believed. */
Test(image_run, a_config_that_cannot_be_is_refused)
{
	static const struct {
		const char *config, *says;
	} bad[] = {
		{ "{}", "a command is missing: image 'x' brings none of its own" },
		{ "{\"Cmd\":[]}", "a command is missing" },
		{ "{\"Cmd\":[\"/noop\",1]}", "the image's cmd is no list of texts" },
		{ "{\"Cmd\":[\"/noop\"],\"Entrypoint\":[[]]}", "entrypoint is no list of texts" },
		{ "{\"Cmd\":[\"/noop\"],\"Env\":[null]}", "env is no list of texts" },
		{ "{\"Cmd\":[\"/noop\"],\"WorkingDir\":[]}", "workdir is no text" },
		{ "{\"Cmd\":[\"/noop\"],\"WorkingDir\":\"a/../..\"}", "may not contain '..'" },
	};
	cleanup_store struct store s = store_make();
	const char *tree = tree_make(&s, "tree");

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cleanup_run struct run run = { .no_report = true };

		import_tree(&s, tree, bad[i].config);
		RUN_CLOCHE(&run, "--rootfs", "x");
		expect_refused(&run, 2, bad[i].says);
	}
}

Test(image_run, more_environment_than_a_function_may_have_is_refused)
{
	cleanup_store struct store s = store_make();
	cleanup_run struct run run = { .no_report = true };
	json_t *env = json_array(), *config = json_pack("{s:s, s:o}", "Cmd", "/noop", "Env", env);
	cleanup_free char *text = NULL;

	for (int i = 0; i <= 4096; i++)
		(void)json_array_append_new(env, json_sprintf("V%d=", i));
	text = json_dumps(config, 0);
	import_tree(&s, tree_make(&s, "tree"), text);
	RUN_CLOCHE(&run, "--rootfs", "x");
	expect_refused(&run, 2, "the image's env has 4097 texts, and may have 4096");
	json_decref(config);
}

Test(image_run, an_entrypoint_is_an_images)
{
	cleanup_run struct run run = { .no_report = true };

	RUN_CLOCHE(&run, "--entrypoint", "/bin/true", "x");
	expect_refused(&run, 2, "--entrypoint: needs --rootfs with an image");
}
