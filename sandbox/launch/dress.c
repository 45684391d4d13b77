/* SPDX-License-Identifier: MIT */
/* From a plan to a message and into the plan of a blank: see dress.h. */
#include "launch/dress.h"

#include "launch/given.h"
#include "launch/message.h"
#include "launch/plan.h"
#include "launch/spec.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* What comes as a descriptor, in order. */
#define TREES 5

struct tree {
	uint32_t is;
	int *fd;
};

static void trees_of(struct plan *plan, int *host, struct tree ret[static TREES])
{
	struct rootfs *fs = &plan->rootfs;
	static int none = -1;

	ret[0] = (struct tree){ DRESS_TREE, &fs->tree };
	ret[1] = (struct tree){ DRESS_TASK, &fs->code.task };
	ret[2] = (struct tree){ DRESS_LAYERS, &fs->code.layers };
	ret[3] = (struct tree){ DRESS_HOST, plan->given ? host : &none };
	ret[4] = (struct tree){ DRESS_MAP, plan->given ? &fs->maps[0].map.userns : &none };
}

static uint32_t what_it_is(struct plan *plan, int host, struct message_fds *ret_fds)
{
	const struct spec *s = plan->spec;
	struct tree trees[TREES];
	uint32_t is = (s->kept ? DRESS_KEPT : 0) | (s->api ? DRESS_API : 0) |
		      (s->zygote ? DRESS_ZYGOTE : 0) | (plan->rootfs.image[0] ? DRESS_IMAGE : 0);

	trees_of(plan, &host, trees);
	ret_fds->n = 0;
	for (int i = 0; i < TREES; i++)
		if (*trees[i].fd >= 0) {
			is |= trees[i].is;
			ret_fds->fd[ret_fds->n++] = *trees[i].fd;
		}
	return is;
}

char *dress_pack(struct plan *plan, int host, size_t *ret_len, struct message_fds *ret_fds)
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
			   .net = plan->spec->net,
			   .is = what_it_is(plan, host, ret_fds),
			   .given = plan->given,
			   .owner_uid = plan->owner.uid,
			   .owner_gid = plan->owner.gid,
			   .asked_most = plan->asked_most,
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

static bool take_trees(uint32_t is, struct message_fds *fds, struct plan *plan)
{
	struct tree trees[TREES];
	unsigned n = 0;

	trees_of(plan, &plan->host, trees);
	for (int i = 0; i < TREES; i++)
		n += is & trees[i].is ? 1 : 0;
	if (fds->n != n)
		return false;
	n = 0;
	for (int i = 0; i < TREES; i++)
		if (is & trees[i].is)
			*trees[i].fd = fds->fd[n++];
	fds->n = 0;
	return true;
}

int dress_apply(const char *tail, size_t len, struct message_fds *fds, struct plan *plan,
		struct spec *spec)
{
	struct rootfs *fs = &plan->rootfs;
	struct dress d;
	void *filter;

	if (len < sizeof(d))
		return -EBADMSG;
	memcpy(&d, tail, sizeof(d));
	len -= sizeof(d);
	if (len == 0 || len != d.policy.prog.len * sizeof(struct sock_filter) ||
	    d.net > NET_LOOPBACK || d.given > GIVEN_MAX || !d.given != !(d.is & DRESS_HOST))
		return -EBADMSG;
	plan->given = d.given;
	plan->owner = (struct rights){ .uid = d.owner_uid, .gid = d.owner_gid };
	if (d.given && given_room(d.given, &plan->owner, fs) < 0)
		return -ENOMEM;
	if (!take_trees(d.is, fds, plan))
		return -EBADMSG;
	filter = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (filter == MAP_FAILED)
		return -errno;
	memcpy(filter, tail + sizeof(d), len);
	*spec = *plan->spec;
	spec->pids = d.pids;
	spec->nofile = d.nofile;
	spec->net = (enum net_mode)d.net;
	spec->kept = d.is & DRESS_KEPT;
	spec->api = d.is & DRESS_API;
	spec->zygote = d.is & DRESS_ZYGOTE;
	plan->spec = spec;
	plan->cpu = d.cpu;
	plan->affinity = d.affinity;
	plan->others = d.others;
	plan->terminals = d.terminals;
	plan->asked_most = d.asked_most;
	plan->blank = fs->blank = false;
	(void)snprintf(fs->image, sizeof(fs->image), "%s", d.is & DRESS_IMAGE ? "/" : "");
	plan->policy = d.policy;
	plan->policy.prog.filter = filter;
	memcpy(fs->tmp_options, d.tmp_options, sizeof(fs->tmp_options));
	memcpy(fs->shm_options, d.shm_options, sizeof(fs->shm_options));
	fs->cpus = d.cpus_shown;
	return 0;
}
