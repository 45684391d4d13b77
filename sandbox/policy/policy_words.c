/* SPDX-License-Identifier: MIT */
/*
 * The vocabulary of seccomp profiles as tables. A word that is in no table is refused by the
 * reader, so what is missing here cannot be used; nothing here has a meaning beyond its number.
 */
#include "policy/policy_words.h"

#include <linux/capability.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#define ERRNO_END 4096	      /* MAX_ERRNO of the kernel, and one */
#define X32_BIT	  0x40000000U /* asm/unistd.h, __X32_SYSCALL_BIT */

const struct policy_word policy_action_words[] = {
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG },
	{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0) },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
	{ "SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY },
	{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(0) },
	{ 0 },
};

const struct policy_word policy_op_words[] = {
	{ "SCMP_CMP_NE", SCMP_CMP_NE },
	{ "SCMP_CMP_LT", SCMP_CMP_LT },
	{ "SCMP_CMP_LE", SCMP_CMP_LE },
	{ "SCMP_CMP_EQ", SCMP_CMP_EQ },
	{ "SCMP_CMP_GE", SCMP_CMP_GE },
	{ "SCMP_CMP_GT", SCMP_CMP_GT },
	{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
	{ 0 },
};

const struct policy_word policy_arch_words[] = {
	{ "SCMP_ARCH_X86_64", SCMP_ARCH_X86_64 },
	{ "SCMP_ARCH_X86", SCMP_ARCH_X86 },
	{ "SCMP_ARCH_X32", SCMP_ARCH_X32 },
	{ "SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64 },
	{ "SCMP_ARCH_ARM", SCMP_ARCH_ARM },
	{ "SCMP_ARCH_MIPS", SCMP_ARCH_MIPS },
	{ "SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64 },
	{ "SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32 },
	{ "SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL },
	{ "SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64 },
	{ "SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32 },
	{ "SCMP_ARCH_PPC", SCMP_ARCH_PPC },
	{ "SCMP_ARCH_PPC64", SCMP_ARCH_PPC64 },
	{ "SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE },
	{ "SCMP_ARCH_S390", SCMP_ARCH_S390 },
	{ "SCMP_ARCH_S390X", SCMP_ARCH_S390X },
	{ "SCMP_ARCH_PARISC", SCMP_ARCH_PARISC },
	{ "SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64 },
	{ "SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64 },
	/* In profiles of today, newer than this libseccomp. No machine has them as its native
	 * one here, so naming them changes nothing. */
	{ "SCMP_ARCH_LOONGARCH64", 0 },
	{ "SCMP_ARCH_M68K", 0 },
	{ "SCMP_ARCH_SH", 0 },
	{ "SCMP_ARCH_SHEB", 0 },
	{ 0 },
};

/* Docker's "arches" are Go's names. */
const struct policy_word policy_goarch_words[] = {
	{ "amd64", SCMP_ARCH_X86_64 },
	{ "x86", SCMP_ARCH_X86 },
	{ "386", SCMP_ARCH_X86 },
	{ "x32", SCMP_ARCH_X32 },
	{ "arm64", SCMP_ARCH_AARCH64 },
	{ "arm", SCMP_ARCH_ARM },
	{ "mips", SCMP_ARCH_MIPS },
	{ "mips64", SCMP_ARCH_MIPS64 },
	{ "mips64n32", SCMP_ARCH_MIPS64N32 },
	{ "mipsel", SCMP_ARCH_MIPSEL },
	{ "mipsel64", SCMP_ARCH_MIPSEL64 },
	{ "mipsel64n32", SCMP_ARCH_MIPSEL64N32 },
	{ "ppc", SCMP_ARCH_PPC },
	{ "ppc64", SCMP_ARCH_PPC64 },
	{ "ppc64le", SCMP_ARCH_PPC64LE },
	{ "s390", SCMP_ARCH_S390 },
	{ "s390x", SCMP_ARCH_S390X },
	{ "parisc", SCMP_ARCH_PARISC },
	{ "parisc64", SCMP_ARCH_PARISC64 },
	{ "riscv64", SCMP_ARCH_RISCV64 },
	{ "loong64", 0 },
	{ "loongarch64", 0 },
	{ 0 },
};

const struct policy_word policy_flag_words[] = {
	/* One thread loads the filter, so there is nothing to synchronise: no bit. */
	{ "SECCOMP_FILTER_FLAG_TSYNC", 0 },
	/* It says how to wait for a listener's answer; no rule of a profile asks one. */
	{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 0 },
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
	{ 0 },
};

const struct policy_word policy_cap_words[] = {
#define CAP(name)           \
	{                   \
#name, name \
	}
	CAP(CAP_CHOWN),
	CAP(CAP_DAC_OVERRIDE),
	CAP(CAP_DAC_READ_SEARCH),
	CAP(CAP_FOWNER),
	CAP(CAP_FSETID),
	CAP(CAP_KILL),
	CAP(CAP_SETGID),
	CAP(CAP_SETUID),
	CAP(CAP_SETPCAP),
	CAP(CAP_LINUX_IMMUTABLE),
	CAP(CAP_NET_BIND_SERVICE),
	CAP(CAP_NET_BROADCAST),
	CAP(CAP_NET_ADMIN),
	CAP(CAP_NET_RAW),
	CAP(CAP_IPC_LOCK),
	CAP(CAP_IPC_OWNER),
	CAP(CAP_SYS_MODULE),
	CAP(CAP_SYS_RAWIO),
	CAP(CAP_SYS_CHROOT),
	CAP(CAP_SYS_PTRACE),
	CAP(CAP_SYS_PACCT),
	CAP(CAP_SYS_ADMIN),
	CAP(CAP_SYS_BOOT),
	CAP(CAP_SYS_NICE),
	CAP(CAP_SYS_RESOURCE),
	CAP(CAP_SYS_TIME),
	CAP(CAP_SYS_TTY_CONFIG),
	CAP(CAP_MKNOD),
	CAP(CAP_LEASE),
	CAP(CAP_AUDIT_WRITE),
	CAP(CAP_AUDIT_CONTROL),
	CAP(CAP_SETFCAP),
	CAP(CAP_MAC_OVERRIDE),
	CAP(CAP_MAC_ADMIN),
	CAP(CAP_SYSLOG),
	CAP(CAP_WAKE_ALARM),
	CAP(CAP_BLOCK_SUSPEND),
	CAP(CAP_AUDIT_READ),
	CAP(CAP_PERFMON),
	CAP(CAP_BPF),
	CAP(CAP_CHECKPOINT_RESTORE),
	{ 0 },
#undef CAP
};

/* SCMP_ACT_* are the kernel's SECCOMP_RET_*. */
static const struct policy_word verdict_words[] = {
	{ "ALLOW", SCMP_ACT_ALLOW },
	{ "ALLOW+LOG", SCMP_ACT_LOG },
	{ "LOG", SCMP_ACT_LOG },
	{ "TRAP", SCMP_ACT_TRAP },
	{ "KILL_THREAD", SCMP_ACT_KILL_THREAD },
	{ "KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
	{ 0 },
};

void policy_action_word(uint32_t action, char *buf, size_t size)
{
	int code = (int)(action & SECCOMP_RET_DATA);

	for (const struct policy_word *w = verdict_words; w->text; w++) {
		if (w->value == action) {
			(void)snprintf(buf, size, "%s", w->text);
			return;
		}
	}
	if (strerrorname_np(code))
		(void)snprintf(buf, size, "%s", strerrorname_np(code));
	else
		(void)snprintf(buf, size, "errno %d", code);
}

bool policy_action_read(const char *word, uint32_t *ret)
{
	const struct policy_word *w = policy_word_find(verdict_words, word);

	if (w) {
		*ret = w->value;
		return true;
	}
	for (int code = 1; code < ERRNO_END; code++) {
		const char *name = strerrorname_np(code);

		if (name && strcmp(name, word) == 0) {
			*ret = SCMP_ACT_ERRNO((uint32_t)code);
			return true;
		}
	}
	return false;
}

/* Since libseccomp 2.5.4, which Debian 12 has; one list for x86-64 and all that share its newer
 * numbers (Linux, scripts/syscall.tbl and arch/x86/entry/syscalls/syscall_64.tbl). */
#define ELSEWHERE ((uint32_t)-2) /* __NR_SCMP_UNDEF: a call, but not of this architecture */
static const struct policy_word newer_calls[] = {
	{ "uretprobe", 335 },
	{ "uprobe", 336 },
	{ "cachestat", 451 },
	{ "fchmodat2", 452 },
	{ "map_shadow_stack", 453 },
	{ "futex_wake", 454 },
	{ "futex_wait", 455 },
	{ "futex_requeue", 456 },
	{ "statmount", 457 },
	{ "listmount", 458 },
	{ "lsm_get_self_attr", 459 },
	{ "lsm_set_self_attr", 460 },
	{ "lsm_list_modules", 461 },
	{ "mseal", 462 },
	{ "setxattrat", 463 },
	{ "getxattrat", 464 },
	{ "listxattrat", 465 },
	{ "removexattrat", 466 },
	{ "open_tree_attr", 467 },
	{ "file_getattr", 468 },
	{ "file_setattr", 469 },
	{ "listns", 470 },
	{ "rseq_slice_yield", 471 },
	{ "riscv_hwprobe", ELSEWHERE },
	{ 0 },
};

int policy_call_number(const char *name)
{
	int nr = seccomp_syscall_resolve_name(name);
	const struct policy_word *w = policy_word_find(newer_calls, name);

	return nr == __NR_SCMP_ERROR && w ? (int)w->value : nr;
}

char *policy_call_name(int nr)
{
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);

	for (const struct policy_word *w = newer_calls; !name && w->text; w++)
		if (w->value == (uint32_t)nr)
			return strdup(w->text);
	return name;
}

const char *policy_abi(uint32_t arch, uint32_t nr)
{
	return arch == SCMP_ARCH_X86 ? "i386" : nr >= X32_BIT ? "x32" : "x86_64";
}

char *policy_abi_call_name(uint32_t arch, uint32_t nr)
{
	bool x32 = arch == SCMP_ARCH_X86_64 && nr >= X32_BIT;

	if (arch == SCMP_ARCH_X86_64 && !x32)
		return policy_call_name((int)nr);
	return seccomp_syscall_resolve_num_arch(x32 ? SCMP_ARCH_X32 : arch, (int)nr);
}

const struct policy_word *policy_word_find(const struct policy_word *words, const char *text)
{
	for (; words->text; words++)
		if (strcmp(words->text, text) == 0)
			return words;
	return NULL;
}

const char *policy_word_name(const struct policy_word *words, uint32_t value)
{
	for (; words->text; words++)
		if (words->value == value)
			return words->text;
	return "unknown";
}

struct policy_kernel policy_kernel_now(void)
{
	struct policy_kernel k = { 0 };
	struct utsname u;

	if (uname(&u) == 0)
		(void)sscanf(u.release, "%u.%u", &k.major, &k.minor);
	return k;
}
