/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_CAPTIVE_H
#define CLOCHE_TESTS_LIB_CAPTIVE_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/user.h>

/*
 * Another process in the test's hands, by ptrace(2): made to call what it never would, or taken
 * from call to call. What is not as it should be fails the test.
 */
struct captive {
	pid_t pid;
	struct user_regs_struct as_it_was;
};

/* One that waits in a system call. */
void captive_take(struct captive *ret, pid_t pid);
void captive_let_go(const struct captive *c);

/* Where its stack has room for a text; its address there. */
unsigned long captive_put_text(const struct captive *c, const char *text);

/* *ret is what it returned. False: it is dead of it, *ret is the signal. */
bool captive_call(const struct captive *c, long nr, const unsigned long args[4], long *ret);

/* Lets it go on to where it makes its next call; the number of that. */
long captive_next(const struct captive *c);

#endif
