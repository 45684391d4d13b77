/* SPDX-License-Identifier: MIT */
/*
 * The memory of the report: what was used at a time, whoever had read the files before, and beside
 * it what the kernel can drop. Needs root, BPF, and a disk below TMPDIR.
 */
#include "tests/lib/env.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MIB	 (1 << 20)
#define FILE_MIB 48

static char *dir;

/* One file of FILE_MIB that no other run has read. */
static void file_make(void)
{
	static char buf[MIB];
	struct statfs fs;
	char path[512];
	int fd;

	dir = tmpdir_make();
	if (statfs(dir, &fs) == 0 && fs.f_type == TMPFS_MAGIC)
		test_skip("'%s' is no disk: its files are never dropped", dir);
	fd = open(tmpdir_path(path, dir, "file"), O_WRONLY | O_CREAT | O_EXCL, 0644);
	cr_assert(fd >= 0);
	for (int i = 0; i < FILE_MIB; i++)
		cr_assert_eq(write(fd, buf, sizeof(buf)), sizeof(buf));
	cr_assert_eq(fsync(fd), 0);
	(void)close(fd);
	cr_assert_eq(chmod(dir, 0755), 0);
}

static void file_forget(void)
{
	char path[512];
	int fd = open(tmpdir_path(path, dir, "file"), O_RDONLY);

	cr_assert(fd >= 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
	(void)close(fd);
}

static void file_remove(void)
{
	if (dir)
		tmpdir_free(&dir);
}

struct figures {
	int64_t peak, cache;
};

#define MEASURE(...) measure((const char *const[]){ __VA_ARGS__, NULL })

/* Of the helper with these words; the directory is /opt, the program in /srv. */
static struct figures measure(const char *const words[])
{
	cleanup_run struct run run = { 0 };
	const char *argv[32] = { "-q", "-m", "256M", "--cpu", "1", "-t", "60s", "-b" };
	char bind[600], helpers[600];
	size_t n = 8;

	(void)snprintf(helpers, sizeof(helpers), "%s:/srv", env_need("HELPERS"));
	argv[n++] = helpers;
	if (dir) {
		(void)snprintf(bind, sizeof(bind), "%s:/opt", dir);
		argv[n++] = "-b";
		argv[n++] = bind;
	}
	argv[n++] = "/srv/memory";
	for (size_t i = 0; words[i]; i++)
		argv[n++] = words[i];
	run_cloche(&run, argv);
	expect_end(&run, 0, "ok");
	return (struct figures){ .peak = report_int(&run, "memory.peak_bytes"),
				 .cache = report_int(&run, "memory.cache_bytes") };
}

static void expect_near(int64_t got, int64_t want, const char *what)
{
	cr_expect_leq(llabs(got - want), MIB, "%s: %.2f MiB, not %.2f", what, (double)got / MIB,
		      (double)want / MIB);
}

/* The first run finds nothing of the file in memory, the second all of it. */
static void expect_same(const char *word, int64_t most)
{
	const char *words[] = { word, "/opt/file", NULL };
	struct figures cold, warm;

	file_forget();
	cold = measure(words);
	warm = measure(words);
	expect_near(cold.peak, warm.peak, word);
	cr_expect_leq(warm.peak, most, "%s: %.2f MiB", word, (double)warm.peak / MIB);
	cr_expect_geq(cold.cache, FILE_MIB * MIB / 2, "%s: %.2f MiB", word,
		      (double)cold.cache / MIB);
	cr_expect_leq(warm.cache, MIB, "%s: %.2f MiB", word, (double)warm.cache / MIB);
}

Test(memory, the_same_cold_and_warm, .init = file_make, .fini = file_remove)
{
	test_needs("bpf-pins");
	expect_same("read", 2 * MIB);
	expect_same("map", 2 * MIB);
}

/* What it writes to is its own, and is no cache. */
Test(memory, private_pages_of_a_file_are_used, .init = file_make, .fini = file_remove)
{
	struct figures cold, warm;

	test_needs("bpf-pins");
	file_forget();
	cold = MEASURE("private", "/opt/file");
	warm = MEASURE("private", "/opt/file");
	expect_near(cold.peak, warm.peak, "private");
	cr_expect_geq(warm.peak, FILE_MIB * MIB);
	cr_expect_leq(warm.peak, (FILE_MIB + 2) * MIB);
}

/* Names that are looked for are kept by the kernel, on the account of who asked first. */
Test(memory, names_are_droppable, .init = file_make, .fini = file_remove)
{
	struct figures cold, warm;

	test_needs("bpf-pins");
	cold = MEASURE("miss", "40000");
	warm = MEASURE("miss", "40000");
	expect_near(cold.peak, warm.peak, "miss");
	cr_expect_geq(cold.cache, 4 * MIB);
}

/* Each is there for less than a slice and gone when the next one comes. */
Test(memory, spikes_are_seen)
{
	struct figures none, got;
	static const char *const kinds[] = { "spike", "file", "shm", "pipes" };

	test_needs("bpf-pins");
	none = MEASURE("spike", "1");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *mib = i == 3 ? "12" : "50";

		got = MEASURE(kinds[i], mib);
		expect_near(got.peak, none.peak + (atoi(mib) - 1) * MIB, kinds[i]);
		cr_expect_leq(got.cache, 2 * MIB, "%s", kinds[i]);
	}
}

