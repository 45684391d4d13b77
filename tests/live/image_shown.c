/* SPDX-License-Identifier: MIT */
/*
 * What `cloche image list` and `show` say of an image whose description an author wrote: whose
 * process reads it, and that nothing in it is taken for more than text.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "host/slot.h"
#include "image/image.h"
#include "tests/lib/env.h"
#include "tests/lib/images.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* An image of this name whose author says this of it. */
static void image_make_of(const struct store *s, const char *name, const char *description,
			  struct image *ret)
{
	cleanup_fd int store = -1, fd = -1;
	struct cloche_err err = { 0 };
	char sha[65];

	if (access(store_file(s, "tree"), F_OK) < 0)
		(void)tree_make(s, "tree");
	store_build(s, store_file(s, "tree"), name, sha);
	store = image_store_open(false, &err);
	cr_assert_eq(image_open(store, name, ret, &err), 0, "%s", err.text);
	fd = open(store_file(s, "store/%s.erofs", name), O_RDWR | O_CLOEXEC);
	cr_assert_eq(ftruncate(fd, (off_t)ret->fs_bytes), 0);
	cr_assert_eq(image_seal(fd, description, &err), 0, "%s", err.text);
	image_close(ret);
	cr_assert_eq(image_open(store, name, ret, &err), 0, "%s", err.text);
	image_close(ret);
}

/* ---- who reads it --------------------------------------------------------------------------- */

/* The verb and all that it starts, from call to call. */
struct watched {
	const struct image *image;
	char file[PATH_MAX]; /* of the image */
	unsigned by_nobody, by_root;
};

static bool is_the_image(const struct watched *w, pid_t pid, unsigned long fd)
{
	char path[64], at[PATH_MAX] = "";

	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%lu", pid, fd);
	return readlink(path, at, sizeof(at) - 1) > 0 && strcmp(at, w->file) == 0;
}

static bool is_nobody(pid_t pid)
{
	cleanup_free char *status = NULL;
	char path[64], ids[80];
	size_t len;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
	(void)snprintf(ids, sizeof(ids), "\nUid:\t%u\t%u\t%u\t%u\n", SLOT_UID_NONE, SLOT_UID_NONE,
		       SLOT_UID_NONE, SLOT_UID_NONE);
	cr_assert_eq(file_load(AT_FDCWD, path, 1 << 16, &status, &len, NULL), 0);
	return strstr(status, ids) && strstr(status, "\nCapPrm:\t0000000000000000\n") &&
	       strstr(status, "\nCapBnd:\t0000000000000000\n") && strstr(status, "\nSeccomp:\t2\n");
}

/* Of the image root reads its own last block. */
static void look_at_call(struct watched *w, pid_t pid)
{
	struct __ptrace_syscall_info call;
	const uint64_t *args = call.entry.args;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(call), &call) < 0 ||
	    call.op != PTRACE_SYSCALL_INFO_ENTRY)
		return;
	switch (call.entry.nr) {
	case SYS_mmap:
		cr_expect(!is_the_image(w, pid, args[4]) || is_nobody(pid));
		return;
	case SYS_read:
	case SYS_readv:
	case SYS_pread64:
	case SYS_preadv:
	case SYS_preadv2:
	case SYS_sendfile:
		break;
	default:
		return;
	}
	if (!is_the_image(w, pid, call.entry.nr == SYS_sendfile ? args[1] : args[0]))
		return;
	if (is_nobody(pid))
		w->by_nobody++;
	else if (call.entry.nr != SYS_pread64 || args[3] != w->image->bytes - IMAGE_BLOCK)
		w->by_root++;
}

static pid_t start_watched(const char *const argv[])
{
	int go[2], status;
	pid_t pid;
	char byte;

	cr_assert_eq(pipe2(go, O_CLOEXEC), 0);
	pid = fork();
	cr_assert(pid >= 0);
	if (pid == 0) {
		(void)dup2(open("/dev/null", O_RDWR | O_CLOEXEC), 1);
		(void)close(go[1]);
		(void)!read(go[0], &byte, 1);
		(void)execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	cr_assert_eq(ptrace(PTRACE_SEIZE, pid, 0,
			    PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
				    PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL),
		     0, "%m");
	cr_assert_eq(ptrace(PTRACE_INTERRUPT, pid, 0, 0), 0, "%m");
	cr_assert_eq(waitpid(pid, &status, __WALL), pid);
	cr_assert_eq(ptrace(PTRACE_SYSCALL, pid, 0, 0), 0, "%m");
	(void)close(go[0]);
	(void)close(go[1]);
	return pid;
}

/* Its wait status. */
static int watch(struct watched *w, pid_t first)
{
	int status, ret = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		int sig = WIFSTOPPED(status) ? WSTOPSIG(status) : 0;

		if (!WIFSTOPPED(status)) {
			ret = pid == first ? status : ret;
			continue;
		}
		if (sig == (SIGTRAP | 0x80))
			look_at_call(w, pid);
		/* Stops of ptrace's own are no signals of its. */
		if ((sig & ~0x80) == SIGTRAP || status >> 16)
			sig = 0;
		(void)ptrace(PTRACE_SYSCALL, pid, 0, sig);
	}
	return ret;
}

