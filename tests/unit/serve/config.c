/* SPDX-License-Identifier: MIT */
/* The daemon's configuration: what is said counts, what is not said stays, what is wrong is named.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "launch/running.h"
#include "serve/config.h"
#include "tests/lib/tmpdir.h"

static int load(const char *text, struct config *config, struct cloche_err *err)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	char path[512];
	FILE *f = fopen(tmpdir_path(path, dir, "conf"), "we");

	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
	return config_load(path, config, err);
}

Test(config, what_is_said_counts_and_the_rest_stays)
{
	struct cloche_err err = { 0 };
	struct config c, defaults;

	config_defaults(&defaults);
	c = defaults;
	cr_assert_eq(load("contexts: 3\ngrace: 250ms\n", &c, &err), 0, "%s", err.text);
	cr_expect_eq(c.contexts, 3);
	cr_expect_eq(c.running, RUNNING_MAX);
	cr_assert_eq(load("running: 7\n", &c, &err), 0, "%s", err.text);
	cr_expect_eq(c.running, 7);
	/* By the host's memory. */
	cr_expect(defaults.contexts >= 64 && defaults.contexts <= 1000, "%u", defaults.contexts);
	cr_expect_eq(c.grace_ns, 250000000);
	cr_expect_eq(c.per_owner.contexts, defaults.per_owner.contexts);
	cr_expect_eq(c.per_owner.images_bytes, 1ULL << 30);
	cr_expect_eq(c.per_owner.functions, 100);
	cr_expect_eq(c.per_owner.unpacked_bytes, 250ULL << 20);
	cr_expect_eq(c.per_owner.records, 2000000);
	cr_expect_eq(c.per_owner.traces, 2);
	cr_expect_eq(c.per_owner.kept_bytes, 64ULL << 20);
	cr_expect_str_eq(c.control, defaults.control);
	cr_assert_eq(load("control: /a/b\nstate: /c\nper_owner: {contexts: 2}\n", &c, &err), 0,
		     "%s", err.text);
	cr_expect_str_eq(c.control, "/a/b");
	cr_expect_str_eq(c.state, "/c");
	cr_expect_eq(c.per_owner.contexts, 2);
	cr_expect_eq(c.contexts, 3);
	cr_expect_gt(c.memory_bytes, 0);
	cr_assert_eq(load("memory: 64M\nvcpus: 0.5\ncontrol_mode: 0660\nwait: 2s\n"
			  "idle_expiry: 1m\n",
			  &c, &err),
		     0, "%s", err.text);
	cr_expect_eq(c.memory_bytes, 64ULL << 20);
	cr_expect_eq(c.vcpu_milli, 500);
	cr_expect_eq(c.control_mode, 0660);
	cr_expect_eq(c.wait_ns, 2000000000LL);
	cr_expect_eq(c.idle_expiry_ns, 60000000000LL);
	/* Beside the control socket, wherever that is. */
	cr_expect_str_eq(c.metrics, "/a/metrics");
	cr_expect_not(c.metrics_grouped);
	cr_assert_eq(load("metrics: /m\nmetrics_group: 7\n", &c, &err), 0, "%s", err.text);
	cr_expect_str_eq(c.metrics, "/m");
	cr_expect(c.metrics_grouped && c.metrics_gid == 7);
}

