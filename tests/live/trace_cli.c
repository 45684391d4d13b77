/* SPDX-License-Identifier: MIT */
/* The verbs trace and report as users see them: what they print, what they refuse, and the exit
 * status. Needs no privilege beyond running the program. */
#include "base/fd.h"
#include "base/file.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ID "12345678-1234-4234-8234-123456789abc"

static const char trace[] =
	"{\"schema\":\"cloche.trace/1\",\"request_id\":\"" ID "\",\"started_at\":\"now\"}\n"
	"{\"at_ns\":1000,\"event\":\"exec\",\"pid\":7,\"tid\":7,\"cpu\":0,\"comm\":\"true\","
	"\"path\":\"/bin/true\",\"argv\":[\"true\"],\"cut\":false}\n"
	"{\"at_ns\":4000,\"event\":\"off\",\"pid\":7,\"tid\":7,\"cpu\":0,\"comm\":\"true\","
	"\"why\":\"dead\"}\n"
	"{\"at_ns\":3000,\"event\":\"exit\",\"pid\":7,\"tid\":7,\"cpu\":0,\"comm\":\"true\","
	"\"status\":0}\n"
	"{\"event\":\"end\",\"begin_ns\":1000,\"end_ns\":4000,\"busy_ns\":3000,\"quota_ns\":0,"
	"\"contention_ns\":0,\"idle_ns\":0,\"on_cpu_ns\":3000,\"events\":3,\"lost\":0,"
	"\"complete\":true}\n";

static const char report[] = "{\"schema\":\"cloche.report/1\",\"request_id\":\"" ID
			     "\",\"verdict\":\"ok\",\"exit_code\":0}\n";

static const char *file_in(const char *dir, const char *name, const char *text)
{
	static char path[4][512];
	static int next;
	char *p = path[next++ % 4];
	FILE *f;

	(void)snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	f = fopen(p, "we");
	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
	return p;
}

Test(trace_cli, text_by_file_and_by_request)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };

	CLOCHE(&run, "trace", file_in(dir, ID ".jsonl", trace));
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "exec /bin/true\n");
	expect_has(run.out, "wall 0.003000 ms = busy 0.003000");
	run_free(&run);
	CLOCHE(&run, "trace", "--dir", dir, ID);
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "exec /bin/true\n");
	run_free(&run);
	run.input = trace;
	CLOCHE(&run, "trace", "--cpu", "-");
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "on CPU 0.003000 ms (CPU 0)\n");
}

Test(trace_cli, json_is_sorted_and_perfetto_is_json)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { .input = trace };
	char out[512];
	json_t *o;

	CLOCHE(&run, "trace", "--format", "json", "-");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_lt(strstr(run.out, "\"event\":\"exit\""), strstr(run.out, "\"event\":\"off\""));
	run_free(&run);
	(void)snprintf(out, sizeof(out), "%s/out.json", dir);
	run.input = trace;
	CLOCHE(&run, "trace", "--format=perfetto", "-o", out, "-");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_eq(run.out_len, 0);
	o = json_load_file(out, JSON_REJECT_DUPLICATES, NULL);
	cr_assert_gt(json_array_size(json_object_get(o, "traceEvents")), 5);
	json_decref(o);
}

Test(trace_cli, a_page_of_both)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };

	/* In either order; the page has one section. */
	CLOCHE(&run, "report", file_in(dir, "t", trace), file_in(dir, "r", report), "--html", "-");
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "exec /bin/true");
	expect_has(run.out, "exit status 0");
	cr_assert_null(strstr(strstr(run.out, "<section>") + 1, "<section>"));
}

/* As jq(1) and others write JSON: blanks, newlines, several objects. */
Test(trace_cli, a_page_of_what_another_tool_wrote)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	json_t *o = json_loads(report, 0, NULL);
	char *pretty = json_dumps(o, JSON_INDENT(2)), *twice = NULL, *spaced = NULL;
	const char *rest = strchr(trace, '\n');
	json_t *head = json_loadb(trace, (size_t)(rest - trace), 0, NULL);
	char *first = json_dumps(head, 0);

	cr_assert(pretty && first && asprintf(&twice, "\n%s\n%s\n", pretty, pretty) > 0 &&
		  asprintf(&spaced, "%s%s", first, rest) > 0);
	CLOCHE(&run, "report", file_in(dir, "t", spaced), file_in(dir, "r", twice), "--html", "-");
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "exec /bin/true");
	json_decref(o);
	json_decref(head);
	free(pretty);
	free(first);
	free(twice);
	free(spaced);
}

