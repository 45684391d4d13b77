/* SPDX-License-Identifier: MIT */
/*
 * `cloche doctor` from outside: that the table and the JSON say the same, that the exit status
 * follows from the rows, that what is taken away is seen, and that nothing stays behind.
 */
#include "base/fd.h"
#include "tests/lib/env.h"
#include "tests/lib/run.h"

#include <criterion/criterion.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static json_t *doctor_json(struct run *run)
{
	json_error_t e;
	json_t *top = json_loads(run->out, JSON_REJECT_DUPLICATES, &e);

	cr_assert(top, "no JSON: %s: %.200s%.200s", e.text, run->out, run->err);
	cr_assert_str_eq(json_string_value(json_object_get(top, "schema")), "cloche.doctor/1");
	cr_assert_gt(json_array_size(json_object_get(top, "checks")), 20);
	return top;
}

static json_t *check_find(const json_t *top, const char *name)
{
	json_t *check;
	size_t i;

	json_array_foreach (json_object_get(top, "checks"), i, check)
		if (strcmp(json_string_value(json_object_get(check, "name")), name) == 0)
			return check;
	cr_assert_fail("no check '%s'", name);
	return NULL;
}

static bool check_ok(const json_t *top, const char *name)
{
	return json_is_true(json_object_get(check_find(top, name), "ok"));
}

/* Every check is complete, and "ok" and the exit status are what the checks add up to. */
static void sum_assert(const json_t *top, int status)
{
	bool all = true;
	json_t *check;
	size_t i;

	json_array_foreach (json_object_get(top, "checks"), i, check) {
		const char *name, *detail, *consequence;
		json_t *mend;
		int essential, ok;

		cr_assert_eq(json_unpack(check, "{s:s, s:b, s:b, s:s, s:s, s:o !}", "name", &name,
					 "essential", &essential, "ok", &ok, "detail", &detail,
					 "consequence", &consequence, "mend", &mend),
			     0, "check %zu is not what the schema says", i);
	}
	json_array_foreach (json_object_get(top, "checks"), i, check) {
		bool ok = json_is_true(json_object_get(check, "ok"));
		const char *mend = json_string_value(json_object_get(check, "mend"));

		cr_expect(*json_string_value(json_object_get(check, "detail")));
		cr_expect(*json_string_value(json_object_get(check, "consequence")));
		cr_expect(ok ? !mend : mend && *mend, "check %zu: ok and mend disagree", i);
		if (!ok && json_is_true(json_object_get(check, "essential")))
			all = false;
	}
	cr_expect_eq(json_is_true(json_object_get(top, "ok")), all);
	cr_expect_eq(status, all ? 0 : 1);
}

/* The table's line of a check: its name is the first thing on a line. */
static const char *line_find(const char *table, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = table; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, name, len) == 0 && strncmp(at + len, "  ", 2) == 0)
			return at;
	}
	return NULL;
}

static void table_assert(const char *table, const json_t *top)
{
	const char *head = strstr(table, "STATE");
	long column;
	json_t *check;
	size_t i;

	cr_assert(head);
	column = head - table;
	cr_expect_null(strchr(table, '\033'), "colours in a pipe");
	json_array_foreach (json_object_get(top, "checks"), i, check) {
		const char *name = json_string_value(json_object_get(check, "name"));
		const char *line = line_find(table, name);
		bool ok = json_is_true(json_object_get(check, "ok"));
		bool essential = json_is_true(json_object_get(check, "essential"));
		const char *state = ok ? "ok " : "missing ", *need;

		cr_assert(line, "'%s' is not in the table:\n%s", name, table);
		need = strstr(line, essential ? "essential" : "better");
		cr_expect(need && need < line + column, "'%s': another need", name);
		cr_expect_eq(strncmp(line + column, state, strlen(state)), 0, "%s: not '%s'", name,
			     state);
		if (!ok)
			cr_expect(strstr(line, json_string_value(json_object_get(check, "mend"))));
	}
}

/* Whether a hierarchy has the cgroup of the probes of that process. */
static bool leaf_left(const char *pid)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	char path[4096];
	struct mntent *m;
	bool left = false;
	int trees = 0;

	cr_assert(f);
	while ((m = getmntent(f))) {
		if (strncmp(m->mnt_type, "cgroup", 6) != 0)
			continue;
		trees++;
		(void)snprintf(path, sizeof(path), "%s/cloche-probe-%s", m->mnt_dir, pid);
		left = left || access(path, F_OK) == 0;
	}
	endmntent(f);
	cr_assert_gt(trees, 0, "no cgroups are mounted");
	return left;
}

