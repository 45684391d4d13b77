/* SPDX-License-Identifier: MIT */
/* The two ends of a context that is handed to a process without rights: see handed.h. */
#include "launch/handed.h"

#include "base/err.h"
#include "base/fd.h"
#include "launch/launcher.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

void context_hand(struct context *ctx, int ret[static HANDED_FDS])
{
	ret[HANDED_DRIVER] = context_hand_again(ctx);
	ret[HANDED_SHARED] = TAKE_FD(ctx->plan.shared_fd);
}

int context_hand_again(struct context *ctx)
{
	return TAKE_FD(ctx->driver);
}

static uint64_t id_of(const struct cgroup *cg)
{
	struct stat st;

	return cg->v2 >= 0 && fstat(cg->v2, &st) == 0 ? st.st_ino : 0;
}

void context_describe_handed(const struct context *ctx, struct handed *ret)
{
	const struct plan *p = &ctx->plan;

	*ret = (struct handed){ .uid = p->uid,
				.cgroup_id = id_of(&p->cgroup),
				.cpus = p->cpu.cpus,
				.vcpu_micro = p->cpu.micro,
				.policy_kills = p->policy.kills,
				.policy_reports = p->policy.reports,
				.terminals = p->terminals,
				.idmapped = p->rootfs.idmapped };
	(void)snprintf(ret->policy, sizeof(ret->policy), "%s", p->policy.name);
	(void)snprintf(ret->policy_sha256, sizeof(ret->policy_sha256), "%s", p->policy.sha256);
}

static int map_page(struct context *ctx, int fd, struct cloche_err *err)
{
	void *page = mmap(NULL, sizeof(*ctx->plan.shared), PROT_READ, MAP_SHARED, fd, 0);

	if (page == MAP_FAILED)
		return cloche_err_sys(err, errno, "map the page of a context");
	ctx->plan.shared = page;
	return 0;
}

int context_adopt(struct context *ret, const struct handed *of, const int fds[static HANDED_FDS],
		  struct cloche_err *err)
{
	cleanup_fd int page = fds[HANDED_SHARED];

	*ret = (struct context){ .slot = { .fd = -1 },
				 .plan = { .uid = of->uid,
					   .cgroup = CGROUP_NONE,
					   .cpu = { .cpus = of->cpus, .micro = of->vcpu_micro },
					   .policy = { .kills = of->policy_kills,
						       .reports = of->policy_reports },
					   .terminals = of->terminals,
					   .rootfs = { .idmapped = of->idmapped },
					   .null = -1,
					   .names = -1,
					   .control = -1,
					   .driver = -1,
					   .handed = true,
					   .shared_fd = -1,
					   .clock = { .fd = -1 } },
				 .warden = PROCESS_NONE,
				 .control = fds[HANDED_DRIVER],
				 .driver = -1,
				 .executed = -1,
				 .api = -1,
				 .cgroup_id = of->cgroup_id };
	(void)snprintf(ret->plan.policy.name, sizeof(ret->plan.policy.name), "%s", of->policy);
	(void)snprintf(ret->plan.policy.sha256, sizeof(ret->plan.policy.sha256), "%s",
		       of->policy_sha256);
	if (map_page(ret, page, err) == 0)
		return 0;
	context_disown(ret);
	return -err->code;
}

void context_adopt_again(struct context *ctx, int driver)
{
	context_let_go(ctx);
	ctx->control = driver;
}

void context_let_go(struct context *ctx)
{
	fd_close(&ctx->control);
	fd_close(&ctx->executed);
	fd_close(&ctx->api);
}

void context_disown(struct context *ctx)
{
	context_let_go(ctx);
	if (ctx->plan.shared)
		(void)munmap(ctx->plan.shared, sizeof(*ctx->plan.shared));
	ctx->plan.shared = NULL;
}
