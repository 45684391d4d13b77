/* SPDX-License-Identifier: MIT */
/*
 * Finds a profile and hands out its compiled filter: the road from a name to BPF, with the cache
 * in front of the compiler. A run by the name of a shipped profile opens one small file and hashes
 * nothing. What the parts do is theirs: policy_oci reads, policy_rules means, policy_stack puts our
 * walls behind it, policy_compile emits.
 */
#include "policy/policy.h"

#include "base/err.h"
#include "base/fd.h"
#include "policy/policy_builtin.h"
#include "policy/policy_cache.h"
#include "policy/policy_compile.h"
#include "policy/policy_join.h"
#include "policy/policy_oci.h"
#include "policy/policy_rules.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

const struct policy_dirs policy_dirs_default = { "/etc/cloche/policies", "/run/cloche/policies" };

bool policy_is_path(const char *text)
{
	size_t len = strlen(text);

	return strchr(text, '/') || (len > 5 && strcmp(text + len - 5, ".json") == 0);
}

static bool is_name(const char *text)
{
	return text[0] != '\0' && text[0] != '.' && strlen(text) < 64 &&
	       text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				 "._-")] == '\0';
}

static void hash_text(const char *text, size_t len, char hex[static 65])
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	(void)crypto_hash_sha256(hash, (const uint8_t *)text, len);
	(void)sodium_bin2hex(hex, 65, hash, sizeof(hash));
}

