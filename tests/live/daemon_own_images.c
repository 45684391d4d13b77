/* SPDX-License-Identifier: MIT */
/* Images that users without rights make, use and remove, by the daemon: nobody else's, within a
 * quota, whatever is in them and whoever dies. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"
#include "image/image.h"
#include "image/image_layer.h"
#include "serve/remote.h"
#include "serve/stores.h"
#include "tests/lib/daemon.h"
#include "tests/lib/env.h"
#include "tests/lib/images.h"
#include "tests/lib/leftovers.h"
#include "tests/lib/oci.h"
#include "tests/lib/run.h"

#define OTHER "1001"
#define SMALL "-m", "32M", "--cpu", "shared", "-t", "60s"

/* A daemon of the test's own, with a line of configuration; what is in the test's folder everybody
 * may read. */
static struct store begin(struct daemon *d, const char *line)
{
	struct store s = store_make();

	cr_assert_eq(chmod(s.dir, 0755), 0);
	daemon_prepare(d);
	daemon_configure(d, line);
	daemon_start(d);
	return s;
}

/* `cloche VERB ARGS…` by a user to whom nothing says where images are. */
static void by_user(const struct daemon *d, const struct store *s, const char *user,
		    const char *verb, struct run *run, const char *const args[])
{
	struct daemon other = *d;

	other.user = user;
	other.verb = verb;
	run_free(run);
	cr_assert_eq(unsetenv(IMAGE_STORE_ENV), 0);
	daemon_run_as_user(&other, run, args);
	cr_assert_eq(setenv(IMAGE_STORE_ENV, s->path, 1), 0);
}

#define BY(user, verb, ...) \
	by_user(&d, &s, (user), (verb), &run, (const char *const[]){ __VA_ARGS__, NULL })
#define USER_IMAGE(...) BY(DAEMON_USER, "image", __VA_ARGS__)
#define USER_RUN(...)	BY(DAEMON_USER, "run", SMALL, __VA_ARGS__)

static const char *own_store(const struct daemon *d)
{
	static char path[700];

	(void)snprintf(path, sizeof(path), "%s/state/owners/" DAEMON_USER "/images", d->dir);
	return path;
}

static size_t own_count(const struct daemon *d)
{
	const struct store own = { .path = (char *)(uintptr_t)own_store(d) };

	return store_count(&own);
}

Test(daemon_own_images, are_made_used_and_removed)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	cleanup_store struct store s = begin(&d, "");
	const char *tree = tree_make(&s, "tree");
	char sha[65], own[65];
	struct stat st;

	USER_IMAGE("list");
	cr_expect_eq(run.status, 0, "%s", run.err);
	USER_IMAGE("build", "--dir", tree, "mine");
	(void)snprintf(own, sizeof(own), "%s", sha_of(&run));
	/* Byte for byte what root makes of it. */
	store_build(&s, tree, "roots", sha);
	cr_expect_str_eq(own, sha);
	USER_IMAGE("list");
	expect_has(run.out, "directory (yours)");
	expect_has(run.out, "roots");
	USER_IMAGE("show", "--json", "mine");
	expect_has(run.out, "\"own\":true");
	USER_IMAGE("verify", "mine", "roots");
	cr_expect_eq(run.status, 0, "%s", run.err);
	USER_RUN("--rootfs", "mine", "--", "/noop");
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect_eq(mounts_with(own), 1);
	/* Whatever is behind a descriptor of it, no path leads there. */
	(void)snprintf(sha, sizeof(sha), "%s", "");
	cr_expect(stat(own_store(&d), &st) == 0 && st.st_uid == 0);
	RUN(&run, "setpriv", "--reuid", DAEMON_USER, "--regid", DAEMON_USER, "--clear-groups", "ls",
	    own_store(&d));
	cr_expect_neq(run.status, 0);
	USER_IMAGE("remove", "roots");
	expect_refused(&run, 1, "no image 'roots'");
	USER_IMAGE("remove", "mine");
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect_eq(own_count(&d), 0);
	cr_expect_eq(mounts_with(own), 0);
	USER_RUN("--rootfs", "mine", "--", "/noop");
	expect_refused(&run, 125, "no image 'mine'");
	daemon_stop(&d);
}

