/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_PLAN_H
#define CLOCHE_LAUNCH_PLAN_H

#include "base/hash.h"
#include "base/err.h"
#include "host/slot.h"
#include "launch/cgroup.h"
#include "launch/denials.h"
#include "launch/limits.h"
#include "launch/rights.h"
#include "launch/rootfs.h"
#include "policy/policy.h"

#include <sched.h>
#include <sys/stat.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

struct hierarchy;
struct bounds;
struct order;
struct running;
struct spec;

/* Who knows of a function process what its exec does not tell exactly, by slot. All return 1, and
 * what there is in *ret; 0: no process has begun there; -errno: not known. */
struct plan_clock {
	int fd; /* what it reads, inherited by the warden; -1: nobody knows */
	/* When the last one began to run, CLOCK_MONOTONIC. */
	int (*began)(int fd, unsigned slot, int64_t *ret_ns);
	/* The CPU time that it and what it made have used since, ns. */
	int (*used)(int fd, unsigned slot, uint64_t *ret_ns);
	/* The number of the first question to its policy's listener. */
	int (*asked_from)(int fd, unsigned slot, uint64_t *ret);
};

/*
 * Everything that pid 1 and the function process need after clone: computed and opened beforehand,
 * read only from then on. Owned by the context. What is particular to an invocation comes by
 * messages: its cgroups, its order.
 */
struct plan {
	const struct spec *spec; /* but for what is in an order */
	uid_t uid;		 /* host uid and gid of the function */
	struct cpu_limits cpu;
	struct cgroup cgroup; /* of the present invocation; launcher and pid 1 have one each */
	struct rootfs rootfs;
	struct rooted at;	   /* pid 1's alone: its root, entered */
	const struct order *order; /* pid 1's alone: of the invocation that begins */
	struct policy policy;
	bool terminals;		  /* its walls keep terminals from being taken over */
	cpu_set_t affinity;	  /* the function's CPUs, */
	cpu_set_t others;	  /* ours that are none of them */
	unsigned long core_limit; /* RLIMIT_CORE: attributes.h */
	uint64_t asked_most;	  /* sockets: asked_sockets.h */
	char id_map[32];	  /* for uid_map and gid_map */
	int null;		  /* /dev/null, the launcher's */
	int control;		  /* pid 1's end of the control socket */
	int driver;	/* pid 1's alone: who says GO and hears of it; the same, but handed one
			   for each invocation; -1: nobody */
	bool single;	/* one function process only */
	bool blank;	/* what differs from spec to spec comes later: dress.h */
	bool handed;	/* GO comes from a process without rights */
	bool shares;	/* pid 1 is born with the launcher's table of descriptors: own_fds.h */
	unsigned given; /* ..., and before the first so many binds of the owner's: given.h */
	unsigned char given_mark[HASH_LEN]; /* the warden's: what they were: given_mark.h */
	struct rights owner;
	int notices;	 /* handed: a pipe to the launcher (notice.h); -1: none */
	uint32_t serial; /* of all contexts of that launcher */
	int host;	 /* of a blank that is dressed with such: the host's mount namespace; -1 */
	int names;	 /* handed: the table of stream_names.h; -1 */
	const struct hierarchy *hierarchy; /* with slot: for pid 1 when it is the last to leave */
	const struct bounds *bounds;
	struct running *running; /* NULL: it is not counted */
	struct slot slot;
	struct plan_clock clock;
	struct shared *shared;
	int shared_fd; /* handed: the pages of it, which nobody else can write; -1 */
};

/* What the kernel did not have or not give, and a launch can do without: named in the report. */
enum lack {
	LACK_TIME_NAMESPACE = 1 << 0,
	LACK_AFFINITY = 1 << 1,
	LACK_LISTENER = 1 << 2, /* of the policy; the first refusal counts for the whole context */
	LACK_LIMITS = 1 << 3,	/* the caller's hard limits cannot be raised */
	LACK_CORE = 1 << 4,	/* neither can that of core files, and the host's handler runs */
	LACK_PRIORITY = 1 << 5, /* the caller's nice value cannot be lowered */
	LACK_OUTLIVE = 1 << 6,	/* pid 1 is as likely a victim of the OOM killer as the caller */
	LACK_IDMAP = 1 << 7,	/* a given bind's file system cannot be idmapped */
};

/* Why the processes of an invocation end: whoever is the first to say so. */
enum ended_by {
	ENDED_BY_NOBODY,
	ENDED_BY_LAUNCHER, /* it kills all, for a reason of its caller's */
	ENDED_BY_DEADLINE, /* pid 1 does */
	ENDED_BY_CPU_TIME, /* pid 1, at the limit of that */
	ENDED_BY_DENIALS,  /* pid 1, since it made more denied calls than are let pass */
	ENDED_BY_OUTPUT,   /* pid 1, since it wrote more than its output limit */
	ENDED_BY_ITSELF,   /* the function's own process has ended */
};

/* What pid 1 and the function process say where no system call can be made any more, or what is
 * more than a message holds: pages shared with the launcher. The function itself never maps them:
 * they are gone at exec. */
struct shared {
	struct cloche_err err; /* of the set-up or of the last function process before its exec */
	int64_t exec_ns;       /* CLOCK_MONOTONIC at which it called execve */
	int64_t exec_cpu_ns;   /* the CPU time that it had used until then */
	int64_t deadline_ns;   /* set before ENDED_BY_DEADLINE is */
	int64_t resumed_ns;  /* atomic: right before the first of a process that is kept could last
				go on; 0: not yet. The next that is told of it is a PAUSED or ENDED
			      */
	int64_t paused_ns;   /* atomic: since when it is frozen; 0: it is not */
	int listener;	     /* of its policy, in pid 1's table of descriptors; -1: none */
	int exec_path;	     /* which of its order's candidates was executed */
	uint32_t exec_there; /* one of these can be read: what execve(2) does not find then is what
				it is started by */
	struct stat executed_stat; /* of what it executes, from before */
	uint32_t lacks;		   /* enum lack */
	uint32_t ended_by;	   /* enum ended_by; atomic */
	uint32_t apart; /* plan.shares: pid 1 has a table of its own by now; atomic, a futex */
	struct denials denials; /* whole when the end is told */
};

/* Whether nobody was faster. */
static inline bool shared_claim(struct shared *shared, enum ended_by why)
{
	uint32_t nobody = ENDED_BY_NOBODY;

	return __atomic_compare_exchange_n(&shared->ended_by, &nobody, why, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

static inline enum ended_by shared_ended_by(const struct shared *shared)
{
	return (enum ended_by)__atomic_load_n(&shared->ended_by, __ATOMIC_SEQ_CST);
}

/* Inside, the function is this user. */
#define PLAN_INNER_ID 1000

/* Computes and opens all that there is to it but the cgroups. What the launcher and the caller's
 * options say is to be filled in before; what was made when it fails is for plan_free. */
int plan_make(struct plan *plan, int run_fd, const struct spec *spec, struct cloche_err *err);

/* The rest of it, of a blank that is to be as if it had been made of that spec. */
int plan_dress(struct plan *plan, int run_fd, const struct spec *spec, struct cloche_err *err);

/* The cgroups of the context, at first and for a further invocation. */
int plan_cgroups(struct plan *plan, uint32_t which, struct cloche_err *err);

/* All but the cgroups and the slot. */
void plan_free(struct plan *plan);

#endif
