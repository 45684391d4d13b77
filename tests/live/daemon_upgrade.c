/* SPDX-License-Identifier: MIT */
/*
 * Another version of the daemon's programs in the place of those that run: what runs goes on as it
 * was, the next start is the new one's, with the ledger and the configuration of the one before;
 * and the ledger of another version is gone on with, or left as it is. Needs root.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/hash.h"
#include "ledger/ledger_frame.h"
#include "ledger/ledger_head.h"
#include "tests/lib/daemon.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#define PATIENT "-m", "32M", "--cpu", "shared", "-t", "60s"
#define PATH	700
#define FORMER	1900000777 /* nobody */

/* ---- the programs ---------------------------------------------------------------------------- */

static const char *beside(const struct daemon *d, const char *name, char ret[static PATH])
{
	(void)snprintf(ret, PATH, "%s/programs/%s", d->dir, name);
	return ret;
}

/* As a package does it: a whole new file takes the name. */
static void install(const struct daemon *d, const char *from, const char *name)
{
	cleanup_run struct run run = { 0 };
	char fresh[PATH], to[PATH];

	RUN(&run, "cp", from, beside(d, "fresh", fresh));
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_assert_eq(chmod(fresh, 0755), 0);
	cr_assert_eq(rename(fresh, beside(d, name, to)), 0);
}

static void install_both(const struct daemon *d, const char *cloche)
{
	cleanup_free char *daemons = NULL;

	cr_assert(asprintf(&daemons, "%sd", cloche) > 0);
	install(d, cloche, "cloche");
	install(d, daemons, "cloched");
}

static void prepare(struct daemon *d, char built[static PATH])
{
	char path[PATH];

	daemon_prepare(d);
	(void)snprintf(built, PATH, "%s", env_need("CLOCHE"));
	cr_assert_eq(mkdir(beside(d, "", path), 0755), 0);
	install_both(d, built);
	cr_assert_eq(setenv("CLOCHE", beside(d, "cloche", path), 1), 0);
}

/* Whether the process executes the file that has the name now. */
static bool is_of_now(const struct daemon *d, const char *name, pid_t pid)
{
	char exe[64], path[PATH];
	struct stat now, runs;

	(void)snprintf(exe, sizeof(exe), "/proc/%d/exe", pid);
	cr_assert_eq(stat(exe, &runs), 0);
	cr_assert_eq(stat(beside(d, name, path), &now), 0);
	return now.st_ino == runs.st_ino && now.st_dev == runs.st_dev;
}

/* ---- the daemon ------------------------------------------------------------------------------ */

static void stop(struct daemon *d)
{
	cr_assert_eq(kill(d->pid, SIGTERM), 0);
	cr_expect_eq(process_status(d->pid), 0);
	(void)fclose(d->said);
	daemon_expect_nothing(d);
}

static void expect_served(const struct daemon *d, const char *said)
{
	cleanup_run struct run run = { 0 };

	AS_USER(d, &run, "-q", PATIENT, "--", "echo", said);
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect(strstr(run.out, said) != NULL);
}

/* The configuration allows 48 MB to an owner. */
static void expect_configured(const struct daemon *d)
{
	cleanup_run struct run run = { 0 };

	AS_USER(d, &run, "-q", "-m", "64M", "--cpu", "shared", "-t", "60s", "--", "true");
	cr_expect_eq(run.status, 125, "%s", run.err);
	cr_expect(strstr(run.err, "48") != NULL, "%s", run.err);
}

