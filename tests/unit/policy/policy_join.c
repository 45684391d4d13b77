/* SPDX-License-Identifier: MIT */
/*
 * A compiled profile that nobody vouches for, joined with our walls. Whoever makes it wants a call
 * through that a wall refuses, or the launcher to read or write beside its arrays; so programs of
 * every bad kind are refused, and of good ones, odd as they are, the filter answers to each row of
 * the walls' tables what the program alone answers where it refuses, and the wall's answer else.
 */
#include "base/err.h"
#include "base/fd.h"
#include "policy/policy.h"
#include "policy/policy_builtin.h"
#include "policy/policy_compile.h"
#include "policy/policy_join.h"
#include "tests/lib/bpf_sim.h"
#include "tests/lib/verdict_table.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define LD(at)	     BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at)
#define RET(k)	     BPF_STMT(BPF_RET | BPF_K, k)
#define JA(k)	     BPF_STMT(BPF_JMP | BPF_JA, k)
#define JEQ(k, t, f) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, t, f)
#define NR	     0 /* where they are in struct seccomp_data */
#define ARCH	     4
#define ALLOW	     SECCOMP_RET_ALLOW

static struct policy_bare bare;

static size_t size_of(size_t n)
{
	return offsetof(struct policy_bare, insns) + n * sizeof(struct sock_filter);
}

static size_t set(const struct sock_filter *insns, size_t n)
{
	bare = (struct policy_bare){ .n = (uint32_t)n };
	memcpy(bare.insns, insns, n * sizeof(*insns));
	return size_of(n);
}
#define SET(...)                                         \
	set((const struct sock_filter[]){ __VA_ARGS__ }, \
	    sizeof((const struct sock_filter[]){ __VA_ARGS__ }) / sizeof(struct sock_filter))

static struct policy join(size_t size, enum policy_walls walls)
{
	struct policy policy = { .walls = walls };
	struct cloche_err err = { 0 };

	cr_assert_eq(policy_bare_join(&bare, size, walls, &policy, &err), 0, "%s", err.text);
	return policy;
}

static uint32_t simulate(const struct sock_fprog *prog, const struct seccomp_data *data)
{
	uint32_t action = 0;

	cr_assert(bpf_sim_run(prog, data, &action), "the kernel would refuse the filter");
	return action;
}

static bool passes(uint32_t action)
{
	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}

/* ---- the walls hold ------------------------------------------------------------------------- */

static const struct {
	const char *table;
	enum policy_walls walls;
} behind[] = {
	{ "policies/floor.table", POLICY_WALLS_ONLINE },
	{ "policies/floor-offline.table", POLICY_WALLS_OFFLINE },
	{ "policies/floor-terminal.table", POLICY_WALLS_OFFLINE_TERMINAL },
};

/* By the tables, and by what the walls alone answer. */
static void expect_walls(size_t size)
{
	const struct sock_fprog alone = { .len = (unsigned short)bare.n, .filter = bare.insns };

	for (size_t i = 0; i < sizeof(behind) / sizeof(behind[0]); i++) {
		struct policy_expects table = verdict_table_read(behind[i].table);
		struct policy policy = join(size, behind[i].walls);
		struct sock_fprog walls = { 0 };

		cr_assert_eq(policy_walls_compile(behind[i].walls, ALLOW, &walls, NULL), 0);
		for (size_t j = 0; j < table.n; j++) {
			const struct policy_expect *row = &table.rows[j];
			uint32_t own = simulate(&alone, &row->data);
			uint32_t wall = simulate(&walls, &row->data);
			uint32_t found = simulate(&policy.prog, &row->data);
			uint32_t want = !passes(own) ? own : passes(wall) ? own : wall;

			cr_expect_eq(found, want, "%s: %#x, not %#x", row->call, found, want);
			cr_expect(row->action == ALLOW || !passes(found), "%s passes", row->call);
			cr_expect_eq(policy_answer(&policy, &row->data), found);
		}
		free(walls.filter);
		policy_free(&policy);
		policy_expects_free(&table);
	}
}

