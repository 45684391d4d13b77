/* SPDX-License-Identifier: MIT */
/* The maker of images and its worker: see image_make.h. */
#include "image/image_make.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/quote.h"
#include "host/slot.h"
#include "image/image_cell.h"
#include "image/image_etc.h"
#include "image/image_pack.h"
#include "image/image_spool.h"
#include "image/image_times.h"
#include "image/image_worker.h"
#include "image/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/sched.h>
#include <locale.h>
#include <sched.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MAKE_PREFIX ".make-"
/* Of each process of a worker that has bounds. */
#define WORKER_CPU_S 600

struct maker {
	const char *name, *kind;
	int archive; /* -1: root fills the tree */
	image_filler *fill;
	const void *arg;
	image_progress *progress;
	const char *path;   /* of the store */
	const char *sha256; /* of the archive; NULL: it is read as it comes */
	bool part;
	const struct image_bounds *bounds;
	int file;	/* bounds: what is packed */
	int64_t latest; /* what the times of its files are bounded by */
	int store;
	int lock;  /* the folder, locked */
	int alive; /* in the worker: its parent holds the other end */
	char dir[PATH_MAX];
};

/* ---- the folder ------------------------------------------------------------------------------ */

/* Folders of makers that are dead: nobody holds their lock. */
static void leftovers_remove(int store, const char *store_path)
{
	int fd = openat(store, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		fd_close(&fd);
		return;
	}
	while ((e = readdir(d))) {
		cleanup_fd int lock = -1;
		char path[PATH_MAX];

		if (strncmp(e->d_name, MAKE_PREFIX, strlen(MAKE_PREFIX)) != 0 ||
		    snprintf(path, sizeof(path), "%s/%s", store_path, e->d_name) >=
			    (int)sizeof(path))
			continue;
		lock = openat(store, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0)
			image_worker_remove(path);
	}
	(void)closedir(d);
}

void image_make_sweep(const char *path)
{
	cleanup_fd int store = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (store >= 0 && flock(store, LOCK_EX) == 0)
		leftovers_remove(store, path);
}

