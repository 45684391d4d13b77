/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_LIMIT_H
#define CLOCHE_SERVE_LIMIT_H

#include <stdint.h>

struct cloche_err;
struct config;
struct spec;

/*
 * Whether there is a place for one more context, by the limits of the configuration: of all, and of
 * its owner. Arithmetic without a kernel. Of memory and processes the sum of what the contexts may
 * have counts, not what they have, so that none is ended for what another one uses.
 */
enum limit {
	LIMIT_NONE,
	LIMIT_CONTEXTS,
	LIMIT_MEMORY,
	LIMIT_VCPUS,
	LIMIT_RUNNING,
	LIMIT_OWNER_CONTEXTS,
	LIMIT_OWNER_MEMORY,
	LIMIT_OWNER_VCPUS,
	LIMIT_OWNER_PIDS,
	LIMIT_OWNER_WAITING,
	LIMIT_OWNER_IMAGES,
	LIMIT_OWNER_RECORDS,
	LIMIT_OWNER_CODE,
	LIMIT_OWNER_FUNCTIONS,
	LIMITS
};

/* As the key of the configuration: "per_owner.memory". */
const char *limit_name(enum limit limit);

/* What contexts have, or one is to have. */
struct limit_use {
	unsigned contexts;
	uint64_t memory_bytes, pids;
	uint64_t vcpu_micro; /* one: its quota; 0: it has none */
};

/* Of one context; host_cpus as cpu_limits_of() has it. */
struct limit_use limit_use_of(const struct spec *spec, unsigned host_cpus);

void limit_add(struct limit_use *to, const struct limit_use *one);
void limit_take(struct limit_use *from, const struct limit_use *one);

/* LIMIT_NONE: there is a place. Else *err names the limit and its value; its code: EDQUOT, EBUSY:
 * there may be one when others of the owner, or anybody's, have ended; ERANGE: never. all has own
 * in it. */
enum limit limit_check(const struct config *config, const struct limit_use *all, uint32_t owner,
		       const struct limit_use *own, const struct limit_use *one,
		       struct cloche_err *err);

#endif
