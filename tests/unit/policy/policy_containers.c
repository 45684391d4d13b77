/* SPDX-License-Identifier: MIT */
/*
 * Profiles as container engines ship them load and mean what they say: small ones with each of the
 * forms that those of Docker (20.10 to 29), podman and containerd have, none a copy.
 */
#include "base/err.h"
#include "policy/policy_compile.h"
#include "policy/policy_left_out.h"
#include "policy/policy_oci.h"
#include "policy/policy_rules.h"
#include "policy/policy_words.h"
#include "tests/lib/bpf_sim.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/audit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct opened {
	const char *text;
	struct policy_profile profile;
	struct policy_table table;
	struct sock_fprog prog;
};

static void opened_free(struct opened *o)
{
	free(o->prog.filter);
	policy_table_free(&o->table);
	policy_profile_free(&o->profile);
}

#define cleanup_opened __attribute__((cleanup(opened_free)))

static struct opened must_open(const char *text)
{
	struct opened o = { .text = text };
	struct cloche_err err = { 0 };

	cr_assert_eq(policy_profile_parse("p", text, strlen(text), NULL, NULL, &o.profile, &err), 0,
		     "%s", err.text);
	cr_assert_eq(policy_table_build("p", &o.profile, &o.table, &err), 0, "%s", err.text);
	cr_assert_eq(policy_compile(&o.table, NULL, 0, &o.prog, &err), 0, "%s", err.text);
	return o;
}

static uint32_t ask_number(const struct opened *o, int nr, uint64_t arg0, uint64_t arg2)
{
	const struct seccomp_data data = { .nr = nr,
					   .arch = AUDIT_ARCH_X86_64,
					   .args = { arg0, 0, arg2 } };
	uint64_t args[6] = { arg0, 0, arg2 };
	uint32_t found = 0;

	cr_assert(bpf_sim_run(&o->prog, &data, &found));
	cr_assert_eq(found, policy_table_decide(&o->table, nr, args, NULL), "%d", nr);
	return found;
}

static uint32_t ask(const struct opened *o, const char *name, uint64_t arg0, uint64_t arg2)
{
	int nr = policy_call_number(name);

	cr_assert_geq(nr, 0, "%s", name);
	return ask_number(o, nr, arg0, arg2);
}

struct told {
	size_t n;
	char last[300];
};

static void tell(void *arg, const char *line)
{
	struct told *t = arg;

	t->n++;
	(void)snprintf(t->last, sizeof(t->last), "%s", line);
}

static struct told left_out(const struct opened *o)
{
	struct told t = { 0 };

	policy_left_out("p", o->text, strlen(o->text), &o->profile, tell, &t);
	return t;
}

#define PASSES	    SECCOMP_RET_ALLOW
#define FAILS(code) (SECCOMP_RET_ERRNO | (code))

/* Docker since 20.10, and of 2026. */
static const char docker[] =
	"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1,\"archMap\":["
	"{\"architecture\":\"SCMP_ARCH_X86_64\",\"subArchitectures\":[\"SCMP_ARCH_X86\"]},"
	"{\"architecture\":\"SCMP_ARCH_RISCV64\",\"subArchitectures\":null},"
	"{\"architecture\":\"SCMP_ARCH_LOONGARCH64\",\"subArchitectures\":null}],\"syscalls\":["
	"{\"names\":[\"read\",\"cachestat\",\"chown32\",\"socketcall\",\"getxattrat\",\"mseal\","
	"\"riscv_hwprobe\",\"uretprobe\"],\"action\":\"SCMP_ACT_ALLOW\"},"
	"{\"names\":[\"ptrace\"],\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"minKernel\":\"4.8\"}"
	"},"
	"{\"names\":[\"socket\"],\"action\":\"SCMP_ACT_ALLOW\","
	"\"args\":[{\"index\":0,\"value\":12,\"op\":\"SCMP_CMP_LT\"}]},"
	"{\"names\":[\"socket\"],\"action\":\"SCMP_ACT_ALLOW\","
	"\"args\":[{\"index\":0,\"value\":40,\"op\":\"SCMP_CMP_NE\"}]},"
	"{\"names\":[\"personality\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":"
	"[{\"index\":0,\"value\":4294967295,\"op\":\"SCMP_CMP_EQ\"}]},"
	"{\"names\":[\"sync_file_range2\",\"swapcontext\"],\"action\":\"SCMP_ACT_ALLOW\","
	"\"includes\":{\"arches\":[\"ppc64le\"]}},"
	"{\"names\":[\"arch_prctl\"],\"action\":\"SCMP_ACT_ALLOW\","
	"\"includes\":{\"arches\":[\"amd64\",\"x32\"]}},"
	"{\"names\":[\"bpf\",\"clone\",\"clone3\"],\"action\":\"SCMP_ACT_ALLOW\","
	"\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}},"
	"{\"names\":[\"clone\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,"
	"\"value\":2114060288,\"op\":\"SCMP_CMP_MASKED_EQ\"}],"
	"\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"],\"arches\":[\"s390\",\"s390x\"]}},"
	"{\"names\":[\"clone\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":1,"
	"\"value\":2114060288,\"op\":\"SCMP_CMP_MASKED_EQ\"}],\"comment\":\"another order\","
	"\"includes\":{\"arches\":[\"s390\",\"s390x\"]},"
	"\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}},"
	"{\"names\":[\"clone3\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":38,"
	"\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}}]}";

