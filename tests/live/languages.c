/* SPDX-License-Identifier: MIT */
/*
 * Programs in the languages that Debian ships, and their compilers, run as the tables of
 * languages/README.md say: which there are, how each is made and started, what it says to each
 * check. Without LANGUAGES in the environment these are the marked ones, which are installed for
 * it.
 */
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER	  "tests/live/languages"
#define TABLE	  FOLDER "/README.md"
#define ROWS_MAX  32
#define CELLS_MAX 8
#define CELL_MAX  200
#define ARGS_MAX  48
#define INPUT	  "żółw日本\n"
#define ALL_HAVE  ROOMY_LINE " -b " FOLDER ":/srv"
/* As ROOMY; 60 s are for one check, and a compiler may need them. */
#define ROOMY_LINE "--cpu 1 -t 60s"
/* Blocks of 1 MiB that are not to be had: the program holds on until it is stopped. */
#define ENDLESS "1000000"

struct row {
	char cell[CELLS_MAX][CELL_MAX];
};

/* ---- the tables ---- */

/* "| `name` | cell | ... |" */
static bool row_read(const char *line, struct row *ret)
{
	const char *at = line;

	if (strncmp(at, "| `", 3) != 0)
		return false;
	*ret = (struct row){ 0 };
	for (int n = 0; n < CELLS_MAX && *at == '|' && at[1] != '\n'; n++) {
		size_t len = strcspn(++at, "|\n"), end = len;

		while (end && at[end - 1] == ' ')
			end--;
		for (size_t i = strspn(at, " "), to = 0; i < end; i++)
			if (at[i] != '`') {
				cr_assert_lt(to, (size_t)CELL_MAX - 1, TABLE ": too long: %s",
					     line);
				ret->cell[n][to++] = at[i];
			}
		at += len;
	}
	return true;
}

/* The rows below the heading, up to the next one. */
static size_t rows_read(const char *heading, struct row rows[static ROWS_MAX])
{
	cleanup_file FILE *f = fopen(TABLE, "re");
	char line[1024];
	bool here = false;
	size_t n = 0;

	cr_assert(f, "open '" TABLE "': %s", strerror(errno));
	while (n < ROWS_MAX && fgets(line, sizeof(line), f)) {
		if (line[0] == '#')
			here = strstr(line, heading);
		else if (here)
			n += row_read(line, &rows[n]);
	}
	cr_assert(n > 0, TABLE ": no row below '%s'", heading);
	return n;
}

enum {
	LANGUAGE_NAME,
	LANGUAGE_PACKAGES,
	LANGUAGE_FILE,
	LANGUAGE_MADE,
	LANGUAGE_STARTED,
	LANGUAGE_OPTIONS,
	LANGUAGE_MEMORY,
	LANGUAGE_BLOCKS
};
enum { CHECK_NAME, CHECK_ARGUMENTS, CHECK_OPTIONS, CHECK_SAYS };
enum { OTHER_LANGUAGE, OTHER_CHECK, OTHER_SAYS };

static struct row languages[ROWS_MAX], checks[ROWS_MAX], others[ROWS_MAX];
static size_t n_languages, n_checks, n_others;

static void tables_read(void)
{
	n_languages = rows_read("## Languages", languages);
	n_checks = rows_read("## Checks", checks);
	n_others = rows_read("## What is otherwise", others);
}

/* What this language says to the check; NULL: it has no such thing. */
static const char *says(const struct row *language, const char *check, const char *usual)
{
	for (size_t i = 0; i < n_others; i++)
		if (strcmp(others[i].cell[OTHER_LANGUAGE], language->cell[LANGUAGE_NAME]) == 0 &&
		    strcmp(others[i].cell[OTHER_CHECK], check) == 0)
			return others[i].cell[OTHER_SAYS][0] ? others[i].cell[OTHER_SAYS] : NULL;
	return usual;
}

static bool is_here(const struct row *language)
{
	return access(language->cell[LANGUAGE_FILE], R_OK) == 0;
}

/* LANGUAGES: names, or "all"; else those with a star. */
static bool is_wanted(const struct row *language)
{
	const char *asked = getenv("LANGUAGES"), *name = language->cell[LANGUAGE_NAME];
	size_t len = strcspn(name, " ");

	if (!asked || !*asked)
		return strchr(name, '*');
	if (strcmp(asked, "all") == 0)
		return true;
	for (const char *at = asked; *at; at += strspn(at, " ,")) {
		size_t word = strcspn(at, " ,");

		if (word == len && strncmp(at, name, len) == 0)
			return true;
		at += word;
	}
	return false;
}

