/* SPDX-License-Identifier: MIT */
/* Which context is taken, waited for, given up: by tables of what is in the pool. */
#include <criterion/criterion.h>

#include "pool/pool.h"

#define ALICE 1000
#define BOB   1001

struct given {
	uint32_t owner;
	char kind;
	enum pool_state state;
	int64_t since_ns;
};

#define MEMBERS_MAX 8

struct rig {
	struct pool pool;
	struct pool_context members[MEMBERS_MAX];
	char kinds[MEMBERS_MAX];
};

#define LATEST 20

/* As time goes. */
static void fill(struct rig *r, const struct given *given)
{
	int n = 0;

	*r = (struct rig){ 0 };
	for (; n < MEMBERS_MAX && given[n].owner; n++) {
		r->kinds[n] = given[n].kind;
		pool_join(&r->pool, &r->members[n],
			  &(struct pool_kind){ given[n].owner, &r->kinds[n], 1 }, 0);
	}
	for (int64_t ns = 0; ns <= LATEST; ns++)
		for (int i = 0; i < n; i++)
			if (given[i].since_ns == ns)
				pool_turn(&r->pool, &r->members[i], given[i].state, ns);
}

static const struct {
	const char *what;
	struct given given[MEMBERS_MAX];
	unsigned waiting;
	enum pool_answer want;
	int which; /* TAKE */
} asked[] = {
	{ "nothing is there", { { 0 } }, 0, POOL_MAKE, 0 },
	{ "an idle one", { { ALICE, 'a', POOL_IDLE, 1 } }, 0, POOL_TAKE, 0 },
	{ "another's is nobody else's", { { BOB, 'a', POOL_IDLE, 1 } }, 0, POOL_MAKE, 0 },
	{ "of another kind", { { ALICE, 'b', POOL_IDLE, 1 } }, 0, POOL_MAKE, 0 },
	{ "one that is made, has somebody or ends",
	  { { ALICE, 'a', POOL_MAKING, 1 },
	    { ALICE, 'a', POOL_BUSY, 1 },
	    { ALICE, 'a', POOL_ENDING, 1 } },
	  0,
	  POOL_MAKE,
	  0 },
	{ "the one that was used last",
	  { { ALICE, 'a', POOL_IDLE, 1 },
	    { ALICE, 'a', POOL_IDLE, 3 },
	    { ALICE, 'a', POOL_IDLE, 2 } },
	  0,
	  POOL_TAKE,
	  1 },
	{ "one will be clean", { { ALICE, 'a', POOL_VERIFYING, 1 } }, 0, POOL_WAIT, 0 },
	{ "and is somebody else's then", { { ALICE, 'a', POOL_VERIFYING, 1 } }, 1, POOL_MAKE, 0 },
	{ "an idle one comes first",
	  { { ALICE, 'a', POOL_VERIFYING, 2 }, { ALICE, 'a', POOL_IDLE, 1 } },
	  0,
	  POOL_TAKE,
	  1 },
};

Test(pool, what_an_invocation_is_to_do)
{
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		struct pool_context *found = NULL;
		struct rig r;

		fill(&r, asked[i].given);
		cr_expect_eq(pool_ask(&r.pool, &(struct pool_kind){ ALICE, "a", 1 },
				      asked[i].waiting, &found),
			     asked[i].want, "%s", asked[i].what);
		if (asked[i].want == POOL_TAKE)
			cr_expect_eq(found, &r.members[asked[i].which], "%s", asked[i].what);
	}
}

static const struct {
	const char *what;
	struct given given[MEMBERS_MAX];
	uint32_t owner;
	int victim; /* -1: none */
} rooms[] = {
	{ "nothing is idle",
	  { { ALICE, 'a', POOL_BUSY, 1 }, { ALICE, 'a', POOL_VERIFYING, 1 } },
	  POOL_ANY,
	  -1 },
	{ "the longest idle one",
	  { { ALICE, 'a', POOL_IDLE, 2 },
	    { ALICE, 'b', POOL_IDLE, 1 },
	    { ALICE, 'a', POOL_IDLE, 3 } },
	  POOL_ANY,
	  1 },
	{ "the owner's, not another's that is older",
	  { { BOB, 'a', POOL_IDLE, 1 }, { ALICE, 'a', POOL_IDLE, 2 } },
	  ALICE,
	  1 },
	{ "the owner has none idle", { { BOB, 'a', POOL_IDLE, 1 } }, ALICE, -1 },
	{ "of whoever has most, though another's is older",
	  { { BOB, 'a', POOL_IDLE, 1 },
	    { ALICE, 'a', POOL_IDLE, 3 },
	    { ALICE, 'a', POOL_IDLE, 2 } },
	  POOL_ANY,
	  2 },
	{ "busy ones are not counted",
	  { { BOB, 'a', POOL_IDLE, 5 },
	    { BOB, 'a', POOL_IDLE, 4 },
	    { ALICE, 'a', POOL_IDLE, 1 },
	    { ALICE, 'a', POOL_BUSY, 1 },
	    { ALICE, 'a', POOL_BUSY, 1 } },
	  POOL_ANY,
	  1 },
};

