/* SPDX-License-Identifier: MIT */
/* The judgement on one more context: what is full is named with its value, and whether it is worth
 * waiting is said. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "launch/spec.h"
#include "serve/config.h"
#include "serve/limit.h"

#define MIB (1ULL << 20)

/* Of all: 10 contexts, 1000M, 1.5 vCPUs; of one: 3, 400M, 0.5, 100 processes. */
static const struct config config = {
	.contexts = 10,
	.memory_bytes = 1000 * MIB,
	.vcpu_milli = 1500,
	.per_owner = { .memory_bytes = 400 * MIB, .vcpu_milli = 500, .pids = 100, .contexts = 3 },
	.owners = { { .uid = 7, .limits = { .contexts = 5 } } },
	.n_owners = 1,
};

static const struct {
	uint32_t owner;
	struct limit_use all, own, one;
	enum limit limit;
	bool passes;
	const char *says;
} rows[] = {
	{ 1,
	  { 0, 0, 0, 0 },
	  { 0, 0, 0, 0 },
	  { 1, 400 * MIB, 100, 500000 },
	  LIMIT_NONE,
	  true,
	  NULL },
	{ 1,
	  { 9, 600 * MIB, 0, 0 },
	  { 2, 0, 99, 0 },
	  { 1, 400 * MIB, 1, 0 },
	  LIMIT_NONE,
	  true,
	  NULL },
	{ 1,
	  { 3, 0, 0, 0 },
	  { 3, 0, 0, 0 },
	  { 1, MIB, 1, 0 },
	  LIMIT_OWNER_CONTEXTS,
	  true,
	  "contexts: 3 in use of the 3 that user 1 may have" },
	{ 1,
	  { 1, 300 * MIB, 0, 0 },
	  { 1, 300 * MIB, 0, 0 },
	  { 1, 101 * MIB, 1, 0 },
	  LIMIT_OWNER_MEMORY,
	  true,
	  "memory: 300M in use of the 400M that user 1 may have" },
	{ 1,
	  { 0, 0, 0, 0 },
	  { 0, 0, 0, 0 },
	  { 1, 401 * MIB, 1, 0 },
	  LIMIT_OWNER_MEMORY,
	  false,
	  "memory: 401M asked for, and user 1 may have 400M" },
	{ 1,
	  { 0, 0, 0, 0 },
	  { 0, 0, 0, 0 },
	  { 1, MIB, 1, 500001 },
	  LIMIT_OWNER_VCPUS,
	  false,
	  "vCPUs: 0.50 asked for, and user 1 may have 0.50" },
	{ 1,
	  { 1, 0, 0, 0 },
	  { 1, 0, 50, 0 },
	  { 1, MIB, 51, 0 },
	  LIMIT_OWNER_PIDS,
	  true,
	  "processes: 50 in use of the 100" },
	{ 1,
	  { 1, 0, 0, 0 },
	  { 1, 0, 50, 0 },
	  { 1, MIB, 101, 0 },
	  LIMIT_OWNER_PIDS,
	  false,
	  "(limit 'per_owner.pids')" },
	{ 7,
	  { 10, 0, 0, 0 },
	  { 0, 0, 0, 0 },
	  { 1, MIB, 1, 0 },
	  LIMIT_CONTEXTS,
	  true,
	  "contexts: of the 10 that all may have" },
	{ 7,
	  { 9, 990 * MIB, 0, 0 },
	  { 4, 900 * MIB, 0, 0 },
	  { 1, 11 * MIB, 1000, 0 },
	  LIMIT_MEMORY,
	  true,
	  "memory: of the 1000M that all may have" },
	{ 7,
	  { 0, 0, 0, 0 },
	  { 0, 0, 0, 0 },
	  { 1, MIB, 1, 1500001 },
	  LIMIT_VCPUS,
	  false,
	  "(limit 'vcpus')" },
	/* What can pass is no use where another cannot. */
	{ 1,
	  { 10, 0, 0, 0 },
	  { 0, 0, 0, 0 },
	  { 1, 401 * MIB, 1, 0 },
	  LIMIT_OWNER_MEMORY,
	  false,
	  "401M" },
	{ 7,
	  { 10, 0, 0, 0 },
	  { 5, 0, 0, 0 },
	  { 1, 1001 * MIB, 1, 0 },
	  LIMIT_OWNER_CONTEXTS,
	  false,
	  "user 7" },
	/* Sums beyond 64 bits are not small. */
	{ 7,
	  { 1, 900 * MIB, 0, 0 },
	  { 0, 0, 0, 0 },
	  { 1, UINT64_MAX - 100 * MIB, 1, 0 },
	  LIMIT_MEMORY,
	  false,
	  "memory" },
};

Test(limit, what_is_full_is_named)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cloche_err err = { 0 };
		enum limit limit = limit_check(&config, &rows[i].all, rows[i].owner, &rows[i].own,
					       &rows[i].one, &err);

		cr_expect_eq(limit, rows[i].limit, "%zu: %s: %s", i, limit_name(limit), err.text);
		cr_expect(limit == LIMIT_NONE || rows[i].passes == (err.code != ERANGE), "%zu", i);
		cr_expect(err.code != EDQUOT || limit >= LIMIT_OWNER_CONTEXTS, "%zu", i);
		cr_expect(err.code != EBUSY || limit < LIMIT_OWNER_CONTEXTS, "%zu", i);
		cr_expect(!rows[i].says || strstr(err.text, rows[i].says), "%zu: %s", i, err.text);
	}
}

Test(limit, what_one_takes)
{
	struct limit_use all = { 2, 10 * MIB, 5, 0 }, one;
	struct spec spec;

	spec_defaults(&spec);
	spec.memory_bytes = 1769 * MIB;
	spec.pids = 64;
	one = limit_use_of(&spec, 4);
	cr_expect(one.contexts == 1 && one.memory_bytes == 1769 * MIB && one.pids == 64);
	cr_expect_eq(one.vcpu_micro, 1000000);
	spec.cpu_mode = CPU_SHARED;
	cr_expect_eq(limit_use_of(&spec, 4).vcpu_micro, 0);
	limit_add(&all, &one);
	cr_expect(all.contexts == 3 && all.memory_bytes == 1779 * MIB && all.pids == 69);
	limit_take(&all, &one);
	cr_expect(all.contexts == 2 && all.memory_bytes == 10 * MIB && all.pids == 5);
}

Test(limit, each_has_a_name)
{
	for (int i = 0; i < LIMITS; i++)
		cr_expect_neq(limit_name((enum limit)i)[0], '\0', "%d", i);
}
