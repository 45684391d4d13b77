/* SPDX-License-Identifier: MIT */
/* What an outcome says of what was asked for and of where it ran: see description.h. */
#include "run/description.h"

#include "base/clock.h"
#include "launch/launcher.h"
#include "launch/spec.h"

#include <stdio.h>
#include <string.h>

void description_of_request(const struct spec *spec, const char *function, uint32_t owner,
			    const char *owner_name, struct outcome *ret)
{
	*ret = (struct outcome){ .verdict = VERDICT_LAUNCH_ERROR, .overshoot_ns = -1 };
	ret->started_real_ns = clock_real_ns();
	(void)snprintf(ret->function, sizeof(ret->function), "%s", function ? function : "");
	ret->owner.uid = owner;
	(void)snprintf(ret->owner.name, sizeof(ret->owner.name), "%s", owner_name);
	ret->limits.memory_bytes = spec->memory_bytes;
	ret->limits.pids = spec->pids;
	ret->limits.timeout_ns = spec->timeout_ns;
}

void description_of_context(const struct context *ctx, const char *id, uint32_t invocation,
			    struct outcome *out)
{
	const struct plan *plan = &ctx->plan;

	out->context.made = true;
	memcpy(out->context.id, id, sizeof(out->context.id));
	out->context.warm = invocation > 1;
	out->context.invocation = invocation;
	out->context.lacks = plan->shared ? plan->shared->lacks : 0;
	out->context.idmapped = plan->rootfs.idmapped;
	out->context.vcpu_micro = plan->cpu.micro;
	out->context.cgroup_id = ctx->cgroup_id;
	(void)snprintf(out->policy.name, sizeof(out->policy.name), "%s", plan->policy.name);
	(void)snprintf(out->policy.sha256, sizeof(out->policy.sha256), "%s", plan->policy.sha256);
	out->policy.kills = plan->policy.kills;
	out->policy.reports = plan->policy.reports;
}
