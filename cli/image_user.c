/* SPDX-License-Identifier: MIT */
/* Images by way of the daemon: see image_user.h. */
#include "cli/image_user.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/quote.h"
#include "image/image_layer.h"
#include "image/image_unprivileged.h"
#include "serve/remote.h"
#include "serve/request.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK (64U << 10)

static const char *control(void)
{
	const char *path = getenv("CLOCHE_CONTROL");

	return path ? path : CONTROL_PATH;
}

bool image_user_is(void)
{
	const char *store = getenv(IMAGE_STORE_ENV);

	return geteuid() != 0 && !(store && *store);
}

/* ---- what there is --------------------------------------------------------------------------- */

int image_stores_open(struct image_stores *ret, struct cloche_err *err)
{
	int r = -ENOENT;

	ret->fd[STORES_SHARED] = ret->fd[STORES_OWN] = -1;
	if (image_user_is())
		r = remote_stores(control(), ret->fd, err);
	if (r != -ENOENT && r != -ECONNREFUSED && r != -EACCES)
		return r;
	*err = (struct cloche_err){ 0 };
	r = image_store_open(false, err);
	if (r == -ENOENT)
		*err = (struct cloche_err){ 0 };
	else if (r < 0)
		return r;
	ret->fd[STORES_SHARED] = r < 0 ? -1 : r;
	return 0;
}

void image_stores_close(struct image_stores *stores)
{
	for (int i = 0; i < STORES; i++)
		fd_close(&stores->fd[i]);
}

int image_stores_find(const struct image_stores *stores, const char *name, struct image *ret,
		      bool *ret_own, struct cloche_err *err)
{
	static const int order[STORES] = { STORES_OWN, STORES_SHARED };
	int r = -ENOENT;

	for (size_t i = 0; r == -ENOENT && i < STORES; i++) {
		if (stores->fd[order[i]] < 0)
			continue;
		*ret_own = order[i] == STORES_OWN;
		r = image_open(stores->fd[order[i]], name, ret, err);
	}
	if (r == -ENOENT && stores->fd[STORES_SHARED] < 0)
		return cloche_err_set(err, ENOENT,
				      "there is no image '%s': 'cloche image list' shows those "
				      "that are there; a directory is written with a '/'",
				      name);
	return r;
}

/* ---- what is sent ---------------------------------------------------------------------------- */

/* One image in the making. */
struct sending {
	struct remote remote;
	int pipe; /* what it is made of goes in here */
};

/* Nobody reads what is sent: why, is the answer. */
static bool is_left(const struct sending *s)
{
	struct pollfd fd = { .fd = s->pipe };

	return poll(&fd, 1, 0) == 1;
}

/* What was sent is not all, and shall not pass for it: the pipe is closed when nobody reads it any
 * more. */
static void break_off(struct sending *s)
{
	struct pollfd fd = { .fd = s->pipe };

	remote_close(&s->remote);
	while (poll(&fd, 1, -1) < 0 && errno == EINTR)
		;
	fd_close(&s->pipe);
}

static int copy(struct sending *s, int from, struct cloche_err *err)
{
	cleanup_free char *buf = malloc(CHUNK);
	struct pollfd fds[] = { { .fd = from, .events = POLLIN },
				{ .fd = s->remote.socket, .events = POLLIN } };
	ssize_t n = 1;
	int r = 0;

	if (!buf)
		return cloche_err_sys(err, ENOMEM, "send it");
	while (n > 0 && r == 0) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return cloche_err_sys(err, errno, "poll");
		if (fds[1].revents)
			return 0;
		n = read(from, buf, CHUNK);
		if (n < 0 && errno != EINTR)
			return cloche_err_sys(err, errno, "read");
		if (n > 0)
			r = file_write_all(s->pipe, buf, (size_t)n);
		n = n < 0 ? 1 : n;
	}
	/* Who has stopped reading says why. */
	return r < 0 && r != -EPIPE ? cloche_err_sys(err, -r, "send it") : 0;
}

