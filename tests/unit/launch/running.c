/* SPDX-License-Identifier: MIT */
/* The bound on what runs at a time: counted by those who start it, set back for those who died. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "host/slot.h"
#include "launch/running.h"

static void fill(struct running *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(running_enter(r, SLOT_MAX - 1 - 7 * i, NULL), 0, "%u", i);
}

Test(running, no_more_than_the_bound)
{
	struct running *r = running_open();
	struct cloche_err err = { 0 };

	cr_assert(r != NULL);
	fill(r, RUNNING_MAX);
	/* Nobody counts. */
	cr_expect_eq(running_enter(NULL, 0, NULL), 0);
	cr_expect_eq(running_enter(r, 0, &err), -EBUSY);
	cr_expect(strstr(err.text, "no more") != NULL, "%s", err.text);
	/* Who was told so does not count. */
	cr_expect_lt(running_enter(r, 1, NULL), 0);
	running_leave(r, SLOT_MAX - 1);
	running_leave(r, SLOT_MAX - 1);
	cr_expect_eq(running_enter(r, 0, NULL), 0);
	cr_expect_lt(running_enter(r, 1, NULL), 0);
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
		_exit(running_enter(r, 0, NULL) != 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0);
	cr_expect_lt(running_enter(r, 1, NULL), 0);
	running_leave(r, 0);
	cr_expect_eq(running_enter(r, 1, NULL), 0);
	cr_expect_null(running_close(r));
}

/* What is configured counts for who comes then, and never is more than the constant. */
Test(running, less_may_be_said_and_no_more)
{
	struct running *r = running_open();
	struct cloche_err err = { 0 };

	cr_assert(r != NULL);
	running_bound(r, 2);
	fill(r, 2);
	cr_expect_eq(running_enter(r, 0, &err), -EBUSY);
	cr_expect(strstr(err.text, "2 contexts") && strstr(err.text, "'running'"), "%s", err.text);
	running_bound(r, 3);
	cr_expect_eq(running_enter(r, 0, NULL), 0);
	running_leave(r, 0);
	running_bound(r, RUNNING_MAX + 1);
	fill(r, RUNNING_MAX);
	cr_expect_eq(running_enter(r, 0, NULL), -EBUSY);
	/* With all that comes beside them the end of all stays below the danger. */
	cr_expect_leq(RUNNING_MAX * RUNNING_EACH + RUNNING_OTHERS, RUNNING_DANGER);
	cr_expect_null(running_close(r));
	running_bound(NULL, 1);
}
