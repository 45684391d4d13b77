/* SPDX-License-Identifier: MIT */
/* Code as it is sent: the same for the same content, and what tar(1) takes for what it was. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "function/function_pack.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#define LONG                                                                                     \
	"a-name-that-is-longer-than-the-hundred-bytes-that-there-are-for-it-in-a-header-of-tar-" \
	"as-it-was/"

static void sh(const char *dir, const char *script)
{
	cleanup_run struct run run = { 0 };

	RUN(&run, "sh", "-ec", script, "sh", dir);
	cr_assert_eq(run.status, 0, "%s", run.err);
}

static const char fill[] =
	"cd \"$1\"; mkdir -p sub/b empty " LONG "; echo text >sub/b/file; ln -s file sub/b/link; "
	"ln -s /etc/passwd away; printf '#!/bin/sh\\n' >run; chmod 755 run; "
	"echo long >" LONG "file; : >none; ln -s " LONG LONG " long-link";

static int pack(const char *dir, struct function_packed *p, struct cloche_err *err)
{
	*err = (struct cloche_err){ 0 };
	return function_pack(dir, "/tmp", p, err);
}

Test(function_pack, the_same_content_is_the_same)
{
	cleanup_tmpdir char *a = tmpdir_make();
	cleanup_tmpdir char *b = tmpdir_make();
	struct function_packed one, two;
	struct cloche_err err;

	sh(a, fill);
	sh(b, fill);
	/* Other times, other rights, and made in another order. */
	sh(b, "cd \"$1\"; touch -d 2001-01-01 sub/b/file run; chmod 700 run sub; chmod 600 none; "
	      "mv none x; mv x "
	      "none");
	cr_assert_eq(pack(a, &one, &err), 0, "%s", err.text);
	cr_assert_eq(pack(b, &two, &err), 0, "%s", err.text);
	cr_expect_str_eq(one.sha256, two.sha256);
	cr_expect_eq(one.unpacked, 5 + 5 + 10);
	(void)close(two.fd);
	sh(b, "chmod 644 \"$1\"/run");
	cr_assert_eq(pack(b, &two, &err), 0, "%s", err.text);
	cr_expect_str_neq(one.sha256, two.sha256);
	(void)close(one.fd);
	(void)close(two.fd);
}

Test(function_pack, comes_back_as_it_was)
{
	cleanup_tmpdir char *a = tmpdir_make();
	cleanup_tmpdir char *b = tmpdir_make();
	cleanup_run struct run run = { 0 };
	struct function_packed p;
	struct cloche_err err;
	char tar[64];

	sh(a, fill);
	cr_assert_eq(pack(a, &p, &err), 0, "%s", err.text);
	(void)snprintf(tar, sizeof(tar), "/proc/%d/fd/%d", getpid(), p.fd);
	RUN(&run, "tar", "-C", b, "-xf", tar);
	cr_assert_eq(run.status, 0, "%s", run.err);
	run_free(&run);
	RUN(&run, "diff", "-r", "--no-dereference", a, b);
	cr_expect_eq(run.status, 0, "%s%s", run.out, run.err);
	run_free(&run);
	RUN(&run, "tar", "-tvf", tar);
	cr_expect(strstr(run.out, "-rwxr-xr-x 0/0"), "%s", run.out);
	(void)close(p.fd);
}

Test(function_pack, what_is_no_code_is_refused)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	struct function_packed p;
	struct cloche_err err;
	char path[512];

	cr_assert_eq(mkfifo(tmpdir_path(path, dir, "fifo"), 0644), 0);
	cr_expect_eq(pack(dir, &p, &err), -EINVAL);
	cr_expect(strstr(err.text, "fifo': it is neither a file"), "%s", err.text);
	/* It is not waited for. */
	cr_expect_eq(pack(path, &p, &err), -EINVAL);
	cr_expect_eq(pack("/nowhere", &p, &err), -ENOENT);
	sh(dir, "rm \"$1\"/fifo; echo text >\"$1\"/file");
	cr_expect_eq(pack(tmpdir_path(path, dir, "file"), &p, &err), -EINVAL);
	cr_expect(strstr(err.text, "neither a directory nor a zip"), "%s", err.text);
}