/* ---- running one ---- */

struct words {
	const char *argv[ARGS_MAX];
	size_t n;
	char text[6 * CELL_MAX];
	size_t used;
};

static void words_add(struct words *words, const char *text)
{
	char *at = words->text + words->used, *word;
	size_t size = strlen(text) + 1;

	cr_assert(words->used + size <= sizeof(words->text));
	memcpy(at, text, size);
	words->used += size;
	while ((word = strsep(&at, " "))) {
		cr_assert_lt(words->n, (size_t)ARGS_MAX - 1);
		if (*word)
			words->argv[words->n++] = word;
	}
}

/* What all of them have: the sources in /srv, what was made of them in /opt. */
static struct words options_of(const struct row *language, const char *made)
{
	struct words words = { 0 };

	words_add(&words, ALL_HAVE " -m");
	words_add(&words, language->cell[LANGUAGE_MEMORY]);
	words_add(&words, language->cell[LANGUAGE_OPTIONS]);
	words_add(&words, "-b");
	words_add(&words, made);
	return words;
}

/* In a context of its own, whose only place to write to beside /tmp is the folder. */
static void language_make(const struct row *language, const char *dir)
{
	cleanup_run struct run run = { 0 };
	struct words words = { 0 };
	char bind[256];

	cr_assert_eq(chmod(dir, 0777), 0);
	if (!language->cell[LANGUAGE_MADE][0])
		return;
	(void)snprintf(bind, sizeof(bind), "%s:/opt:rw", dir);
	words_add(&words, ALL_HAVE " -m 1500M -b");
	words_add(&words, bind);
	words_add(&words, "-- sh -ec");
	words.argv[words.n++] = language->cell[LANGUAGE_MADE];
	run_cloche(&run, words.argv);
	cr_assert_str_eq(report_text(&run, "verdict"), "ok", "%s is not made: %s%s",
			 language->cell[LANGUAGE_NAME], run.out, run.err);
	cr_log_info("%s: made in %ld ms with %ld MiB", language->cell[LANGUAGE_NAME],
		    (long)(report_int(&run, "time.wall_ns") / 1000000),
		    (long)(report_int(&run, "memory.peak_bytes") >> 20));
}

static void language_run(struct run *run, const struct row *language, const char *dir,
			 const char *options, const char *check, const char *argument)
{
	cleanup_free char *denied = NULL;
	struct words words;
	char bind[256];

	(void)snprintf(bind, sizeof(bind), "%s:/opt", dir);
	words = options_of(language, bind);
	words_add(&words, options);
	words_add(&words, "--");
	words_add(&words, language->cell[LANGUAGE_STARTED]);
	words_add(&words, check);
	words_add(&words, argument);
	run_cloche(run, words.argv);
	run->out[strcspn(run->out, "\n")] = '\0';
	cr_log_info("%s %s: %s, status %d, %ld ms, %ld MiB", language->cell[LANGUAGE_NAME], check,
		    report_text(run, "verdict"), run->status,
		    (long)(report_int(run, "time.wall_ns") / 1000000),
		    (long)(report_int(run, "memory.peak_bytes") >> 20));
	/* What the profile lacks shows here, whether the runtime minds or not. */
	denied = json_dumps(report_get(run, "denied"), 0);
	cr_expect_str_eq(denied, "[]", "%s %s: denied %s", language->cell[LANGUAGE_NAME], check,
			 denied);
}

/* ---- the tests ---- */

static void expect_checks(const struct row *language, const char *dir)
{
	for (size_t i = 0; i < n_checks; i++) {
		const char *name = checks[i].cell[CHECK_NAME];
		const char *expected = says(language, name, checks[i].cell[CHECK_SAYS]);
		cleanup_run struct run run = { .input = INPUT };

		if (!expected)
			continue;
		language_run(&run, language, dir, checks[i].cell[CHECK_OPTIONS], name,
			     checks[i].cell[CHECK_ARGUMENTS]);
		cr_expect_str_eq(run.out, expected, "%s %s: '%s', not '%s': %s",
				 language->cell[LANGUAGE_NAME], name, run.out, expected, run.err);
		cr_expect_str_eq(report_text(&run, "verdict"), "ok", "%s %s: %s",
				 language->cell[LANGUAGE_NAME], name, run.err);
	}
}

