/* SPDX-License-Identifier: MIT */
/* Packages unpacked by a user without rights: see image_unprivileged.h. */
#include "image/image_unprivileged.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/quote.h"
#include "image/image_recipe.h"
#include "image/image_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOLDER "cloche-build-XXXXXX"

/* What the keeper and the worker know. */
struct work {
	const char *dir;
	const struct recipe_names *names;
	image_progress *progress;
	uid_t uid;
	gid_t gid;
	int alive; /* in the worker: its other end is the keeper's */
};

/* ---- the worker ------------------------------------------------------------------------------ */

static int put(const char *path, const char *text)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : file_write_all(fd, text, strlen(text));
}

static int become_root_inside(const struct work *w, struct cloche_err *err)
{
	char uids[40], gids[40];
	int r;

	(void)snprintf(uids, sizeof(uids), "0 %u 1\n", w->uid);
	(void)snprintf(gids, sizeof(gids), "0 %u 1\n", w->gid);
	r = put("/proc/self/setgroups", "deny");
	if (r == 0)
		r = put("/proc/self/uid_map", uids);
	if (r == 0)
		r = put("/proc/self/gid_map", gids);
	return r < 0 ? cloche_err_sys(err, -r, "be root in a user namespace") : 0;
}

static int enter_world(const struct work *w, struct cloche_err *err)
{
	struct pollfd keeper = { .fd = w->alive };
	int r;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || poll(&keeper, 1, 0) != 0)
		return cloche_err_set(err, ESRCH, "the keeper of the build is gone");
	(void)umask(022);
	r = become_root_inside(w, err);
	if (r < 0)
		return r;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return cloche_err_sys(err, errno, "set up the mounts of the build");
	if (chdir(w->dir) < 0 || mkdir("tree", 0755) < 0)
		return cloche_err_sys(err, errno, "make the tree of the build");
	r = image_worker_environment(w->dir, err);
	/* Nobody else is there whose a file could be. */
	if (r == 0 && setenv("TAR_OPTIONS", "--no-same-owner", 1) < 0)
		r = cloche_err_sys(err, errno, "set the environment of the build");
	return r;
}

static _Noreturn void worker_main(const struct work *w, int result)
{
	struct image_job job = {
		.dir = w->dir, .tree = "tree", .tree_fd = -1, .progress = w->progress
	};
	struct cloche_err err = { 0 };
	int r;

	(void)signal(SIGPIPE, SIG_DFL);
	r = enter_world(w, &err);
	if (r == 0)
		r = recipe_unpack(&job, w->names, &err);
	if (r < 0 && !err.code)
		(void)cloche_err_sys(&err, -r, "build");
	_exit(file_write_all(result, (const char *)&err, sizeof(err)) < 0);
}

/* ---- the keeper ------------------------------------------------------------------------------ */

static pid_t start_worker(struct work *w, int result, int *ret_alive, struct cloche_err *err)
{
	struct clone_args args = { .flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS |
					    CLONE_NEWIPC | CLONE_NEWUTS,
				   .exit_signal = SIGCHLD };
	int alive[2];
	pid_t pid;

	if (pipe2(alive, O_CLOEXEC) < 0)
		return cloche_err_sys(err, errno, "pipe2");
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		(void)close(alive[1]);
		w->alive = alive[0];
		worker_main(w, result);
	}
	(void)close(alive[0]);
	*ret_alive = alive[1];
	if (pid < 0)
		return cloche_err_set(err, EPERM,
				      "this host does not let users have user namespaces (%s), "
				      "which takes to unpack packages without root; what is in a "
				      "directory is built without: --dir",
				      strerror(errno));
	return pid;
}