Test(policy_join, what_allows_everything_is_behind_the_walls)
{
	expect_walls(SET(RET(ALLOW)));
	expect_walls(SET(RET(SECCOMP_RET_LOG)));
	expect_walls(SET(LD(ARCH), JEQ(AUDIT_ARCH_I386, 0, 1), RET(ALLOW), RET(SECCOMP_RET_LOG)));
	expect_walls(SET(LD(NR), BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1), RET(ALLOW),
			 JA(0), RET(ALLOW)));
	/* The answer of one call only, by its name. */
	expect_walls(SET(LD(NR), JEQ(SYS_bpf, 0, 1), RET(ALLOW), RET(SECCOMP_RET_ERRNO | ENOSYS)));
	/* Nothing is in the accumulator where the walls begin, nor does it matter what is. */
	expect_walls(SET(LD(16), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff), RET(ALLOW)));
}

/* As long as goes, with returns at both ends of all jumps. */
Test(policy_join, long_programs_are_behind_the_walls)
{
	static struct sock_filter insns[3000];
	const size_t n = sizeof(insns) / sizeof(insns[0]);

	for (size_t i = 0; i < n; i++)
		insns[i] = (struct sock_filter)JA(0);
	insns[n - 1] = (struct sock_filter)RET(ALLOW);
	expect_walls(set(insns, n));
	for (size_t i = 0; i < n - 1; i++)
		insns[i] = (struct sock_filter)LD(NR);
	insns[0] = (struct sock_filter)JA(n - 2);
	expect_walls(set(insns, n));
	for (size_t i = 0; i < n; i++)
		insns[i] = (struct sock_filter)RET(i % 2 ? ALLOW : SECCOMP_RET_LOG);
	insns[0] = (struct sock_filter)LD(NR);
	insns[1] = (struct sock_filter)JEQ(SYS_mount, 255, 254);
	expect_walls(set(insns, n));
}

static uint32_t drawn;

static uint32_t draw(uint32_t below)
{
	drawn = drawn * 1664525U + 1013904223U;
	return (drawn >> 8) % below;
}

static struct sock_filter draw_insn(size_t left)
{
	static const uint32_t returns[] = { ALLOW,
					    ALLOW,
					    SECCOMP_RET_LOG,
					    SECCOMP_RET_ERRNO | EPERM,
					    SECCOMP_RET_ERRNO | ENOSYS,
					    SECCOMP_RET_TRAP,
					    SECCOMP_RET_KILL_PROCESS };
	static const uint16_t ops[] = { BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET };
	uint32_t near = left < 256 ? (uint32_t)left : 256;

	switch (left ? draw(5) : 4) {
	case 0:
		return (struct sock_filter)LD(4 * draw(16));
	case 1:
		return (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, draw(1U << 24));
	case 2:
		return (struct sock_filter)JA(draw(near > 8 ? 8 : near));
	case 3:
		return (struct sock_filter)BPF_JUMP((uint16_t)(BPF_JMP | ops[draw(4)] | BPF_K),
						    draw(2) ? draw(460) : AUDIT_ARCH_X86_64,
						    (uint8_t)draw(near), (uint8_t)draw(near));
	default:
		return (struct sock_filter)RET(returns[draw(7)]);
	}
}

Test(policy_join, drawn_programs_are_behind_the_walls)
{
	for (drawn = 1; drawn < 60; drawn++) {
		uint32_t seed = drawn;
		struct sock_filter insns[200];
		size_t n = 1 + draw(200);

		for (size_t i = 0; i < n; i++)
			insns[i] = draw_insn(n - i - 1);
		expect_walls(set(insns, n));
		drawn = seed;
	}
}

/* ---- what is no program --------------------------------------------------------------------- */