/* Without what is mounted below it. */
static int send_directory(struct sending *s, const char *dir, bool end, struct cloche_err *err)
{
	const char *const argv[] = { "tar", "--one-file-system", "-C", dir, "-cf", "-", ".", NULL };
	int status = 0, r;
	pid_t pid = fork();

	if (pid == 0) {
		(void)signal(SIGPIPE, SIG_DFL);
		if (dup2(s->pipe, STDOUT_FILENO) < 0)
			_exit(127);
		(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	if (pid < 0)
		return cloche_err_sys(err, errno, "start tar");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (is_left(s))
		return 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return cloche_err_set(err, EIO, "not all of it can be read (tar, %s %d)",
				      WIFSIGNALED(status) ? "signal" : "status",
				      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	r = end ? file_write_all(s->pipe, ARCHIVE_END, strlen(ARCHIVE_END)) : 0;
	return r < 0 && r != -EPIPE ? cloche_err_sys(err, -r, "send it") : 0;
}

static int send_file(struct sending *s, int fd, struct cloche_err *err)
{
	char path[64];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return cloche_err_sys(err, errno, "open");
	if (!S_ISDIR(st.st_mode))
		return copy(s, fd, err);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	/* For tar. */
	if (fcntl(fd, F_SETFD, 0) < 0)
		return cloche_err_sys(err, errno, "open");
	return send_directory(s, path, false, err);
}

static int finish(struct sending *s, int r, struct cloche_err *err)
{
	if (r < 0) {
		break_off(s);
		return r;
	}
	fd_close(&s->pipe);
	r = remote_image_done(&s->remote, err);
	remote_close(&s->remote);
	return r;
}

int image_user_import(const char *file, const char *ref, const char *name, struct cloche_err *err)
{
	bool from_input = strcmp(file, "-") == 0;
	cleanup_fd int fd = from_input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
				       : open(file, O_RDONLY | O_CLOEXEC);
	const struct remote_image what = { .name = name, .form = IMAGE_OF_ARCHIVE, .ref = ref };
	struct sending s = { .remote = { .socket = -1 }, .pipe = -1 };
	char shown[QUOTE_LEN];
	int r;

	(void)signal(SIGPIPE, SIG_IGN);
	if (fd < 0)
		return cloche_err_sys(err, errno, "import %s", quote(shown, file));
	r = remote_image_begin(control(), &what, &s.remote, &s.pipe, err);
	if (r < 0)
		return r;
	r = finish(&s, send_file(&s, fd, err), err);
	if (r < 0 && from_input)
		return cloche_err_wrap(err, "import standard input");
	return r < 0 ? cloche_err_wrap(err, "import %s", quote(shown, file)) : 0;
}

static int send_tree(const char *dir, const char *name, struct cloche_err *err)
{
	const struct remote_image what = { .name = name, .form = IMAGE_OF_TREE };
	struct sending s = { .remote = { .socket = -1 }, .pipe = -1 };
	int r;

	(void)signal(SIGPIPE, SIG_IGN);
	r = remote_image_begin(control(), &what, &s.remote, &s.pipe, err);
	return r < 0 ? r : finish(&s, send_directory(&s, dir, true, err), err);
}

int image_user_build(const char *dir, const char *name, struct cloche_err *err)
{
	char shown[QUOTE_LEN];
	int r = send_tree(dir, name, err);

	return r < 0 ? cloche_err_wrap(err, "--dir %s", quote(shown, dir)) : 0;
}

/* What takes minutes is not begun for a daemon that is not there. */
int image_user_build_packages(const char *recipe, const char *name, image_progress *progress,
			      struct cloche_err *err)
{
	struct image_unprivileged built;
	int stores[STORES], r = remote_stores(control(), stores, err);

	if (r < 0)
		return r;
	for (int i = 0; i < STORES; i++)
		fd_close(&stores[i]);
	r = image_unprivileged_fill(recipe, progress, &built, err);
	if (r < 0)
		return r;
	if (progress)
		progress("sending");
	r = send_tree(built.tree, name, err);
	image_unprivileged_end(&built);
	return r;
}

int image_user_send_code(int fd, const char *sha256, uint64_t bytes, struct cloche_err *err)
{
	const struct remote_image what = { .name = sha256, .form = IMAGE_OF_CODE, .bytes = bytes };
	struct sending s = { .remote = { .socket = -1 }, .pipe = -1 };
	int r;

	(void)signal(SIGPIPE, SIG_IGN);
	r = remote_image_begin(control(), &what, &s.remote, &s.pipe, err);
	return r < 0 ? r : finish(&s, copy(&s, fd, err), err);
}

int image_user_keep(const char *name, const char *sha256, struct cloche_err *err)
{
	const struct remote_image what = { .name = sha256, .form = IMAGE_OF_IMAGE, .ref = name };
	struct sending s = { .remote = { .socket = -1 }, .pipe = -1 };
	int r = remote_image_begin(control(), &what, &s.remote, &s.pipe, err);

	return r < 0 ? r : finish(&s, 0, err);
}

int image_user_remove(const char *name, struct cloche_err *err)
{
	return remote_image_remove(control(), name, err);
}
