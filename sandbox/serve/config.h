/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_CONFIG_H
#define CLOCHE_SERVE_CONFIG_H

#include <stdint.h>

struct cloche_err;

/*
 * What the administrator says of the daemon: a YAML file, of which every key may be missing.
 *
 *	control: /run/cloche/control   where clients connect
 *	state: /var/lib/cloche         its directory, root's
 *	contexts: 64                   at a time
 *	contexts_per_owner: 32         of these, of one user
 *	memory: 8G                     that their limits may come to together; else none
 *	grace: 5s                      for what runs when it is to end
 *	idle_expiry: 60s               a context that nobody took again for so long is given up; 0s:
 *no context is kept from one invocation to the next
 */
#define CONFIG_PATH    "/etc/cloche/cloche.conf"
#define CONFIG_STATE   "/var/lib/cloche"
#define CONFIG_CTL_LEN 108 /* sun_path */

struct config {
	char control[CONFIG_CTL_LEN];
	char state[4096];
	unsigned contexts, per_owner;
	uint64_t memory_bytes; /* 0: no limit */
	int64_t grace_ns, idle_expiry_ns;
};

void config_defaults(struct config *ret);

/* On top of what is there. -EINVAL: the whole is refused, and *err names file and line, or key. */
int config_load(const char *path, struct config *config, struct cloche_err *err);

#endif