Test(daemon_own_images, are_nobody_elses)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	cleanup_store struct store s = begin(&d, "");

	USER_IMAGE("build", "--dir", tree_make(&s, "tree"), "mine");
	cr_assert_eq(run.status, 0, "%s", run.err);
	BY(OTHER, "image", "list");
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect(!strstr(run.out, "mine"));
	BY(OTHER, "image", "show", "mine");
	expect_refused(&run, 1, "no image 'mine'");
	BY(OTHER, "run", SMALL, "--rootfs", "mine", "--", "/noop");
	expect_refused(&run, 125, "no image 'mine'");
	BY(OTHER, "image", "remove", "mine");
	expect_refused(&run, 1, "no image 'mine'");
	USER_RUN("--rootfs", "mine", "--", "/noop");
	cr_expect_eq(run.status, 0, "%s", run.err);
	USER_IMAGE("remove", "mine");
	daemon_stop(&d);
}

Test(daemon_own_images, go_before_the_hosts_of_the_same_name)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	cleanup_store struct store s = begin(&d, "");
	const char *tree = tree_make(&s, "tree"), *other = tree_make(&s, "other");
	char sha[65], own[65];

	cr_assert_eq(unlink(store_file(&s, "other/noop")), 0);
	store_build(&s, other, "both", sha);
	USER_RUN("--rootfs", "both", "--", "/noop");
	cr_expect_eq(run.status, 127, "%s", run.err);
	USER_IMAGE("build", "--dir", tree, "both");
	(void)snprintf(own, sizeof(own), "%s", sha_of(&run));
	USER_RUN("--rootfs", "both", "--", "/noop");
	cr_expect_eq(run.status, 0, "%s", run.err);
	BY(OTHER, "run", SMALL, "--rootfs", "both", "--", "/noop");
	cr_expect_eq(run.status, 127, "%s", run.err);
	cr_expect_eq(mounts_with(own), 1);
	daemon_stop(&d);
	/* Of his, which only the daemon has mounted. */
	cr_expect_eq(mounts_with(own), 0);
}

/* From a layout, from an archive of it, and by standard input. */
Test(daemon_own_images, are_imported)
{
	static const struct entry plain[] = { { ENTRY_FILE, "file", "text" }, { 0 } };
	cleanup_run struct run run = { 0 };
	struct daemon d;
	cleanup_store struct store s = begin(&d, "");
	const char *dir = store_file(&s, "oci"), *tar = store_file(&s, "oci.tar");
	const struct entry unique[] = { entry_unique(&s), { 0 } };
	char script[2000], sha[65];

	oci_make(dir, LAYERS(plain, unique));
	RUN(&run, "tar", "-C", dir, "-cf", tar, ".");
	cr_assert_eq(run.status, 0, "%s", run.err);
	USER_IMAGE("import", dir, "one");
	(void)snprintf(sha, sizeof(sha), "%s", sha_of(&run));
	USER_IMAGE("import", tar, "two");
	cr_expect_str_eq(sha_of(&run), sha);
	cr_assert_eq(unsetenv(IMAGE_STORE_ENV), 0);
	(void)snprintf(script, sizeof(script),
		       "cat '%s' | CLOCHE_CONTROL='%s' setpriv --reuid " DAEMON_USER
		       " --regid " DAEMON_USER " --clear-groups '%s' image import - three",
		       tar, d.control, d.cloche);
	run_free(&run);
	RUN(&run, "sh", "-c", script);
	cr_assert_eq(setenv(IMAGE_STORE_ENV, s.path, 1), 0);
	cr_expect_str_eq(sha_of(&run), sha);
	USER_IMAGE("import", "--ref", "none", tar, "four");
	expect_refused(&run, 1, "none");
	cr_expect_eq(own_count(&d), 3);
	/* With his rights, and no others. */
	cr_assert_eq(chmod(tar, 0600), 0);
	USER_IMAGE("import", tar, "five");
	expect_refused(&run, 1, "ermission denied");
	USER_IMAGE("remove", "one", "two", "three");
	cr_expect_eq(run.status, 0, "%s", run.err);
	daemon_stop(&d);
}