/* A lot of cache makes no spike of it. */
Test(memory, a_spike_beside_cache, .init = file_make, .fini = file_remove)
{
	struct figures got;

	test_needs("bpf-pins");
	file_forget();
	got = MEASURE("spike", "30", "read", "/opt/file", "spike", "20");
	cr_expect_geq(got.peak, 30 * MIB);
	cr_expect_leq(got.peak, 32 * MIB);
	file_forget();
	got = MEASURE("read", "/opt/file", "pipes", "12");
	cr_expect_geq(got.peak, 12 * MIB);
	cr_expect_leq(got.peak, 14 * MIB);
	cr_expect_geq(got.cache, FILE_MIB * MIB / 2);
}

/* The cgroup was charged for more before, so that its own peak says nothing. */
Test(memory, a_spike_after_cache, .init = file_make, .fini = file_remove)
{
	static const char *const kinds[] = { "spike", "file", "shm" };

	test_needs("bpf-pins");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct figures got;

		file_forget();
		got = MEASURE("read", "/opt/file", "drop", "/opt/file", kinds[i], "8");
		cr_expect_geq(got.cache, FILE_MIB * MIB / 2);
		cr_expect_geq(got.peak, 8 * MIB, "%s: %.2f MiB", kinds[i], (double)got.peak / MIB);
		cr_expect_leq(got.peak, 10 * MIB, "%s: %.2f MiB", kinds[i], (double)got.peak / MIB);
	}
}

/* Each invocation of a context has its own. */
Test(memory, a_reused_context_begins_anew)
{
	cleanup_run struct run run = { 0 };
	char helpers[600];
	json_t *report;
	size_t i;

	test_needs("bpf-pins");
	(void)snprintf(helpers, sizeof(helpers), "%s:/srv", env_need("HELPERS"));
	/* The first of them reads 30 from what all share, the others nothing. */
	run.input = "30\n";
	RUN_CLOCHE(&run, "-q", "-m", "128M", "--cpu", "1", "-b", helpers, "--repeat", "3", "--",
		   "sh", "-c", "read -r n; exec /srv/memory spike ${n:-1}");
	expect_end(&run, 0, "ok");
	cr_assert_eq(json_array_size(run.reports), 3);
	json_array_foreach (run.reports, i, report) {
		int64_t peak = json_integer_value(
			json_object_get(json_object_get(report, "memory"), "peak_bytes"));

		cr_expect_geq(peak, (i ? 1 : 30) * MIB, "%zu: %lld", i, (long long)peak);
		cr_expect_leq(peak, (i ? 4 : 33) * MIB, "%zu: %lld", i, (long long)peak);
	}
}

/* Without the meter nobody can tell what of it was cache: no figure then, and a word about it. */
Test(memory, unknown_without_the_meter)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "--meter", "off", "--", "true");
	expect_end(&run, 0, "ok");
	cr_expect(report_is_null(&run, "memory.peak_bytes"));
	cr_expect(report_is_null(&run, "memory.cache_bytes"));
	cr_expect_null(strstr(run.err, "Max Memory Used"));
}
