/* SPDX-License-Identifier: MIT */
/* Where the logs of functions are: see logged.h. */
#include "serve/logged.h"

#include "base/err.h"
#include "base/fd.h"
#include "function/function_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_same(int one, int other)
{
	struct stat a, b;

	return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* A function of the same name that was removed may still have a process that writes. */
static struct function_logged *find(const struct logged *l, uint32_t uid, const char *function,
				    int dir)
{
	struct function_logged *at = l->first;

	while (at && (at->uid != uid || strcmp(at->name, function) != 0 || !is_same(at->dir, dir)))
		at = at->next;
	return at;
}

struct function_logged *logged_open(struct logged *l, const struct function_store *store,
				    uint32_t uid, const char *function, struct cloche_err *err)
{
	int dir = function_store_dir(store, uid, function, err);
	struct function_logged *log;

	if (dir < 0)
		return NULL;
	log = find(l, uid, function, dir);
	if (log) {
		fd_close(&dir);
		log->users++;
		return log;
	}
	log = calloc(1, sizeof(*log));
	if (!log) {
		(void)cloche_err_sys(err, ENOMEM, "open the log of '%s'", function);
		fd_close(&dir);
		return NULL;
	}
	log->uid = uid;
	log->users = 1;
	(void)snprintf(log->name, sizeof(log->name), "%s", function);
	log->dir = dir;
	function_log_init(&log->log, dir, FUNCTION_LOG_MOST);
	log->next = l->first;
	l->first = log;
	return log;
}

struct function_logged *logged_close(struct logged *l, struct function_logged *log)
{
	struct function_logged **at = &l->first;

	if (!log || --log->users > 0)
		return NULL;
	while (*at != log)
		at = &(*at)->next;
	*at = log->next;
	function_log_close(&log->log);
	fd_close(&log->dir);
	free(log);
	return NULL;
}

int logged_files(const struct function_store *store, uint32_t uid, const char *function,
		 int ret[static 2], struct cloche_err *err)
{
	cleanup_fd int dir = function_store_dir(store, uid, function, err);

	ret[0] = ret[1] = -1;
	if (dir < 0)
		return dir;
	ret[0] = openat(dir, FUNCTION_LOG_OLD, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	/* Who follows it waits for what comes into it. */
	ret[1] = openat(dir, FUNCTION_LOG_NAME, O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	return ret[1] < 0 ? cloche_err_sys(err, errno, "open the log of '%s'", function) : 0;
}
