/* SPDX-License-Identifier: MIT */
/*
 * Attacks by arguments: calls that every program makes, in a way that takes something of the host.
 * The floor refuses them behind every profile, so each is tried under the default one and under one
 * that allows everything; and where it is harmless first on the host, where it must work.
 */
#include "base/fd.h"
#include "base/file.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char allow_all[] = "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}";

/* One attack inside, in a directory of the host that it may write to. */
static void attack(struct run *run, bool filtered, const char *net, const char *name,
		   const char *dir)
{
	cleanup_tmpdir char *own = tmpdir_make();
	cleanup_free char *policy = NULL, *helpers = NULL, *bind = NULL;
	cleanup_file FILE *f = NULL;

	cr_assert(asprintf(&policy, "%s/allow.json", own) > 0 &&
		  asprintf(&helpers, "%s:/opt", env_need("HELPERS")) > 0 &&
		  asprintf(&bind, "%s:/mnt:rw", dir) > 0);
	f = fopen(policy, "we");
	cr_assert(f && fputs(allow_all, f) >= 0 && fflush(f) == 0);
	RUN_CLOCHE(run, "-q", "--net", net, "-b", helpers, "-b", bind, "-w", "/mnt", "--policy",
		   filtered ? "default" : policy, "/opt/walls", name);
	cr_assert_eq(run->status, 0, "%s: status %d: %s", name, run->status, run->err);
}

static void on_host(struct run *run, const char *name, const char *dir)
{
	cleanup_free char *line = NULL;

	cr_assert(asprintf(&line, "cd '%s' && %s/walls %s", dir, env_need("HELPERS"), name) > 0);
	RUN(run, "sh", "-c", line);
	cr_assert_eq(run->status, 0, "%s: %s", name, run->err);
}

/* Each line of it begins so, and there is one. */
static void expect_all(const struct run *run, const char *begin, const char *where)
{
	const char *line = run->out;

	cr_expect(*line, "%s: nothing was tried", where);
	for (; *line; line += strcspn(line, "\n") + 1) {
		cr_expect(strncmp(line, begin, strlen(begin)) == 0, "%s: %.*s", where,
			  (int)strcspn(line, "\n"), line);
		if (!strchr(line, '\n'))
			break;
	}
}

static void expect_refused_inside(const char *name, const char *dir)
{
	for (int filtered = 0; filtered < 2; filtered++)
		for (int loopback = 0; loopback < 2; loopback++) {
			cleanup_run struct run run = { 0 };
			char where[64];

			(void)snprintf(where, sizeof(where), "%s, %s", name,
				       filtered ? "under default" : "under a profile of nothing");
			attack(&run, filtered, loopback ? "loopback" : "none", name, dir);
			expect_all(&run, "refused: ", where);
		}
}

static void expect_wall(const char *name)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };

	on_host(&run, name, dir);
	expect_all(&run, "got: ", name);
	expect_refused_inside(name, dir);
}

/* ---- files ---- */

/* fchmodat2 is of Linux 6.6: where there is none the host has nothing to show. */
static void expect_no_bits(const char *name)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };
	char *missing;

	on_host(&run, name, dir);
	missing = strstr(run.out, "refused: fchmodat2: ENOSYS\n");
	for (size_t i = 0; missing && i < strlen("refused:"); i++)
		missing[i] = "got:    "[i];
	expect_all(&run, "got: ", name);
	expect_refused_inside(name, dir);
}

Test(policy_walls, set_user_id_by_chmod)
{
	expect_no_bits("chmod");
}

Test(policy_walls, set_user_id_by_making_a_file)
{
	expect_no_bits("open");
}

Test(policy_walls, set_group_id_by_making_a_directory)
{
	cleanup_tmpdir char *dir = tmpdir_make();

	expect_refused_inside("mkdir", dir);
}

/* As a shell does it, and the file looked at from outside. */
Test(policy_walls, no_set_user_id_file_is_left_on_a_writable_bind)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *bind = NULL, *path = NULL;
	cleanup_run struct run run = { 0 };
	struct stat st;

	cr_assert(asprintf(&bind, "%s:/mnt:rw", dir) > 0 && asprintf(&path, "%s/sh", dir) > 0);
	RUN_CLOCHE(&run, "-q", "-b", bind, "--", "sh", "-c",
		   "cp /bin/sh /mnt/sh && chmod 0755 /mnt/sh && chmod 6755 /mnt/sh");
	cr_expect_neq(run.status, 0);
	cr_assert_eq(stat(path, &st), 0, "%s", run.err);
	cr_expect_eq(st.st_mode & 07777, 0755, "mode %o", st.st_mode);
}

Test(policy_walls, file_capabilities_and_acls)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };

	on_host(&run, "xattr", dir);
	if (strstr(run.out, "refused: fsetxattr: EOPNOTSUPP")) /* no ACLs on this file system */
		cr_expect_not_null(strstr(run.out, "got: setxattr"), "%s", run.out);
	else
		expect_all(&run, "got: ", "xattr");
	expect_refused_inside("xattr", dir);
}

