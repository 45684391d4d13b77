/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_CONFIG_H
#define CLOCHE_SERVE_CONFIG_H

#include "serve/subordinates.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct cloche_err;

/*
 * What the administrator says of the daemon: a YAML file, of which every key may be missing.
 *
 *	control: /run/cloche/control   where clients connect
 *	control_mode: 0666      of that socket
 *	metrics: /run/cloche/metrics   where GET /metrics is answered; else beside control
 *	metrics_group: watchers who may ask, beside root
 *	state: /var/lib/cloche  its directory, root's
 *	allow:                  who may connect, beside root; else everybody
 *	  users: [alice, 1001]
 *	  groups: [dev]
 *	contexts: 1000          at a time; else one for 16M of the host's memory,
 *	                        from 64 to 1000
 *	running: 480            in how many of them there may be a function at a time;
 *	                        no more than that (launch/running.h)
 *	memory: 8G              that their limits may come to; else 3/4 of the host's
 *	vcpus: 2                that they may use together; else all
 *	per_owner:              what each user may have at a time
 *	  contexts: 32
 *	  memory: 2G            else what all may
 *	  vcpus: 1              else what all may
 *	  pids: 512             that the limits may come to; else any number
 *	  images: 1G            that his own images may take of the disk; 0: he has none
 *	  records: 2000000      that his invocations may add to the ledger in a day;
 *	                        0: any number
 *	  traces: 2             of his invocations that are traced; 0: none is
 *	  kept_traces: 64M      that those kept may take of the disk; 0: none is
 *	  functions: 100        that he may have deployed; 0: none
 *	  code: 1G              that their code may take of the disk
 *	  code_unpacked: 250M   that the code of one, or a layer, may come to
 *	  waiting: 0            requests that wait for a place, not refused at once
 *	owners:                 of these users what is said, the rest as above
 *	  - {user: alice, memory: 4G}
 *	wait: 1s                for how long, at most
 *	idle_expiry: 60s        a context that nobody took again for so long is
 *	                        given up; 0s: none is kept after an invocation
 *	grace: 5s               for what runs when it is to end
 *	silence: 10s            of a front that owes something, before it is asked
 *	                        whether it lives, and again before it is replaced
 *
 * Names are those of /etc/passwd and /etc/group; numbers are taken as they are.
 */
#define CONFIG_PATH	  "/etc/cloche/cloche.conf"
#define CONFIG_METRICS	  "/run/cloche/metrics"
#define CONFIG_STATE	  "/var/lib/cloche"
#define CONFIG_CTL_LEN	  108 /* sun_path */
#define CONFIG_OWNERS_MAX 256
#define CONFIG_ALLOW_MAX  256

/* 0: no limit, but for contexts, waiting, images, traces, functions and code. */
struct owner_limits {
	uint64_t memory_bytes, vcpu_milli, pids, images_bytes, kept_bytes, code_bytes,
		unpacked_bytes;
	uint32_t contexts, waiting, records, traces, functions;
};

struct owner_config {
	uint32_t uid;
	struct owner_limits limits;
};

/* A plain value: it goes to the front as it is. */
struct config {
	char control[CONFIG_CTL_LEN];
	mode_t control_mode;
	char metrics[CONFIG_CTL_LEN];
	bool metrics_grouped;
	uint32_t metrics_gid;
	char state[4096];
	unsigned contexts, running;
	uint64_t memory_bytes;
	uint64_t vcpu_milli; /* 0: no limit */
	struct owner_limits per_owner;
	struct owner_config owners[CONFIG_OWNERS_MAX];
	size_t n_owners;
	bool restricted; /* only these, and root, may connect: */
	uint32_t allow_users[CONFIG_ALLOW_MAX], allow_groups[CONFIG_ALLOW_MAX];
	size_t n_allow_users, n_allow_groups;
	struct subordinates subordinates; /* of the host, not of the file */
	int64_t wait_ns, idle_expiry_ns, grace_ns, silence_ns;
};

void config_defaults(struct config *ret);

/* Its metrics are to be had beside its control socket. -ENAMETOOLONG. */
int config_metrics_beside(struct config *config);

/* On top of what is there. -EINVAL: the whole is refused, and *err names file, line and key. */
int config_load(const char *path, struct config *config, struct cloche_err *err);

/* What counts for one owner: 0 of these is all that there is. */
const struct owner_limits *config_owner(const struct config *config, uint32_t uid);

/* Whether somebody of this user and these groups may connect. */
bool config_allows(const struct config *config, uint32_t uid, const gid_t *groups, size_t n_groups);

/* Whether a number is lent to a user, and the file does not say of it that it is one itself. */
bool config_subordinate(const struct config *config, uint32_t uid);

#endif
