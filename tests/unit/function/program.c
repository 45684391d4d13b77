/* SPDX-License-Identifier: MIT */
/* What a function begins with, looked for in its code before it is deployed. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fd.h"
#include "function/function.h"
#include "function/function_program.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

/* As directories, and as zips of these, each whole and with "./" before its names. */
static const char fill[] =
	"cd \"$1\"; mkdir -p good/bin none closed/bin folder/bootstrap away lost; "
	"printf '#!/bin/sh\\n' >good/bootstrap; chmod 755 good/bootstrap; "
	"cp good/bootstrap good/bin/prog; echo text >none/other; "
	"cp good/bootstrap closed/bootstrap; cp good/bootstrap closed/bin/prog; "
	"chmod 644 closed/bootstrap closed/bin/prog; "
	"ln -s /opt/boot away/bootstrap; ln -s /opt/bin away/bin; echo x >lost/bin; "
	"python3 -c 'import os, sys, zipfile, stat\n"
	"for d in sys.argv[1:]:\n"
	"  z = zipfile.ZipFile(d + \".zip\", \"w\")\n"
	"  for at, dirs, files in os.walk(d):\n"
	"    for n in dirs + files:\n"
	"      p = os.path.join(at, n)\n"
	"      to = (\"./\" if d == \"good\" else \"\") + os.path.relpath(p, d)\n"
	"      if os.path.islink(p):\n"
	"        i = zipfile.ZipInfo(to); i.create_system = 3\n"
	"        i.external_attr = (stat.S_IFLNK | 0o777) << 16\n"
	"        z.writestr(i, os.readlink(p))\n"
	"      else:\n"
	"        z.write(p, to)\n"
	"' good none closed folder away lost; echo no zip >broken.zip";

static const struct {
	const char *code, *layer, *program; /* program: of 'native', else it is 'provided' */
	const char *says;		    /* NULL: nothing */
} rows[] = {
	{ "good", NULL, NULL, NULL },
	{ "good", NULL, "bin/prog", NULL },
	{ "good", NULL, "./bin//prog", NULL },
	{ "none", NULL, NULL, "code: there is no 'bootstrap' in '" },
	{ "none", "none", NULL, "', nor in a layer: put the program there that runtime" },
	{ "none", "good", NULL, NULL },
	{ "none", "closed", NULL, "layers: 'bootstrap' in '" },
	{ "closed", NULL, NULL, "is not executable: chmod +x it" },
	{ "closed", "good", NULL, NULL },
	{ "folder", NULL, NULL, "code: 'bootstrap' in '" },
	{ "away", NULL, NULL, NULL },
	{ "away", NULL, "bin/prog", NULL },
	{ "none", NULL, "bin/prog", "handler: there is no 'bin/prog' in '" },
	{ "closed", NULL, "bin/prog", "handler: 'bin/prog' in '" },
	{ "lost", NULL, "bin/prog", "handler: there is no 'bin/prog' in '" },
	{ "none", "good", "bin/prog", "handler: there is no 'bin/prog' in '" },
	{ "none", NULL, "../good/bootstrap", NULL },
};

static void expect(const char *dir, size_t i, const char *ending)
{
	char code[700], layer[700];
	char *handler[] = { (char *)(uintptr_t)rows[i].program, NULL };
	struct function_config c = { .code.path = code,
				     .runtime = "any",
				     .family = FAMILY_PROVIDED };
	struct cloche_err err = { 0 };
	int r;

	(void)snprintf(code, sizeof(code), "%s/%s%s", dir, rows[i].code, ending);
	(void)snprintf(layer, sizeof(layer), "%s/%s%s", dir, rows[i].layer, ending);
	if (rows[i].layer) {
		c.layers[0].path = layer;
		c.n_layers = 1;
	}
	if (rows[i].program) {
		c.family = FAMILY_NATIVE;
		c.handler = handler;
	}
	r = function_program_check(&c, &err);
	cr_expect_eq(r, rows[i].says ? -EINVAL : 0, "row %zu%s: %s", i, ending, err.text);
	if (rows[i].says)
		cr_expect(strstr(err.text, rows[i].says), "row %zu%s: %s", i, ending, err.text);
}

Test(function_program, what_is_plainly_not_there_is_said)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };

	RUN(&run, "sh", "-ec", fill, "sh", dir);
	cr_assert_eq(run.status, 0, "%s", run.err);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		expect(dir, i, "");
		expect(dir, i, ".zip");
	}
}

/* That it cannot be read is said when it is packed; of other runtimes there is nothing to see. */
Test(function_program, what_cannot_be_judged_is_not)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char path[700];
	struct function_config c = { .code.path = path, .family = FAMILY_PROVIDED };

	RUN(&run, "sh", "-ec", fill, "sh", dir);
	cr_assert_eq(run.status, 0, "%s", run.err);
	(void)snprintf(path, sizeof(path), "%s/nowhere", dir);
	cr_expect_eq(function_program_check(&c, NULL), 0);
	(void)snprintf(path, sizeof(path), "%s/broken.zip", dir);
	cr_expect_eq(function_program_check(&c, NULL), 0);
	(void)snprintf(path, sizeof(path), "%s/none", dir);
	cr_expect_eq(function_program_check(&c, NULL), -EINVAL);
	for (enum function_family f = 0; f < FAMILIES; f++) {
		c.family = f;
		if (f != FAMILY_PROVIDED)
			cr_expect_eq(function_program_check(&c, NULL), 0, "%d", (int)f);
	}
}
