/* SPDX-License-Identifier: MIT */
#include "tests/lib/spawn.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

pid_t spawn_argv(const char *const argv[], int out, int err)
{
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		/* A test that fails runs no cleanup. */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(out, STDOUT_FILENO);
		(void)dup2(err, STDERR_FILENO);
		(void)execv(argv[0], (char *const *)argv);
		_exit(99);
	}
	return pid;
}

char *contents(const char *path)
{
	char *text = NULL;
	size_t room = 0;
	FILE *f = fopen(path, "re");

	cr_assert_not_null(f, "%s: %m", path);
	cr_assert_geq(getdelim(&text, &room, 0, f), 0);
	(void)fclose(f);
	return text;
}