/* On the disk, while the rest is in memory; given to who packs. */
static int file_make(struct maker *m, struct cloche_err *err)
{
	m->file = openat(m->lock, "image", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (m->file < 0 || fchown(m->file, SLOT_UID_NONE, SLOT_UID_NONE) < 0)
		return cloche_err_sys(err, errno, "make the file of the image");
	return 0;
}

static int folder_make(struct maker *m, struct cloche_err *err)
{
	char shown[QUOTE_LEN], real[PATH_MAX], tree[PATH_MAX + 8];
	cleanup_fd int store_lock = openat(m->store, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* Makers look for leftovers one at a time: a new folder is not taken for one before it is
	 * locked. */
	if (store_lock < 0 || flock(store_lock, LOCK_EX) < 0)
		return cloche_err_sys(err, errno, "lock the image store");
	leftovers_remove(m->store, m->path);
	if (!realpath(m->path, real))
		return cloche_err_sys(err, errno, "image store");
	if (snprintf(m->dir, sizeof(m->dir), "%s/" MAKE_PREFIX "XXXXXX", real) >=
	    (int)sizeof(m->dir))
		return cloche_err_sys(err, ENAMETOOLONG, "image store");
	if (!mkdtemp(m->dir)) {
		int saved = errno;

		m->dir[0] = '\0';
		return cloche_err_sys(err, saved, "make a folder in %s", quote(shown, real));
	}
	m->lock = open(m->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->lock < 0 || flock(m->lock, LOCK_EX) < 0)
		return cloche_err_sys(err, errno, "lock %s", quote(shown, m->dir));
	if (m->bounds)
		return file_make(m, err);
	(void)snprintf(tree, sizeof(tree), "%s/tree", m->dir);
	if (mkdir(tree, 0755) < 0 || chmod(tree, 0755) < 0)
		return cloche_err_sys(err, errno, "make %s", quote(shown, tree));
	if (m->archive >= 0 && (chown(tree, SLOT_UID_NONE, SLOT_UID_NONE) < 0 ||
				fchown(m->lock, SLOT_UID_NONE, SLOT_UID_NONE) < 0))
		return cloche_err_sys(err, errno, "give %s away", quote(shown, m->dir));
	return 0;
}

void image_say(const struct image_job *job, const char *fmt, ...)
{
	char line[256];
	va_list ap;

	if (!job->progress)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	job->progress(line);
}

/* ---- the worker ------------------------------------------------------------------------------ */

/* To be killed with its parent, which may have died before; a change of ids makes it forget that.
 */
static int worker_watch(const struct maker *m, struct cloche_err *err)
{
	struct pollfd parent = { .fd = m->alive };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return cloche_err_sys(err, errno, "die with the parent (prctl)");
	return poll(&parent, 1, 0) == 0 ? 0 : cloche_err_set(err, ESRCH, "the parent is gone");
}

static int bound(int resource, rlim_t value)
{
	return setrlimit((__rlimit_resource_t)resource, &(struct rlimit){ value, value });
}

/* A tree of so many bytes and no more; who writes more hears so. */
static int worker_bounds(struct maker *m, struct cloche_err *err)
{
	const struct image_bounds *b = m->bounds;
	char options[128];

	(void)snprintf(options, sizeof(options),
		       "size=%" PRIu64 ",nr_inodes=%" PRIu64 ",mode=755,uid=%u,gid=%u",
		       b->tree_bytes, b->tree_bytes / 4096 + 64, SLOT_UID_NONE, SLOT_UID_NONE);
	(void)signal(SIGXFSZ, SIG_IGN);
	if (bound(RLIMIT_FSIZE, b->file_bytes) < 0 || bound(RLIMIT_CPU, WORKER_CPU_S) < 0)
		return cloche_err_sys(err, errno, "setrlimit");
	if (mount("image", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, options) < 0 ||
	    mkdir("/tmp/tree", 0755) < 0 || chown("/tmp/tree", SLOT_UID_NONE, SLOT_UID_NONE) < 0)
		return cloche_err_sys(err, errno, "make a file system in memory for the tree");
	return 0;
}

static int worker_world(struct maker *m, struct cloche_err *err)
{
	int r;

	(void)setsid();
	(void)umask(022);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return cloche_err_sys(err, errno, "set up the mounts of the build");
	/* On the way to the store there may be what only root may pass. */
	if (m->bounds) {
		r = worker_bounds(m, err);
		if (r < 0)
			return r;
		(void)snprintf(m->dir, sizeof(m->dir), "/tmp");
	} else if (m->archive >= 0) {
		if (mount(m->dir, "/tmp", NULL, MS_BIND, NULL) < 0)
			return cloche_err_sys(err, errno, "mount the folder of the build");
		(void)snprintf(m->dir, sizeof(m->dir), "/tmp");
	}
	if (chdir(m->dir) < 0)
		return cloche_err_sys(err, errno, "enter '%.200s'", m->dir);
	r = image_worker_environment(m->dir, err);
	return r == 0 ? worker_watch(m, err) : r;
}

/* What packing needs to know of a tree that is full. */
struct filled {
	int64_t newest;
	char *text; /* owned: of what is in it, JSON */
};

static int tree_fill(const struct maker *m, int tree_fd, struct filled *ret, struct cloche_err *err)
{
	struct image_job job = { .dir = m->dir,
				 .tree = "tree",
				 .tree_fd = tree_fd,
				 .archive = m->archive,
				 .arg = m->arg,
				 .progress = m->progress,
				 .meta = json_pack("{s:s, s:s}", "kind", m->kind, "arch",
						   IMAGE_ARCH) };
	int r = job.meta ? m->fill(&job, err) : cloche_err_sys(err, ENOMEM, "image");

	if (r == 0 && !m->part)
		r = image_points_make(tree_fd, err);
	if (r == 0 && !m->part)
		r = image_etc_complete(tree_fd, err);
	if (r == 0)
		r = image_times_set("tree", job.times_kept, m->latest, &ret->newest, err);
	if (r == 0) {
		/* Sorted, so that the same content has the same text. */
		ret->text = json_dumps(job.meta, JSON_COMPACT | JSON_SORT_KEYS);
		r = ret->text ? 0 : cloche_err_sys(err, ENOMEM, "image");
	}
	json_decref(job.meta);
	return r;
}

/* How what the cell says begins; len bytes of text follow when there is no error. */
struct cell_answer {
	struct cloche_err err;
	int64_t newest;
	uint64_t len;
};

static _Noreturn void cell_main(const struct maker *m, int tree_fd, int out)
{
	struct cell_answer answer = { 0 };
	struct filled filled = { 0 };
	int r = 0;

	/* From files of the host, which are not there any more: names in archives are UTF-8, and
	 * libarchive converts them to the locale's. */
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		r = cloche_err_set(&answer.err, ENOENT, "there is no locale C.UTF-8");
	/* From a device. */
	json_object_seed(0);
	if (r == 0)
		r = image_cell_enter((const int[]){ m->archive, tree_fd, out }, 3, &answer.err);
	if (r == 0)
		r = tree_fill(m, tree_fd, &filled, &answer.err);
	if (r == 0 && strlen(filled.text) > IMAGE_META_MAX)
		r = cloche_err_set(&answer.err, EFBIG, "the description of the image is too long");
	if (r == 0) {
		answer.newest = filled.newest;
		answer.len = strlen(filled.text);
	}
	if (file_write_all(out, (const char *)&answer, sizeof(answer)) < 0 ||
	    file_write_all(out, filled.text, answer.len) < 0)
		_exit(1);
	_exit(0);
}

static int read_all(int fd, void *to, size_t len)
{
	for (char *at = to; len > 0;) {
		ssize_t n = read(fd, at, len);

		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int cell_died(pid_t pid, struct cloche_err *err)
{
	siginfo_t end = { 0 };

	while (waitid(P_PID, (id_t)pid, &end, WEXITED) < 0 && errno == EINTR)
		;
	return cloche_err_set(err, EIO, "what read the archive died (%s %d)",
			      end.si_code == CLD_EXITED ? "status" : "signal", end.si_status);
}

static int cell_hear(int in, pid_t pid, struct filled *ret, struct cloche_err *err)
{
	struct cell_answer answer;
	int r = read_all(in, &answer, sizeof(answer));

	if (r < 0)
		return cell_died(pid, err);
	if (answer.err.code < 0 || answer.err.code > 4095 || answer.len > IMAGE_META_MAX ||
	    answer.newest < 0 || answer.newest > IMAGE_TIME_MAX)
		return cloche_err_set(err, EBADMSG, "what was read of the archive is no answer");
	if (answer.err.code)
		return cloche_err_take(err, &answer.err);
	ret->newest = answer.newest;
	ret->text = calloc(1, answer.len + 1);
	if (!ret->text)
		return cloche_err_sys(err, ENOMEM, "image");
	r = read_all(in, ret->text, answer.len);
	return r < 0 ? cell_died(pid, err) : 0;
}

/* As tree_fill, by somebody who has nothing else; then this one, too, is nobody. */
static int tree_fill_apart(const struct maker *m, int tree_fd, struct filled *ret,
			   struct cloche_err *err)
{
	cleanup_fd int in = -1, out = -1;
	int pair[2], r;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return cloche_err_sys(err, errno, "pipe2");
	in = pair[0];
	out = pair[1];
	pid = fork();
	if (pid < 0)
		return cloche_err_sys(err, errno, "start what reads the archive");
	if (pid == 0)
		cell_main(m, tree_fd, out);
	fd_close(&out);
	r = image_be_nobody(0, err);
	if (r == 0)
		r = worker_watch(m, err);
	if (r == 0)
		r = cell_hear(in, pid, ret, err);
	/* It has no part in what comes now, whoever it has become. */
	(void)kill(pid, SIGKILL);
	while (waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED) < 0 && errno == EINTR)
		;
	return r;
}

/* By a name that leads to the file on the disk, of which whoever packs knows no other. */
static int tree_pack(const struct maker *m, const struct filled *filled, struct cloche_err *err)
{
	char file[64] = "image";
	struct stat st;
	int r;

	if (m->bounds && fcntl(m->file, F_SETFD, 0) < 0)
		return cloche_err_sys(err, errno, "hand the file of the image over");
	if (m->bounds)
		(void)snprintf(file, sizeof(file), "/proc/self/fd/%d", m->file);
	r = image_pack("tree", file, filled->newest, filled->text, err);
	/* The tool does not say why it could write no more. */
	if (r < 0 && m->bounds && fstat(m->file, &st) == 0 &&
	    (uint64_t)st.st_size + 2 * IMAGE_BLOCK > m->bounds->file_bytes)
		return cloche_err_sys(err, EFBIG, "pack the image");
	return r;
}

static int worker_make(struct maker *m, struct cloche_err *err)
{
	const struct image_job job = { .progress = m->progress };
	struct filled filled = { 0 };
	cleanup_fd int tree_fd = -1;
	int r = worker_world(m, err);

	if (r == 0 && m->sha256) {
		m->archive = image_spool(m->archive, m->sha256, err);
		r = m->archive < 0 ? m->archive : 0;
	}
	if (r < 0)
		return r;
	tree_fd = open("tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tree_fd < 0)
		return cloche_err_sys(err, errno, "open the tree");
	r = m->archive >= 0 ? tree_fill_apart(m, tree_fd, &filled, err)
			    : tree_fill(m, tree_fd, &filled, err);
	if (r == 0) {
		image_say(&job, "packing");
		r = tree_pack(m, &filled, err);
	}
	free(filled.text);
	return r;
}

static _Noreturn void worker_main(struct maker *m, int result)
{
	struct cloche_err err = { 0 };
	sigset_t none;

	if (worker_watch(m, &err) < 0)
		_exit(1);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	if (!m->bounds || m->bounds->enter(m->bounds->arg, &err) == 0)
		(void)worker_make(m, &err);
	if (write(result, &err, sizeof(err)) != sizeof(err))
		_exit(1);
	_exit(0);
}

/* ---- the maker ------------------------------------------------------------------------------- */

/* Waits for the worker's end; a signal that should end this program ends the worker. */
static int worker_wait(pid_t pid, const sigset_t *set, int *status)
{
	for (;;) {
		int sig = sigwaitinfo(set, NULL);
		pid_t done = waitpid(pid, status, WNOHANG);

		if (done == pid)
			return 0;
		if (sig == SIGINT || sig == SIGTERM || sig == SIGHUP) {
			(void)kill(pid, SIGKILL);
			while (waitpid(pid, status, 0) < 0 && errno == EINTR)
				;
			return sig;
		}
	}
}

static int worker_run(struct maker *m, const sigset_t *set, int *ret_signal, struct cloche_err *err)
{
	struct clone_args args = { .flags = CLONE_NEWPID | CLONE_NEWNS, .exit_signal = SIGCHLD };
	int alive[2], result[2], status = 0;
	struct cloche_err told = { 0 };
	ssize_t n;
	pid_t pid;

	if (pipe2(alive, O_CLOEXEC) < 0 || pipe2(result, O_CLOEXEC) < 0)
		return cloche_err_sys(err, errno, "pipe2");
	(void)fflush(NULL);
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return cloche_err_sys(err, errno,
				      "make the namespaces of the build (building needs root)");
	if (pid == 0) {
		(void)close(alive[1]);
		(void)close(result[0]);
		m->alive = alive[0];
		worker_main(m, result[1]);
	}
	(void)close(alive[0]);
	(void)close(result[1]);
	*ret_signal = worker_wait(pid, set, &status);
	n = read(result[0], &told, sizeof(told));
	(void)close(alive[1]);
	(void)close(result[0]);
	if (*ret_signal)
		return cloche_err_set(err, EINTR, "interrupted; no image was made");
	if (n != sizeof(told))
		return cloche_err_set(err, EIO, "the build died (%s %d)",
				      WIFSIGNALED(status) ? "signal" : "status",
				      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	if (told.code && err)
		*err = told;
	return -told.code;
}

/* What nobody has made becomes root's. The worker was pid 1, so that with it all are gone that
 * might write to the file, and nobody else gets into the folder. */
static int file_take(const struct maker *m, struct cloche_err *err)
{
	cleanup_fd int fd = -1;
	struct stat st;

	if (m->archive < 0)
		return 0;
	if (fchown(m->lock, geteuid(), getegid()) < 0)
		return cloche_err_sys(err, errno, "take the folder back");
	fd = openat(m->lock, "image", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return cloche_err_sys(err, errno, "open what was made");
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return cloche_err_set(err, EBADMSG, "what was made is no file of its own");
	if (m->bounds && (uint64_t)st.st_size > m->bounds->file_bytes)
		return cloche_err_sys(err, EFBIG, "what was made");
	if (fchown(fd, geteuid(), getegid()) < 0 || fchmod(fd, 0644) < 0)
		return cloche_err_sys(err, errno, "take what was made");
	return fsync(fd) < 0 ? cloche_err_sys(err, errno, "write what was made") : 0;
}

/* The old file of the name, if any, is replaced in one step; its mount goes when nothing needs it.
 */
static int name_give(struct maker *m, struct cloche_err *err)
{
	char file[IMAGE_NAME_MAX + sizeof(IMAGE_SUFFIX)];
	struct cloche_err ignored;

	(void)snprintf(file, sizeof(file), "%s" IMAGE_SUFFIX, m->name);
	if (renameat(m->lock, "image", m->store, file) < 0 || fsync(m->store) < 0)
		return cloche_err_sys(err, errno, "put image '%s' in place", m->name);
	(void)image_unmount_forsaken(m->store, &ignored);
	return 0;
}

/* One that is ignored already, as under nohup(1), stays so. */
static void watch(sigset_t *set, int sig)
{
	struct sigaction now;

	if (sigaction(sig, NULL, &now) == 0 && now.sa_handler != SIG_IGN)
		(void)sigaddset(set, sig);
}

int image_make_as(const struct image_making *how, int *ret_signal, struct cloche_err *err)
{
	struct maker m = { .name = how->name,
			   .kind = how->kind,
			   .archive = how->archive,
			   .fill = how->fill,
			   .arg = how->arg,
			   .progress = how->progress,
			   .path = how->store ? how->store : image_store_path(),
			   .sha256 = how->sha256,
			   .part = how->part,
			   .bounds = how->bounds,
			   .file = -1,
			   .store = -1,
			   .lock = -1 };
	sigset_t set, before;
	int r = image_name_check(how->name, err);

	*ret_signal = 0;
	if (r == 0)
		r = image_times_bound(&m.latest, err);
	if (r < 0)
		return r;
	if (geteuid() != 0)
		return cloche_err_set(err, EPERM, "making an image needs root");
	m.store = image_store_open_at(m.path, true, err);
	if (m.store < 0)
		return m.store;
	(void)sigemptyset(&set);
	watch(&set, SIGINT);
	watch(&set, SIGTERM);
	watch(&set, SIGHUP);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, &before);
	r = folder_make(&m, err);
	if (r == 0)
		r = worker_run(&m, &set, ret_signal, err);
	if (r == 0)
		r = file_take(&m, err);
	if (r == 0)
		r = name_give(&m, err);
	if (m.dir[0])
		image_worker_remove(m.dir);
	fd_close(&m.file);
	fd_close(&m.lock);
	fd_close(&m.store);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return r;
}

int image_make(const char *name, const char *kind, int archive, image_filler *fill, const void *arg,
	       image_progress *progress, int *ret_signal, struct cloche_err *err)
{
	const struct image_making how = { .name = name,
					  .kind = kind,
					  .archive = archive,
					  .fill = fill,
					  .arg = arg,
					  .progress = progress };

	return image_make_as(&how, ret_signal, err);
}