#define MANY 200

/* As many as a command line holds, whatever the shell's bound on open files. */
Test(trace_cli, more_files_than_may_be_open)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	static const char one[] = "{\"schema\":\"cloche.report/1\",\"request_id\":\"r%03d\"}\n";
	const char *argv[MANY + 8] = { "sh", "-c",
				       "ulimit -n 64 && exec \"$0\" report --html - \"$@\"",
				       env_need("CLOCHE") };
	cleanup_run struct run run = { 0 };
	char last[16];

	for (int i = 0; i < MANY; i++) {
		char name[16], text[128];

		(void)snprintf(name, sizeof(name), "r%03d", i);
		(void)snprintf(text, sizeof(text), one, i);
		argv[4 + i] = strdup(file_in(dir, name, text));
	}
	run_argv(&run, argv);
	cr_assert_eq(run.status, 0, "%s", run.err);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(last, sizeof(last), "r%03d", i);
		cr_expect(strstr(run.out, last), "%s is not there", last);
		free((char *)argv[4 + i]);
	}
}

Test(trace_cli, refusals_are_one_line)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	const char *junk = file_in(dir, "junk", "not json\n");
	const struct {
		const char *argv[6];
		int status;
		const char *says;
	} rows[] = {
		{ { "trace", "--format", "perfetto" }, 2, "cannot be live" },
		{ { "trace", "--cpu" }, 2, "cannot be live" },
		{ { "trace", "--dir", "/tmp" }, 2, "--dir" },
		{ { "trace", "--for", "0" }, 2, "'0'" },
		{ { "trace", "--for", "soon" }, 2, "'soon'" },
		{ { "trace", "--for", "1s", "a" }, 2, "--for" },
		{ { "trace", "--for", "1s", "--list" }, 2, "--for" },
		{ { "trace", "--list", "a" }, 2, "'a'" },
		{ { "trace", "--list", "--format", "perfetto" }, 2, "perfetto" },
		{ { "trace", "a", "b" }, 2, "'b'" },
		{ { "trace", "--format", "xml", "a" }, 2, "'xml'" },
		{ { "trace", "--format", "json", "--cpu", "a" }, 2, "--cpu" },
		{ { "trace", "--colour" }, 2, "--colour" },
		{ { "trace", "/nonexistent" }, 1, "/nonexistent" },
		{ { "trace", "--dir", "/nonexistent", ID }, 1, "run --keep-trace' keeps them" },
		{ { "trace", "--dir", "/tmp", "fff" }, 1, "at least 4 characters" },
		{ { "trace", "--dir", "/nonexistent", "--list" }, 1, "/nonexistent" },
		{ { "trace", junk }, 1, "line 1" },
		{ { "report" }, 2, "say which FILE" },
		{ { "report", junk }, 2, "--html" },
		{ { "report", junk, "--html", "-" }, 1, "neither a report" },
		{ { "report", "/nonexistent", "--html", "-" }, 1, "/nonexistent" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cleanup_run struct run run = { 0 };
		const char *argv[8] = { env_need("CLOCHE") };

		memcpy(argv + 1, rows[i].argv, sizeof(rows[i].argv));
		run_argv(&run, argv);
		cr_assert_eq(run.status, rows[i].status, "row %zu: %s", i, run.err);
		expect_has(run.err, rows[i].says);
		cr_assert_eq(run.out_len, 0);
		cr_assert_eq(strchr(run.err, '\n'), run.err + run.err_len - 1, "row %zu: %s", i,
			     run.err);
	}
}

