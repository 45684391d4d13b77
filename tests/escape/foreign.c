/* SPDX-License-Identifier: MIT */
/*
 * Calls of the kernel's other two tables, i386's and x32's, by 32-bit and by 64-bit programs. No
 * policy lets one reach the kernel. It must not get an errno either: a 32-bit program cannot make
 * the call by which it would end, and goes on for ever.
 */
#include "base/fd.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BASE 0x10000

/* Each does the same in both modes of the processor: calls, and where that comes back, for ever
 * nothing. */
#define I386_GETPID "\xb8\x14\x00\x00\x00\xbb\x07\x00\x00\x00\xcd\x80\xeb\xfe" /* ebx: 7 */
#define X32_GETPID  "\xb8\x27\x00\x00\x40\x0f\x05\xeb\xfe"

struct program {
	bool elf32;
	const char *code;
	size_t len;
	const char *arch, *call;
};

#define PROGRAM(elf32, code, arch, call)                  \
	{                                                 \
		elf32, code, sizeof(code) - 1, arch, call \
	}

static const struct program programs[] = {
	PROGRAM(true, I386_GETPID, "i386", "getpid"),
	PROGRAM(true, "\xb8\x01\x00\x00\x00\xcd\x80\xeb\xfe", "i386", "exit"),
	PROGRAM(true, "\xb8\x0f\x27\x00\x00\xcd\x80\xeb\xfe", "i386", "9999"),
	PROGRAM(false, I386_GETPID, "i386", "getpid"),
	PROGRAM(false, X32_GETPID, "x32", "getpid"),
};
#define N_PROGRAMS (sizeof(programs) / sizeof(programs[0]))

/* As small as an ELF file can be: a header, one segment, the code. */
static size_t image_of(const struct program *p, char buf[static 512])
{
	Elf32_Ehdr h32 = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
			   .e_type = ET_EXEC,
			   .e_machine = EM_386,
			   .e_version = EV_CURRENT,
			   .e_entry = BASE + sizeof(Elf32_Ehdr) + sizeof(Elf32_Phdr),
			   .e_phoff = sizeof(Elf32_Ehdr),
			   .e_ehsize = sizeof(Elf32_Ehdr),
			   .e_phentsize = sizeof(Elf32_Phdr),
			   .e_phnum = 1 };
	Elf64_Ehdr h64 = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			   .e_type = ET_EXEC,
			   .e_machine = EM_X86_64,
			   .e_version = EV_CURRENT,
			   .e_entry = BASE + sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
			   .e_phoff = sizeof(Elf64_Ehdr),
			   .e_ehsize = sizeof(Elf64_Ehdr),
			   .e_phentsize = sizeof(Elf64_Phdr),
			   .e_phnum = 1 };
	size_t head = p->elf32 ? h32.e_entry - BASE : h64.e_entry - BASE;
	Elf32_Phdr p32 = { .p_type = PT_LOAD,
			   .p_vaddr = BASE,
			   .p_filesz = (Elf32_Word)(head + p->len),
			   .p_memsz = (Elf32_Word)(head + p->len),
			   .p_flags = PF_R | PF_X,
			   .p_align = 0x1000 };
	Elf64_Phdr p64 = { .p_type = PT_LOAD,
			   .p_flags = PF_R | PF_X,
			   .p_vaddr = BASE,
			   .p_filesz = head + p->len,
			   .p_memsz = head + p->len,
			   .p_align = 0x1000 };

	if (p->elf32) {
		memcpy(buf, &h32, sizeof(h32));
		memcpy(buf + sizeof(h32), &p32, sizeof(p32));
	} else {
		memcpy(buf, &h64, sizeof(h64));
		memcpy(buf + sizeof(h64), &p64, sizeof(p64));
	}
	memcpy(buf + head, p->code, p->len);
	return head + p->len;
}

/* DIR/program, and for --bind DIR:/opt. */
static char *program_make(const char *dir, const struct program *p)
{
	cleanup_free char *path = NULL;
	char buf[512], *bind;
	size_t len = image_of(p, buf);
	int fd;

	cr_assert(asprintf(&path, "%s/program", dir) > 0 && asprintf(&bind, "%s:/opt", dir) > 0);
	(void)unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, buf, len), (ssize_t)len);
	cr_assert_eq(fchmod(fd, 0755) + close(fd), 0);
	return bind;
}

/* Kernels may be built without, and told to do without. */
static bool runs_here(const struct program *p)
{
	return !p->elf32 || access("/proc/sys/abi/vsyscall32", F_OK) == 0;
}