/* What uses them goes on without. */
Test(policy_walls, copies_do_without_attributes)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "-q", "-t", "20s", "--", "sh", "-ec",
		   "cd /tmp; echo x >a; chmod 1755 a; cp -a a b; cp -p --preserve=all a c\n"
		   "mkdir d; cp -a /etc/passwd d; tar cf t d; mkdir e; tar xpf t -C e\n"
		   "install -m 0750 a f; mv a g; stat -c %a b c e/d/passwd f g\n"
		   "! command -v python3 >/dev/null || "
		   "python3 -c 'import shutil; shutil.copy2(\"b\", \"h\"); "
		   "shutil.copytree(\"d\", \"i\")'");
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect_str_eq(run.out, "1755\n1755\n644\n750\n1755\n");
	cr_expect_str_eq(run.err, "");
}

Test(policy_walls, leases_and_directory_notes)
{
	expect_wall("lease");
}

/* ---- memory and work of the kernel ---- */

Test(policy_walls, filters)
{
	expect_wall("filter");
}

Test(policy_walls, options_that_keep_memory)
{
	expect_wall("option");
}

Test(policy_walls, usual_options_are_there)
{
	cleanup_tmpdir char *dir = tmpdir_make();

	for (int filtered = 0; filtered < 2; filtered++) {
		cleanup_run struct run run = { 0 };

		attack(&run, filtered, "loopback", "usual", dir);
		expect_all(&run, "got: ", "usual");
	}
}

static long huge_pages(long set)
{
	static const char file[] = "/proc/sys/vm/nr_hugepages";
	cleanup_free char *text = NULL;
	cleanup_file FILE *f = set >= 0 ? fopen(file, "we") : NULL;
	size_t len;

	if (f) {
		(void)fprintf(f, "%ld\n", set);
		(void)fflush(f);
	}
	return file_load(AT_FDCWD, file, 64, &text, &len, NULL) == 0 ? strtol(text, NULL, 10) : -1;
}

static long pool = -1; /* as it was found */

static void pool_restore(void)
{
	if (pool >= 0)
		(void)huge_pages(pool);
}

/* With two pages in the pool, for a moment, as an empty one refuses by itself. */
Test(policy_walls, huge_pages, .fini = pool_restore)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };

	pool = huge_pages(-1);
	if (pool >= 0 && huge_pages(pool + 2) == pool + 2) {
		on_host(&run, "hugetlb", dir);
		expect_all(&run, "got: ", "hugetlb");
	}
	expect_refused_inside("hugetlb", dir);
}

/* What the host shows depends on its kernel: 6.4 and what it was built with. */
Test(policy_walls, merged_memory)
{
	cleanup_tmpdir char *dir = tmpdir_make();

	expect_refused_inside("merge", dir);
}

/* Calls that no filter sees, and those that take of a number which all of the host shares. */
Test(policy_walls, rings)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_run struct run run = { 0 };

	on_host(&run, "ring", dir);
	cr_expect_not_null(strstr(run.out, "got: io_setup"), "%s", run.out);
	expect_refused_inside("ring", dir);
}

/* ---- root's programs: not on the host ---- */

static void expect_words(const char *name, const char *const *words)
{
	cleanup_tmpdir char *dir = tmpdir_make();

	for (int filtered = 0; filtered < 2; filtered++) {
		cleanup_run struct run run = { 0 };

		attack(&run, filtered, "loopback", name, dir);
		expect_all(&run, "refused: ", name);
		/* By us, not by a kernel that has looked for a module. */
		for (char *line = strtok(run.out, "\n"); line; line = strtok(NULL, "\n")) {
			const char *word = strrchr(line, ' ') + 1;
			const char *const *w = words;

			while (*w && strcmp(*w, word) != 0)
				w++;
			cr_expect(*w, "%s: %s", filtered ? "default" : "allow all", line);
		}
	}
}

Test(policy_walls, ioctls_that_load_modules)
{
	expect_words("ioctl", (const char *const[]){ "EPERM", NULL });
}

Test(policy_walls, sockets_that_load_modules)
{
	expect_words("socket",
		     (const char *const[]){ "EPERM", "EAFNOSUPPORT", "EPROTONOSUPPORT", NULL });
}

/* ---- more of the kernel ---- */

Test(policy_walls, namespaces)
{
	expect_wall("namespace");
}

Test(policy_walls, mounts)
{
	expect_wall("mount");
}

Test(policy_walls, keys)
{
	expect_wall("key");
}

Test(policy_walls, the_kernels_own_code_and_what_it_shows)
{
	expect_words("kernel", (const char *const[]){ "EPERM", NULL });
}

/* ---- without a network ---- */

Test(policy_walls, internet_sockets_only_with_a_network)
{
	cleanup_tmpdir char *dir = tmpdir_make();

	for (int filtered = 0; filtered < 2; filtered++) {
		cleanup_run struct run none = { 0 }, loopback = { 0 };

		attack(&none, filtered, "none", "inet", dir);
		cr_expect_str_eq(none.out, "refused: AF_INET: EAFNOSUPPORT\n"
					   "refused: AF_INET6: EAFNOSUPPORT\n"
					   "refused: AF_INET: EAFNOSUPPORT\n"
					   "refused: AF_INET6: EAFNOSUPPORT\n");
		attack(&loopback, filtered, "loopback", "inet", dir);
		expect_all(&loopback, "got: ", "inet");
	}
}