/* Its end, or that of who wants it; whatever it was in the midst of is dead then. */
static void wait_for(pid_t pid, int leave)
{
	struct pollfd fds[] = { { .fd = leave, .events = POLLIN }, { .events = POLLIN } };
	cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	fds[1].fd = pidfd;
	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	if (!fds[1].revents)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static _Noreturn void keeper_main(struct work *w, int leave, int result)
{
	struct pollfd wanted = { .fd = leave, .events = POLLIN };
	struct cloche_err err = { 0 };
	int alive = -1;
	sigset_t all;
	pid_t pid;

	(void)sigfillset(&all);
	(void)setsid();
	pid = start_worker(w, result, &alive, &err);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	if (pid < 0)
		(void)file_write_all(result, (const char *)&err, sizeof(err));
	else
		wait_for(pid, leave);
	(void)close(result);
	while (poll(&wanted, 1, -1) < 0 && errno == EINTR)
		;
	image_worker_remove(w->dir);
	_exit(0);
}

static int start_keeper(struct work *w, struct image_unprivileged *u, int *ret_result,
			struct cloche_err *err)
{
	int leave[2], result[2];

	if (pipe2(leave, O_CLOEXEC) < 0 || pipe2(result, O_CLOEXEC) < 0)
		return cloche_err_sys(err, errno, "pipe2");
	(void)fflush(NULL);
	u->keeper = fork();
	if (u->keeper == 0) {
		(void)close(leave[1]);
		(void)close(result[0]);
		keeper_main(w, leave[0], result[1]);
	}
	(void)close(leave[0]);
	(void)close(result[1]);
	u->leave = leave[1];
	*ret_result = result[0];
	return u->keeper < 0 ? cloche_err_sys(err, errno, "fork") : 0;
}

/* ---- the caller ------------------------------------------------------------------------------ */

static int make_folder(struct image_unprivileged *u, struct cloche_err *err)
{
	const char *tmp = getenv("TMPDIR");
	char shown[QUOTE_LEN], real[PATH_MAX];

	tmp = tmp && *tmp ? tmp : "/var/tmp";
	if (!realpath(tmp, real))
		return cloche_err_sys(err, errno, "%s", quote(shown, tmp));
	if (snprintf(u->dir, sizeof(u->dir), "%s/" FOLDER, real) >= (int)sizeof(u->dir))
		return cloche_err_sys(err, ENAMETOOLONG, "%s", quote(shown, real));
	if (!mkdtemp(u->dir)) {
		int saved = errno;

		u->dir[0] = '\0';
		return cloche_err_sys(err, saved, "make a folder in %s", quote(shown, real));
	}
	(void)snprintf(u->tree, sizeof(u->tree), "%s/tree", u->dir);
	return 0;
}

static int hear(int result, struct cloche_err *err)
{
	struct cloche_err told;
	ssize_t n;

	do
		n = read(result, &told, sizeof(told));
	while (n < 0 && errno == EINTR);
	if (n != sizeof(told))
		return cloche_err_set(err, EIO, "the build died");
	return told.code ? cloche_err_take(err, &told) : 0;
}

int image_unprivileged_fill(const char *recipe, image_progress *progress,
			    struct image_unprivileged *ret, struct cloche_err *err)
{
	struct image_unprivileged u = { .keeper = -1, .leave = -1 };
	struct recipe_names names = { 0 };
	struct work w = { .dir = u.dir,
			  .names = &names,
			  .progress = progress,
			  .uid = geteuid(),
			  .gid = getegid() };
	cleanup_fd int result = -1;
	int r = recipe_names(recipe, &names, err);

	if (r == 0)
		r = make_folder(&u, err);
	if (r == 0)
		r = start_keeper(&w, &u, &result, err);
	if (r == 0)
		r = hear(result, err);
	recipe_names_free(&names);
	if (r == 0)
		*ret = u;
	else
		image_unprivileged_end(&u);
	return r;
}

void image_unprivileged_end(struct image_unprivileged *u)
{
	fd_close(&u->leave);
	if (u->keeper > 0)
		while (waitpid(u->keeper, NULL, 0) < 0 && errno == EINTR)
			;
	else if (u->dir[0])
		image_worker_remove(u->dir);
	u->keeper = -1;
}
