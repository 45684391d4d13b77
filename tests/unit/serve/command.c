/* SPDX-License-Identifier: MIT */
/* What a front that was taken over may say to the launcher: nothing but what is in this table. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "launch/given.h"
#include "launch/spec.h"
#include "serve/command.h"

/* Written down once more, so that a change of the other is seen: rows are kinds. */
static const bool allowed[COMMAND_KINDS][COMMAND_STATES] = {
	[COMMAND_READY] = { [COMMAND_UNREADY] = true },
	[COMMAND_PONG] = { [COMMAND_ABSENT] = true },
	[COMMAND_MAKE] = { [COMMAND_ABSENT] = true },
	[COMMAND_KILL] = { [COMMAND_HANDED] = true,
			   [COMMAND_COUNTING] = true,
			   [COMMAND_COUNTED] = true },
	[COMMAND_COUNT] = { [COMMAND_HANDED] = true },
	[COMMAND_RECOUNT] = { [COMMAND_HANDED] = true,
			      [COMMAND_COUNTING] = true,
			      [COMMAND_COUNTED] = true },
	[COMMAND_KEEP] = { [COMMAND_COUNTED] = true },
	[COMMAND_END] = { [COMMAND_HANDED] = true,
			  [COMMAND_COUNTING] = true,
			  [COMMAND_COUNTED] = true,
			  [COMMAND_PROVING] = true,
			  [COMMAND_TRACING] = true },
	[COMMAND_TALLY] = { [COMMAND_ABSENT] = true },
	[COMMAND_STORES] = { [COMMAND_ABSENT] = true },
	[COMMAND_BUILD] = { [COMMAND_ABSENT] = true },
	[COMMAND_LEAVE] = { [COMMAND_ABSENT] = true, [COMMAND_BUILDING] = true },
	[COMMAND_REMOVE] = { [COMMAND_ABSENT] = true },
	[COMMAND_SHOW] = { [COMMAND_ABSENT] = true },
	[COMMAND_TRACE] = { [COMMAND_HANDED] = true },
	[COMMAND_CONCLUDE] = { [COMMAND_HANDED] = true, [COMMAND_COUNTED] = true },
};

Test(command, every_kind_in_every_state)
{
	for (unsigned kind = 0; kind < COMMAND_KINDS; kind++)
		for (unsigned state = 0; state < COMMAND_STATES; state++)
			cr_expect_eq(
				command_allowed((enum command_kind)kind, (enum command_state)state),
				allowed[kind][state], "%s in state %u",
				command_name((enum command_kind)kind), state);
}

Test(command, what_is_no_kind_is_never_allowed)
{
	static const unsigned wild[] = { COMMAND_KINDS, COMMAND_KINDS + 1, 1U << 16, 1U << 31,
					 ~0U };

	for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		for (unsigned state = 0; state < COMMAND_STATES; state++)
			cr_expect_not(command_allowed((enum command_kind)wild[i],
						      (enum command_state)state));
	}
}

static struct command good(enum command_kind kind)
{
	struct command c = { .kind = kind,
			     .context = kind != COMMAND_READY && kind != COMMAND_PONG &&
					kind != COMMAND_TALLY };
	struct cloche_err err;
	struct spec spec;

	spec_defaults(&spec);
	if (kind == COMMAND_BUILD || kind == COMMAND_REMOVE)
		(void)snprintf(c.images.name, sizeof(c.images.name), "mine");
	if (kind == COMMAND_TRACE) {
		c.trace.file = 1;
		(void)snprintf(c.trace.request_id, sizeof(c.trace.request_id),
			       "123e4567-e89b-42d3-a456-426614174000");
	}
	if (kind == COMMAND_MAKE)
		cr_assert_eq(command_from_spec(&spec, &c.make, &err), 0, "%s", err.text);
	return c;
}

/* So many bytes behind it as its policy has, and no other number. */
Test(command, a_policy_that_follows)
{
	static char bytes[COMMAND_MAX + 64];
	struct cloche_err err = { 0 };
	struct command c = { .kind = COMMAND_MAKE, .context = 1 }, ret;
	static const uint32_t n[] = { 1, 2, 100, BPF_MAXINSNS };

	for (size_t i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
		size_t len = sizeof(c) + n[i] * sizeof(struct sock_filter);

		c.make.bare_n = n[i];
		memcpy(bytes, &c, sizeof(c));
		cr_expect_eq(command_read(bytes, len, 0, &ret, &err), 0, "%s", err.text);
		cr_expect_eq(command_read(bytes, len - 1, 0, &ret, &err), -EBADMSG);
		cr_expect_eq(command_read(bytes, len + 1, 0, &ret, &err), -EBADMSG);
		cr_expect_eq(command_read(bytes, sizeof(c), 0, &ret, &err), -EBADMSG);
	}
	c.make.bare_n = BPF_MAXINSNS + 1;
	memcpy(bytes, &c, sizeof(c));
	cr_expect_eq(
		command_read(bytes, sizeof(c) + COMMAND_BARE_LEN(c.make.bare_n), 0, &ret, &err),
		-EBADMSG);
	c.make.bare_n = UINT32_MAX;
	memcpy(bytes, &c, sizeof(c));
	cr_expect_eq(command_read(bytes, sizeof(c), 0, &ret, &err), -EBADMSG);
}