/* What is not said of a user is as it is for everybody. */
Test(config, owners)
{
	struct cloche_err err = { 0 };
	struct config c;

	config_defaults(&c);
	cr_assert_eq(load("per_owner: {memory: 100M, vcpus: 0.5, pids: 70, contexts: 4}\n"
			  "owners:\n"
			  "  - {user: 1000, memory: 200M, waiting: 3, functions: 5, code: 7M}\n"
			  "  - user: root\n"
			  "    contexts: 1\n",
			  &c, &err),
		     0, "%s", err.text);
	cr_expect_eq(config_owner(&c, 5)->memory_bytes, 100ULL << 20);
	cr_expect_eq(config_owner(&c, 5)->waiting, 0);
	cr_expect_eq(config_owner(&c, 1000)->memory_bytes, 200ULL << 20);
	cr_expect_eq(config_owner(&c, 1000)->vcpu_milli, 500);
	cr_expect_eq(config_owner(&c, 1000)->pids, 70);
	cr_expect_eq(config_owner(&c, 1000)->functions, 5);
	cr_expect_eq(config_owner(&c, 1000)->code_bytes, 7ULL << 20);
	cr_expect_eq(config_owner(&c, 5)->code_bytes, 1ULL << 30);
	cr_expect_eq(config_owner(&c, 1000)->contexts, 4);
	cr_expect_eq(config_owner(&c, 1000)->waiting, 3);
	cr_expect_eq(config_owner(&c, 0)->contexts, 1);
	cr_expect_eq(config_owner(&c, 0)->memory_bytes, 100ULL << 20);
}

Test(config, who_may_connect)
{
	struct cloche_err err = { 0 };
	struct config c;

	config_defaults(&c);
	cr_expect(config_allows(&c, 1000, NULL, 0));
	cr_assert_eq(load("allow: {users: [1000], groups: [50, root]}\n", &c, &err), 0, "%s",
		     err.text);
	cr_expect(config_allows(&c, 1000, NULL, 0));
	cr_expect(config_allows(&c, 1001, (gid_t[]){ 7, 50 }, 2));
	cr_expect(config_allows(&c, 1001, (gid_t[]){ 0 }, 1));
	cr_expect_not(config_allows(&c, 1001, (gid_t[]){ 7, 1000 }, 2));
	cr_expect_not(config_allows(&c, 50, NULL, 0));
	/* Root always: it is who can change the file. */
	cr_expect(config_allows(&c, 0, NULL, 0));
	cr_assert_eq(load("allow: {users: []}\n", &c, &err), 0, "%s", err.text);
	cr_expect_not(config_allows(&c, 1000, (gid_t[]){ 0, 50 }, 2));
}

/* Every key may be missing, all of them, too. */
Test(config, nothing_said_is_nothing_wrong)
{
	static const char *const texts[] = { "", "\n", "# contexts: 3\n", "{}\n" };
	struct cloche_err err = { 0 };
	struct config c, defaults;

	config_defaults(&defaults);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		c = defaults;
		cr_assert_eq(load(texts[i], &c, &err), 0, "'%s': %s", texts[i], err.text);
		cr_expect_eq(c.contexts, defaults.contexts);
	}
}

