/* SPDX-License-Identifier: MIT */
/*
 * The record's hash of what was executed: whether it is that of the file, once it is remembered,
 * too; and that it is null where the file may have been another one. Needs root.
 */
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/hash.h"
#include "tests/lib/records.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
	char *dir, *ledger;
	char bind[300], file[256];
};

#define cleanup_place __attribute__((cleanup(place_free)))

static struct place place_make(void)
{
	struct place p = { .dir = tmpdir_make(), .ledger = tmpdir_make() };

	cr_assert_eq(chmod(p.dir, 0777), 0);
	(void)snprintf(p.bind, sizeof(p.bind), "%s:/opt/code:rw", p.dir);
	(void)snprintf(p.file, sizeof(p.file), "%s/f", p.dir);
	return p;
}

static void place_free(struct place *p)
{
	tmpdir_free(&p->dir);
	tmpdir_free(&p->ledger);
}

static void write_script(const char *path, const char *text)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0777);

	cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	cr_assert_eq(fchmod(fd, 0777), 0);
}

static void hash_file(const char *path, char ret[static HASH_HEX_LEN])
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	cr_assert(fd >= 0 && fstat(fd, &st) == 0, "%s", path);
	cr_assert_eq(hash_sha256_fd(fd, 0, (uint64_t)st.st_size, ret, NULL), 0);
}

/* What the last record says; "" for null. */
static void last_code(const char *ledger, char ret[static HASH_HEX_LEN])
{
	json_t *list = records_read(ledger);
	json_t *r = json_array_get(list, json_array_size(list) - 1);

	*ret = '\0';
	if (!json_is_null(json_object_get(r, "code_sha256")))
		(void)snprintf(ret, HASH_HEX_LEN, "%s", record_text(r, "code_sha256"));
	json_decref(list);
}

static void expect_code(const struct place *p, const char *want, const char *command)
{
	cleanup_run struct run run = { 0 };
	char code[HASH_HEX_LEN];

	RUN_CLOCHE(&run, "--ledger", p->ledger, "--bind", p->bind, "--", command);
	cr_assert_eq(run.status, 0, "%s", run.err);
	last_code(p->ledger, code);
	cr_assert_str_eq(code, want, "%s", command);
}

/* The second time from memory: there is a file for it, and it says the same. */
Test(code, is_that_of_the_program_found_in_path)
{
	cleanup_place struct place p = place_make();
	char want[HASH_HEX_LEN];
	glob_t found = { 0 };

	hash_file("/usr/bin/true", want);
	for (int i = 0; i < 2; i++)
		expect_code(&p, want, "true");
	expect_code(&p, want, "/usr/bin/true");
	cr_assert_eq(glob("/run/cloche/code/*", 0, NULL, &found), 0);
	globfree(&found);
}

