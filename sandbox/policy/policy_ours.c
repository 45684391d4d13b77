/* SPDX-License-Identifier: MIT */
/* The filters of the daemon's own processes: see policy_ours.h. */
#include "policy/policy_ours.h"

#include "base/err.h"
#include "policy/policy.h"
#include "policy/policy_builtin.h"
#include "policy/policy_compile.h"
#include "policy/policy_oci.h"
#include "policy/policy_rules.h"

#include <errno.h>
#include <linux/seccomp.h>

static void rank_behind(const struct sock_fprog *prog)
{
	for (size_t i = 0; i < prog->len; i++) {
		struct sock_filter *f = &prog->filter[i];

		if (f->code == (BPF_RET | BPF_K) && f->k == (SECCOMP_RET_ERRNO | ENOSYS))
			f->k = SECCOMP_RET_TRACE;
	}
}

int policy_ours_compile(const char *name, bool inherited, struct sock_fprog *ret,
			unsigned int *ret_flags, struct cloche_err *err)
{
	struct policy_profile profile = { 0 };
	struct policy_table table = { 0 };
	struct policy_text text;
	int rc = policy_text_load(&policy_dirs_default, name, &text, err);

	if (rc < 0)
		return rc;
	if (text.kind != POLICY_OURS)
		rc = cloche_err_set(err, EINVAL, "'%s' is no filter of our own", name);
	if (rc == 0)
		rc = policy_profile_parse(name, text.text, text.len, NULL, NULL, &profile, err);
	if (rc == 0)
		rc = policy_table_build(name, &profile, &table, err);
	if (rc == 0)
		rc = policy_compile(&table, NULL, 0, ret, err);
	if (rc == 0) {
		*ret_flags = profile.flags;
		if (inherited)
			rank_behind(ret);
	}
	policy_table_free(&table);
	policy_profile_free(&profile);
	policy_text_free(&text);
	return rc;
}