Test(daemon_upgrade, a_restart_is_the_new_ones_with_all_that_was_there)
{
	char built[PATH];
	struct daemon d;
	pid_t old;

	prepare(&d, built);
	daemon_reconfigure(&d, "per_owner: {memory: 48M}\n");
	daemon_start(&d);
	expect_served(&d, "before");
	install_both(&d, built);
	/* What runs has its own program, also for a front that it starts anew. */
	cr_expect(!is_of_now(&d, "cloche", d.pid));
	expect_served(&d, "meanwhile");
	old = daemon_front(&d);
	cr_assert_eq(kill(old, SIGKILL), 0);
	expect_line(d.said, "the front is ended");
	expect_served(&d, "by another front");
	cr_expect(!is_of_now(&d, "cloched", daemon_front(&d)));
	expect_configured(&d);
	daemon_expect_records(&d, " ok ", 3);
	stop(&d);

	daemon_start(&d);
	cr_expect(is_of_now(&d, "cloche", d.pid));
	cr_expect(is_of_now(&d, "cloched", daemon_front(&d)));
	daemon_expect_records(&d, " ok ", 3);
	expect_served(&d, "after");
	expect_configured(&d);
	daemon_expect_records(&d, " ok ", 4);
	daemon_stop(&d);
}

/* ---- the ledger of another version ----------------------------------------------------------- */

static char *segment(const struct daemon *d, size_t *ret_len)
{
	char path[PATH], *bytes = NULL;
	FILE *f, *to;
	int c;

	(void)snprintf(path, sizeof(path), "%s/000000000001.seg", d->ledger);
	f = fopen(path, "re");
	to = open_memstream(&bytes, ret_len);
	cr_assert(f && to);
	while ((c = fgetc(f)) != EOF)
		(void)fputc(c, to);
	(void)fclose(f);
	cr_assert_eq(fclose(to), 0);
	return bytes;
}