static int judge(const struct command *c, size_t len, unsigned fds)
{
	struct cloche_err err = { 0 };
	struct command ret;
	int r = command_read(c, len, fds, &ret, &err);

	if (r < 0)
		cr_expect(err.code == -r && err.text[0]);
	else
		cr_expect_eq(memcmp(&ret, c, sizeof(ret)), 0);
	return r;
}

Test(command, a_good_one_is_taken_and_only_whole_and_without_descriptors)
{
	for (unsigned kind = 0; kind < COMMAND_KINDS; kind++) {
		struct command c[2] = { good((enum command_kind)kind) };

		cr_expect_eq(judge(c, sizeof(c[0]), 0), 0, "%u", kind);
		for (size_t len = 0; len < sizeof(c); len++)
			if (len != sizeof(c[0]))
				cr_expect_eq(judge(c, len, 0), -EBADMSG, "%u: %zu bytes", kind,
					     len);
		for (unsigned fds = 1; fds < 10; fds++)
			cr_expect_eq(judge(c, sizeof(c[0]), fds), -EBADMSG, "%u: %u fds", kind,
				     fds);
	}
}

Test(command, no_kind_has_a_field_of_another)
{
	for (unsigned kind = 0; kind < COMMAND_KINDS; kind++) {
		struct command c = good((enum command_kind)kind);

		c.reserved = 1;
		cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG);
		c = good((enum command_kind)kind);
		c.context = !c.context;
		cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG, "%u: its context", kind);
		c = good((enum command_kind)kind);
		c.make.pids = 1;
		cr_expect_eq(judge(&c, sizeof(c), 0), kind == COMMAND_MAKE ? 0 : -EBADMSG);
		c = good((enum command_kind)kind);
		c.images.owner = 1;
		cr_expect_eq(judge(&c, sizeof(c), 0),
			     kind == COMMAND_STORES || kind == COMMAND_SHOW ||
					     kind == COMMAND_BUILD || kind == COMMAND_REMOVE
				     ? 0
				     : -EBADMSG);
		c.images.form = 1;
		cr_expect_eq(judge(&c, sizeof(c), 0), kind == COMMAND_BUILD ? 0 : -EBADMSG);
	}
}

/* The launcher makes a file's name of it. */
Test(command, an_image_is_named_by_no_path)
{
	static const char *const names[] = { "", "..", "../x", "a/b", ".x", "X", "-", "a\n" };
	struct command c = good(COMMAND_BUILD);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		memset(c.images.name, 0, sizeof(c.images.name));
		(void)snprintf(c.images.name, sizeof(c.images.name), "%s", names[i]);
		cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG, "'%s'", names[i]);
		c.kind = COMMAND_REMOVE;
		cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG, "'%s'", names[i]);
		c.kind = COMMAND_BUILD;
	}
	memset(c.images.name, 'a', sizeof(c.images.name));
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG, "without an end");
	c = good(COMMAND_BUILD);
	memset(c.images.ref, 'a', sizeof(c.images.ref));
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG, "a ref without an end");
	c = good(COMMAND_BUILD);
	c.images.form = IMAGE_FORMS;
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG);
	c = good(COMMAND_STORES);
	(void)snprintf(c.images.name, sizeof(c.images.name), "mine");
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG, "none is named");
}

/* Code is named by its hash, where there is a name, and nobody says what it comes to but its maker.
 */
Test(command, code_is_named_by_its_hash)
{
	struct command c = good(COMMAND_STORES);

	c.images.form = IMAGE_OF_CODE;
	cr_expect_eq(judge(&c, sizeof(c), 0), 0);
	c.images.bytes = 1;
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG);
	for (int remove = 0; remove < 2; remove++) {
		c = good(remove ? COMMAND_REMOVE : COMMAND_BUILD);
		c.images.form = IMAGE_OF_CODE;
		cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG, "a name of another kind");
		hash_sha256_hex("", 0, c.images.name);
		cr_expect_eq(judge(&c, sizeof(c), 0), 0);
		c.images.bytes = 1;
		cr_expect_eq(judge(&c, sizeof(c), 0), remove ? -EBADMSG : 0);
		c.images.bytes = 0;
		c.images.name[63] = '\0';
		cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG, "too short");
	}
}

