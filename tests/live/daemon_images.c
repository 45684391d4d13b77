/* SPDX-License-Identifier: MIT */
/* Images for users without rights, through the daemon: the host's shared ones. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "image/image.h"
#include "tests/lib/daemon.h"
#include "tests/lib/env.h"
#include "tests/lib/images.h"
#include "tests/lib/oci.h"
#include "tests/lib/run.h"

#define OTHER "1001"
#define SMALL "-m", "32M", "--cpu", "shared", "-t", "60s"
#define IN(d, run, image, ...) \
	AS_USER((d), (run), SMALL, "--report", "-", "--rootfs", (image), __VA_ARGS__)

/* A daemon of the test's own that has the store as its host's. */
static struct store begin(struct daemon *d)
{
	struct store s = store_make();

	daemon_prepare(d);
	daemon_start(d);
	return s;
}

/* By name and without rights; the store itself nobody but root can come to. */
Test(daemon_images, a_shared_image_is_for_everybody)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	cleanup_store struct store s = begin(&d);
	char sha[65];

	store_build(&s, tree_make(&s, "tree"), "tiny", sha);
	IN(&d, &run, "tiny", "--", "/noop");
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.err, "\"start\":\"cold\"");
	cr_expect_eq(mounts_with(sha), 1);
	run_free(&run);
	IN(&d, &run, "tiny", "--", "/usr/bin/env");
	cr_expect_eq(run.status, 127, "%s", run.err);
	run_free(&run);
	IN(&d, &run, "tiny", "--", "/noop");
	cr_expect_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	d.user = OTHER;
	IN(&d, &run, "tiny", "--", "/noop");
	cr_expect_eq(run.status, 0, "%s", run.err);
	expect_has(run.err, "\"start\":\"cold\"");
	daemon_stop(&d);
}

/* A context is kept for the image that it was made in, not for the name. */
Test(daemon_images, a_context_is_of_its_image)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	cleanup_store struct store s = begin(&d);
	char sha[65];

	store_build(&s, tree_make(&s, "tree"), "tiny", sha);
	store_build(&s, tree_make(&s, "other"), "other", sha);
	IN(&d, &run, "tiny", "--", "/noop");
	cr_assert_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	/* It waits for what is being proved clean. */
	IN(&d, &run, "tiny", "--", "/noop");
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.err, "\"start\":\"warm\"");
	run_free(&run);
	IN(&d, &run, "other", "--", "/noop");
	expect_has(run.err, "\"start\":\"cold\"");
	run_free(&run);
	AS_USER(&d, &run, SMALL, "--report", "-", "--", "true");
	expect_has(run.err, "\"start\":\"cold\"");
	run_free(&run);
	PUT(store_file(&s, "tree/new"), "new");
	cr_assert_eq(unlink(store_file(&s, "tree/noop")), 0);
	store_build(&s, store_file(&s, "tree"), "tiny", sha);
	IN(&d, &run, "tiny", "--", "/noop");
	cr_expect_eq(run.status, 127, "%s", run.err);
	expect_has(run.err, "\"start\":\"cold\"");
	daemon_stop(&d);
}

/* It is read by the client, for whom it is: entrypoint, environment, working directory. */
Test(daemon_images, what_an_image_says_applies)
{
	cleanup_free char *teller = env_helper("teller");
	cleanup_run struct run run = { 0 };
	struct daemon d;
	cleanup_store struct store s = begin(&d);
	const char *tree = tree_make(&s, "tree");

	RUN(&run, "install", "-D", "-t", store_file(&s, "tree/app/bin"), teller);
	cr_assert_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	store_import(&s, tree, "x",
		     "{\"Entrypoint\":[\"/app/bin/teller\"],\"Cmd\":[\"said\"],\"Env\":[\"TOLD=by "
		     "image\"],\"WorkingDir\":\"/app\"}");
	AS_USER(&d, &run, SMALL, "-q", "--rootfs", "x");
	cr_expect_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "TOLD=by image");
	expect_has(run.out, "said");
	expect_has(run.out, "/app");
	run_free(&run);
	AS_USER(&d, &run, SMALL, "-q", "-e", "TOLD=by caller", "--rootfs", "x", "--", "other");
	expect_has(run.out, "TOLD=by caller");
	expect_has(run.out, "other");
	cr_expect(!strstr(run.out, "said"));
	run_free(&run);
	AS_USER(&d, &run, SMALL, "-q", "--entrypoint", "/noop", "--rootfs", "x");
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect_str_eq(run.out, "");
	daemon_stop(&d);
}

Test(daemon_images, what_is_not_there_is_said)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	cleanup_store struct store s = begin(&d);
	char sha[65];

	/* There is no store, either. */
	AS_USER(&d, &run, SMALL, "--rootfs", "none", "--", "/noop");
	expect_refused(&run, 125, "--rootfs: there is no image 'none'");
	run_free(&run);
	store_build(&s, tree_make(&s, "tree"), "tiny", sha);
	AS_USER(&d, &run, SMALL, "--rootfs", "none", "--", "/noop");
	expect_refused(&run, 125, "--rootfs: there is no image 'none'");
	run_free(&run);
	AS_USER(&d, &run, SMALL, "--rootfs", "none");
	expect_refused(&run, 2, "--rootfs none: there is no image 'none'");
	run_free(&run);
	AS_USER(&d, &run, SMALL, "--rootfs", "tiny");
	expect_refused(&run, 2, "image 'tiny' brings none of its own");
	run_free(&run);
	AS_USER(&d, &run, "--rootfs", "..", "--", "/noop");
	expect_refused(&run, 125, "'..' is no name of an image");
	daemon_stop(&d);
}

/* It is found out when it is to be mounted: the launcher goes on. */
Test(daemon_images, a_damaged_one_is_not_mounted)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	cleanup_store struct store s = begin(&d);
	char sha[65], path[600];
	FILE *f;

	store_build(&s, tree_make(&s, "tree"), "tiny", sha);
	(void)snprintf(path, sizeof(path), "%s/tiny.erofs", s.path);
	f = fopen(path, "r+e");
	cr_assert(f && fseek(f, 5000, SEEK_SET) == 0 && fputs("damage", f) >= 0 && fclose(f) == 0);
	AS_USER(&d, &run, SMALL, "--rootfs", "tiny", "--", "/noop");
	expect_refused(&run, 125, "--rootfs: image 'tiny' is damaged: its SHA-256 is");
	cr_expect_eq(mounts_with(sha), 0);
	run_free(&run);
	AS_USER(&d, &run, SMALL, "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	daemon_stop(&d);
}
