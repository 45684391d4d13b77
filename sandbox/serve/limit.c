/* SPDX-License-Identifier: MIT */
/* The judgement on one more context: see limit.h. */
#include "serve/limit.h"

#include "base/err.h"
#include "launch/limits.h"
#include "launch/spec.h"
#include "serve/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const names[LIMITS] = {
	[LIMIT_NONE] = "none",
	[LIMIT_CONTEXTS] = "contexts",
	[LIMIT_MEMORY] = "memory",
	[LIMIT_VCPUS] = "vcpus",
	[LIMIT_RUNNING] = "running",
	[LIMIT_OWNER_CONTEXTS] = "per_owner.contexts",
	[LIMIT_OWNER_MEMORY] = "per_owner.memory",
	[LIMIT_OWNER_VCPUS] = "per_owner.vcpus",
	[LIMIT_OWNER_PIDS] = "per_owner.pids",
	[LIMIT_OWNER_WAITING] = "per_owner.waiting",
	[LIMIT_OWNER_IMAGES] = "per_owner.images",
	[LIMIT_OWNER_RECORDS] = "per_owner.records",
	[LIMIT_OWNER_CODE] = "per_owner.code",
	[LIMIT_OWNER_FUNCTIONS] = "per_owner.functions",
};

const char *limit_name(enum limit limit)
{
	return limit < LIMITS ? names[limit] : "unknown";
}

struct limit_use limit_use_of(const struct spec *spec, unsigned host_cpus)
{
	struct limit_use one = { .contexts = 1,
				 .memory_bytes = spec->memory_bytes,
				 .pids = spec->pids };

	if (spec->cpu_mode != CPU_SHARED)
		one.vcpu_micro = cpu_limits_of(spec->cpu_mode, spec->memory_bytes, spec->cpu_milli,
					       host_cpus)
					 .micro;
	return one;
}

void limit_add(struct limit_use *to, const struct limit_use *one)
{
	to->contexts += one->contexts;
	to->memory_bytes += one->memory_bytes;
	to->pids += one->pids;
}

void limit_take(struct limit_use *from, const struct limit_use *one)
{
	from->contexts -= one->contexts;
	from->memory_bytes -= one->memory_bytes;
	from->pids -= one->pids;
}

/* One row of what is looked at. */
struct row {
	enum limit limit;
	uint64_t has, wants, most; /* most 0: no limit */
	bool owners;
};

static void say_figure(char *ret, size_t size, enum limit limit, uint64_t n)
{
	if (limit == LIMIT_MEMORY || limit == LIMIT_OWNER_MEMORY)
		(void)snprintf(ret, size, "%" PRIu64 "M", n >> 20);
	else if (limit == LIMIT_VCPUS || limit == LIMIT_OWNER_VCPUS)
		(void)snprintf(ret, size, "%" PRIu64 ".%02" PRIu64, n / 1000000,
			       n % 1000000 / 10000);
	else
		(void)snprintf(ret, size, "%" PRIu64, n);
}

static void say(const struct row *row, uint32_t owner, int code, struct cloche_err *err)
{
	static const char *const whats[LIMITS] = {
		[LIMIT_CONTEXTS] = "contexts",	  [LIMIT_MEMORY] = "memory",
		[LIMIT_VCPUS] = "vCPUs",	  [LIMIT_OWNER_CONTEXTS] = "contexts",
		[LIMIT_OWNER_MEMORY] = "memory",  [LIMIT_OWNER_VCPUS] = "vCPUs",
		[LIMIT_OWNER_PIDS] = "processes",
	};
	char has[24], wants[24], most[24], who[32] = "all";

	say_figure(has, sizeof(has), row->limit, row->has);
	say_figure(wants, sizeof(wants), row->limit, row->wants);
	say_figure(most, sizeof(most), row->limit, row->most);
	if (row->owners)
		(void)snprintf(who, sizeof(who), "user %u", owner);
	/* What of it others have is theirs to know. */
	if (row->has && !row->owners)
		(void)cloche_err_set(err, code,
				     "%s: of the %s that all may have in the daemon's contexts "
				     "(limit '%s') the %s asked for are not free; try again",
				     whats[row->limit], most, limit_name(row->limit), wants);
	else if (row->has)
		(void)cloche_err_set(err, code,
				     "%s: %s in use of the %s that %s may have in the daemon's "
				     "contexts (limit '%s'), and %s asked for; try again",
				     whats[row->limit], has, most, who, limit_name(row->limit),
				     wants);
	else
		(void)cloche_err_set(
			err, code,
			"%s: %s asked for, and %s may have %s in the daemon's contexts "
			"(limit '%s')",
			whats[row->limit], wants, who, most, limit_name(row->limit));
}

enum limit limit_check(const struct config *config, const struct limit_use *all, uint32_t owner,
		       const struct limit_use *own, const struct limit_use *one,
		       struct cloche_err *err)
{
	const struct owner_limits *o = config_owner(config, owner);
	const struct row rows[] = {
		{ LIMIT_OWNER_CONTEXTS, own->contexts, 1, o->contexts, true },
		{ LIMIT_OWNER_MEMORY, own->memory_bytes, one->memory_bytes, o->memory_bytes, true },
		{ LIMIT_OWNER_VCPUS, 0, one->vcpu_micro, o->vcpu_milli * 1000, true },
		{ LIMIT_OWNER_PIDS, own->pids, one->pids, o->pids, true },
		{ LIMIT_CONTEXTS, all->contexts, 1, config->contexts, false },
		{ LIMIT_MEMORY, all->memory_bytes, one->memory_bytes, config->memory_bytes, false },
		{ LIMIT_VCPUS, 0, one->vcpu_micro, config->vcpu_milli * 1000, false },
	};
	const struct row *over = NULL;
	bool passes = true;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];

		if (!row->most || (row->has <= row->most && row->wants <= row->most - row->has))
			continue;
		passes = passes && row->wants <= row->most;
		over = over ? over : row;
	}
	if (!over)
		return LIMIT_NONE;
	say(over, owner, !passes ? ERANGE : over->owners ? EDQUOT : EBUSY, err);
	return over->limit;
}