static const struct entry climbing[] = { { ENTRY_FILE, "../out", "x" }, { 0 } };
static const struct entry linked[] = { { ENTRY_LINK, "up", "/../.." },
				       { ENTRY_DIR, "up/out", NULL },
				       { 0 } };
static const struct entry hard[] = { { ENTRY_HARD, "mine", "../../../etc/shadow" }, { 0 } };

Test(daemon_own_images, what_is_hostile_is_refused_and_leaves_nothing)
{
	static const struct entry *const those[] = { climbing, linked, hard };
	cleanup_run struct run run = { 0 };
	struct daemon d;
	cleanup_store struct store s = begin(&d, "");

	for (size_t i = 0; i < sizeof(those) / sizeof(those[0]); i++) {
		const char *dir = store_file(&s, "oci%zu", i);

		oci_make(dir, LAYERS(those[i]));
		USER_IMAGE("import", dir, "bad");
		expect_refused(&run, 1, "leads out of the image");
		cr_expect_eq(own_count(&d), 0, "%zu", i);
	}
	USER_IMAGE("import", env_need("CLOCHE"), "bad");
	cr_expect_eq(run.status, 1);
	USER_IMAGE("import", "/dev/null", "bad");
	expect_refused(&run, 1, "the archive is empty");
	USER_IMAGE("import", "/dev/null", "../bad");
	expect_refused(&run, 2, "is no name of an image");
	cr_expect_eq(own_count(&d), 0);
	USER_RUN("--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	daemon_stop(&d);
}

/* A megabyte of zeroes is a kilobyte of an archive. */
static void make_bomb(const struct store *s, const char *dir)
{
	const size_t mib = 48; /* guests are small */
	char *zeroes = calloc(mib, 1 << 20), digest[HASH_HEX_LEN];
	const struct entry entries[] = { { ENTRY_FILE, "file", "text" }, { 0 } };
	struct bytes plain = tar_make(entries), packed;
	cleanup_run struct run run = { 0 };
	json_t *config, *layer;

	/* The file of the archive becomes that large: its size is in octal at 124. */
	cr_assert(zeroes && plain.len >= 1024);
	memcpy(zeroes, plain.data, 512);
	(void)snprintf(zeroes + 124, 12, "%011zo", (mib << 20) - 2048);
	{
		unsigned sum = 0;

		memset(zeroes + 148, ' ', 8);
		for (int i = 0; i < 512; i++)
			sum += (unsigned char)zeroes[i];
		(void)snprintf(zeroes + 148, 8, "%06o", sum);
	}
	free(plain.data);
	hash_sha256_hex(zeroes, mib << 20, digest);
	packed = bytes_compress((struct bytes){ zeroes, mib << 20 }, "gzip");
	cr_assert_lt(packed.len, (size_t)1 << 20);
	oci_start(dir);
	layer = oci_blob(dir, packed.data, packed.len,
			 "application/vnd.oci.image.layer.v1.tar+gzip");
	config = json_pack("{s:s, s:s, s:{s:s, s:[o]}}", "architecture", IMAGE_ARCH, "os", "linux",
			   "rootfs", "type", "layers", "diff_ids",
			   json_sprintf("sha256:%s", digest));
	layer = json_pack("{s:o, s:[o]}", "config", oci_json(dir, config, "c"), "layers", layer);
	oci_index(dir, json_pack("[o]", oci_json(dir, layer, "m")));
	free(packed.data);
}

Test(daemon_own_images, what_unpacks_to_much_is_refused)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	cleanup_store struct store s = begin(&d, "per_owner: {memory: 32M}");
	const char *dir = store_file(&s, "oci");

	make_bomb(&s, dir);
	USER_IMAGE("import", dir, "bomb");
	expect_refused(&run, 1, "images: unpacked it takes more than the 32M of memory");
	cr_expect_eq(own_count(&d), 0);
	daemon_stop(&d);
}

