/* SPDX-License-Identifier: MIT */
/* The functions of tests/examples: those of the README's tour, and those that people bring, as they
 * are; built, deployed, invoked cold and warm, their logs. Needs root and a compiler. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "tests/lib/daemon.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"

/* Where a user has them: a folder of his own. */
struct place {
	struct daemon d;
	char folder[700]; /* of one example */
	struct run run;
};

/* A shell's line in that folder. */
static int sh(struct place *p, const char *line)
{
	char all[1800];

	(void)snprintf(all, sizeof(all), "set -e; INC=\"-I$PWD/sandbox/runtime\"; cd '%s'; %s",
		       p->folder, line);
	run_free(&p->run);
	RUN(&p->run, "sh", "-c", all);
	return p->run.status;
}

#define BUILD(p, line) cr_assert_eq(sh((p), (line)), 0, "%s", (p)->run.err)

static void begin(struct place *p, const char *example)
{
	char to[660];

	*p = (struct place){ 0 };
	daemon_prepare(&p->d);
	(void)snprintf(to, sizeof(to), "%s/examples", p->d.dir);
	RUN(&p->run, "cp", "-r", "tests/examples", to);
	cr_assert_eq(p->run.status, 0, "%s", p->run.err);
	(void)snprintf(p->folder, sizeof(p->folder), "%s%s", to, example);
	daemon_start(&p->d);
}

static void by_user(struct place *p, const char *verb, const char *const args[])
{
	p->d.verb = verb;
	run_free(&p->run);
	daemon_run_as_user(&p->d, &p->run, args);
}

#define INVOKE(p, ...) by_user((p), "invoke", (const char *const[]){ __VA_ARGS__, NULL })

static void deploy(struct place *p)
{
	char yaml[720];

	BUILD(p, "chmod -R a+rX .");
	(void)snprintf(yaml, sizeof(yaml), "%s/cloche.yaml", p->folder);
	by_user(p, "deploy", (const char *const[]){ yaml, NULL });
	cr_assert_eq(p->run.status, 0, "%s", p->run.err);
}

static void end(struct place *p)
{
	run_free(&p->run);
	daemon_stop(&p->d);
}

/* The last one was well, and answered just so; the first of a context says what its init took. */
static void expect_answer(const struct place *p, bool cold, const char *answer)
{
	cr_expect_eq(p->run.status, 0, "%d: %s%s", p->run.status, p->run.out, p->run.err);
	cr_expect_str_eq(p->run.out, answer, "%s", p->run.err);
	cr_expect_eq(strstr(p->run.err, "\tInit Duration: ") != NULL, cold, "%s", p->run.err);
}

static void expect_error(const struct place *p, const char *type, const char *message)
{
	cr_expect_eq(p->run.status, 1, "%d: %s%s", p->run.status, p->run.out, p->run.err);
	cr_expect(strstr(p->run.out, type), "%s", p->run.out);
	cr_expect(strstr(p->run.out, message), "%s", p->run.out);
}

static void expect_logs(struct place *p, const char *function, const char *text)
{
	by_user(p, "logs", (const char *const[]){ function, NULL });
	cr_expect(strstr(p->run.out, text), "%s", p->run.out);
}

/* ---- the tour -------------------------------------------------------------------------------- */

Test(examples, as_the_tour_has_them)
{
	/* 4x2 pixels, of which each four become one. */
	static const char event[] = "{\"image\": \"UDUgNCAyIDI1NQoAAAgIAAAICA==\", \"width\": 2}";
	static const char small[] =
		"{\"width\": 2, \"height\": 1, \"image\": \"UDUgMiAxIDI1NQoACA==\"}";
	cleanup_run struct run sort = { .input = "b\na\nb\n" };
	struct place p;

	begin(&p, "");
	BUILD(&p, "cc -O2 -static $INC -o native/upper native/upper.c");
	deploy(&p);
	INVOKE(&p, "upper", "some text");
	expect_answer(&p, true, "SOME TEXT");
	INVOKE(&p, "upper", "again");
	expect_answer(&p, false, "AGAIN");
	AS_USER(&p.d, &sort, "-q", "sort", "-");
	cr_expect_str_eq(sort.out, "a\nb\n", "%s", sort.err);
	INVOKE(&p, "thumbnail", event);
	expect_answer(&p, true, small);
	INVOKE(&p, "thumbnail", event);
	expect_answer(&p, false, small);
	expect_logs(&p, "thumbnail", "\n4x2 to 2x1, ");
	by_user(&p, "logs", (const char *const[]){ "--request", "none", "thumbnail", NULL });
	cr_expect_eq(p.run.status, 1);
	expect_has(p.run.err, "nothing for a request 'none");
	/* Forked. */
	BUILD(&p, "sed -i 's/memory: 256/&\\n    reuse: fork/' cloche.yaml");
	deploy(&p);
	INVOKE(&p, "thumbnail", event);
	expect_answer(&p, true, small);
	INVOKE(&p, "--report", "-", "thumbnail", event);
	expect_answer(&p, false, small);
	expect_has(p.run.err, "\"start\":\"warm\",\"reuse\":\"fork\",\"invocation\":2");
	by_user(&p, "bill", (const char *const[]){ NULL });
	cr_expect(strstr(p.run.out, "thumbnail      4 "), "%s%s", p.run.out, p.run.err);
	end(&p);
}

