/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_POLICY_POLICY_WORDS_H
#define CLOCHE_POLICY_POLICY_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The words of the profile format and what libseccomp and the kernel call them. */
struct policy_word {
	const char *text; /* NULL ends a list */
	uint32_t value;
};

extern const struct policy_word policy_action_words[]; /* SCMP_ACT_*, errno left out */
extern const struct policy_word policy_op_words[];     /* enum scmp_compare */
extern const struct policy_word policy_arch_words[];   /* SCMP_ARCH_* */
extern const struct policy_word
	policy_goarch_words[]; /* "amd64" → SCMP_ARCH_*, 0: not known here */
extern const struct policy_word policy_flag_words[]; /* SECCOMP_FILTER_FLAG_* */
extern const struct policy_word policy_cap_words[];  /* capability numbers */

/* NULL when the list does not have it. */
const struct policy_word *policy_word_find(const struct policy_word *words, const char *text);
const char *policy_word_name(const struct policy_word *words, uint32_t value);

/*
 * What a call meets, in a word: "ALLOW", "ALLOW+LOG", "EPERM", "KILL_PROCESS"...; "errno 4000"
 * where it has no name. read takes these words but the last, and LOG; false: it is none of them.
 */
void policy_action_word(uint32_t action, char *buf, size_t size);
bool policy_action_read(const char *word, uint32_t *ret);

/*
 * Numbers and names of calls of this architecture, by libseccomp and, where that is older than the
 * call, by a list of our own. number: negative as seccomp_syscall_resolve_name(3). name: to be
 * freed, NULL where there is none.
 */
int policy_call_number(const char *name);
char *policy_call_name(int nr);

/* Of any table that the kernel has, by the architecture as a filter or the kernel names it
 * (AUDIT_ARCH_*; that of x32 is x86-64's). abi: "x86_64", "i386" or "x32". name: as above. */
const char *policy_abi(uint32_t arch, uint32_t nr);
char *policy_abi_call_name(uint32_t arch, uint32_t nr);

/* The running kernel, for minKernel and for the cache's key. */
struct policy_kernel {
	unsigned int major, minor;
};
struct policy_kernel policy_kernel_now(void);

#endif
