/* SPDX-License-Identifier: MIT */
/* The process that unpacks archives, and what it may: see image_cell.h. */
#include "image/image_cell.h"

#include "base/err.h"
#include "host/slot.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int image_be_nobody(unsigned capabilities, struct cloche_err *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { { .permitted = capabilities,
						    .effective = capabilities } };
	const struct rlimit no_core = { 0 };

	if (unshare(CLONE_NEWNET | CLONE_NEWIPC) < 0)
		return cloche_err_sys(err, errno, "leave the network");
	/* Ends with the number behind the last capability. */
	for (int cap = 0; prctl(PR_CAPBSET_DROP, cap) == 0;)
		cap++;
	if (setrlimit(RLIMIT_CORE, &no_core) < 0 || prctl(PR_SET_KEEPCAPS, 1) < 0 ||
	    syscall(SYS_setgroups, 0, NULL) < 0 ||
	    syscall(SYS_setresgid, SLOT_UID_NONE, SLOT_UID_NONE, SLOT_UID_NONE) < 0 ||
	    syscall(SYS_setresuid, SLOT_UID_NONE, SLOT_UID_NONE, SLOT_UID_NONE) < 0)
		return cloche_err_sys(err, errno, "become uid %u", SLOT_UID_NONE);
	if (syscall(SYS_capset, &head, caps) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return cloche_err_sys(err, errno, "drop capabilities");
	return 0;
}

/* All but keep[] and standard error. */
static int close_files(const int keep[], size_t n, struct cloche_err *err)
{
	for (int from = 0, kept;; from = kept + 1) {
		kept = from <= STDERR_FILENO ? STDERR_FILENO : INT_MAX;
		for (size_t i = 0; i < n; i++)
			if (keep[i] >= from && keep[i] < kept)
				kept = keep[i];
		if (kept > from && syscall(SYS_close_range, (unsigned)from,
					   kept == INT_MAX ? ~0U : (unsigned)kept - 1, 0) < 0)
			return cloche_err_sys(err, errno, "close_range");
		if (kept == INT_MAX)
			return 0;
	}
}

/* Whatever its arguments are. Of what takes a path it sees its root; of what takes a descriptor,
 * what it was given and has made. */
static const int calls[] = {
	/* files */
	SCMP_SYS(read),
	SCMP_SYS(pread64),
	SCMP_SYS(write),
	SCMP_SYS(lseek),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(fstatfs),
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(openat2),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64),
	SCMP_SYS(fchdir),
	/* and what makes them */
	SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat),
	SCMP_SYS(unlinkat),
	SCMP_SYS(linkat),
	SCMP_SYS(symlinkat),
	SCMP_SYS(fchmod),
	SCMP_SYS(fchmodat),
	SCMP_SYS(utimensat),
	/* memory, time, itself */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(getrandom),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack), /* a sanitizer asks */
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* With such an argument. Not F_SETOWN, by which signals are sent, nor what types on a terminal. */
static const struct {
	int call;
	struct scmp_arg_cmp arg;
} calls_with[] = {
	{ SCMP_SYS(mmap), { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
	{ SCMP_SYS(mprotect), { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
	{ SCMP_SYS(fcntl), { 1, SCMP_CMP_EQ, F_DUPFD_CLOEXEC, 0 } },
	{ SCMP_SYS(fcntl), { 1, SCMP_CMP_EQ, F_GETFD, 0 } },
	{ SCMP_SYS(fcntl), { 1, SCMP_CMP_EQ, F_SETFD, 0 } },
	{ SCMP_SYS(fcntl), { 1, SCMP_CMP_EQ, F_GETFL, 0 } },
	{ SCMP_SYS(ioctl), { 1, SCMP_CMP_EQ, TCGETS, 0 } },
};

static int rules_add(scmp_filter_ctx filter)
{
	int r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	for (size_t i = 0; r == 0 && i < sizeof(calls) / sizeof(calls[0]); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	for (size_t i = 0; r == 0 && i < sizeof(calls_with) / sizeof(calls_with[0]); i++)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, calls_with[i].call, 1,
					   &calls_with[i].arg);
	return r;
}

int image_cell_filter(struct cloche_err *err)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = filter ? rules_add(filter) : -ENOMEM;

	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r < 0 ? cloche_err_sys(err, -r, "filter its system calls (seccomp)") : 0;
}

int image_cell_enter(const int keep[], size_t n, struct cloche_err *err)
{
	int r = close_files(keep, n, err);

	if (r == 0 && (chroot(".") < 0 || chdir("/") < 0))
		r = cloche_err_sys(err, errno, "make the folder its root");
	if (r == 0)
		r = image_be_nobody(CAP_TO_MASK(CAP_DAC_READ_SEARCH), err);
	return r == 0 ? image_cell_filter(err) : r;
}