Test(policy_containers, dockers_profile_means_what_it_says)
{
	cleanup_opened struct opened o = must_open(docker);

	cr_expect_eq(ask(&o, "read", 0, 0), PASSES);
	cr_expect_eq(ask(&o, "getxattrat", 0, 0), PASSES);
	cr_expect_eq(ask(&o, "mseal", 0, 0), PASSES);
	cr_expect_eq(ask(&o, "uretprobe", 0, 0), PASSES);
	cr_expect_eq(ask(&o, "ptrace", 0, 0), PASSES);
	cr_expect_eq(ask(&o, "arch_prctl", 0, 0), PASSES);
	cr_expect_eq(ask(&o, "socket", 2, 0), PASSES);
	cr_expect_eq(ask(&o, "socket", 40, 0), FAILS(EPERM));
	cr_expect_eq(ask(&o, "personality", 0xffffffff, 0), PASSES);
	cr_expect_eq(ask(&o, "personality", 1, 0), FAILS(EPERM));
	cr_expect_eq(ask(&o, "bpf", 0, 0), FAILS(EPERM));
	cr_expect_eq(ask(&o, "clone", 0x11, 0), PASSES);
	cr_expect_eq(ask(&o, "clone", 0x10000000, 0), FAILS(EPERM));
	cr_expect_eq(ask(&o, "clone3", 0, 0), FAILS(ENOSYS));
	cr_expect_eq(ask(&o, "statmount", 0, 0), FAILS(EPERM));
	/* Newer than the newest that is named, which is getxattrat. */
	cr_expect_eq(ask(&o, "listxattrat", 0, 0), FAILS(ENOSYS));
	cr_expect_eq(left_out(&o).n, 0);
}