Test(image_shown, nobody_reads_a_description_but_who_has_no_rights)
{
	static const char *const ways[][4] = {
		{ "list" }, { "list", "--json" }, { "show", "x" }, { "show", "--json", "x" }
	};
	cleanup_store struct store s = store_make();
	struct image image;

	image_make_of(&s, "x", "{\"kind\":\"mine\",\"arch\":\"amd64\"}", &image);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		const char *argv[8] = { env_need("CLOCHE"), "image" };
		struct watched w = { .image = &image };
		int status;

		cr_assert_not_null(realpath(store_file(&s, "store/x.erofs"), w.file));
		memcpy(argv + 2, ways[i], sizeof(ways[i]));
		status = watch(&w, start_watched(argv));
		cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", (unsigned)status);
		cr_expect_gt(w.by_nobody, 0, "%s", argv[2]);
		cr_expect_eq(w.by_root, 0, "%s: root read the description", argv[2]);
	}
}

/* ---- what is in it -------------------------------------------------------------------------- */

#define EVIL                                                   \
	"e\\u001b]0;t\\u0007\\u001b[2J\\r\\u009b31m\\u202e\\n" \
	"forged   1 MiB"

static void expect_lines(const char *text, size_t n)
{
	cr_expect_eq(count_lines(text), n, "%s", text);
	for (const char *p = text; *p; p++)
		cr_expect((unsigned char)*p >= ' ' || *p == '\n', "%02x in %s", *p, text);
}

Test(image_shown, a_description_is_text_and_no_more)
{
	cleanup_store struct store s = store_make();
	cleanup_run struct run run = { 0 };
	struct image image;
	json_t *o;

	image_make_of(&s, "x",
		      "{\"kind\":\"" EVIL "\",\"name\":\"other\",\"sha256\":\"0\",\"mounted\":true,"
		      "\"" EVIL "\":\"" EVIL "\",\"cmd\":[\"" EVIL "\",1],\"n\":{\"a\":[\"\\n\"]}}",
		      &image);
	RUN_IMAGE(&run, "list");
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_lines(run.out, 2);
	expect_has(run.out, "\nx ");
	cr_expect(!strstr(run.out, "other"), "%s", run.out);
	run_free(&run);
	RUN_IMAGE(&run, "show", "x");
	cr_assert_eq(run.status, 0, "%s", run.err);
	/* Seven of ours; kind, the evil one, cmd, n. */
	expect_lines(run.out, 11);
	expect_has(run.out, "name         x\n");
	expect_has(run.out, "mounted      false\n");
	expect_has(run.out, "\nn            {\"a\":[\"\\n\"]}\n");
	run_free(&run);
	for (int i = 0; i < 2; i++) {
		if (i == 0)
			RUN_IMAGE(&run, "list", "--json");
		else
			RUN_IMAGE(&run, "show", "--json", "x");
		cr_assert_eq(run.status, 0, "%s", run.err);
		expect_lines(run.out, 1);
		o = json_loads(run.out, JSON_REJECT_DUPLICATES, NULL);
		cr_assert(o, "%s", run.out);
		cr_expect_str_eq(json_string_value(json_object_get(o, "name")), "x");
		cr_expect_str_eq(json_string_value(json_object_get(o, "sha256")), image.sha256);
		cr_expect(json_is_false(json_object_get(o, "mounted")));
		cr_expect_eq(json_array_size(json_object_get(o, "cmd")), 2);
		json_decref(o);
		run_free(&run);
	}
}

Test(image_shown, an_empty_description_is_one)
{
	cleanup_store struct store s = store_make();
	cleanup_run struct run run = { 0 };
	struct image image;
	json_t *o;

	image_make_of(&s, "x", "{}", &image);
	RUN_IMAGE(&run, "show", "--json", "x");
	o = json_loads(run.out, JSON_REJECT_DUPLICATES, NULL);
	cr_assert(o && json_object_size(o) == 7, "%s", run.out);
	json_decref(o);
	run_free(&run);
	RUN_IMAGE(&run, "list");
	expect_has(run.out, "  ?\n");
}

/* One line for each, and those that are whole are shown. */
Test(image_shown, one_that_is_no_json_does_not_hide_the_others)
{
	static const char *const bad[] = {
		"", "[]", "\"x\"", "{", "{\"a\":1,\"a\":2}", "{\"a\":\"\\ud800\"}"
	};
	cleanup_store struct store s = store_make();
	cleanup_run struct run run = { 0 };
	struct image image;

	image_make_of(&s, "whole", "{\"kind\":\"mine\"}", &image);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		image_make_of(&s, "bad", bad[i], &image);
		RUN_IMAGE(&run, "show", "bad");
		expect_refused(&run, 1, "image 'bad': its description is no JSON object; build");
		run_free(&run);
		RUN_IMAGE(&run, "list");
		expect_refused(&run, 1, "image 'bad': its description is no JSON object; build");
		expect_has(run.out, "\nwhole ");
		run_free(&run);
	}
}