/* ---- what people bring ----------------------------------------------------------------------- */

Test(examples, python_with_what_it_depends_on)
{
	static const char event[] = "{\"to\": \"Ada\", \"lines\": [[\"bolts\", 12, \"0.35\"], "
				    "[\"nut\", 1, \"17.005\"]]}";
	static const char answer[] =
		"{\"text\": \"Invoice for Ada\\n\\nbolts  12  €4.20\\nnut    1   €17.00\\n\\n"
		"Total €21.20\\n\", \"minor\": 2120, "
		"\"by\": {\"moneta\": \"2.1.0\", \"textable\": \"0.9\"}}";
	struct place p;

	begin(&p, "/invoice");
	deploy(&p);
	INVOKE(&p, "invoice", event);
	expect_answer(&p, true, answer);
	INVOKE(&p, "invoice", event);
	expect_answer(&p, false, answer);
	INVOKE(&p, "invoice", "{\"to\": \"Ada\", \"lines\": [[\"bolts\", 12, \"dear\"]]}");
	expect_error(&p, "\"errorType\": \"InvalidOperation\"", "billing/handlers/invoice.py");
	expect_logs(&p, "invoice", "2 lines for invoice\n");
	end(&p);
}

Test(examples, node_with_its_modules)
{
	struct place p;

	begin(&p, "/feed");
	deploy(&p);
	for (int i = 0; i < 2; i++) {
		INVOKE(&p, "feed",
		       "{\"posts\": [{\"title\": \"Größe & Maß\", \"text\": \"It is *so*.\"}]}");
		expect_answer(&p, i == 0,
			      "[{\"slug\":\"grosse-mass\",\"html\":\"<p>It is <em>so</em>.</p>\","
			      "\"by\":\"esm\"}]");
		INVOKE(&p, "feed-legacy", "{\"title\": \"A b\"}");
		expect_answer(&p, i == 0, "{\"slug\":\"a-b\",\"by\":\"cjs\"}");
		INVOKE(&p, "feed-stream", "{\"titles\": [\"A b\", \"C\"]}");
		expect_answer(&p, i == 0, "a-b\nc\n");
	}
	INVOKE(&p, "feed", "{}");
	expect_error(&p, "\"errorType\":\"TypeError\"", "index.js");
	INVOKE(&p, "feed-legacy", "{}");
	expect_error(&p, "\"errorType\":\"TypeError\"", "a post has a title");
	INVOKE(&p, "feed-stream", "{\"titles\": [1]}");
	expect_error(&p, "\"errorType\":\"TypeError\"", "a title is a text");
	/* What it had written until then is the response. */
	INVOKE(&p, "feed-stream", "{\"titles\": [\"A b\", 1]}");
	cr_expect_eq(p.run.status, 1);
	cr_expect_str_eq(p.run.out, "a-b\n", "%s", p.run.err);
	INVOKE(&p, "feed-stream", "{\"titles\": [\"A b\"]}");
	expect_answer(&p, false, "a-b\n");
	expect_logs(&p, "feed", "\tINFO\t1 posts of feed, for feed\n");
	expect_logs(&p, "feed-legacy", "\tINFO\tbehind the callback\n");
	end(&p);
}