/* Who asks a thousand times has the kernel make no mount for it. */
Test(daemon_own_images, what_is_shown_is_one_mount)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	cleanup_store struct store s = begin(&d, "");
	char sha[65];
	uint64_t mounts[3];

	store_build(&s, tree_make(&s, "tree"), "tiny", sha);
	for (int i = 0; i < 3; i++) {
		int stores[STORES] = { -1, -1 };
		struct cloche_err err = { 0 };
		struct statx st;

		cr_assert_eq(remote_stores(d.control, stores, &err), 0, "%s", err.text);
		cr_assert_eq(statx(stores[STORES_SHARED], "", AT_EMPTY_PATH, STATX_MNT_ID, &st), 0);
		mounts[i] = st.stx_mnt_id;
		/* No way out of it, and nothing to write to. */
		cr_expect_eq(faccessat(stores[STORES_SHARED], "../tree", F_OK, 0), -1);
		cr_expect_eq(openat(stores[STORES_SHARED], "new", O_WRONLY | O_CREAT, 0600), -1);
		cr_expect_eq(errno, EROFS);
		for (int k = 0; k < STORES; k++)
			fd_close(&stores[k]);
	}
	cr_expect_eq(mounts[0], mounts[1]);
	cr_expect_eq(mounts[1], mounts[2]);
	daemon_stop(&d);
}

/* By size, and by what unpacks to more than it is. */
Test(daemon_own_images, there_is_a_quota)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	cleanup_store struct store s =
		begin(&d, "per_owner: {images: 4M}\nowners: [{user: " OTHER ", images: 0}]");
	const char *tree = tree_make(&s, "tree"), *big = tree_make(&s, "big");

	BY(OTHER, "image", "build", "--dir", tree, "mine");
	expect_refused(&run, 1, "user 1001 may have none of his own (limit 'per_owner.images')");
	RUN(&run, "truncate", "-s", "8M", store_file(&s, "big/eight"));
	cr_assert_eq(run.status, 0, "%s", run.err);
	USER_IMAGE("build", "--dir", big, "big");
	expect_refused(&run, 1,
		       "4096K that are left of the 4096K that user 1000 may have (limit "
		       "'per_owner.images')");
	cr_expect_eq(own_count(&d), 0);
	RUN(&run, "truncate", "-s", "64G", store_file(&s, "big/eight"));
	USER_IMAGE("build", "--dir", big, "big");
	expect_refused(&run, 1, "unpacked it takes more than the ");
	cr_expect_eq(own_count(&d), 0);
	USER_IMAGE("build", "--dir", tree, "mine");
	cr_expect_eq(run.status, 0, "%s", run.err);
	/* What there is counts. */
	RUN(&run, "truncate", "-s", "3M", store_file(&s, "big/eight"));
	USER_IMAGE("build", "--dir", big, "big");
	expect_refused(&run, 1, "left of the 4096K that user 1000 may have");
	cr_expect_eq(own_count(&d), 1);
	USER_IMAGE("remove", "mine");
	daemon_stop(&d);
}

/* `cloche image import - mine` by the user, under way, with nothing on its standard input until
 * *ret_input is written to or closed. */