/* What is read is read before what is written is emptied. */
Test(trace_cli, the_output_may_be_the_input)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 }, shown = { 0 };
	char path[300];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/trace", dir);
	RUN_CLOCHE(&run, "-q", "--trace", path, "--", "true");
	CLOCHE(&shown, "trace", "-o", path, path);
	cr_expect_eq(shown.status, 0, "%s", shown.err);
	cr_assert(stat(path, &st) == 0 && st.st_size > 0, "it is empty");
	run_free(&shown);
	CLOCHE(&shown, "trace", "-o", path, "/nonexistent/trace");
	cr_expect_eq(shown.status, 1);
	cr_assert(stat(path, &st) == 0 && st.st_size > 0, "it was emptied for nothing");
	run_free(&shown);
	CLOCHE(&shown, "report", path, "--html", path);
	cr_expect_eq(shown.status, 2);
	cr_expect_not_null(strstr(shown.err, "that is read, and would be lost"), "%s", shown.err);
}

/* The first child of a process; 0: it has none. */
static pid_t child_of(pid_t pid)
{
	cleanup_free char *path = NULL, *text = NULL;
	size_t len;

	cr_assert_gt(asprintf(&path, "/proc/%d/task/%d/children", pid, pid), 0);
	return file_load(AT_FDCWD, path, 4096, &text, &len, NULL) == 0
		       ? (pid_t)strtol(text, NULL, 10)
		       : 0;
}

static void write_blanks(int fd, size_t n)
{
	cleanup_free char *blanks = malloc(n);

	memset(blanks, ' ', n);
	for (size_t done = 0; done < n;) {
		ssize_t w = write(fd, blanks + done, n - done);

		cr_assert_gt(w, 0);
		done += (size_t)w;
	}
}

/* Whatever is in it, and whoever asked: not by who may open files and make processes. */
Test(trace_cli, a_trace_is_read_by_nobody)
{
	cleanup_free char *path = NULL, *status = NULL;
	int pipes[2], how = 0;
	pid_t pid, reader;
	size_t len;

	cr_assert_eq(pipe2(pipes, O_CLOEXEC), 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		(void)dup2(pipes[0], 0);
		(void)execl(env_need("CLOCHE"), "cloche", "trace", "-", NULL);
		_exit(127);
	}
	(void)close(pipes[0]);
	/* More than the pipe holds: so it is being read. */
	write_blanks(pipes[1], 4U << 20);
	reader = child_of(pid);
	cr_assert_gt(reader, 0);
	cr_assert_gt(asprintf(&path, "/proc/%d/status", reader), 0);
	cr_assert_eq(file_load(AT_FDCWD, path, 1 << 16, &status, &len, NULL), 0);
	cr_expect_not_null(strstr(status, "\nSeccomp:\t2\n"), "%s", status);
	cr_expect_not_null(strstr(status, "\nCapPrm:\t0000000000000000\n"), "%s", status);
	if (geteuid() == 0)
		cr_expect_null(strstr(status, "\nUid:\t0\t"), "%s", status);
	(void)close(pipes[1]);
	cr_assert_eq(waitpid(pid, &how, 0), pid);
	cr_expect(WIFEXITED(how) && WEXITSTATUS(how) == 1, "%#x", (unsigned)how);
}

/* A full disk is no success, whichever verb it is. */
Test(trace_cli, what_cannot_be_written_is_said)
{
	static const struct {
		const char *line;
		int status;
	} table[] = {
		{ "policy show default", 1 },
		{ "policy list --json", 1 },
		{ "policy explain default read", 1 },
		{ "policy diff default strict", 2 },
		{ "policy diff --json default strict", 2 },
		{ "--version", 1 },
		{ "run --help", 1 },
		{ "cost --memory 128M --duration 1s", 1 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		cleanup_run struct run run = { 0 };
		char line[200];

		(void)snprintf(line, sizeof(line), "exec $CLOCHE %s >/dev/full", table[i].line);
		RUN(&run, "sh", "-c", line);
		cr_expect_eq(run.status, table[i].status, "%s: %d", table[i].line, run.status);
		cr_expect_not_null(strstr(run.err, "o space left on device"), "%s: %s",
				   table[i].line, run.err);
	}
}

Test(trace_cli, help_fits)
{
	static const char *const verbs[] = { "trace", "report" };

	for (size_t i = 0; i < 2; i++) {
		cleanup_run struct run run = { 0 };

		CLOCHE(&run, verbs[i], "--help");
		cr_assert_eq(run.status, 0);
		for (char *line = strtok(run.out, "\n"); line; line = strtok(NULL, "\n"))
			cr_assert_leq(strlen(line), 80, "%s", line);
	}
}
