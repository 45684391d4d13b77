/* SPDX-License-Identifier: MIT */
/*
 * vfork(2) with a stack of the child's own, by clone3(2), for which libc has no wrapper: a child on
 * the caller's stack would overwrite the frame to which the caller returns.
 */
#include "launch/spawn.h"

#include <linux/sched.h>
#include <signal.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif
#include <stdint.h>
#include <sys/syscall.h>

#define STACK_SIZE (32 << 10)

#ifndef __x86_64__
#error "spawn.c needs clone3 with a stack in this architecture's assembly"
#endif

pid_t spawn(int cgroup2, int *ret_pidfd, void (*main)(const struct plan *plan),
	    const struct plan *plan)
{
	_Alignas(16) char stack[STACK_SIZE]; /* the caller waits: it lives as long as it is used */
	struct clone_args args = {
		.flags = CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_INTO_CGROUP | CLONE_PIDFD,
		.pidfd = (__u64)(uintptr_t)ret_pidfd,
		.exit_signal = SIGCHLD,
		.stack = (__u64)(uintptr_t)stack,
		.stack_size = STACK_SIZE,
		.cgroup = (__u64)cgroup2,
	};
	register void (*to)(const struct plan *) __asm__("r8") = main;
	register const struct plan *with __asm__("r9") = plan;
	long pid = SYS_clone3;

	/* The kernel keeps all registers but rax, rcx and r11, in the child too (clone3.2). */
	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r9, %%rdi\n\t"
			 "call *%%r8\n\t"
			 "ud2\n"
			 "1:"
			 : "+a"(pid)
			 : "D"(&args), "S"(sizeof(args)), "r"(to), "r"(with)
			 : "rcx", "r11", "memory");
#ifdef __SANITIZE_ADDRESS__
	/* The child left by exec, not by return: its frames are still marked on this stack. */
	__asan_unpoison_memory_region(stack, sizeof(stack));
#endif
	return (pid_t)pid;
}