Test(doctor, table_and_json_agree_and_the_status_follows)
{
	cleanup_run struct run table = { 0 }, json = { 0 };
	json_t *top;

	RUN(&json, env_need("CLOCHE"), "doctor", "--json");
	RUN(&table, env_need("CLOCHE"), "doctor");
	top = doctor_json(&json);
	sum_assert(top, json.status);
	cr_expect_eq(table.status, json.status);
	table_assert(table.out, top);
	cr_expect_str_eq(table.err, "");
	cr_expect_str_eq(json.err, "");
	json_decref(top);
}

/* The tests run where contexts can be made: a doctor who says otherwise is wrong. */
Test(doctor, a_host_of_the_tests_can_run)
{
	cleanup_run struct run run = { 0 };

	RUN(&run, env_need("CLOCHE"), "doctor");
	cr_expect_eq(run.status, 0, "%s%s", run.out, run.err);
}

/* Tests run beside each other, and so do their doctors: each looks for its own cgroups. */
Test(doctor, leaves_no_cgroup)
{
	cleanup_run struct run run = { 0 };
	char *end;

	RUN(&run, "sh", "-c", "echo $$; exec \"$0\" doctor --json", env_need("CLOCHE"));
	end = strchr(run.out, '\n');
	cr_assert(end && end[1] == '{', "%s%s", run.out, run.err);
	*end = '\0';
	cr_expect_not(leaf_left(run.out), "cloche-probe-%s was left", run.out);
}

/* An empty /run of its own is still empty behind it. */
Test(doctor, only_looks_at_the_run_directory)
{
	cleanup_run struct run run = { 0 };

	RUN(&run, "unshare", "--mount", "sh", "-c",
	    "mount -t tmpfs none /run && \"$0\" doctor >/dev/null; echo $?; ls -A /run",
	    env_need("CLOCHE"));
	cr_expect_str_eq(run.out, "0\n", "%s%s", run.out, run.err);
}

/* A kernel without clone3, as a filter plays it. */
Test(doctor, an_absent_syscall_is_seen)
{
	cleanup_free char *without = env_helper("without");
	cleanup_run struct run run = { 0 };
	json_t *top;

	RUN(&run, without, "clone3", "--", env_need("CLOCHE"), "doctor", "--json");
	top = doctor_json(&run);
	sum_assert(top, run.status);
	cr_expect_eq(run.status, 1);
	cr_expect_not(check_ok(top, "clone3"));
	cr_expect_not(check_ok(top, "clone into cgroup"));
	cr_expect(check_ok(top, "user namespace"));
	json_decref(top);
}

Test(doctor, nobody_is_told_to_be_root)
{
	cleanup_run struct run json = { 0 }, table = { 0 };
	json_t *top;

	RUN(&json, "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
	    env_need("CLOCHE"), "doctor", "--json");
	RUN(&table, "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
	    env_need("CLOCHE"), "doctor");
	top = doctor_json(&json);
	sum_assert(top, json.status);
	cr_expect_eq(json.status, 1);
	cr_expect_not(check_ok(top, "root"));
	cr_expect(check_ok(top, "/usr/bin"));
	cr_expect_str_eq(json_string_value(json_object_get(check_find(top, "root"), "mend")),
			 "sudo cloche doctor");
	table_assert(table.out, top);
	json_decref(top);
}

/* A right that is taken away: the probes that use it say so, and only these. */
Test(doctor, a_lost_capability_is_seen)
{
	cleanup_run struct run run = { 0 };
	json_t *top;

	RUN(&run, "setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin",
	    env_need("CLOCHE"), "doctor", "--json");
	top = doctor_json(&run);
	sum_assert(top, run.status);
	cr_expect_eq(run.status, 1);
	cr_expect(check_ok(top, "root"));
	cr_expect_eq(check_ok(top, "pidfd"), !env_without("pidfd"));
	cr_expect_not(check_ok(top, "net namespace"));
	cr_expect_not(check_ok(top, "open_tree, move_mount"));
	json_decref(top);
}

Test(doctor, help_and_usage)
{
	cleanup_run struct run help = { 0 }, option = { 0 }, word = { 0 };

	RUN(&help, env_need("CLOCHE"), "doctor", "--help");
	cr_expect_eq(help.status, 0);
	cr_expect(strstr(help.out, "--json"));
	RUN(&option, env_need("CLOCHE"), "doctor", "--jsn");
	cr_expect_eq(option.status, 2);
	cr_expect_str_eq(option.out, "");
	cr_expect_str_eq(option.err, "cloche doctor: unknown option '--jsn'; see 'cloche doctor "
				     "--help'\n");
	RUN(&word, env_need("CLOCHE"), "doctor", "me");
	cr_expect_eq(word.status, 2);
	cr_expect(strstr(word.err, "'me'"));
	cr_expect_eq(strchr(word.err, '\n') - word.err, (long)word.err_len - 1, "one line");
}