static const struct {
	const char *text, *says;
} wrongs[] = {
	{ "contexts: 0\n", "contexts" },
	{ "contexts: 1001\n", "contexts" },
	{ "running: 0\n", "running: expected a number from 1 to 480" },
	{ "running: 481\n", "running: expected a number from 1 to 480" },
	{ "contexts: -1\n", "line 1" },
	{ "contexts: many\n", "line 1" },
	{ "per_owner: {contexts: 0}\n", "line 1: per_owner/contexts: expected a number from 1" },
	{ "grace: 1s\nper_owner:\n  vcpus: 1\n  memory: much\n",
	  "line 4: per_owner/memory: expected" },
	{ "memory: 100M\nper_owner: {memory: 101M}\n", "line 2: per_owner/memory" },
	{ "vcpus: 0.5\nowners:\n- user: root\n  vcpus: 0.6\n", "line 4: owners/0/vcpus" },
	{ "owners:\n- {user: root}\n- {user: no-such-user-here}\n",
	  "line 3: owners/1/user: expected a user" },
	{ "owners:\n- {user: root}\n- {user: 0}\n",
	  "line 3: owners/1/user: expected each user once" },
	{ "owners:\n- {memory: 1G}\n", "line 2" },
	{ "owners:\n- {user: root, memmory: 1G}\n", "memmory" },
	{ "allow: {groups: [no-such-group-here]}\n", "line 1: allow/groups/0: expected a group" },
	{ "allow: everybody\n", "line 1" },
	{ "vcpus: 0.01\n", "vcpus" },
	{ "vcpus: 1000000\n", "vcpus" },
	{ "memory: 1000000G\n", "the host's" },
	{ "wait: 61s\n", "wait" },
	{ "metrics: here\n", "line 1: metrics: expected an absolute path" },
	{ "wait: 1s\nmetrics_group: no-such-group-here\n", "line 2: metrics_group" },
	{ "idle_expiry: 25h\n", "idle_expiry" },
	{ "idle_expiry: long\n", "idle_expiry" },
	{ "control_mode: 0999\n", "control_mode" },
	{ "control_mode: 01777\n", "control_mode" },
	{ "per_owner: {pids: 0}\n", "per_owner/pids" },
	{ "per_owner: {images: much}\n", "line 1: per_owner/images: expected a size" },
	{ "per_owner: {records: 1000000001}\n",
	  "line 1: per_owner/records: expected a number from 0 to 1000000000" },
	{ "per_owner: {traces: 17}\n", "line 1: per_owner/traces: expected a number from 0 to 16" },
	{ "per_owner:\n  kept_traces: many\n", "line 2: per_owner/kept_traces: expected a size" },
	{ "per_owner:\n  images: 1025G\n", "line 2: per_owner/images: expected a size" },
	{ "per_owner: {functions: 10001}\n",
	  "line 1: per_owner/functions: expected a number from 0 to 10000" },
	{ "per_owner:\n  code: many\n", "line 2: per_owner/code: expected a size" },
	{ "per_owner:\n  code_unpacked: 1025G\n",
	  "line 2: per_owner/code_unpacked: expected a size" },
	{ "grace: soon\n", "grace" },
	{ "grace: 901s\n", "grace" },
	{ "memory: much\n", "memory" },
	{ "memory: 0\n", "memory" },
	{ "control: here\n", "control" },
	{ "state: there\n", "state" },
	/* At the key itself, not at the one before it. */
	{ "contexts: 3\n\nno_such_key: 1\n", "line 3: Unexpected key: no_such_key" },
	{ "contexts: 3\n\ncontexts: 4\n", "line 3: Mapping field already seen: contexts" },
	{ "per_owner:\n  pids: 3\n\n  pidds: 4\n", "line 4: Unexpected key: pidds" },
	{ "vcpus: 1\nowners:\n- user: root\n  pids: 3\n\n  pids: 4\npids: 4\n", "line 6: Mapping" },
	{ "\"\\e[2J\": 1\n", "line 1: Unexpected key: ?[2J" },
	{ "- a\n", "line 1" },
	{ "contexts: [\n", "line" },
	{ "control: "
	  "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
	  "line 1" },
};

/* Refused whole: nothing of it counts. */
Test(config, what_is_wrong_is_named_and_changes_nothing)
{
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		struct cloche_err err = { 0 };
		struct config c, was;

		memset(&was, 0, sizeof(was));
		config_defaults(&was);
		c = was;
		cr_expect_lt(load(wrongs[i].text, &c, &err), 0, "%s", wrongs[i].text);
		cr_expect(strstr(err.text, wrongs[i].says), "%s: %s", wrongs[i].text, err.text);
		cr_expect(strstr(err.text, "configuration '"), "%s", err.text);
		cr_expect(c.contexts == was.contexts && c.n_owners == 0 && !c.restricted &&
			  c.memory_bytes == was.memory_bytes && c.vcpu_milli == 0 &&
			  c.per_owner.contexts == was.per_owner.contexts &&
			  c.per_owner.waiting == was.per_owner.waiting &&
			  c.per_owner.records == was.per_owner.records &&
			  c.grace_ns == was.grace_ns && !strcmp(c.control, was.control) &&
			  !strcmp(c.state, was.state));
	}
}

Test(config, a_file_that_is_not_there)
{
	struct cloche_err err = { 0 };
	struct config c;

	config_defaults(&c);
	cr_expect_eq(config_load("/no/such/file", &c, &err), -ENOENT);
	cr_expect(strstr(err.text, "/no/such/file"), "%s", err.text);
}