/* Nor is the root of a context. */
Test(command, a_context_is_in_an_image_or_none)
{
	static const struct command_image bad[] = {
		{ .own = 1 },
		{ .sha256 = "0" },
		{ .name = "../x",
		  .sha256 = "0000000000000000000000000000000000000000000000000000000000000000" },
		{ .name = "x", .sha256 = "00" },
		{ .own = 3,
		  .name = "x",
		  .sha256 = "0000000000000000000000000000000000000000000000000000000000000000" },
	};
	struct command c = good(COMMAND_MAKE);
	struct cloche_err err = { 0 };
	struct spec spec;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		c.make.image = bad[i];
		cr_expect_eq(command_to_spec(&c.make, &spec, &err), -EBADMSG, "%zu", i);
	}
	c.make.image = bad[4];
	c.make.image.own = 1;
	cr_expect_eq(command_to_spec(&c.make, &spec, &err), 0, "%s", err.text);
	cr_expect_str_eq(spec.rootfs, "x");
	c.make.image.own = COMMAND_IMAGE_PINNED;
	cr_expect_eq(command_to_spec(&c.make, &spec, &err), 0, "%s", err.text);
	c.make.image.own++;
	cr_expect_eq(command_to_spec(&c.make, &spec, &err), -EBADMSG);
}

/* One that functions are to keep: by its name and its hash. */
Test(command, an_image_is_kept_by_both)
{
	struct command c = good(COMMAND_BUILD);

	c.images.form = IMAGE_OF_IMAGE;
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG, "without its hash");
	hash_sha256_hex("", 0, c.images.name);
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG, "without its name");
	(void)snprintf(c.images.ref, sizeof(c.images.ref), "../x");
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG);
	(void)snprintf(c.images.ref, sizeof(c.images.ref), "mine");
	cr_expect_eq(judge(&c, sizeof(c), 0), 0);
	c.kind = COMMAND_REMOVE;
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG, "what is kept is code");
}

Test(command, what_is_no_kind_is_refused)
{
	struct command c = good(COMMAND_END);

	for (c.kind = COMMAND_KINDS; c.kind; c.kind *= 2)
		cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG, "%u", c.kind);
	c.kind = UINT32_MAX;
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG);
}

/* Choices are enums here; numbers come to spec_check with what they are. */
Test(command, choices_that_there_are_not)
{
	struct cloche_err err = { 0 };
	struct command c = good(COMMAND_MAKE);
	struct spec spec;

	cr_assert_eq(command_to_spec(&c.make, &spec, &err), 0);
	cr_expect_str_eq(spec.policy, "default");
	c.make.cpu_mode = CPU_FIXED + 1;
	cr_expect_eq(command_to_spec(&c.make, &spec, &err), -EBADMSG);
	c = good(COMMAND_MAKE);
	c.make.terminals = 2;
	cr_expect_eq(command_to_spec(&c.make, &spec, &err), -EBADMSG);
	c = good(COMMAND_MAKE);
	c.make.binds = GIVEN_MAX;
	cr_expect_eq(command_to_spec(&c.make, &spec, &err), 0);
	c.make.binds++;
	cr_expect_eq(command_to_spec(&c.make, &spec, &err), -EBADMSG);
	c = good(COMMAND_MAKE);
	c.make.net = NET_LOOPBACK + 1;
	cr_expect_eq(command_to_spec(&c.make, &spec, &err), -EBADMSG);
	c = good(COMMAND_MAKE);
	memset(c.make.bare_name, 'x', sizeof(c.make.bare_name));
	cr_expect_eq(command_to_spec(&c.make, &spec, &err), -EBADMSG);
	c = good(COMMAND_MAKE);
	memcpy(c.make.bare_name, "a\033[2J", 6);
	cr_expect_eq(command_to_spec(&c.make, &spec, &err), -EBADMSG);
	c = good(COMMAND_MAKE);
	c.make.policy = 1000;
	cr_expect_eq(command_to_spec(&c.make, &spec, &err), -EBADMSG);
	c.make.policy = UINT32_MAX;
	cr_expect_eq(command_to_spec(&c.make, &spec, &err), -EBADMSG);
}

Test(command, only_what_is_built_in_is_a_policy)
{
	static const char *const none[] = { "no-such", "floor", "/etc/passwd", "../default", "" };
	struct command_make make;
	struct cloche_err err;
	struct spec spec;

	spec_defaults(&spec);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		spec.policy = none[i];
		cr_expect_eq(command_from_spec(&spec, &make, &err), -ENOENT, "%s", none[i]);
	}
}