Test(examples, c_by_plain_sockets)
{
	cleanup_run struct run large = { 0 };
	struct place p;
	char *text = malloc((1 << 20) + 1);

	cr_assert_not_null(text);
	for (int i = 0; i < 1 << 20; i++)
		text[i] = "ab\n "[i % 4];
	text[1 << 20] = '\0';
	begin(&p, "/wordcount");
	BUILD(&p, "mkdir -p function && cc -O2 -static -o function/bootstrap bootstrap.c");
	deploy(&p);
	INVOKE(&p, "wordcount", "one two\nthree");
	expect_answer(&p, true, "{\"lines\":1,\"words\":3,\"bytes\":13}");
	INVOKE(&p, "wordcount", "");
	expect_answer(&p, false, "{\"lines\":0,\"words\":0,\"bytes\":0}");
	large.input = text;
	AS_USER(&p.d, &large, "-q", "wordcount", "-");
	cr_expect_str_eq(large.out, "{\"lines\":262144,\"words\":262144,\"bytes\":1048576}", "%s",
			 large.err);
	expect_logs(&p, "wordcount", ": {\"lines\":1,\"words\":3,\"bytes\":13}\n");
	free(text);
	end(&p);
}

/* ---- native functions in other languages ----------------------------------------------------- */

static void answers(struct place *p, const char *function, const char *event, const char *answer)
{
	INVOKE(p, function, event);
	expect_answer(p, true, answer);
	INVOKE(p, function, event);
	expect_answer(p, false, answer);
}

/* Compilers that are large are not of what the tests need. */
static bool have(struct place *p, const char *compiler)
{
	char line[80];

	(void)snprintf(line, sizeof(line), "command -v %s", compiler);
	if (sh(p, line) == 0)
		return true;
	(void)fprintf(stderr, "\nnote: no %s here: its native function was not tried\n", compiler);
	return false;
}

/* What is not there is not in the file either. */
static void keep_only(struct place *p, bool reverse, bool mean)
{
	BUILD(p, "cp cloche.yaml all.yaml");
	if (!reverse)
		BUILD(p, "sed -i '/^  reverse:/,/handler/d' cloche.yaml");
	if (!mean)
		BUILD(p, "sed -i '/^  mean:/,/handler/d' cloche.yaml");
}

Test(examples, native_in_other_languages)
{
	struct place p;
	bool rust, fortran;

	begin(&p, "/ffi");
	BUILD(&p, "mkdir -p function && cc -O2 -Wall -Wextra -Werror -c $INC cloche.c");
	rust = have(&p, "rustc");
	fortran = have(&p, "gfortran");
	if (rust)
		BUILD(&p, "rustc -O -C link-arg=cloche.o -o function/reverse reverse.rs");
	if (fortran)
		BUILD(&p, "gfortran -O2 -static -o function/mean mean.f90 cloche.o");
	BUILD(&p, "g++ -O2 -static -Wall -Wextra -Werror $INC -o function/count count.cc");
	keep_only(&p, rust, fortran);
	deploy(&p);
	answers(&p, "count", "a b a", "{\"a\":2,\"b\":1}");
	INVOKE(&p, "count", "\"");
	expect_error(&p, "\"errorType\":\"std::invalid_argument\"", "a word has a quote");
	if (rust) {
		answers(&p, "reverse", "zażółć", "ćłóżaz");
		INVOKE(&p, "reverse", "\xff");
		expect_error(&p, "\"errorType\":\"Utf8Error\"", "the event is no text");
	}
	if (fortran) {
		answers(&p, "mean", "1 2 6", "3.000");
		INVOKE(&p, "mean", "1 two");
		expect_error(&p, "\"errorType\":\"ValueError\"", "numbers with blanks");
	}
	end(&p);
}

/* Of each language that it may be included by, alone, without a word. */
Test(examples, the_header_is_clean)
{
	static const char *const lines[] = {
		"gcc -x c -std=c99 -Wall -Wextra",
		"gcc -x c -std=c17 -Wall -Wextra -Wshadow -Wconversion",
		"g++ -x c++ -std=c++11 -Wall -Wextra -Wconversion",
		"g++ -x c++ -std=c++20 -Wall -Wextra -Wshadow -Wold-style-cast",
	};
	char line[300];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		cleanup_run struct run run = { .input =
						       "#include <cloche_handler.h>\n"
						       "int main() { return cloche_serve(0); }\n" };

		(void)snprintf(line, sizeof(line),
			       "%s -pedantic -Werror -Isandbox/runtime -fsyntax-only -", lines[i]);
		RUN(&run, "sh", "-c", line);
		cr_expect_eq(run.status, 0, "%s: %s", line, run.err);
	}
}
