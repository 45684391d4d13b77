/* SPDX-License-Identifier: MIT */
/* The folder of kept traces: see trace_store.h. It holds files and decides by their names and
 * times; what is in them is for trace_json.h. */
#include "trace/trace_store.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define SUFFIX ".jsonl"
#define NEW    ".new-"

/* Between the making of a temporary file and the lock on it nobody may take it for a leftover. */
#define NEW_GRACE_NS (60 * NSEC_PER_SEC)

const struct trace_store_limits trace_store_limits = { TRACE_STORE_FILES, TRACE_STORE_BYTES,
						       TRACE_STORE_ONE_BYTES };

int trace_store_open(const char *dir, bool make, struct cloche_err *err)
{
	cleanup_fd int fd = -1;
	struct stat st;
	int r = make ? file_make_dir(dir) : 0;

	if (r < 0)
		return cloche_err_sys(err, -r, "make the traces' folder '%.200s'", dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return cloche_err_sys(err, errno, "open the traces' folder '%.200s'", dir);
	if (make && (st.st_uid != geteuid() || (st.st_mode & 022)))
		return cloche_err_set(err, EPERM,
				      "the traces' folder '%.200s' belongs to uid %u with mode "
				      "%03o: others may write there; see 'chown' and 'chmod 700'",
				      dir, st.st_uid, st.st_mode & 0777);
	return TAKE_FD(fd);
}

int trace_store_begin(int dir, struct trace_store_file *ret, struct cloche_err *err)
{
	struct trace_store_file new = { 0 };
	cleanup_fd int fd = -1;

	(void)snprintf(new.name, sizeof(new.name), NEW "%d-%llx", getpid(),
		       (unsigned long long)clock_now_ns());
	fd = openat(dir, new.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return cloche_err_sys(err, errno, "make a file in the traces' folder");
	(void)flock(fd, LOCK_EX | LOCK_NB);
	new.f = fdopen(fd, "w");
	if (!new.f) {
		(void)unlinkat(dir, new.name, 0);
		return cloche_err_sys(err, ENOMEM, "keep the trace");
	}
	(void)TAKE_FD(fd);
	*ret = new;
	return 0;
}

void trace_store_drop(int dir, struct trace_store_file *file)
{
	if (!file->f)
		return;
	(void)unlinkat(dir, file->name, 0);
	(void)fclose(file->f);
	file->f = NULL;
}

int trace_store_keep(int dir, struct trace_store_file *file, const char *id,
		     const struct trace_store_limits *limits, struct cloche_err *err)
{
	char name[TRACE_STORE_ID_LEN + sizeof(SUFFIX)];
	int r = 0;

	(void)snprintf(name, sizeof(name), "%.*s" SUFFIX, TRACE_STORE_ID_LEN - 1, id);
	errno = 0;
	/* The rename comes while the lock is held: nobody takes the file for a leftover. */
	if (fflush(file->f) || ferror(file->f))
		r = errno ? errno : EIO;
	else if (renameat(dir, file->name, dir, name) < 0)
		r = errno;
	if (r) {
		trace_store_drop(dir, file);
		return cloche_err_sys(err, r, "write to the traces' folder");
	}
	(void)fclose(file->f);
	file->f = NULL;
	trace_store_prune(dir, limits);
	return 0;
}

/* ---- what is there ------------------------------------------------------------------------ */

bool trace_store_is_id(const char *text)
{
	size_t n = strlen(text);

	return n && n < TRACE_STORE_ID_LEN && strspn(text, "0123456789abcdef-") == n &&
	       text[0] != '-';
}

static bool id_of(const char *name, char ret[static TRACE_STORE_ID_LEN])
{
	size_t n = strlen(name), suffix = sizeof(SUFFIX) - 1;

	if (n <= suffix || n - suffix >= TRACE_STORE_ID_LEN ||
	    strcmp(name + n - suffix, SUFFIX) != 0)
		return false;
	(void)snprintf(ret, TRACE_STORE_ID_LEN, "%.*s", (int)(n - suffix), name);
	return trace_store_is_id(ret);
}

static void try_remove_leftover(int dir, const char *name)
{
	cleanup_fd int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 ||
	    clock_real_ns() - timespec_ns(st.st_mtim) < NEW_GRACE_NS)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)unlinkat(dir, name, 0);
}

static int by_age(const void *a, const void *b)
{
	const struct trace_store_entry *x = a, *y = b;

	if (x->at_ns != y->at_ns)
		return x->at_ns < y->at_ns ? -1 : 1;
	return strcmp(x->id, y->id);
}

