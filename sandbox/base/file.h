/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BASE_FILE_H
#define CLOCHE_BASE_FILE_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;

/*
 * Whole files, and the one-line control files of /proc, /sys and cgroups. Every path is opened
 * O_CLOEXEC relative to dirfd, which may be AT_FDCWD. Nothing is created, except that opening a
 * FIFO waits for its writer.
 */

/*
 * Reads all of a file into a new buffer that the caller frees; the byte behind the last is NUL and
 * not counted. Pipes and files of /proc, which have no size, are read to their end as well.
 * -EFBIG when there is more than max bytes, -EISDIR for a directory.
 */
int file_load(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len,
	      struct cloche_err *err);

/* The same from a descriptor that is open already (and stays open); name is for messages. */
int file_load_fd(int fd, const char *name, size_t max, char **ret, size_t *ret_len,
		 struct cloche_err *err);

/*
 * openat2(2); -errno. With RESOLVE_BENEATH or RESOLVE_IN_ROOT it is -EAGAIN when anybody on the
 * host renames or mounts something while the path has a "..": asked again, as the manual says.
 */
int file_openat2(int dir, const char *path, int flags, uint64_t resolve);

/* The same with RESOLVE_BENEATH among resolve. */
int file_open_beneath(int dir, const char *path, int flags, uint64_t resolve);

/* The path of what is open, as /proc/self/fd has it, where size holds it; -errno. */
int file_fd_path(int fd, char *buf, size_t size);

/* Makes a directory, 0700, and the one above it, 0755, where they are not there yet; -errno. */
int file_make_dir(const char *path);

/* As many open files as the hard limit has; where that cannot be, it stays as it was. */
void file_try_allow_many(void);

/* Opens a file that the user named, for reading; -errno. */
int file_open_input(const char *path);

/* Makes or empties a file that the user named for what we say, mode 0644; -errno. A FIFO that
 * nobody reads is -ENXIO at once and not waited for; a symbolic link that somebody else than root
 * or the caller made is -ELOOP. The other says what such an errno means. */
int file_make_output(const char *path);
const char *file_output_why(int code);

/* Writes all of it, and waits where a non-blocking descriptor would not; -errno. */
int file_write_all(int fd, const char *text, size_t len);

/* Writes text to a control file in one write(2), as the kernel wants it. Allocates nothing. */
int file_write_text(int dirfd, const char *path, const char *text, struct cloche_err *err);
int file_write_u64(int dirfd, const char *path, uint64_t value, struct cloche_err *err);

/* Reads a control file of less than size bytes into buf as text; one newline at the end is taken
 * off. -EFBIG when it does not fit. Allocates nothing. */
int file_read_text(int dirfd, const char *path, char *buf, size_t size, struct cloche_err *err);

/* Reads a control file that holds one number; "max", as cgroup2 says "no limit", is UINT64_MAX. */
int file_read_u64(int dirfd, const char *path, uint64_t *ret, struct cloche_err *err);

/* Whether a path is dir or begins with it, name by name: "/ab" is not below "/a". Both as text. */
bool file_is_below(const char *path, const char *dir);

/* The next name of a directory: 1, 0 at its end, -errno. readdir(3) says NULL for both, and a list
 * that ends too early looks like a short one. */
int file_next(DIR *d, struct dirent **ret);

/* A folder that serves as a cache and has grown to so many files is emptied: what is in use comes
 * back. */
void file_try_trim(int dir, size_t max);

#endif