/* Blocks that make four fifths of the limit, with what the runtime takes for itself. */
static void expect_room(const struct row *language, const char *dir)
{
	const char *blocks = language->cell[LANGUAGE_BLOCKS];
	cleanup_run struct run run = { 0 };

	language_run(&run, language, dir, "", "memory", blocks);
	cr_expect_str_eq(run.out, blocks, "%s memory: '%s': %s", language->cell[LANGUAGE_NAME],
			 run.out, run.err);
	cr_expect_str_eq(report_text(&run, "verdict"), "ok");
	cr_expect_geq(report_int(&run, "memory.peak_bytes"),
		      report_int(&run, "memory.limit_bytes") / 5 * 4, "%s has only used %ld MiB",
		      language->cell[LANGUAGE_NAME],
		      (long)(report_int(&run, "memory.peak_bytes") >> 20));
}

/* The kernel ends it, or the runtime by an error of its own; never the time or the policy. */
static void expect_oom(const struct row *language, const char *dir)
{
	const char *expected = says(language, "oom", "oom");
	cleanup_run struct run run = { 0 };
	const char *verdict;

	language_run(&run, language, dir, "", "memory", ENDLESS);
	verdict = report_text(&run, "verdict");
	if (strcmp(expected, "oom") == 0) {
		cr_expect(run.status == 137 && strcmp(verdict, "oom") == 0, "%s: status %d, %s: %s",
			  language->cell[LANGUAGE_NAME], run.status, verdict, run.err);
		return;
	}
	cr_expect(strcmp(verdict, "error") == 0 || strcmp(verdict, "signal") == 0, "%s: %s: %s",
		  language->cell[LANGUAGE_NAME], verdict, run.err);
	cr_expect(strstr(run.err, expected), "%s: '%s' is not said: %s",
		  language->cell[LANGUAGE_NAME], expected, run.err);
}

/* One parameter for each that is wanted: its row. */
static struct criterion_test_params wanted_languages(void)
{
	static size_t index[ROWS_MAX];
	size_t n = 0;

	tables_read();
	for (size_t i = 0; i < n_languages; i++)
		if (is_wanted(&languages[i]))
			index[n++] = i;
	return cr_make_param_array(size_t, index, n);
}

ParameterizedTestParameters(languages, run_as_the_table_says)
{
	return wanted_languages();
}

ParameterizedTest(const size_t *i, languages, run_as_the_table_says, .timeout = 600)
{
	const struct row *language = &languages[*i];
	cleanup_tmpdir char *dir = tmpdir_make();

	tables_read();
	if (!is_here(language))
		test_skip("%s is not here: %s", language->cell[LANGUAGE_NAME],
			  language->cell[LANGUAGE_PACKAGES]);
	language_make(language, dir);
	expect_checks(language, dir);
	expect_room(language, dir);
	expect_oom(language, dir);
}

static bool is_language(const char *name, size_t len)
{
	for (size_t i = 0; i < n_languages; i++)
		if (strcspn(languages[i].cell[LANGUAGE_NAME], " ") == len &&
		    strncmp(languages[i].cell[LANGUAGE_NAME], name, len) == 0)
			return true;
	return false;
}

/* One that is not there would be a test that has passed. */
Test(languages, those_asked_for_are_in_the_table)
{
	const char *at = getenv("LANGUAGES");

	tables_read();
	for (size_t len; at && strcmp(at, "all") != 0 && *at; at += len + strspn(at + len, " ,")) {
		len = strcspn(at, " ,");
		cr_expect(is_language(at, len), TABLE " has no '%.*s'", (int)len, at);
	}
}

/* A row that names no language or check would be one that nobody looks at. */
Test(languages, what_is_otherwise_is_of_some_language_and_check)
{
	tables_read();
	for (size_t i = 0; i < n_others; i++) {
		bool language = false, check = strcmp(others[i].cell[OTHER_CHECK], "oom") == 0;

		for (size_t k = 0; k < n_languages; k++)
			language |= strcmp(languages[k].cell[LANGUAGE_NAME],
					   others[i].cell[OTHER_LANGUAGE]) == 0;
		for (size_t k = 0; k < n_checks; k++)
			check |= strcmp(checks[k].cell[CHECK_NAME], others[i].cell[OTHER_CHECK]) ==
				 0;
		cr_expect(language && check, "%s %s", others[i].cell[OTHER_LANGUAGE],
			  others[i].cell[OTHER_CHECK]);
	}
}