static void expect_refused(size_t size, const char *what)
{
	struct policy policy = { 0 };
	struct cloche_err err = { 0 };

	cr_expect_eq(policy_bare_join(&bare, size, POLICY_WALLS_ONLINE, &policy, &err), -EBADMSG,
		     "%s: %s", what, err.text);
	cr_expect_null(policy.prog.filter, "%s", what);
}
#define REFUSED(...) expect_refused(SET(__VA_ARGS__), #__VA_ARGS__)

Test(policy_join, what_is_no_program_is_refused)
{
	REFUSED(LD(NR));
	REFUSED(RET(ALLOW), LD(NR));
	REFUSED(JA(0), JA(0));
	/* Out of it, by one and by all. */
	REFUSED(JA(1), RET(ALLOW));
	REFUSED(JA(UINT32_MAX), RET(ALLOW));
	REFUSED(JA(UINT32_MAX - 1), RET(ALLOW)); /* backwards, were it signed */
	REFUSED(LD(NR), JEQ(0, 1, 0), RET(ALLOW));
	REFUSED(LD(NR), JEQ(0, 0, 1), RET(ALLOW));
	REFUSED(LD(NR), JEQ(0, 255, 255), RET(ALLOW));
	/* Beside the call. */
	REFUSED(LD(64), RET(ALLOW));
	REFUSED(LD(61), RET(ALLOW));
	REFUSED(LD(1), RET(ALLOW));
	REFUSED(LD((uint32_t)SKF_AD_OFF), RET(ALLOW));
	REFUSED(LD(UINT32_MAX - 3), RET(ALLOW));
	/* Of the kernel's machine, but none of ours. */
	REFUSED(BPF_STMT(BPF_RET | BPF_A, 0));
	REFUSED(BPF_STMT(BPF_RET | BPF_X, 0));
	REFUSED(BPF_STMT(BPF_LD | BPF_IMM, ALLOW), RET(ALLOW));
	REFUSED(BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), RET(ALLOW));
	REFUSED(BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), RET(ALLOW));
	REFUSED(BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), RET(ALLOW));
	REFUSED(BPF_STMT(BPF_LD | BPF_MEM, 0), RET(ALLOW));
	REFUSED(BPF_STMT(BPF_ST, 0), RET(ALLOW));
	REFUSED(BPF_STMT(BPF_STX, 99), RET(ALLOW));
	REFUSED(BPF_STMT(BPF_LDX | BPF_W | BPF_LEN, 0), RET(ALLOW));
	REFUSED(BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), RET(ALLOW));
	REFUSED(BPF_STMT(BPF_ALU | BPF_AND | BPF_X, 0), RET(ALLOW));
	REFUSED(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 0), RET(ALLOW));
	REFUSED(BPF_STMT(BPF_MISC | BPF_TAX, 0), RET(ALLOW));
	REFUSED(BPF_STMT(0xffff, 0), RET(ALLOW));
	/* A tracer in the function's place, a listener that is not there, ALLOW with an answer. */
	REFUSED(RET(SECCOMP_RET_TRACE));
	REFUSED(RET(SECCOMP_RET_TRACE | 0xc10e));
	REFUSED(RET(SECCOMP_RET_USER_NOTIF));
	REFUSED(RET(ALLOW | 1));
	REFUSED(RET(SECCOMP_RET_LOG | 1));
	REFUSED(RET(ALLOW - 0x10000));
	REFUSED(RET(SECCOMP_RET_ERRNO));
	REFUSED(RET(SECCOMP_RET_ERRNO | 4096));
	REFUSED(RET(1));
}

/* Every instruction that there can be, by its code alone: of 65536 these are taken. */
Test(policy_join, eight_instructions_are_taken)
{
	size_t taken = 0;

	for (unsigned code = 0; code <= UINT16_MAX; code++) {
		size_t size = SET({ (uint16_t)code, 0, 0, 0 }, RET(ALLOW));
		struct policy policy = { 0 };

		if (policy_bare_join(&bare, size, POLICY_WALLS_NONE, &policy, NULL) == 0)
			taken++;
		policy_free(&policy);
	}
	cr_expect_eq(taken, 8, "%zu", taken);
}