Test(command, a_spec_comes_back_as_it_was)
{
	struct command_make make;
	struct cloche_err err;
	struct spec spec, back;

	spec_defaults(&spec);
	spec.memory_bytes = 11;
	spec.cpu_mode = CPU_FIXED;
	spec.cpu_milli = 12;
	spec.cpus[0] = 5;
	spec.cpus[SPEC_CPUS_WORDS - 1] = 9;
	spec.pids = 13;
	spec.nofile = 14;
	spec.tmp_bytes = 15;
	spec.shm_bytes = 16;
	cr_assert_eq(command_from_spec(&spec, &make, &err), 0);
	cr_assert_eq(command_to_spec(&make, &back, &err), 0);
	cr_expect(back.memory_bytes == 11 && back.cpu_mode == CPU_FIXED && back.cpu_milli == 12 &&
		  back.cpus[0] == 5 && back.cpus[SPEC_CPUS_WORDS - 1] == 9 && back.pids == 13 &&
		  back.nofile == 14 && back.tmp_bytes == 15 && back.shm_bytes == 16);
	cr_expect_str_eq(back.policy, spec.policy);
}

/* Of a trace: nothing but an id, text that ends, and what there is. */
Test(command, what_a_trace_is_asked_for)
{
	struct command c = good(COMMAND_TRACE);

	c.trace.keep = 1;
	cr_expect_eq(judge(&c, sizeof(c), 0), 0);
	c.trace.keep = 2;
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG);
	c.trace.keep = c.trace.file = 0;
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG, "for nobody");
	c = good(COMMAND_TRACE);
	c.trace.verdict = 1;
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG, "before it is run");
	c = good(COMMAND_TRACE);
	memset(c.trace.function, 'f', sizeof(c.trace.function));
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG, "a text without an end");
	c = good(COMMAND_TRACE);
	c.trace.file = 0;
	c.trace.watchers = SCRIBE_WATCHERS;
	cr_expect_eq(judge(&c, sizeof(c), 0), 0);
	c.trace.watchers++;
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG, "for too many");
	c = good(COMMAND_TRACE);
	memset(c.trace.command, 'c', sizeof(c.trace.command));
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG, "a command without an end");
	c = good(COMMAND_CONCLUDE);
	c.trace.watchers = 1;
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG);
	c = good(COMMAND_CONCLUDE);
	c.trace.command[0] = 'c';
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG);
	c = good(COMMAND_TRACE);
	memset(c.trace.request_id, 'a', sizeof(c.trace.request_id));
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG, "an id without an end");
	for (size_t i = 0; i < 3; i++) {
		static const char *const ids[] = { "", "123e4567",
						   "../../../../../../../../etc/passwd123" };

		c = good(COMMAND_TRACE);
		memset(c.trace.request_id, 0, sizeof(c.trace.request_id));
		(void)snprintf(c.trace.request_id, sizeof(c.trace.request_id), "%s", ids[i]);
		cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG, "%s", ids[i]);
	}
	c = good(COMMAND_CONCLUDE);
	c.trace.verdict = VERDICT_CANCELLED;
	cr_expect_eq(judge(&c, sizeof(c), 0), 0);
	c.trace.verdict = VERDICT_CANCELLED + 1;
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG);
	c = good(COMMAND_CONCLUDE);
	c.trace.keep = 1;
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG);
	c = good(COMMAND_END);
	c.trace.verdict = 1;
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG);
}

/* A list, or the beginning of an id, and no path. */
Test(command, what_is_to_be_shown)
{
	static const struct {
		const char *id;
		int r;
	} ids[] = { { "", 0 },
		    { "1234", 0 },
		    { "123e4567-e89b-42d3-a456-426614174000", 0 },
		    { "123", -EBADMSG },
		    { "../x", -EBADMSG },
		    { "-123", -EBADMSG } };
	struct command c;

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		c = good(COMMAND_SHOW);
		c.images.owner = 1000;
		(void)snprintf(c.trace.request_id, sizeof(c.trace.request_id), "%s", ids[i].id);
		cr_expect_eq(judge(&c, sizeof(c), 0), ids[i].r, "%s", ids[i].id);
	}
	c = good(COMMAND_SHOW);
	memset(c.trace.request_id, 'a', sizeof(c.trace.request_id));
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG, "an id without an end");
	c = good(COMMAND_SHOW);
	c.trace.file = 1;
	cr_expect_eq(judge(&c, sizeof(c), 0), 0, "what contexts call");
	c.trace.file = 2;
	cr_expect_eq(judge(&c, sizeof(c), 0), -EBADMSG);
}
