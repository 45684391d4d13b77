/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a compiled profile, as a compiler might answer that somebody has taken over: they
 * are refused with one line, or what the kernel would load answers to each call what they say where
 * that is a refusal, and lets no call pass that the floor stops.
 */
#include "base/err.h"
#include "policy/policy.h"
#include "policy/policy_join.h"
#include "tests/lib/bpf_sim.h"

#include <errno.h>
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static bool passes(uint32_t action)
{
	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}

static void compare(const struct sock_fprog *own, const struct policy *policy)
{
	static const struct seccomp_data calls[] = {
		{ .nr = SYS_bpf, .arch = AUDIT_ARCH_X86_64 },
		{ .nr = SYS_mount, .arch = AUDIT_ARCH_X86_64, .args = { 1, 2, 3, 4, 5 } },
		{ .nr = SYS_unshare, .arch = AUDIT_ARCH_X86_64, .args = { 0x10000000 } },
		{ .nr = SYS_chmod, .arch = AUDIT_ARCH_X86_64, .args = { 7, 04755 } },
		{ .nr = SYS_socket, .arch = AUDIT_ARCH_X86_64, .args = { 17, 3, 0 } },
		{ .nr = SYS_read, .arch = AUDIT_ARCH_I386 },
		{ .nr = SYS_read | 0x40000000, .arch = AUDIT_ARCH_X86_64 },
		{ .nr = SYS_read, .arch = AUDIT_ARCH_X86_64 },
	};
	const size_t n = sizeof(calls) / sizeof(calls[0]);

	for (size_t i = 0; i < n; i++) {
		uint32_t alone, joined;

		check(bpf_sim_run(own, &calls[i], &alone));
		check(bpf_sim_run(&policy->prog, &calls[i], &joined));
		check(joined == policy_answer(policy, &calls[i]));
		check(passes(alone) ? passes(joined) == (i == n - 1) : joined == alone);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_bare *bare = calloc(1, sizeof(*bare));
	struct policy policy = { 0 };
	struct cloche_err err = { 0 };
	struct sock_fprog own;
	int r;

	check(bare != NULL);
	memcpy(bare, data, size < sizeof(*bare) ? size : sizeof(*bare));
	r = policy_bare_join(bare, size, POLICY_WALLS_ONLINE, &policy, &err);
	own = (struct sock_fprog){ .len = (unsigned short)bare->n, .filter = bare->insns };
	if (r == 0)
		compare(&own, &policy);
	else
		check((r == -EBADMSG || r == -E2BIG) && err.text[0] && !strchr(err.text, '\n') &&
		      !policy.prog.filter);
	policy_free(&policy);
	free(bare);
	return 0;
}