static pid_t begin_import(const struct daemon *d, int *ret_input)
{
	const char *argv[DAEMON_ARGS_MAX];
	struct daemon asks = *d;
	char control[700];
	int pair[2];
	pid_t pid;

	asks.verb = "image";
	daemon_user_argv(&asks, (const char *const[]){ "import", "-", "mine", NULL }, argv,
			 control);
	cr_assert_eq(pipe2(pair, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		(void)unsetenv(IMAGE_STORE_ENV);
		(void)dup2(pair[0], STDIN_FILENO);
		(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	(void)close(pair[0]);
	while (access(own_store(d), F_OK) < 0 || own_count(d) == 0)
		(void)poll(NULL, 0, 5);
	*ret_input = pair[1];
	return pid;
}

/* Somebody begins and does not end: what was sent is nothing. */
Test(daemon_own_images, of_a_client_that_dies_nothing_is_left)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	cleanup_store struct store s = begin(&d, "per_owner: {memory: 64M}");
	int input;
	pid_t pid = begin_import(&d, &input);

	/* What it takes is the owner's, and nobody else's. */
	BY(DAEMON_USER, "run", "-m", "32M", "--cpu", "shared", "-t", "60s", "--", "true");
	expect_refused(&run, 125, "(limit 'per_owner.memory')");
	BY(OTHER, "run", SMALL, "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	USER_IMAGE("build", "--dir", tree_make(&s, "tree"), "other");
	expect_refused(&run, 1, "another image of user 1000 is being made; try again");
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_expect_eq(process_status(pid), 128 + SIGKILL);
	while (own_count(&d) > 0)
		(void)poll(NULL, 0, 5);
	(void)close(input);
	daemon_stop(&d);
}

/* Who of whom: 0: it is gone. */
static pid_t parent_of(pid_t pid)
{
	char path[64];
	int parent = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (f && fscanf(f, "%*d (%*[^)]) %*c %d", &parent) != 1)
		parent = 0;
	if (f)
		(void)fclose(f);
	return parent;
}

/* The daemon's child that has the image made: it has a child itself, as nobody else has but the
 * front. 0: it has none yet. */
static pid_t maker_of(const struct daemon *d)
{
	pid_t front = daemon_front(d), found = 0;
	struct dirent *e;
	DIR *proc = opendir("/proc");

	while (!found && (e = readdir(proc))) {
		pid_t pid = (pid_t)atoi(e->d_name), parent = pid > 0 ? parent_of(pid) : 0;

		if (parent > 0 && parent != front && parent_of(parent) == d->pid)
			found = parent;
	}
	(void)closedir(proc);
	return found;
}

/* What does not end when it is asked to holds the daemon up for its time of grace. */
Test(daemon_own_images, what_does_not_end_is_killed_in_time)
{
	struct daemon d;
	cleanup_store struct store s = begin(&d, "");
	int input;
	pid_t maker, pid = begin_import(&d, &input);

	while ((maker = maker_of(&d)) == 0)
		(void)poll(NULL, 0, 5);
	cr_assert_eq(kill(maker, SIGSTOP), 0);
	cr_assert_eq(kill(d.pid, SIGTERM), 0);
	cr_expect_eq(process_status(d.pid), 0);
	cr_expect_neq(process_status(pid), 0);
	(void)close(input);
	/* Nothing is left of it. */
	daemon_start(&d);
	cr_expect_eq(own_count(&d), 0);
	daemon_stop(&d);
}

/* The pipe alone, which anybody may have, keeps nothing going. */
Test(daemon_own_images, who_lets_go_of_the_socket_ends_it)
{
	const struct remote_image what = { .name = "mine", .form = IMAGE_OF_TREE };
	struct remote remote = { .socket = -1 };
	struct cloche_err err = { 0 };
	struct pollfd end = { .events = 0 };
	struct daemon d;
	cleanup_store struct store s = begin(&d, "");

	cr_assert_eq(remote_image_begin(d.control, &what, &remote, &end.fd, &err), 0, "%s",
		     err.text);
	remote_close(&remote);
	/* Nobody has the other end any more. */
	cr_expect_eq(poll(&end, 1, -1), 1);
	cr_expect(end.revents & POLLERR);
	(void)close(end.fd);
	daemon_stop(&d);
}

/* That it is done, and that nobody waits for it, pass each other on their way: no breach. */
Test(daemon_own_images, who_leaves_when_it_is_done_does_no_harm)
{
	const struct remote_image what = { .name = "mine", .form = IMAGE_OF_TREE };
	struct daemon d;
	cleanup_store struct store s = begin(&d, "");
	pid_t front = daemon_front(&d);

	(void)signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 20; i++) {
		static const char none[4096] = "no archive";
		struct remote remote = { .socket = -1 };
		int end = -1;
		struct cloche_err err = { 0 };

		/* The one before may not have ended. */
		while (remote_image_begin(d.control, &what, &remote, &end, &err) < 0) {
			expect_has(err.text, "is being made; try again");
			(void)poll(NULL, 0, 1);
		}
		cr_assert_eq(write(end, none, sizeof(none)), sizeof(none));
		(void)shutdown(remote.socket, SHUT_RD);
		/* Until it is seen to be none: for what comes behind less its reader waits. */
		while (i % 2 && write(end, none, sizeof(none)) > 0)
			;
		(void)close(end);
		remote_close(&remote);
	}
	cr_expect_eq(daemon_front(&d), front);
	daemon_stop(&d);
}

Test(daemon_own_images, of_a_daemon_that_is_killed_nothing_is_left)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	cleanup_store struct store s = begin(&d, "");
	int input;
	pid_t pid;

	USER_IMAGE("build", "--dir", tree_make(&s, "tree"), "old");
	cr_assert_eq(run.status, 0, "%s", run.err);
	pid = begin_import(&d, &input);
	while (own_count(&d) < 2)
		(void)poll(NULL, 0, 5);
	daemon_kill(&d);
	cr_expect_eq(process_status(pid), 1);
	(void)close(input);
	while (leftover_processes(d.mark) > 0)
		(void)poll(NULL, 0, 5);
	daemon_start(&d);
	cr_expect_eq(own_count(&d), 1);
	USER_RUN("--rootfs", "old", "--", "/noop");
	cr_expect_eq(run.status, 0, "%s", run.err);
	USER_IMAGE("remove", "old");
	daemon_stop(&d);
}

/* A tree that is cut off where an entry ends would look whole. */
Test(daemon_own_images, half_a_tree_is_none)
{
	static const struct entry plain[] = { { ENTRY_FILE, "file", "text" }, { 0 } };
	static const struct {
		size_t cut; /* from the end of the archive, before what says that it is whole */
		const char *end;
		int code;
	} cases[] = { { 1024, "", EPIPE },
		      { 0, "", EPIPE },
		      { 0, "cloche: that was the whole tre", EPIPE },
		      { 0, ARCHIVE_END, 0 } };
	const struct remote_image what = { .name = "half", .form = IMAGE_OF_TREE };
	cleanup_run struct run run = { 0 };
	struct daemon d;
	cleanup_store struct store s = begin(&d, "");

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct remote remote = { .socket = -1 };
		struct bytes tar = tar_make(plain);
		struct cloche_err err = { 0 };
		int pipe, r;

		cr_assert_eq(remote_image_begin(d.control, &what, &remote, &pipe, &err), 0, "%s",
			     err.text);
		cr_assert(write(pipe, tar.data, tar.len - cases[i].cut) > 0);
		cr_assert_eq(write(pipe, cases[i].end, strlen(cases[i].end)),
			     (ssize_t)strlen(cases[i].end));
		(void)close(pipe);
		r = remote_image_done(&remote, &err);
		cr_expect_eq(r, -cases[i].code, "%zu: %s", i, err.text);
		remote_close(&remote);
		free(tar.data);
	}
	BY("0", "image", "list");
	cr_expect_eq(run.status, 0, "%s", run.err);
	{
		struct cloche_err err = { 0 };

		cr_expect_eq(remote_image_remove(d.control, "half", &err), 0, "%s", err.text);
	}
	daemon_stop(&d);
}