static void write_at(const struct daemon *d, const char *name, int flags, const void *bytes,
		     size_t len)
{
	cleanup_fd int dir = open(d->ledger, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	cleanup_fd int fd = openat(dir, name, O_WRONLY | O_CLOEXEC | flags);

	cr_assert(fd >= 0, "%s: %m", name);
	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
}

static struct ledger_head head_of(const struct daemon *d)
{
	cleanup_fd int dir = open(d->ledger, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	cleanup_fd int fd = openat(dir, "head", O_RDONLY | O_CLOEXEC);
	struct ledger_head head;

	cr_assert_eq(read(fd, &head, sizeof(head)), (ssize_t)sizeof(head));
	return head;
}

/* One more frame behind the last, of the version after this one's. */
static void write_newer(const struct daemon *d)
{
	struct ledger_head head = head_of(d);
	unsigned char buf[FRAME_MAX] = { 0 };
	size_t size = frame_finish(buf, FRAME_RECORD, head.number + 1, head.hash, 100);
	uint64_t check;

	buf[5] = LEDGER_VERSION + 1;
	check = hash_fnv(HASH_FNV_START, buf, 16);
	memcpy(buf + 16, &check, sizeof(check));
	hash_sha256(buf, size - FRAME_HASH, buf + size - FRAME_HASH);
	write_at(d, "000000000001.seg", O_APPEND, buf, size);
}

Test(daemon_upgrade, a_ledger_of_a_newer_version_is_left_as_it_is)
{
	cleanup_free char *before = NULL, *after = NULL;
	cleanup_run struct run run = { 0 }, audit = { 0 };
	size_t before_len, after_len;
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	expect_served(&d, "once");
	stop(&d);
	write_newer(&d);
	before = segment(&d, &before_len);
	daemon_start(&d);
	AS_USER(&d, &run, PATIENT, "--", "echo", "ran");
	cr_expect_eq(run.status, 125, "%s", run.err);
	cr_expect_str_eq(run.out, "");
	cr_expect(strstr(run.err, "goes on in the form of a newer version from record 3"), "%s",
		  run.err);
	cr_expect(strstr(run.err, "use that version again"), "%s", run.err);
	CLOCHE(&audit, "audit", "verify", "--ledger", d.ledger);
	cr_expect_neq(audit.status, 0);
	cr_expect(strstr(audit.out, "a newer version has written it") ||
			  strstr(audit.err, "a newer version has written it"),
		  "%s%s", audit.out, audit.err);
	after = segment(&d, &after_len);
	cr_expect(before_len == after_len && memcmp(before, after, before_len) == 0);
	daemon_stop(&d);
}

/* As versions wrote it that had one part in head, of 120 bytes. */
static void write_older(const struct daemon *d)
{
	struct ledger_head head = head_of(d);
	struct {
		unsigned char magic[8], id[16];
		uint64_t figures[7];
		unsigned char hash[32];
		uint64_t check;
	} old = { .magic = "CLHEAD1\n" };

	memcpy(old.id, head.ledger_id, sizeof(old.id));
	memcpy(old.figures, &head.segment, sizeof(old.figures));
	memcpy(old.hash, head.hash, sizeof(old.hash));
	old.check = ledger_check(&old, sizeof(old) - sizeof(old.check));
	write_at(d, "head", O_TRUNC, &old, sizeof(old));
}

Test(daemon_upgrade, a_ledger_of_an_older_version_is_gone_on_with)
{
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	expect_served(&d, "by the old");
	stop(&d);
	write_older(&d);
	daemon_start(&d);
	expect_served(&d, "by the new");
	daemon_expect_records(&d, " ok ", 2);
	daemon_stop(&d);
}

/* Of what ran when it was killed that one has left records, in a form that this one cannot read: an
 * administrator hears of it. */
Test(daemon_upgrade, what_ran_under_another_version_is_not_gone_without_a_word)
{
	static const uint64_t valid = 0x32736c6c69770000ULL + 1000;
	char built[PATH], path[PATH];
	struct daemon d;
	FILE *f;

	prepare(&d, built);
	daemon_start(&d);
	daemon_kill(&d);
	(void)snprintf(path, sizeof(path), "%s/state/daemon/wills", d.dir);
	f = fopen(path, "we");
	cr_assert(f && fwrite(&valid, sizeof(valid), 1, f) == 1 && fclose(f) == 0);
	daemon_start(&d);
	expect_line(d.said, "1 that ran when a daemon of another version ended: in no ledger");
	expect_served(&d, "all the same");
	daemon_stop(&d);
}

/* ---- the front as another user --------------------------------------------------------------- */

static int to_former(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return lchown(path, FORMER, FORMER);
}

static uid_t owner_at(int dir, const char *name)
{
	struct stat st;

	cr_assert_eq(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0, "%s: %m", name);
	return st.st_uid;
}

Test(daemon_upgrade, what_a_front_of_another_user_had_is_the_new_ones)
{
	cleanup_fd int home = -1, outside = -1;
	char built[PATH], path[PATH];
	struct daemon d;
	uid_t front;

	prepare(&d, built);
	daemon_start(&d);
	expect_served(&d, "before");
	stop(&d);
	(void)snprintf(path, sizeof(path), "%s/state/daemon", d.dir);
	front = owner_at(AT_FDCWD, path);
	cr_assert_eq(nftw(path, to_former, 8, FTW_PHYS | FTW_DEPTH), 0);
	home = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	outside = open(d.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* What that user may have left: names of what is not its own. */
	cr_assert_eq(mkdirat(outside, "former", 0700), 0);
	cr_assert_eq(fchownat(outside, "former", FORMER, FORMER, 0), 0);
	cr_assert_eq(symlinkat("../../former", home, "link"), 0);
	cr_assert_eq(fchownat(home, "link", FORMER, FORMER, AT_SYMLINK_NOFOLLOW), 0);
	cr_assert_eq(linkat(outside, "conf", home, "conf", 0), 0);

	daemon_start(&d);
	expect_served(&d, "after");
	daemon_expect_records(&d, " ok ", 2);
	cr_expect_eq(owner_at(home, "."), front);
	cr_expect_eq(owner_at(home, "functions"), front);
	cr_expect_eq(owner_at(home, "wills"), front);
	cr_expect_eq(owner_at(home, "link"), front);
	cr_expect_eq(owner_at(outside, "former"), FORMER);
	cr_expect_eq(owner_at(home, "conf"), 0);
	cr_assert_eq(unlinkat(home, "link", 0), 0);
	cr_assert_eq(unlinkat(home, "conf", 0), 0);
	daemon_stop(&d);
}