/* The whole of a regular file, NUL-terminated. */
static int read_file(int fd, const char *path, char **ret, size_t *ret_len, struct cloche_err *err)
{
	cleanup_free char *text = NULL;
	size_t len = 0;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return cloche_err_sys(err, errno, "open policy '%s'", path);
	if (!S_ISREG(st.st_mode))
		return cloche_err_set(err, EINVAL, "policy '%s' is not a regular file", path);
	if (st.st_size > (off_t)POLICY_TEXT_MAX)
		return cloche_err_set(err, EFBIG, "policy '%s' is larger than %zu KiB", path,
				      POLICY_TEXT_MAX / 1024);
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return cloche_err_set(err, ENOMEM, "policy '%s': out of memory", path);
	while (len < (size_t)st.st_size) {
		ssize_t n = read(fd, text + len, (size_t)st.st_size - len);

		if (n < 0)
			return cloche_err_sys(err, errno, "read policy '%s'", path);
		if (n == 0) /* it shrank */
			break;
		len += (size_t)n;
	}
	text[len] = '\0';
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

static int text_name(const char *path, struct policy_text *ret, struct cloche_err *err)
{
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	size_t base_len = strlen(base);

	*ret = (struct policy_text){ 0 };
	if (base_len > 5 && strcmp(base + base_len - 5, ".json") == 0)
		base_len -= 5;
	if (base_len >= sizeof(ret->name) || strlen(path) >= sizeof(ret->source))
		return cloche_err_set(err, ENAMETOOLONG,
				      "policy '%.80s…': a name has at most 63 bytes, a path 511",
				      path);
	memcpy(ret->name, base, base_len);
	(void)snprintf(ret->source, sizeof(ret->source), "%s", path);
	return 0;
}

int policy_text_read(int fd, const char *path, struct policy_text *ret, struct cloche_err *err)
{
	int rc = text_name(path, ret, err);

	if (rc == 0)
		rc = read_file(fd, path, &ret->owned, &ret->len, err);
	if (rc < 0)
		return rc;
	ret->text = ret->owned;
	hash_text(ret->text, ret->len, ret->sha256);
	return 0;
}

/* O_NONBLOCK: a FIFO must not hold us up. */
static int load_file(const char *path, struct policy_text *ret, struct cloche_err *err)
{
	int rc = text_name(path, ret, err);
	cleanup_fd int fd = rc < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (rc < 0)
		return rc;
	return fd < 0 ? cloche_err_sys(err, errno, "open policy '%s'", path)
		      : policy_text_read(fd, path, ret, err);
}

static const char *const what_of[] = { [POLICY_PROFILE] = "",
				       [POLICY_WALL] = ", behind every profile",
				       [POLICY_OURS] = ", of the daemon's own" };

int policy_text_load(const struct policy_dirs *dirs, const char *name_or_path,
		     struct policy_text *ret, struct cloche_err *err)
{
	char path[512];
	int rc;

	*ret = (struct policy_text){ 0 };
	if (policy_is_path(name_or_path))
		return load_file(name_or_path, ret, err);
	for (const struct policy_builtin *b = policy_builtins; b->name; b++) {
		if (strcmp(b->name, name_or_path) != 0)
			continue;
		(void)snprintf(ret->name, sizeof(ret->name), "%s", b->name);
		(void)snprintf(ret->sha256, sizeof(ret->sha256), "%s", b->sha256);
		(void)snprintf(ret->source, sizeof(ret->source), "built-in%s", what_of[b->kind]);
		ret->kind = b->kind;
		ret->text = b->text;
		ret->len = b->len;
		return 0;
	}
	if (!is_name(name_or_path))
		return cloche_err_set(
			err, EINVAL,
			"policy '%.80s': a name has letters, digits, '.', '_' and '-'; "
			"a file needs a '/' or ends in .json",
			name_or_path);
	if (snprintf(path, sizeof(path), "%s/%s.json", dirs->profiles, name_or_path) >=
	    (int)sizeof(path))
		return cloche_err_set(err, ENAMETOOLONG, "policy '%s'", name_or_path);
	rc = load_file(path, ret, err);
	if (rc == -ENOENT)
		return cloche_err_set(err, ENOENT,
				      "no policy '%s': neither shipped nor %s; see 'cloche policy "
				      "list'",
				      name_or_path, path);
	return rc;
}

void policy_text_free(struct policy_text *text)
{
	free(text->owned);
	*text = (struct policy_text){ 0 };
}

/* What child.c calls between the loading of the filter and the first instruction of the command. */
static bool lets_launch(const struct policy_table *table)
{
	return policy_table_lets(table, SYS_execve) && policy_table_lets(table, SYS_exit_group) &&
	       policy_table_lets(table, SYS_clock_gettime);
}

/* What is built in, from JSON to BPF. */
static int compile_own(const struct policy_text *text, struct policy *ret, struct cloche_err *err)
{
	struct policy_profile profile;
	struct policy_table table = { 0 };
	struct policy_stack stack = { 0 };
	int rc;

	rc = policy_profile_parse(text->name, text->text, text->len, NULL, NULL, &profile, err);
	if (rc < 0)
		return rc;
	rc = policy_table_build(text->name, &profile, &table, err);
	if (rc == 0)
		rc = policy_stack_open(&table, ret->walls, &stack, err);
	if (rc == 0)
		rc = policy_stack_compile(&stack, &ret->prog, err);
	ret->kills = table.kills;
	ret->lets_launch = lets_launch(&table);
	ret->flags = profile.flags;
	policy_stack_close(&stack);
	policy_table_free(&table);
	policy_profile_free(&profile);
	return rc;
}

static int compile_foreign(const struct policy_text *text, policy_compile_fn *foreign,
			   struct policy *ret, struct cloche_err *err)
{
	cleanup_free struct policy_bare *bare = malloc(sizeof(*bare));
	size_t size = 0;
	int rc = bare ? foreign(text, bare, &size, err)
		      : cloche_err_set(err, ENOMEM, "policy '%s': out of memory", text->source);

	if (rc < 0)
		return rc;
	rc = policy_bare_join(bare, size, ret->walls, ret, err);
	return rc < 0 ? cloche_err_wrap(err, "%s", text->source) : 0;
}

int policy_load_text(const char *cache, const struct policy_text *text, enum policy_walls walls,
		     policy_compile_fn *foreign, struct policy *ret, struct cloche_err *err)
{
	struct policy policy = { .walls = walls };
	int rc;

	if (text->kind != POLICY_PROFILE)
		return cloche_err_set(err, EINVAL, "'%s' is no policy to run under: it %s",
				      text->name,
				      text->kind == POLICY_WALL ? "stands behind every one"
								: "is of the daemon's own");
	memcpy(policy.name, text->name, sizeof(policy.name));
	memcpy(policy.sha256, text->sha256, sizeof(policy.sha256));
	if (!policy_cache_get(cache, &policy)) {
		rc = text->owned ? compile_foreign(text, foreign, &policy, err)
				 : compile_own(text, &policy, err);
		if (rc < 0)
			return rc;
		policy_cache_try_put(cache, &policy);
	}
	*ret = policy;
	return 0;
}

int policy_load_from(const struct policy_dirs *dirs, const char *name_or_path,
		     enum policy_walls walls, struct policy *ret, struct cloche_err *err)
{
	struct policy_text text;
	int rc;

	rc = policy_text_load(dirs, name_or_path, &text, err);
	if (rc < 0)
		return rc;
	rc = policy_load_text(dirs->cache, &text, walls, policy_bare_make, ret, err);
	policy_text_free(&text);
	return rc;
}

/*
 * Before all else: close_range(3, ~0, CLOSE_RANGE_UNSHARE) passes, with which the child leaves the
 * table of descriptors in which the warden finds the listener (child.c). Whoever calls it later
 * closes its own descriptors. The kernel takes the lower halves of these arguments only.
 */
static int let_leave(struct policy *policy)
{
#define LOW(n) (offsetof(struct seccomp_data, args) + (n) * sizeof(uint64_t))
	const struct sock_filter ahead[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 9),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 7),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW(0)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 3, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW(1)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ~0U, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW(2)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLOSE_RANGE_UNSHARE, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
#undef LOW
	const size_t n = sizeof(ahead) / sizeof(ahead[0]);
	struct sock_fprog *prog = &policy->prog;
	struct sock_filter *all;

	if (prog->len + n > BPF_MAXINSNS)
		return -E2BIG;
	all = calloc(prog->len + n, sizeof(*all));
	if (!all)
		return -ENOMEM;
	memcpy(all, ahead, sizeof(ahead));
	memcpy(all + n, prog->filter, prog->len * sizeof(*all));
	free(prog->filter);
	prog->filter = all;
	prog->len = (unsigned short)(prog->len + n);
	return 0;
}