/* podman: another default, the errno by number and by name, the same call in two lists. */
static const char podman[] =
	"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,\"defaultErrno\":\"ENOSYS\","
	"\"archMap\":[{\"architecture\":\"SCMP_ARCH_X86_64\",\"subArchitectures\":[]}],"
	"\"syscalls\":["
	"{\"names\":[\"kexec_load\",\"nice\",\"vm86\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":[],"
	"\"comment\":\"\",\"includes\":{},\"excludes\":{},\"errnoRet\":1,\"errno\":\"EPERM\"},"
	"{\"names\":[\"read\",\"setns\",\"futex_swap\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[],"
	"\"comment\":\"\",\"includes\":{},\"excludes\":{}},"
	"{\"names\":[\"bpf\",\"setns\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[],\"comment\":\"\","
	"\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\"]},\"excludes\":{}},"
	"{\"names\":[\"bpf\",\"setns\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":[],"
	"\"includes\":{},\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"]},\"errno\":\"EPERM\"},"
	"{\"names\":[\"socket\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":["
	"{\"index\":0,\"value\":16,\"valueTwo\":0,\"op\":\"SCMP_CMP_EQ\"},"
	"{\"index\":2,\"value\":9,\"valueTwo\":0,\"op\":\"SCMP_CMP_EQ\"}],"
	"\"excludes\":{\"caps\":[\"CAP_AUDIT_WRITE\"]},\"errnoRet\":22,\"errno\":\"EINVAL\"},"
	"{\"names\":[\"socket\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":["
	"{\"index\":2,\"value\":9,\"valueTwo\":0,\"op\":\"SCMP_CMP_NE\"}],"
	"\"excludes\":{\"caps\":[\"CAP_AUDIT_WRITE\"]}},"
	"{\"names\":[\"socket\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":["
	"{\"index\":0,\"value\":16,\"valueTwo\":0,\"op\":\"SCMP_CMP_NE\"}],"
	"\"excludes\":{\"caps\":[\"CAP_AUDIT_WRITE\"]}}]}";

Test(policy_containers, podmans_profile_means_what_it_says)
{
	cleanup_opened struct opened o = must_open(podman);
	struct told told = left_out(&o);

	cr_expect_eq(ask(&o, "read", 0, 0), PASSES);
	cr_expect_eq(ask(&o, "kexec_load", 0, 0), FAILS(EPERM));
	cr_expect_eq(ask(&o, "bpf", 0, 0), FAILS(EPERM));
	cr_expect_eq(ask(&o, "setns", 0, 0), FAILS(EPERM));
	cr_expect_eq(ask(&o, "mount", 0, 0), FAILS(ENOSYS));
	cr_expect_eq(ask(&o, "socket", 16, 9), FAILS(EINVAL));
	cr_expect_eq(ask(&o, "socket", 16, 0), PASSES);
	cr_expect_eq(ask(&o, "socket", 2, 9), PASSES);
	cr_expect_eq(told.n, 1);
	cr_expect_neq(strstr(told.last, ": left out: 'futex_swap' has no number in libseccomp "),
		      NULL, "%s", told.last);
}

/* Docker before 2016, one call a rule; containerd's is OCI, with "architectures". */
Test(policy_containers, older_and_bare_forms_are_read)
{
	cleanup_opened struct opened old = must_open(
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":null,\"syscalls\":["
		"{\"name\":\"read\",\"action\":\"SCMP_ACT_ALLOW\",\"args\":null,\"priority\":0},"
		"{\"name\":\"\",\"names\":[\"write\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[]},"
		"{\"name\":\"futex_swap\",\"action\":\"SCMP_ACT_KILL\",\"args\":[]}]}");
	cleanup_opened struct opened bare = must_open(
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[\"SCMP_ARCH_X86_64\","
		"\"SCMP_ARCH_X86\",\"SCMP_ARCH_X32\"],\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\","
		"\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"],\"listenerPath\":\"\","
		"\"listenerMetadata\":\"\",\"syscalls\":["
		"{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[]}]}");
	struct told told = left_out(&old);

	cr_expect_eq(ask(&old, "read", 0, 0), PASSES);
	cr_expect_eq(ask(&old, "write", 0, 0), PASSES);
	cr_expect_eq(told.n, 1);
	cr_expect_eq(strncmp(told.last, "p:1:", 4), 0, "%s", told.last);
	cr_expect_eq(ask(&bare, "read", 0, 0), PASSES);
	cr_expect_eq(bare.profile.flags, SECCOMP_FILTER_FLAG_LOG);
}

/* In the profiles of five years: of other architectures, of long ago, of lately. */
Test(policy_containers, no_name_in_their_profiles_is_unknown)
{
	char names[] =
		"_llseek _newselect arm_fadvise64_64 arm_sync_file_range bdflush breakpoint "
		"cacheflush cachestat chown32 clock_adjtime64 clock_getres_time64 "
		"clock_nanosleep_time64 clock_settime64 epoll_ctl_old epoll_pwait2 epoll_wait_old "
		"fadvise64_64 fchmodat2 fstatat64 futex_requeue futex_time64 futex_wait "
		"futex_waitv futex_wake get_thread_area getxattrat io_pgetevents_time64 ipc "
		"kexec_file_load landlock_restrict_self listmount listxattrat lsm_get_self_attr "
		"lsm_list_modules lsm_set_self_attr map_shadow_stack memfd_secret mount_setattr "
		"mq_timedreceive_time64 mseal nfsservctl nice oldfstat oldlstat oldolduname "
		"oldstat olduname pciconfig_iobase pciconfig_read pciconfig_write pidfd_getfd "
		"process_madvise process_mrelease pselect6_time64 query_module quotactl_fd "
		"readdir recv recvmmsg_time64 removexattrat riscv_flush_icache riscv_hwprobe "
		"s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr semtimedop_time64 send "
		"set_mempolicy_home_node set_tls setxattrat sgetmask sigprocmask sigreturn "
		"socketcall ssetmask statmount stime swapcontext sync_file_range2 sysfs "
		"timerfd_settime64 ugetrlimit umount uretprobe uselib ustat utimensat_time64 vm86 "
		"vm86old waitpid";
	char *rest = NULL;
	unsigned n = 0;

	for (char *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
		cr_expect_neq(policy_call_number(name), __NR_SCMP_ERROR, "%s", name);
		n++;
	}
	cr_expect_eq(n, 90);
}

Test(policy_containers, so_many_names_are_left_out_and_told_shortly)
{
	static char text[20000];
	size_t at = (size_t)snprintf(text, sizeof(text),
				     "{\"defaultAction\":\"SCMP_ACT_KILL\",\"syscalls\":[{"
				     "\"action\":\"SCMP_ACT_ALLOW\",\"names\":[\"read\"");

	for (int i = 0; i < POLICY_LEFT_OUT_MAX + 7; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, ",\n\"\\n%d\"", i);
	(void)snprintf(text + at, sizeof(text) - at, "]}]}");

	cleanup_opened struct opened o = must_open(text);
	struct told told = left_out(&o);

	cr_expect_eq(told.n, POLICY_LEFT_OUT_MAX + 1);
	cr_expect_str_eq(told.last, "7 more names were left out");
	cr_expect_eq(ask(&o, "read", 0, 0), PASSES);
}