static int add(int dir, const char *name, struct trace_store_entry **list, size_t *n, size_t *room)
{
	struct trace_store_entry e, *more;
	struct stat st;

	if (!id_of(name, e.id) || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(st.st_mode))
		return 0;
	e.bytes = (uint64_t)st.st_size;
	e.at_ns = timespec_ns(st.st_mtim);
	if (*n == *room) {
		more = reallocarray(*list, *room * 2 + 64, sizeof(**list));
		if (!more)
			return -ENOMEM;
		*list = more;
		*room = *room * 2 + 64;
	}
	(*list)[(*n)++] = e;
	return 0;
}

/* leftovers: also removes these. */
static int scan(int dir, bool leftovers, struct trace_store_entry **ret, size_t *ret_n)
{
	cleanup_fd int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	size_t room = 0;
	struct dirent *e;
	int r;

	*ret = NULL;
	*ret_n = 0;
	if (!d)
		return -errno;
	(void)TAKE_FD(fd);
	while ((r = file_next(d, &e)) > 0) {
		if (leftovers && strncmp(e->d_name, NEW, sizeof(NEW) - 1) == 0) {
			try_remove_leftover(dir, e->d_name);
			continue;
		}
		r = add(dir, e->d_name, ret, ret_n, &room);
		if (r < 0)
			break;
	}
	(void)closedir(d);
	if (r < 0) {
		free(*ret);
		*ret = NULL;
		*ret_n = 0;
		return r;
	}
	if (*ret_n)
		qsort(*ret, *ret_n, sizeof(**ret), by_age);
	return 0;
}

int trace_store_list(int dir, struct trace_store_entry **ret, size_t *ret_n, struct cloche_err *err)
{
	int r = scan(dir, false, ret, ret_n);

	return r < 0 ? cloche_err_sys(err, -r, "list the traces' folder") : 0;
}

void trace_store_prune(int dir, const struct trace_store_limits *limits)
{
	cleanup_free struct trace_store_entry *list = NULL;
	uint64_t bytes = 0;
	size_t n;

	if (scan(dir, true, &list, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		bytes += list[i].bytes;
	for (size_t i = 0; i + 1 < n && (n - i > limits->files || bytes > limits->bytes); i++) {
		char name[TRACE_STORE_ID_LEN + sizeof(SUFFIX)];

		(void)snprintf(name, sizeof(name), "%s" SUFFIX, list[i].id);
		(void)unlinkat(dir, name, 0);
		bytes -= list[i].bytes;
	}
}

void trace_store_sweep(int dir)
{
	cleanup_fd int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d)
		return;
	(void)TAKE_FD(fd);
	while (file_next(d, &e) > 0)
		if (strncmp(e->d_name, NEW, sizeof(NEW) - 1) == 0)
			(void)unlinkat(dir, e->d_name, 0);
	(void)closedir(d);
}

int trace_store_find(int dir, const char *prefix, char ret[static TRACE_STORE_ID_LEN],
		     struct cloche_err *err)
{
	cleanup_free struct trace_store_entry *list = NULL;
	size_t n, found = 0, len = strlen(prefix);
	int r;

	if (!trace_store_is_id(prefix) || len < TRACE_STORE_PREFIX)
		return cloche_err_set(err, EINVAL,
				      "'%.40s' is too little of a request's id: at least %d "
				      "characters of it",
				      prefix, TRACE_STORE_PREFIX);
	r = trace_store_list(dir, &list, &n, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (strncmp(list[i].id, prefix, len) != 0)
			continue;
		memcpy(ret, list[i].id, TRACE_STORE_ID_LEN);
		if (!list[i].id[len])
			return 0;
		found++;
	}
	if (found > 1)
		return cloche_err_set(err, EEXIST,
				      "'%s' begins the ids of %zu traces: give more of it", prefix,
				      found);
	if (!found)
		return cloche_err_set(err, ENOENT, "no trace of request '%s'", prefix);
	return 0;
}

FILE *trace_store_read(int dir, const char *id, struct cloche_err *err)
{
	char name[TRACE_STORE_ID_LEN + sizeof(SUFFIX)];
	cleanup_fd int fd = -1;
	FILE *f;

	(void)snprintf(name, sizeof(name), "%.*s" SUFFIX, TRACE_STORE_ID_LEN - 1, id);
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f) {
		(void)cloche_err_sys(err, errno, "open the trace of request '%.40s'", id);
		return NULL;
	}
	(void)TAKE_FD(fd);
	return f;
}
