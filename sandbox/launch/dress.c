/* SPDX-License-Identifier: MIT */
/* From a plan to a message and into the plan of a blank: see dress.h. */
#include "launch/dress.h"

#include "launch/plan.h"
#include "launch/spec.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

char *dress_pack(const struct plan *plan, size_t *ret_len)
{
	const struct rootfs *fs = &plan->rootfs;
	size_t filter_len = plan->policy.prog.len * sizeof(struct sock_filter);
	struct dress d = { .pids = plan->spec->pids,
			   .nofile = plan->spec->nofile,
			   .cpu = plan->cpu,
			   .affinity = plan->affinity,
			   .others = plan->others,
			   .cpus_shown = fs->cpus,
			   .terminals = plan->terminals,
			   .policy = plan->policy };
	char *tail = malloc(sizeof(d) + filter_len);

	if (!tail)
		return NULL;
	memcpy(d.tmp_options, fs->tmp_options, sizeof(d.tmp_options));
	memcpy(d.shm_options, fs->shm_options, sizeof(d.shm_options));
	d.policy.prog.filter = NULL;
	memcpy(tail, &d, sizeof(d));
	memcpy(tail + sizeof(d), plan->policy.prog.filter, filter_len);
	*ret_len = sizeof(d) + filter_len;
	return tail;
}

int dress_apply(const char *tail, size_t len, struct plan *plan, struct spec *spec)
{
	struct rootfs *fs = &plan->rootfs;
	struct dress d;
	void *filter;

	if (len < sizeof(d))
		return -EBADMSG;
	memcpy(&d, tail, sizeof(d));
	len -= sizeof(d);
	if (len == 0 || len != d.policy.prog.len * sizeof(struct sock_filter))
		return -EBADMSG;
	filter = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (filter == MAP_FAILED)
		return -errno;
	memcpy(filter, tail + sizeof(d), len);
	*spec = *plan->spec;
	spec->pids = d.pids;
	spec->nofile = d.nofile;
	plan->spec = spec;
	plan->cpu = d.cpu;
	plan->affinity = d.affinity;
	plan->others = d.others;
	plan->terminals = d.terminals;
	plan->policy = d.policy;
	plan->policy.prog.filter = filter;
	memcpy(fs->tmp_options, d.tmp_options, sizeof(fs->tmp_options));
	memcpy(fs->shm_options, d.shm_options, sizeof(fs->shm_options));
	fs->cpus = d.cpus_shown;
	return 0;
}