Test(policy_join, every_other_length_is_refused)
{
	size_t size = SET(LD(NR), JEQ(0, 0, 0), RET(ALLOW));

	for (size_t n = 0; n <= sizeof(bare); n++)
		if (n != size)
			expect_refused(n, "another length");
	bare.n = 0;
	expect_refused(size_of(0), "none");
	bare.n = BPF_MAXINSNS + 1;
	expect_refused(size_of(BPF_MAXINSNS + 1), "one too many");
	bare.n = UINT32_MAX;
	expect_refused(size_of(UINT32_MAX), "all there are");
	/* As it would be where lengths are computed in 32 bits. */
	bare.n = (1U << 29) + 3;
	expect_refused(size, "an overflow");
}

Test(policy_join, unknown_flags_are_refused)
{
	size_t size = SET(RET(ALLOW));

	for (unsigned bit = 0; bit < 32; bit++) {
		uint32_t flag = 1U << bit;
		struct policy policy = { 0 };

		bare.flags = flag;
		if (flag != SECCOMP_FILTER_FLAG_LOG && flag != SECCOMP_FILTER_FLAG_SPEC_ALLOW) {
			expect_refused(size, "a flag");
			continue;
		}
		policy = join(size, POLICY_WALLS_ONLINE);
		cr_expect_eq(policy.flags, flag);
		policy_free(&policy);
	}
}

Test(policy_join, what_the_kernel_would_not_take_is_refused)
{
	static struct sock_filter insns[BPF_MAXINSNS];
	struct policy policy = { 0 };
	struct cloche_err err = { 0 };

	for (size_t i = 0; i < BPF_MAXINSNS; i++)
		insns[i] = (struct sock_filter)RET(ALLOW);
	cr_expect_eq(policy_bare_join(&bare, set(insns, BPF_MAXINSNS), POLICY_WALLS_ONLINE, &policy,
				      &err),
		     -E2BIG);
	cr_expect(strstr(err.text, "the kernel takes 4096"), "%s", err.text);
	/* Without a call that passes no wall is needed. */
	for (size_t i = 0; i < BPF_MAXINSNS; i++)
		insns[i] = (struct sock_filter)RET(SECCOMP_RET_ERRNO | EPERM);
	policy = join(set(insns, BPF_MAXINSNS), POLICY_WALLS_ONLINE);
	cr_expect_eq(policy.prog.len, BPF_MAXINSNS);
	policy_free(&policy);
}

/* ---- what is ours to say -------------------------------------------------------------------- */

/* Only a wall has the launcher make a socket, and only a refusal of EPERM may be a quiet one. */
Test(policy_join, marks_are_taken_away)
{
	const uint16_t ret = BPF_RET | BPF_K;
	struct policy policy = join(SET(LD(NR), JEQ(SYS_socket, 1, 0),
					{ ret, POLICY_RET_QUIET, 7, SECCOMP_RET_ERRNO | EPERM },
					{ ret, POLICY_RET_ASK, 7, POLICY_ASKED }),
				    POLICY_WALLS_ONLINE);
	const struct seccomp_data call = { .nr = SYS_socket, .arch = AUDIT_ARCH_X86_64 };

	cr_expect_eq(policy_answer(&policy, &call), POLICY_ASKED);
	cr_expect_not(policy_asks(&policy, &call));
	cr_expect_eq(policy.prog.filter[2].jt, POLICY_RET_QUIET);
	for (size_t i = 0; i < policy.prog.len; i++)
		cr_expect_eq(policy.prog.filter[i].jf,
			     BPF_CLASS(policy.prog.filter[i].code) == BPF_JMP
				     ? policy.prog.filter[i].jf
				     : 0);
	policy_free(&policy);
}

