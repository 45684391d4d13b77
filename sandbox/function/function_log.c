/* SPDX-License-Identifier: MIT */
/* A function's log, bounded on the disk: see function_log.h. */
#include "function/function_log.h"

#include "base/err.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define ROTATED "0\n"

void function_log_init(struct function_log *ret, int dir, uint64_t most)
{
	*ret = (struct function_log){ .dir = dir, .fd = -1, .most = most };
}

void function_log_close(struct function_log *log)
{
	fd_close(&log->fd);
}

static int open_file(struct function_log *log)
{
	struct stat st;

	if (log->fd >= 0)
		return 0;
	log->fd = openat(log->dir, FUNCTION_LOG_NAME,
			 O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (log->fd < 0 || fstat(log->fd, &st) < 0)
		return -errno;
	log->size = (uint64_t)st.st_size;
	/* Whoever wrote before may have been killed in the midst of it. */
	log->broken = log->size > 0;
	if (log->broken) {
		char last;

		log->broken = pread(log->fd, &last, 1, st.st_size - 1) != 1 || last != '\n';
	}
	return 0;
}

static int rotate(struct function_log *log)
{
	if (write(log->fd, ROTATED, strlen(ROTATED)) < 0)
		return -errno;
	if (renameat(log->dir, FUNCTION_LOG_NAME, log->dir, FUNCTION_LOG_OLD) < 0)
		return -errno;
	fd_close(&log->fd);
	return open_file(log);
}

/* Behind what was written before, on a line of their own; in the new file, where there would be too
 * much in this one. parts[0] is left free by the caller. */
static int append(struct function_log *log, struct iovec *parts, int n)
{
	size_t len = 0;
	ssize_t written;
	int r = open_file(log);

	for (int i = 1; i < n; i++)
		len += parts[i].iov_len;
	if (r == 0 && log->size > 0 && log->size + len > log->most / 2)
		r = rotate(log);
	if (r < 0)
		return r;
	parts[0] = (struct iovec){ .iov_base = "\n", .iov_len = log->broken };
	len += log->broken;
	written = writev(log->fd, parts, n);
	if (written < 0)
		return -errno;
	log->size += (uint64_t)written;
	log->broken = (size_t)written != len;
	return log->broken ? -ENOSPC : 0;
}

size_t function_log_head(int64_t real_ns, const char *request_id,
			 char ret[static FUNCTION_LOG_HEAD])
{
	return (size_t)snprintf(ret, FUNCTION_LOG_HEAD, "%" PRId64 " %s ", real_ns,
				*request_id ? request_id : "-");
}

int function_log_write_entries(struct function_log *log, const char *entries, size_t len)
{
	struct iovec parts[2] = { { .iov_len = 0 },
				  { .iov_base = (void *)(uintptr_t)entries, .iov_len = len } };

	return append(log, parts, 2);
}

int function_log_write(struct function_log *log, int64_t real_ns, const char *request_id,
		       const char *message, size_t len)
{
	char head[FUNCTION_LOG_HEAD];
	struct iovec parts[4] = { { .iov_len = 0 },
				  { .iov_base = head },
				  { .iov_base = (void *)(uintptr_t)message, .iov_len = len },
				  { .iov_base = "\n", .iov_len = 1 } };

	parts[1].iov_len = function_log_head(real_ns, request_id, head);
	return append(log, parts, 4);
}

/* ---- what is read ---------------------------------------------------------------------------- */

static bool is_id(const char *text, size_t len)
{
	return (len == 1 && *text == '-') || len == UUID_LEN - 1;
}

enum function_log_kind function_log_parse(const char *line, size_t len,
					  struct function_log_entry *ret)
{
	const char *id, *message, *end = line + len;
	char number[24];
	char *rest;

	if (len == strlen(ROTATED) - 1 && *line == '0')
		return FUNCTION_LOG_ROTATED;
	id = memchr(line, ' ', len);
	if (!id || id == line || (size_t)(id - line) >= sizeof(number))
		return FUNCTION_LOG_NONE;
	memcpy(number, line, (size_t)(id - line));
	number[id - line] = '\0';
	id++;
	message = memchr(id, ' ', (size_t)(end - id));
	if (!message || !is_id(id, (size_t)(message - id)))
		return FUNCTION_LOG_NONE;
	errno = 0;
	*ret = (struct function_log_entry){ .real_ns = strtoll(number, &rest, 10),
					    .message = message + 1,
					    .len = (size_t)(end - message - 1) };
	if (errno || *rest || ret->real_ns <= 0)
		return FUNCTION_LOG_NONE;
	if (*id != '-') {
		memcpy(ret->request_id, id, UUID_LEN - 1);
		ret->request_id[UUID_LEN - 1] = '\0';
	}
	return FUNCTION_LOG_ENTRY;
}