static bool denies_aloud(const struct sock_filter *f)
{
	return f->code == (BPF_RET | BPF_K) && f->k == (SECCOMP_RET_ERRNO | EPERM) &&
	       f->jt != POLICY_RET_QUIET;
}

static bool asks_warden(const struct sock_filter *f)
{
	return f->code == (BPF_RET | BPF_K) && f->jt == POLICY_RET_ASK;
}

void policy_report(struct policy *policy)
{
	bool asks = false;

	if (!policy->lets_launch)
		return;
	for (size_t i = 0; i < policy->prog.len; i++)
		asks |= denies_aloud(&policy->prog.filter[i]) ||
			asks_warden(&policy->prog.filter[i]);
	if (!asks || let_leave(policy) < 0)
		return;
	policy->reports = true;
	for (size_t i = 0; i < policy->prog.len; i++) {
		struct sock_filter *f = &policy->prog.filter[i];

		if (denies_aloud(f) || asks_warden(f))
			f->k = SECCOMP_RET_USER_NOTIF;
	}
}

void policy_unreport(const struct policy *policy)
{
	for (size_t i = 0; i < policy->prog.len; i++) {
		struct sock_filter *f = &policy->prog.filter[i];

		if (f->code == (BPF_RET | BPF_K) && f->k == SECCOMP_RET_USER_NOTIF)
			f->k = asks_warden(f) ? POLICY_ASKED : SECCOMP_RET_ERRNO | EPERM;
	}
}

void policy_free(struct policy *policy)
{
	free(policy->prog.filter);
	*policy = (struct policy){ 0 };
}
