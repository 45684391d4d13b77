/* SPDX-License-Identifier: MIT */
/*
 * From a directory tree to the file of an image, by mkfs.erofs(1); and the running of such tools.
 *
 * Not compressed: pages are read as they lie on the disk, and a run from an image is to be as fast
 * as one from the host's /usr. Owners and extended attributes are left out: inside a context there
 * is one user, and neither setuid bits nor file capabilities count there.
 */
#include "image/image_make.h"
#include "image/image_pack.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/quote.h"
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define TOOL_LOG_MAX (1U << 20)
#define SHOWN_MAX    (QUOTE_LEN - 60) /* quotes and escapes take room */
#define FULL_BYTES   (1U << 20)
#define WATCH_MS     250
#define WATCH_FULL   8 /* looks in a row: a disk may be full for a moment */

/* ---- tools ----------------------------------------------------------------------------------- */

/* The line that says most: the first that calls itself an error, else the last one. Returns a part
 * of log, cut into lines. */
static const char *telling_line(char *log)
{
	const char *error = NULL, *last = "it said nothing";
	char *save = NULL;

	for (char *line = strtok_r(log, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!error && (strncmp(line, "E: ", 3) == 0 || strncmp(line, "<E>", 3) == 0))
			error = line;
		last = line;
	}
	last = error ? error : last;
	/* Of a long one the end, where the reason is. */
	return strlen(last) > SHOWN_MAX ? last + strlen(last) - SHOWN_MAX : last;
}

static _Noreturn void tool_exec(const char *const argv[], int log)
{
	int null = open("/dev/null", O_RDWR);

	if (null < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		_exit(126);
	(void)execvp(argv[0], (char *const *)argv);
	_exit(127);
}

/* On a full disk apt-get may wait for ever, for a helper that it could not tell anything. So while
 * a tool runs its disk is watched. */
static bool disk_full(void)
{
	struct statvfs fs;

	return statvfs(".", &fs) == 0 && fs.f_bavail * fs.f_frsize < FULL_BYTES;
}

static int tool_wait(pid_t pid, int *status)
{
	struct process tool = process_open(pid);
	struct pollfd end = { .fd = tool.pidfd, .events = POLLIN };
	unsigned full = 0;

	while (tool.pidfd >= 0 && poll(&end, 1, WATCH_MS) == 0) {
		full = disk_full() ? full + 1 : 0;
		if (full == WATCH_FULL)
			process_kill(&tool);
	}
	(void)process_reap(&tool, status);
	return full >= WATCH_FULL ? -ENOSPC : 0;
}

int image_tool(const char *const argv[], const char *package, struct cloche_err *err)
{
	/* In memory: what a tool says is wanted most when the disk is full. */
	cleanup_fd int log = memfd_create("log", MFD_CLOEXEC);
	cleanup_free char *text = NULL;
	char shown[QUOTE_LEN];
	int status = 0, r;
	ssize_t n;
	pid_t pid;

	if (log < 0 || (pid = fork()) < 0)
		return cloche_err_sys(err, errno, "start '%s'", argv[0]);
	if (pid == 0)
		tool_exec(argv, log);
	r = tool_wait(pid, &status);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (r < 0)
		return cloche_err_sys(err, -r, "the disk of the image store");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return cloche_err_set(err, ENOENT, "'%s' is missing: apt-get install %s", argv[0],
				      package);
	if (WIFSIGNALED(status))
		return cloche_err_set(err, EIO, "'%s' died of signal %d", argv[0],
				      WTERMSIG(status));
	text = calloc(1, TOOL_LOG_MAX + 1);
	n = text ? pread(log, text, TOOL_LOG_MAX, 0) : -1;
	if (n < 0)
		return cloche_err_set(err, EIO, "'%s' failed", argv[0]);
	if (strstr(text, "No space left on device") || disk_full())
		return cloche_err_sys(err, ENOSPC, "the disk of the image store");
	return cloche_err_set(err, EIO, "'%s' failed: %s", argv[0],
			      quote(shown, telling_line(text)));
}

/* ---- mount points ---------------------------------------------------------------------------- */

static int point_make(int tree, const char *path, bool must_be_real, struct cloche_err *err)
{
	struct stat st;

	if (mkdirat(tree, path, 0755) == 0)
		return fchmodat(tree, path, 0755, 0) < 0
			       ? cloche_err_sys(err, errno, "make '/%s' in the image", path)
			       : 0;
	if (errno != EEXIST)
		return cloche_err_sys(err, errno, "make '/%s' in the image", path);
	if (fstatat(tree, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return cloche_err_sys(err, errno, "look at '/%s' in the image", path);
	if (must_be_real && !S_ISDIR(st.st_mode))
		return cloche_err_set(err, ENOTDIR,
				      "'/%s' in the image is a %s: contexts mount there, it must "
				      "be a directory",
				      path, S_ISLNK(st.st_mode) ? "link" : "file");
	return 0;
}

int image_points_make(int tree, struct cloche_err *err)
{
	static const char *const real[] = { "dev", "proc", "sys", "tmp" };
	/* For binds; an image may have them as links, as it likes. */
	static const char *const wanted[] = { "etc", "home", "mnt", "opt", "run", "var" };
	struct stat st;
	int r = 0;

	for (size_t i = 0; i < sizeof(real) / sizeof(real[0]) && r == 0; i++)
		r = point_make(tree, real[i], true, err);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]) && r == 0; i++)
		r = point_make(tree, wanted[i], false, err);
	/* Nothing is made behind a link: on the host it might lead anywhere. */
	if (r == 0 && fstatat(tree, "var", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) {
		r = point_make(tree, "var/task", false, err);
		if (r == 0)
			r = point_make(tree, "var/tmp", false, err);
	}
	return r;
}

/* ---- packing --------------------------------------------------------------------------------- */

int image_pack(const char *tree, const char *file, int64_t newest, const char *meta,
	       struct cloche_err *err)
{
	const char *const argv[] = { "mkfs.erofs", "--quiet",
				     "-x-1",	   "-U00000000-0000-0000-0000-000000000000",
				     "--all-root", file,
				     tree,	   NULL };
	char time[32];
	cleanup_fd int fd = -1;
	int r;

	/* The time of the file system, which is when it was made unless told: files of that time
	 * take half the room in its tables. It also bounds theirs, none of which is later. */
	(void)snprintf(time, sizeof(time), "%" PRId64, newest);
	if (setenv("SOURCE_DATE_EPOCH", time, 1) < 0)
		return cloche_err_sys(err, errno, "set the environment of the build");
	r = image_tool(argv, "erofs-utils", err);
	if (r < 0)
		return r;
	fd = open(file, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return cloche_err_sys(err, errno, "open the packed image");
	if (fchmod(fd, 0644) < 0)
		return cloche_err_sys(err, errno, "the packed image");
	return image_seal(fd, meta, err);
}