static void expect_named(const struct run *run, const struct program *p)
{
	json_t *list = report_get(run, "denied"), *call = json_array_get(list, 0);

	cr_assert_eq(json_array_size(list), 1);
	cr_expect_str_eq(json_string_value(json_object_get(call, "syscall")), p->call);
	cr_expect_str_eq(json_string_value(json_object_get(call, "arch")), p->arch);
	cr_expect_str_eq(json_string_value(json_object_get(call, "errno")), "SIGSYS");
	if (strcmp(p->code, I386_GETPID) == 0)
		cr_expect_str_eq(
			json_string_value(json_array_get(json_object_get(call, "args"), 0)), "0x7");
}

static void expect_denied(const struct run *run, const struct program *p)
{
	cleanup_free char *said = NULL;

	cr_assert(asprintf(&said,
			   "the policy killed it for calling %s of %s: it is a 32-bit program or "
			   "makes such a program's calls",
			   strtol(p->call, NULL, 10) ? "a number" : p->call, p->arch) > 0);
	expect_end(run, 159, "denied");
	expect_has(report_text(run, "message"), said);
	expect_named(run, p);
}

static void expect_all_denied(const char *policy)
{
	cleanup_tmpdir char *dir = tmpdir_make();

	for (size_t i = 0; i < N_PROGRAMS; i++) {
		cleanup_free char *bind = program_make(dir, &programs[i]);
		cleanup_run struct run run = { 0 };

		if (!runs_here(&programs[i]))
			continue;
		RUN_CLOCHE(&run, "-q", "-b", bind, "--policy", policy, "/opt/program");
		expect_denied(&run, &programs[i]);
	}
}

Test(foreign, no_call_of_another_table_under_default)
{
	expect_all_denied("default");
}

Test(foreign, no_call_of_another_table_under_strict)
{
	expect_all_denied("strict");
}

Test(foreign, no_call_of_another_table_under_a_profile_of_nothing)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	cleanup_free char *policy = NULL;
	FILE *f;

	cr_assert(asprintf(&policy, "%s/allow.json", dir) > 0);
	f = fopen(policy, "we");
	cr_assert(f && fputs("{\"defaultAction\":\"SCMP_ACT_ALLOW\"}", f) >= 0 && fclose(f) == 0);
	expect_all_denied(policy);
}

/* Who started it goes on, and the report still names the call. */
Test(foreign, a_child_dies_alone)
{
	cleanup_tmpdir char *dir = tmpdir_make();

	for (size_t i = 0; i < N_PROGRAMS; i++) {
		cleanup_free char *bind = program_make(dir, &programs[i]);
		cleanup_run struct run run = { 0 };

		if (!runs_here(&programs[i]))
			continue;
		RUN_CLOCHE(&run, "-q", "-b", bind, "--", "sh", "-c", "/opt/program; echo $?");
		expect_end(&run, 0, "ok");
		cr_expect_str_eq(run.out, "159\n");
		expect_named(&run, &programs[i]);
	}
}

/* Then nobody can say whose signal it was, and nobody does. */
Test(foreign, without_the_meter_it_is_a_signal)
{
	cleanup_tmpdir char *dir = tmpdir_make();
	const struct program *p = &programs[N_PROGRAMS - 1];
	cleanup_free char *bind = program_make(dir, p);
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "-q", "--meter", "off", "-b", bind, "/opt/program");
	expect_end(&run, 159, "signal");
	cr_expect_str_eq(report_text(&run, "signal"), "SIGSYS");
	expect_has(report_text(&run, "message"), "made a call of i386 or x32");
}

/* Looking like the policy's is not being it. */
Test(foreign, a_signal_of_its_own_is_none_of_the_policy)
{
	cleanup_run struct run run = { 0 };

	RUN_CLOCHE(&run, "-q", "--", "sh", "-c", "kill -SYS $$");
	expect_end(&run, 159, "signal");
	cr_expect_eq(json_array_size(report_get(&run, "denied")), 0);
}

/* No table has it: programs ask so for what they have no number of. */
Test(foreign, a_negative_number_answers_as_an_unknown_one)
{
	cleanup_run struct run run = { 0 };

	for (int filtered = 0; filtered < 2; filtered++) {
		RUN_INSIDE(&run, "-q", "--policy", filtered ? "default" : "strict",
			   "/opt/try-syscall", "4294967295");
		expect_end(&run, 0, "ok");
		cr_expect_str_eq(run.out, "ENOSYS\n");
		run_free(&run);
	}
}
