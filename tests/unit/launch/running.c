/* SPDX-License-Identifier: MIT */
/* The bound on what runs at a time: counted by those who start it, set back for those who died. */
#include <criterion/criterion.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/slot.h"
#include "launch/running.h"

static void fill(struct running *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		cr_assert(running_enter(r, SLOT_MAX - 1 - 7 * i), "%u", i);
}

Test(running, no_more_than_the_bound)
{
	struct running *r = running_open();

	cr_assert(r != NULL);
	fill(r, RUNNING_MAX);
	cr_expect_not(running_enter(r, 0));
	/* Who was told so does not count. */
	cr_expect_not(running_enter(r, 1));
	running_leave(r, SLOT_MAX - 1);
	running_leave(r, SLOT_MAX - 1);
	cr_expect(running_enter(r, 0));
	cr_expect_not(running_enter(r, 1));
	cr_expect_null(running_close(r));
}

/* As wardens and launcher are to each other. */
Test(running, what_a_dead_child_held_its_parent_gives_back)
{
	struct running *r = running_open();
	int status = 1;
	pid_t pid;

	cr_assert(r != NULL);
	fill(r, RUNNING_MAX - 1);
	pid = fork();
	if (pid == 0)
		_exit(!running_enter(r, 0));
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0);
	cr_expect_not(running_enter(r, 1));
	running_leave(r, 0);
	cr_expect(running_enter(r, 1));
	cr_expect_null(running_close(r));
}
