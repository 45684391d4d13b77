/* SPDX-License-Identifier: MIT */
/* Opens a profile by whose rights it is named, and has it compiled where that harms nobody: see
 * profile.h. What comes back is believed by nobody before policy_join.c has looked at it. */
#include "launch/profile.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/quote.h"
#include "host/confined.h"
#include "launch/rights.h"
#include "launch/spec.h"
#include "policy/policy_join.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

/* Docker's own profile takes 40 ms and 2 MiB; what takes more is no profile. */
#define MEM_BYTES (256ULL << 20)
#define CPU_S	  10
#define WALL_S	  60

static int make_bare(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	return size < sizeof(struct policy_bare) ? -EMSGSIZE : policy_bare_make(arg, buf, len, err);
}

static int compile(const struct policy_text *text, struct policy_bare *ret, size_t *ret_size,
		   struct cloche_err *err)
{
	char shown[QUOTE_LEN], what[QUOTE_LEN + 16];
	const struct confined confined = { .what = what,
					   .fd = -1,
					   .prepare = policy_bare_prepare,
					   .job = make_bare,
					   .arg = (void *)text,
					   .mem_bytes = MEM_BYTES,
					   .cpu_s = CPU_S,
					   .wall_s = WALL_S };

	(void)snprintf(what, sizeof(what), "policy %s", quote(shown, text->source));
	return confined_run(&confined, ret, sizeof(*ret), ret_size, err);
}

/* O_NONBLOCK: a FIFO must not hold us up. */
static int open_profile(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int find_text(const struct spec *spec, struct policy_text *ret, struct cloche_err *err)
{
	cleanup_fd int fd = -1;

	if (!spec->caller || !policy_is_path(spec->policy))
		return policy_text_load(&policy_dirs_default, spec->policy, ret, err);
	fd = rights_call(spec->caller, open_profile, spec->policy);
	if (fd < 0)
		return cloche_err_sys(err, -fd, "open policy '%s'", spec->policy);
	return policy_text_read(fd, spec->policy, ret, err);
}

static int join(const struct spec *spec, enum policy_walls walls, struct policy *ret,
		struct cloche_err *err)
{
	struct policy policy = { .walls = walls };
	char shown[QUOTE_LEN];
	int r = policy_bare_join(spec->bare, spec->bare_size, walls, &policy, err);

	if (r < 0)
		return cloche_err_wrap(err, "policy %s", quote(shown, spec->policy));
	(void)snprintf(policy.name, sizeof(policy.name), "%s", spec->policy);
	hash_sha256_hex(spec->bare, spec->bare_size, policy.sha256);
	*ret = policy;
	return 0;
}

int profile_load(const struct spec *spec, enum policy_walls walls, struct policy *ret,
		 struct cloche_err *err)
{
	struct policy_text text;
	int r;

	if (spec->bare)
		return join(spec, walls, ret, err);
	r = find_text(spec, &text, err);
	if (r < 0)
		return r;
	r = policy_load_text(policy_dirs_default.cache, &text, walls, compile, ret, err);
	policy_text_free(&text);
	return r;
}
