/* SPDX-License-Identifier: MIT */
/*
 * What bash completes by `cloche completion bash`: the function is asked as readline would ask it.
 * That every option of the tables is in the scripts of all shells is tests/lint-man.sh's.
 */
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The words of a line are split at blanks and at '=', as readline does; the last one is completed.
 * What comes out is between blanks. */
#define ASK                                                                                  \
	"eval \"$(\"$1\" completion bash)\" && cd \"$2\" || exit 9\n"                        \
	"[ \"$(complete -p cloche)\" = 'complete -F _cloche cloche' ] || exit 8\n"           \
	"line=${3//=/ = } && read -ra COMP_WORDS <<<\"$line\"\n"                             \
	"[ \"${line: -1}\" != ' ' ] || COMP_WORDS+=('')\n"                                   \
	"COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _cloche; printf ' %s' \"${COMPREPLY[@]}\"\n" \
	"echo ' '\n"

static const struct ask {
	const char *line;
	const char *has; /* a word, or all of them when only */
	const char * not ;
	bool only;
} asks[] = {
	{ "cloche ", "run", "--help", false },
	{ "cloche po", "policy", NULL, true },
	{ "cloche --", "--version", "run", false },
	{ "cloche policy ", "learn", "default", false },
	{ "cloche policy ex", "explain", NULL, true },
	{ "cloche policy explain --n", "--net", NULL, true },
	{ "cloche policy list --n", "", NULL, true },
	{ "cloche policy explain str", "strict", NULL, true },
	{ "cloche policy explain default ", "one.json", NULL, false },
	{ "cloche run --led", "--ledger --ledger-full --ledger-sync", NULL, false },
	{ "cloche run --net ", "none loopback", NULL, true },
	{ "cloche run --net=", "none loopback", NULL, true },
	{ "cloche run --net=lo", "loopback", NULL, true },
	{ "cloche run --net none --policy de", "default", NULL, true },
	{ "cloche run --env-file o", "one.json", NULL, true },
	{ "cloche run --ledger ", "box", NULL, true },
	{ "cloche run -m 64M --report ", "one.json", "none", false },
	{ "cloche run --memory ", "", NULL, true },
	{ "cloche run -q -- tru", "true", "--trace", false },
	{ "cloche tune --runs 3 -- tru", "true", NULL, false },
	{ "cloche tune --runs 3 tru", "", NULL, true }, /* a function's name */
	{ "cloche run cat --n", "", NULL, true },	/* cat's, not ours */
	{ "cloche run cat none lo", "", NULL, true },
	{ "cloche policy learn --base str", "strict", NULL, true },
	{ "cloche policy learn --out", "", NULL, true }, /* one of run that learn has not */
	{ "cloche bill --by v", "verdict", NULL, true },
	{ "cloche trace --format p", "perfetto", NULL, true },
	{ "cloche image build pyt", "python3", NULL, true },
	{ "cloche image show im", "imported", NULL, true },
	{ "cloche audit verify --re", "", NULL, true }, /* show's */
	{ "cloche completion z", "zsh", NULL, true },
	{ "cloche no-such-verb ", "", NULL, true },
};

static void make(const char *dir, const char *name)
{
	char path[4200];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	cr_assert(f && fclose(f) == 0, "%s", path);
}

Test(completion, bash)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	char path[4200];

	make(dir, "one.json");
	make(dir, "imported.erofs");
	(void)snprintf(path, sizeof(path), "%s/box", dir);
	cr_assert_eq(mkdir(path, 0755), 0);
	cr_assert_eq(setenv("CLOCHE_IMAGES", dir, 1), 0);
	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		const struct ask *a = &asks[i];
		cleanup_run struct run run = { 0 };
		char has[256], not [256];

		RUN(&run, "bash", "--norc", "-c", ASK, "bash", env_need("CLOCHE"), dir, a->line);
		cr_assert_eq(run.status, 0, "'%s': %d %s", a->line, run.status, run.err);
		cr_expect_str_eq(run.err, "", "'%s': %s", a->line, run.err);
		(void)snprintf(has, sizeof(has), " %s \n", a->has);
		if (a->only) {
			cr_expect_str_eq(run.out, *a->has ? has : "  \n", "'%s': %s", a->line,
					 run.out);
			continue;
		}
		has[strlen(has) - 1] = '\0';
		cr_expect(strstr(run.out, has), "'%s': %s", a->line, run.out);
		(void)snprintf(not, sizeof(not ), " %s ", a->not ? a->not : "\n");
		cr_expect(!strstr(run.out, not ), "'%s': %s", a->line, run.out);
	}
}

Test(completion, usage)
{
	cleanup_run struct run none = { 0 }, other = { 0 };

	CLOCHE(&none, "completion");
	cr_expect_eq(none.status, 2);
	cr_expect(strstr(none.err, "bash, zsh, fish or table"), "%s", none.err);
	CLOCHE(&other, "completion", "csh");
	cr_expect_eq(other.status, 2);
	cr_expect_eq(other.out_len, 0);
	cr_expect(strstr(other.err, "'csh'"), "%s", other.err);
}
