/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_SPEC_H
#define CLOCHE_LAUNCH_SPEC_H

#include "launch/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;
struct policy_bare;
struct rights;

/*
 * What a user asks for, before anything is looked up or made. All strings and arrays belong to the
 * caller and must outlive the plan that is made of them. Start from spec_defaults().
 */
enum net_mode {
	NET_NONE,     /* an empty network namespace, loopback down */
	NET_LOOPBACK, /* the same, loopback up */
};

struct bind_spec {
	const char *src; /* host path, opened with the caller's rights */
	const char *dst; /* absolute path inside */
	bool rw;
	bool etc; /* of the field etc: both paths are below /etc, and everybody may read it */
};

/* Which image a name means. */
struct spec_image {
	uint32_t own; /* whose, as the daemon has it (serve/command.h); 0: it is the host's */
	char sha256[68];
};

/* In bits, the lowest first: as sched_setaffinity(2) takes them. */
#define SPEC_CPUS_WORDS 16

struct spec {
	char *const *argv; /* NULL-terminated; argv[0] is searched in the sandbox's PATH */
	uint64_t memory_bytes;
	int64_t timeout_ns;
	int64_t cpu_time_ns; /* 0: none */
	enum cpu_mode cpu_mode;
	uint64_t cpu_milli; /* CPU_FIXED: thousandths of a vCPU */
	/* Of those that this process may use only these, where there are any of them; all 0: any.
	 */
	uint64_t cpus[SPEC_CPUS_WORDS];
	uint64_t pids;
	uint64_t nofile;       /* 0: by memory and pids, SPEC_NOFILE_MIN to SPEC_NOFILE_MAX */
	uint64_t fsize_bytes;  /* UINT64_MAX: none */
	uint64_t tmp_bytes;    /* 0: half the memory, at most 512 MiB */
	uint64_t shm_bytes;    /* of /dev/shm; 0: half the memory */
	uint64_t output_bytes; /* 0: none */
	/* Bits of the streams that are terminals which the caller says are its controlling one;
	 * where nobody else can know. */
	uint32_t own_terminals;
	char *const *env; /* K=V, NULL-terminated, or NULL; PATH, HOME, LANG, TZ are added */
	const struct bind_spec *binds;
	size_t n_binds;
	bool read_locks;   /* POSIX read locks on what is there for reading only */
	bool bind_private; /* of /etc and its like, too, what is root's is the function's */
	const struct rights *caller; /* for whom root acts; NULL: for itself */
	const char *rootfs;	     /* NULL: the host's /usr */
	const char *image_at; /* rootfs is an image that is mounted there; NULL: it is found */
	const struct spec_image *image; /* ..., which was found; NULL: it was not looked for */
	const char *code_at;		/* of the host's: is /var/task; NULL: nothing is */
	const char *const *layers_at;	/* so, too, n_layers: are /opt, the last on top */
	size_t n_layers;
	const char *const *candidates; /* files to execute, the first that is there, instead of
					  argv[0]; NULL: that */
	const char *workdir;	       /* absolute path inside */
	enum net_mode net;
	bool kept; /* its process stays, frozen, from one event to the next; its first part, init,
		      has no CPU quota and at most ORDER_INIT_MAX_NS */
	bool init_invoked; /* that init is a part of an invocation already: with its quota, and as
			      long as that may take */
	bool zygote; /* ..., and it forks for each event and sees none: see zygote.h; needs kept */
	bool api;    /* somebody listens for it at the loopback: api_socket.h; needs NET_LOOPBACK */
	const char *policy;		/* name or path */
	const struct policy_bare *bare; /* what its owner has compiled of it; NULL: it is found */
	size_t bare_size;
};

#define SPEC_MEMORY_MIN	 (4ULL << 20)
#define SPEC_TIMEOUT_MIN (1000000LL)
#define SPEC_TIMEOUT_MAX (900LL * 1000000000)
#define SPEC_BINDS_MAX	 1024
#define SPEC_LAYERS_MAX	 5
#define SPEC_NOFILE_MIN	 64
#define SPEC_NOFILE_MAX	 1024
#define SPEC_ENV_MAX	 (1ULL << 20)

/* What of the host bounds a spec. */
struct spec_host {
	uint64_t memory_bytes;
	unsigned cpus; /* that this process may run on */
};
void spec_host_read(struct spec_host *ret);

/* What of it there is for who wants to run on some CPUs only. */
void spec_host_fit(const struct spec *spec, struct spec_host *host);

void spec_defaults(struct spec *spec);

/* Whether a bind can be put there; name: what it is in messages. */
int spec_check_place(const char *dst, const char *name, struct cloche_err *err);

/* Fills in what follows from other fields (the size of /tmp) and checks every range and
 * combination. -EINVAL or -ERANGE; the text begins with the field's name (CLOCHE_FIELD). */
int spec_check(struct spec *spec, const struct spec_host *host, struct cloche_err *err);

#endif
