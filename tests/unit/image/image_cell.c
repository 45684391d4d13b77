/* SPDX-License-Identifier: MIT */
/* What kills a process that reads archives and was taken over: its filter, call by call. */
#include "image/image_cell.h"

#include "base/err.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct call {
	const char *what;
	long nr, args[6];
};

/* How a process ends that has the filter and makes this call: its status as wait(2) has it. */
static int end_of(const struct call *c)
{
	int status = -1;
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		struct cloche_err err;

		if (image_cell_filter(&err) < 0)
			_exit(99);
		(void)syscall(c->nr, c->args[0], c->args[1], c->args[2], c->args[3], c->args[4],
			      c->args[5]);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

#define TEXT(text) ((long)(uintptr_t)(text))

Test(image_cell, dies_of_all_that_no_archive_needs)
{
	const struct call calls[] = {
		{ "socket", SYS_socket, { AF_UNIX, SOCK_STREAM, 0 } },
		{ "socketpair", SYS_socketpair, { AF_UNIX, SOCK_STREAM, 0, 0 } },
		{ "connect", SYS_connect, { 0, 0, 0 } },
		{ "sendmsg", SYS_sendmsg, { 0, 0, 0 } },
		{ "exec", SYS_execve, { TEXT("/bin/true"), 0, 0 } },
		{ "exec of a file", SYS_execveat, { 0, TEXT(""), 0, 0, AT_EMPTY_PATH } },
		{ "fork", SYS_fork, { 0 } },
		{ "vfork", SYS_vfork, { 0 } },
		{ "clone", SYS_clone, { SIGCHLD, 0, 0, 0, 0 } },
		{ "clone3", SYS_clone3, { 0, 88 } },
		{ "ptrace", SYS_ptrace, { 16, 1, 0, 0 } },
		{ "memory of others", SYS_process_vm_writev, { 1, 0, 0, 0, 0, 0 } },
		{ "kill", SYS_kill, { 1, 0 } },
		{ "tgkill", SYS_tgkill, { 1, 1, 0 } },
		{ "a pidfd", SYS_pidfd_open, { 1, 0 } },
		{ "another's descriptor", SYS_pidfd_getfd, { 0, 0, 0 } },
		{ "any file by its number", SYS_open_by_handle_at, { AT_FDCWD, 0, 0 } },
		{ "a handle of one", SYS_name_to_handle_at, { AT_FDCWD, 0, 0, 0, 0 } },
		{ "a device", SYS_mknod, { TEXT("/tmp/cloche-cell"), 020666, 0x103 } },
		{ "mknodat", SYS_mknodat, { AT_FDCWD, TEXT("cloche-cell"), 010666, 0 } },
		{ "chown", SYS_chown, { TEXT("/"), 0, 0 } },
		{ "extended attributes", SYS_setxattr, { TEXT("/"), 0, 0, 0, 0 } },
		{ "rename", SYS_rename, { TEXT("/a"), TEXT("/b") } },
		{ "mount", SYS_mount, { 0, TEXT("/"), 0, 0, 0 } },
		{ "open_tree", SYS_open_tree, { AT_FDCWD, TEXT("/"), 0 } },
		{ "move_mount", SYS_move_mount, { 0, 0, 0, 0, 0 } },
		{ "chroot", SYS_chroot, { TEXT("/") } },
		{ "unshare", SYS_unshare, { CLONE_NEWUSER } },
		{ "setns", SYS_setns, { 0, 0 } },
		{ "setuid", SYS_setuid, { 0 } },
		{ "capset", SYS_capset, { 0, 0 } },
		{ "prctl", SYS_prctl, { PR_SET_DUMPABLE, 1, 0, 0, 0 } },
		{ "bpf", SYS_bpf, { 0, 0, 0 } },
		{ "keyctl", SYS_keyctl, { 0, -3, 0, 0, 0 } },
		{ "add_key", SYS_add_key, { 0, 0, 0, 0, 0 } },
		{ "io_uring", SYS_io_uring_setup, { 1, 0 } },
		{ "perf", SYS_perf_event_open, { 0, 0, 0, 0, 0 } },
		{ "userfaultfd", SYS_userfaultfd, { 0 } },
		{ "a filter of its own", SYS_seccomp, { 0, 0, 0 } },
		{ "typing on the terminal", SYS_ioctl, { 2, 0x5412, TEXT("x") } },
		{ "signals by a descriptor", SYS_fcntl, { 2, F_SETOWN, 1 } },
		{ "memory to execute",
		  SYS_mmap,
		  { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0 } },
		{ "memory made so", SYS_mprotect, { 0, 0, PROT_EXEC } },
		{ "a call of x32", 0x40000000L | SYS_getpid, { 0 } },
		{ "one that nobody knows", 4000, { 0 } },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		int status = end_of(&calls[i]);

		cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%s: %#x",
			  calls[i].what, (unsigned)status);
	}
}

/* Else the test above would pass for a filter that kills at once. */
Test(image_cell, lives_on_what_archives_need)
{
	const struct call calls[] = {
		{ "open", SYS_openat, { AT_FDCWD, TEXT("/"), O_RDONLY | O_DIRECTORY, 0 } },
		{ "memory",
		  SYS_mmap,
		  { 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0 } },
		{ "a duplicate", SYS_fcntl, { 2, F_DUPFD_CLOEXEC, 3 } },
		{ "is it a terminal", SYS_ioctl, { 2, 0x5401, 0 } },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		cr_expect_eq(end_of(&calls[i]), 0, "%s", calls[i].what);
}