/* What the memory says is believed only when it is whole. */
Test(code, a_damaged_memory_is_none)
{
	cleanup_place struct place p = place_make();
	char want[HASH_HEX_LEN], text[512];
	glob_t found = { 0 };

	hash_file("/usr/bin/true", want);
	expect_code(&p, want, "true");
	cr_assert_eq(glob("/run/cloche/code/*", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char *at;

		cr_assert_geq(file_read_text(AT_FDCWD, found.gl_pathv[i], text, sizeof(text), NULL),
			      0);
		at = strstr(text, want);
		if (!at)
			continue;
		*at = *at == '0' ? '1' : '0';
		cr_assert_eq(file_write_text(AT_FDCWD, found.gl_pathv[i], text, NULL), 0);
	}
	globfree(&found);
	expect_code(&p, want, "true");
}

Test(code, of_a_script_is_the_script_and_follows_its_changes)
{
	cleanup_place struct place p = place_make();
	char want[HASH_HEX_LEN];

	for (int i = 0; i < 4; i++) {
		write_script(p.file, i % 2 ? "#!/bin/sh\nexit 0\n" : "#!/bin/sh\ntrue;:\n\n");
		hash_file(p.file, want);
		expect_code(&p, want, "/opt/code/f");
	}
}

/* One that covers its traces: at the end the file is another than that which was executed. */
Test(code, of_a_script_that_changes_itself_is_not_known)
{
	cleanup_place struct place p = place_make();

	write_script(p.file, "#!/bin/sh\necho '#!/bin/true' >/opt/code/f\nexit 0\n");
	(void)usleep(20000); /* its time shall not be that of the change */
	expect_code(&p, "", "/opt/code/f");
}

/* As fast as it can: its first act is done before anybody heard that it was started. */
Test(code, of_a_script_that_changes_itself_at_once_is_not_known)
{
	cleanup_place struct place p = place_make();
	cleanup_run struct run run = { 0 };
	char code[HASH_HEX_LEN];
	bool said = false;
	json_t *why;
	size_t i;

	for (int n = 0; n < 10; n++) {
		write_script(p.file, "#!/bin/sh\necho '#1' >>/opt/code/f\nexec sleep 0.03\n");
		(void)usleep(20000);
		run_free(&run);
		RUN_CLOCHE(&run, "--ledger", p.ledger, "--bind", p.bind, "--", "/opt/code/f");
		cr_assert_eq(run.status, 0, "%s", run.err);
		last_code(p.ledger, code);
		cr_assert_str_empty(code);
	}
	json_array_foreach (report_get(&run, "degraded"), i, why)
		said |= strcmp(json_string_value(json_object_get(why, "what")), "code_sha256") == 0;
	cr_assert(said);
}

/* A link in its path swapped to and fro while it is launched: true is never called false, though
 * neither file changes. */
Test(code, of_a_file_that_is_swapped_is_right_or_not_known, .timeout = 60)
{
	cleanup_place struct place p = place_make();
	int64_t end = clock_now_ns() + 10 * NSEC_PER_SEC;
	char good[HASH_HEX_LEN], bad[HASH_HEX_LEN], command[1200];
	json_t *list, *r;
	size_t i;
	pid_t swapper;

	hash_file("/usr/bin/true", good);
	hash_file("/usr/bin/false", bad);
	(void)snprintf(command, sizeof(command),
		       "cd '%s' && mkdir a b && cp /usr/bin/true a/f && cp /usr/bin/false b/f && "
		       "chmod 755 a b && while ln -sfn a t && mv -T t f && ln -sfn b t && "
		       "mv -T t f; do :; done",
		       p.dir);
	swapper = fork();
	if (swapper == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	while (access(p.file, F_OK) != 0)
		(void)usleep(1000);
	/* 300 of them, or as many as ten seconds hold: an emulated CPU shares itself with the
	 * swapper. */
	for (int round = 0; round == 0 || (round < 15 && clock_now_ns() < end); round++) {
		cleanup_run struct run run = { 0 };

		RUN_CLOCHE(&run, "--ledger", p.ledger, "--bind", p.bind, "--repeat", "20", "--",
			   "/opt/code/f/f");
		cr_assert_eq(json_array_size(run.reports), 20, "%s", run.err);
	}
	cr_assert_eq(kill(swapper, SIGKILL), 0);
	cr_assert_eq(waitpid(swapper, NULL, 0), swapper);
	list = records_read(p.ledger);
	json_array_foreach (list, i, r) {
		bool ok = strcmp(record_text(r, "verdict"), "ok") == 0;
		const char *code = json_string_value(json_object_get(r, "code_sha256"));

		cr_assert(!code || strcmp(code, ok ? good : bad) == 0, "%s: %s",
			  ok ? "ok" : "error", code);
	}
	json_decref(list);
}

Test(code, of_what_was_not_executed_is_not_known)
{
	cleanup_place struct place p = place_make();
	cleanup_run struct run run = { 0 };
	char code[HASH_HEX_LEN];

	RUN_CLOCHE(&run, "--ledger", p.ledger, "--", "/nowhere");
	cr_assert_eq(run.status, 127, "%s", run.err);
	last_code(p.ledger, code);
	cr_assert_str_empty(code);
}

/* Each invocation of a context opens it anew, also under a limit that leaves no descriptor. */
Test(code, is_known_of_each_invocation_and_under_a_small_limit)
{
	cleanup_place struct place p = place_make();
	cleanup_run struct run run = { 0 };
	char want[HASH_HEX_LEN];
	json_t *list, *r;
	size_t i;

	hash_file("/usr/bin/true", want);
	RUN_CLOCHE(&run, "--ledger", p.ledger, "--repeat", "3", "--nofile", "4", "--", "true");
	cr_assert_eq(run.status, 0, "%s", run.err);
	list = records_read(p.ledger);
	cr_assert_eq(json_array_size(list), 3);
	json_array_foreach (list, i, r)
		cr_expect_str_eq(record_text(r, "code_sha256"), want);
	json_decref(list);
}
