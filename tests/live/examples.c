/* SPDX-License-Identifier: MIT */
/* The functions of tests/examples, as the README's tour has them: built, deployed, invoked cold and
 * warm, their log. Needs root and a compiler. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "tests/lib/daemon.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"

/* As a user has them in a folder of his own. */
static void take_examples(const struct daemon *d, char yaml[static 700])
{
	cleanup_run struct run copy = { 0 }, cc = { 0 }, show = { 0 };
	char to[680], source[720], program[720];

	(void)snprintf(to, sizeof(to), "%s/examples", d->dir);
	RUN(&copy, "cp", "-r", "tests/examples", to);
	cr_assert_eq(copy.status, 0, "%s", copy.err);
	(void)snprintf(source, sizeof(source), "%s/native/upper.c", to);
	(void)snprintf(program, sizeof(program), "%s/native/upper", to);
	RUN(&cc, "cc", "-O2", "-static", "-Isandbox/runtime", "-o", program, source);
	cr_assert_eq(cc.status, 0, "%s", cc.err);
	RUN(&show, "chmod", "-R", "a+rX", to);
	(void)snprintf(yaml, 700, "%s/cloche.yaml", to);
}

static void expect_picture(struct daemon *d)
{
	/* 4x2 pixels, of which each four become one. */
	cleanup_run struct run run = { 0 };

	AS_USER(d, &run, "thumbnail",
		"{\"image\": \"UDUgNCAyIDI1NQoAAAgIAAAICA==\", \"width\": 2}");
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect(strstr(run.out, "\"width\": 2, \"height\": 1, \"image\": "
				  "\"UDUgMiAxIDI1NQoACA==\""),
		  "%s", run.out);
}

Test(examples, as_the_tour_has_them)
{
	cleanup_run struct run deploy = { 0 }, upper = { 0 }, sort = { .input = "b\na\nb\n" },
			       logs = { 0 };
	struct daemon d;
	char yaml[700];

	daemon_prepare(&d);
	daemon_start(&d);
	take_examples(&d, yaml);
	d.verb = "deploy";
	AS_USER(&d, &deploy, yaml);
	cr_assert_eq(deploy.status, 0, "%s", deploy.err);
	d.verb = "invoke";
	AS_USER(&d, &upper, "upper", "some text");
	cr_expect_str_eq(upper.out, "SOME TEXT", "%s", upper.err);
	AS_USER(&d, &sort, "-q", "sort", "-");
	cr_expect_str_eq(sort.out, "a\nb\n", "%s", sort.err);
	expect_picture(&d);
	expect_picture(&d);
	d.verb = "logs";
	AS_USER(&d, &logs, "thumbnail");
	cr_expect(strstr(logs.out, "\n4x2 to 2x1, "), "%s", logs.out);
	daemon_stop(&d);
}