Test(pool, who_gives_way)
{
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		struct rig r;
		struct pool_context *got;

		fill(&r, rooms[i].given);
		got = pool_victim(&r.pool, rooms[i].owner);
		cr_expect_eq(got, rooms[i].victim < 0 ? NULL : &r.members[rooms[i].victim], "%s",
			     rooms[i].what);
	}
}

/* A process that is kept runs; so may what is on its way in or out. */
Test(pool, those_with_a_process_give_way_to_one)
{
	static const struct given given[MEMBERS_MAX] = {
		{ ALICE, 'a', POOL_IDLE, 1 },	 { ALICE, 'a', POOL_IDLE, 3 },
		{ BOB, 'a', POOL_IDLE, 2 },	 { BOB, 'a', POOL_BUSY, 1 },
		{ BOB, 'a', POOL_VERIFYING, 1 }, { BOB, 'a', POOL_ENDING, 1 },
	};
	struct rig r;

	fill(&r, given);
	cr_expect_eq(pool_running(&r.pool), 2);
	cr_expect_null(pool_victim_running(&r.pool, POOL_ANY));
	pool_set_runs(&r.pool, &r.members[1], true);
	cr_expect_eq(pool_running(&r.pool), 3);
	cr_expect_eq(pool_victim_running(&r.pool, POOL_ANY), &r.members[1]);
	cr_expect_null(pool_victim_running(&r.pool, BOB));
	pool_set_runs(&r.pool, &r.members[2], true);
	cr_expect_eq(pool_victim_running(&r.pool, BOB), &r.members[2]);
	cr_expect_eq(pool_victim(&r.pool, POOL_ANY), &r.members[0]);
}

Test(pool, what_is_idle_for_long_expires_one_after_the_other)
{
	static const struct given given[MEMBERS_MAX] = {
		{ ALICE, 'a', POOL_IDLE, 20 },
		{ BOB, 'a', POOL_IDLE, 10 },
		{ BOB, 'b', POOL_BUSY, 1 },
	};
	struct rig r;

	fill(&r, given);
	cr_expect_eq(pool_due(&r.pool, 100), 110);
	cr_expect_eq(pool_due(&r.pool, INT64_MAX), INT64_MAX);
	cr_expect_null(pool_expired(&r.pool, 100, 109));
	cr_expect_eq(pool_expired(&r.pool, 100, 110), &r.members[1]);
	pool_turn(&r.pool, &r.members[1], POOL_ENDING, 110);
	cr_expect_null(pool_expired(&r.pool, 100, 119));
	cr_expect_eq(pool_due(&r.pool, 100), 120);
	pool_turn(&r.pool, &r.members[0], POOL_BUSY, 110);
	cr_expect_eq(pool_due(&r.pool, 100), INT64_MAX);
	cr_expect_null(pool_expired(&r.pool, 0, 1000));
}

Test(pool, it_counts_who_comes_and_goes)
{
	static const struct given given[MEMBERS_MAX] = {
		{ ALICE, 'a', POOL_IDLE, 1 },
		{ BOB, 'a', POOL_ENDING, 1 },
		{ BOB, 'b', POOL_BUSY, 1 },
	};
	struct rig r;

	fill(&r, given);
	cr_expect(pool_has(&r.pool, POOL_ENDING, BOB));
	cr_expect(pool_has(&r.pool, POOL_ENDING, POOL_ANY));
	cr_expect_not(pool_has(&r.pool, POOL_ENDING, ALICE));
	for (int i = 0; i < 3; i++)
		pool_leave(&r.pool, &r.members[i]);
	cr_expect_null(r.pool.first);
	for (int i = 0; i < POOL_STATES; i++)
		cr_expect_eq(r.pool.n[i], 0);
	/* Who is not in it is none of its matters. */
	pool_leave(&r.pool, &r.members[0]);
	cr_expect_eq(r.pool.n[POOL_IDLE], 0);
}

/* More kinds than lists that they are in. */
Test(pool, each_of_many_kinds_is_found)
{
	enum { KINDS = 3 * POOL_BUCKETS };
	static struct pool_context members[KINDS];
	static struct pool pool;
	static int kinds[KINDS];

	for (int i = 0; i < KINDS; i++) {
		kinds[i] = i;
		pool_join(&pool, &members[i],
			  &(struct pool_kind){ ALICE, &kinds[i], sizeof(kinds[i]) }, i);
		pool_turn(&pool, &members[i], POOL_IDLE, i);
	}
	for (int i = 0; i < KINDS; i++) {
		const struct pool_kind kind = { ALICE, &i, sizeof(i) };
		struct pool_context *found = NULL;

		cr_assert_eq(pool_ask(&pool, &kind, 0, &found), POOL_TAKE, "%d", i);
		cr_assert_eq(found, &members[i], "%d", i);
		pool_turn(&pool, found, POOL_BUSY, KINDS);
		cr_assert_eq(pool_ask(&pool, &kind, 0, &found), POOL_MAKE, "%d", i);
		if (i % 2)
			pool_leave(&pool, &members[i]);
	}
	cr_expect_eq(pool.n[POOL_BUSY], KINDS / 2);
	cr_expect_null(pool_victim(&pool, POOL_ANY));
}