/* The launch's own last calls must not wait for a listener that is not there yet. */
Test(policy_join, who_denies_the_launch_is_found_out)
{
	static const struct {
		int nr;
		uint32_t answer;
		bool lets;
	} all[] = {
		{ SYS_read, SECCOMP_RET_ERRNO | EPERM, true },
		{ SYS_execve, SECCOMP_RET_ERRNO | EPERM, false },
		{ SYS_execve, SECCOMP_RET_LOG, true },
		{ SYS_exit_group, SECCOMP_RET_TRAP, false },
		{ SYS_clock_gettime, SECCOMP_RET_KILL_PROCESS, false },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct policy by_nr = join(
			SET(LD(NR), JEQ((uint32_t)all[i].nr, 0, 1), RET(all[i].answer), RET(ALLOW)),
			POLICY_WALLS_ONLINE);
		struct policy by_arg = join(SET(LD(NR), JEQ((uint32_t)all[i].nr, 0, 3), LD(24),
						JEQ(7, 0, 1), RET(all[i].answer), RET(ALLOW)),
					    POLICY_WALLS_ONLINE);

		cr_expect_eq(by_nr.lets_launch, all[i].lets, "%zu", i);
		cr_expect_eq(by_arg.lets_launch, all[i].lets, "%zu, by an argument", i);
		policy_free(&by_nr);
		policy_free(&by_arg);
	}
}

/* What kills calls of another ABI is in every filter, and no reason to call SIGSYS a denial. */
Test(policy_join, who_kills_is_found_out)
{
	struct policy foreign =
		join(SET(LD(ARCH), JEQ(AUDIT_ARCH_X86_64, 1, 0), RET(SECCOMP_RET_KILL_PROCESS),
			 LD(NR), BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),
			 RET(SECCOMP_RET_KILL_PROCESS), RET(ALLOW)),
		     POLICY_WALLS_ONLINE);
	struct policy native = join(SET(LD(NR), JEQ(SYS_read, 0, 1), RET(SECCOMP_RET_TRAP),
					RET(SECCOMP_RET_ERRNO | EPERM)),
				    POLICY_WALLS_ONLINE);

	cr_expect_not(foreign.kills);
	cr_expect(native.kills);
	policy_free(&foreign);
	policy_free(&native);
}

/* ---- what our compiler makes ---------------------------------------------------------------- */

/* Another file than the built-in one, with the same rules, is the same policy. */
static void expect_same(const struct policy_builtin *b, enum policy_walls walls)
{
	const struct policy_dirs none = { "/nonexistent", NULL };
	struct policy_text text = { .text = b->text, .len = b->len };
	struct policy_expects table, floor = verdict_table_read("policies/floor.table");
	struct policy own, joined;
	struct cloche_err err = { 0 };
	char path[64];
	size_t size = 0;

	(void)snprintf(path, sizeof(path), "policies/%s.table", b->name);
	table = verdict_table_read(path);
	cr_assert_eq(policy_load_from(&none, b->name, walls, &own, &err), 0, "%s", err.text);
	cr_assert_eq(policy_bare_make(&text, &bare, &size, &err), 0, "%s", err.text);
	joined = join(size, walls);
	cr_expect_eq(joined.kills, own.kills);
	cr_expect_eq(joined.lets_launch, own.lets_launch);
	cr_expect_eq(joined.flags, own.flags);
	for (size_t i = 0; i < table.n + floor.n; i++) {
		const struct policy_expect *row =
			i < table.n ? &table.rows[i] : &floor.rows[i - table.n];

		cr_expect_eq(simulate(&joined.prog, &row->data), simulate(&own.prog, &row->data),
			     "%s", row->call);
		cr_expect_eq(policy_asks(&joined, &row->data), policy_asks(&own, &row->data), "%s",
			     row->call);
	}
	policy_free(&own);
	policy_free(&joined);
	policy_expects_free(&table);
	policy_expects_free(&floor);
}

Test(policy_join, a_shipped_profile_in_a_file_is_the_same_policy)
{
	for (const struct policy_builtin *b = policy_builtins; b->name; b++)
		for (int walls = POLICY_WALLS_ONLINE;
		     b->kind == POLICY_PROFILE && walls < POLICY_WALLS_NONE; walls++)
			expect_same(b, (enum policy_walls)walls);
}
