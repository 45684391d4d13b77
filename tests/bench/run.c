/* SPDX-License-Identifier: MIT */
/*
 * Starting whole processes and timing them from outside, the same way for everybody: the same
 * standard streams, the same environment, the same clock, and an exit status that is looked at
 * every time.
 */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "subject.h"

int run_start(struct command *command, const struct stage *stage, pid_t *ret,
	      struct cloche_err *err)
{
	static char ledger[sizeof(stage->dir) + 32], images[sizeof(stage->dir) + 32];
	static char control[sizeof(stage->dir) + 32];
	/* The control socket is the daemon's that daemon.c starts, which has a ledger of its own;
	 * root, who would go there if he named it, makes contexts himself. */
	char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", images,
			      geteuid() == 0 ? ledger : control, NULL };
	static unsigned serial;
	posix_spawn_file_actions_t files;
	int r;

	if (command->id_at >= 0)
		snprintf(command->argv[command->id_at], 64, "cloche-bench-%d-%u", (int)getpid(),
			 serial++);
	/* What a run costs includes its record, but not in this host's own ledger; and the host's
	 * own images are not replaced by those that are measured. */
	snprintf(ledger, sizeof(ledger), "CLOCHE_LEDGER=%s/ledger", stage->dir);
	snprintf(images, sizeof(images), "CLOCHE_IMAGES=%s/images", stage->dir);
	snprintf(control, sizeof(control), "CLOCHE_CONTROL=%s/control", stage->dir);
	r = posix_spawn_file_actions_init(&files);
	if (r)
		return cloche_err_sys(err, r, "prepare '%s'", command->argv[0]);
	r = posix_spawn_file_actions_adddup2(&files, stage->null_fd, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&files, stage->null_fd, 1);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&files, stage->errors_fd, 2);
	/* Opened anew for every start: a reader moves the offset. */
	if (!r && command->filter)
		r = posix_spawn_file_actions_addopen(&files, FILTER_FD, stage->filter, O_RDONLY, 0);
	if (!r)
		r = posix_spawn(ret, command->argv[0], &files, NULL, command->argv, env);
	posix_spawn_file_actions_destroy(&files);
	return r ? cloche_err_sys(err, r, "start '%s'", command->argv[0]) : 0;
}

int run_judge(const struct command *command, const struct stage *stage, int status,
	      struct cloche_err *err)
{
	char said[320] = "";
	ssize_t n;

	if (WIFEXITED(status) && WEXITSTATUS(status) == command->want)
		return 0;
	n = pread(stage->errors_fd, said, sizeof(said) - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	for (char *c = said; *c; c++) {
		if (*c == '\n')
			*c = c[1] ? ' ' : '\0';
	}
	return cloche_err_set(err, EIO, "%s: %s %d instead of exit status %d: %s", command->name,
			      WIFEXITED(status) ? "exit status" : "signal",
			      WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
			      command->want, *said ? said : "it said nothing");
}

int run_once(struct command *command, const struct stage *stage, int64_t *ret_ns,
	     struct cloche_err *err)
{
	int64_t start, end;
	int r, status = 0;
	pid_t pid = -1;

	if (ftruncate(stage->errors_fd, 0) < 0)
		return cloche_err_sys(err, errno, "empty the file of errors");
	start = clock_now_ns();
	r = run_start(command, stage, &pid, err);
	if (r < 0)
		return r;
	if (waitpid(pid, &status, 0) < 0)
		return cloche_err_sys(err, errno, "wait for '%s'", command->argv[0]);
	end = clock_now_ns();
	*ret_ns = end - start;
	return run_judge(command, stage, status, err);
}

int run_many(struct command *command, const struct stage *stage, unsigned total, unsigned width,
	     int64_t *ret_wall_ns, struct cloche_err *err)
{
	unsigned started = 0, running = 0;
	int64_t start;
	int r = 0;

	if (ftruncate(stage->errors_fd, 0) < 0)
		return cloche_err_sys(err, errno, "empty the file of errors");
	start = clock_now_ns();
	while (running || (r == 0 && started < total)) {
		int status = 0, judged;
		pid_t pid;

		if (r == 0 && started < total && running < width) {
			r = run_start(command, stage, &pid, err);
			if (r == 0) {
				started++;
				running++;
			}
			continue;
		}
		/* After a failure too: what was started is waited for. */
		if (waitpid(-1, &status, 0) < 0)
			return cloche_err_sys(err, errno, "wait for '%s'", command->argv[0]);
		running--;
		judged = run_judge(command, stage, status, r == 0 ? err : NULL);
		if (r == 0)
			r = judged;
	}
	*ret_wall_ns = clock_now_ns() - start;
	return r;
}
