/* SPDX-License-Identifier: MIT */
/*
 * What a process that reads archives can reach when it was taken over: enters the cell as
 * image_make does and looks around; answers, and goes on writing. Which calls kill it:
 * unit/image/image_cell.c.
 */
#include "image/image_cell.h"

#include "base/err.h"
#include "base/fd.h"
#include "host/slot.h"
#include "image/image.h"
#include "image/image_make.h"
#include "image/image_oci.h"
#include "tests/lib/images.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a try inside came to, by name. */
struct found {
	struct cloche_err err;
	int passwd, above, proc, shadow, kept, other, made;
	ino_t root, source_parent, source;
};

static int opened(int dir, const char *path, int flags)
{
	int fd = openat(dir, path, flags | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : 0;
}

static ino_t inode_of(int dir, const char *path)
{
	struct stat st;

	return fstatat(dir, path, &st, AT_EMPTY_PATH) < 0 ? 0 : st.st_ino;
}

static void look_around(const struct store *s, int source, int other, struct found *f)
{
	if (unshare(CLONE_NEWNS) < 0 || chdir(s->dir) < 0 ||
	    chown(".", SLOT_UID_NONE, SLOT_UID_NONE) < 0)
		_exit(1);
	if (image_cell_enter((const int[]){ source }, 1, &f->err) < 0)
		_exit(1);
	f->passwd = opened(AT_FDCWD, "/etc/passwd", O_RDONLY);
	f->above = opened(AT_FDCWD, "../../../../../../etc/passwd", O_RDONLY);
	f->proc = opened(AT_FDCWD, "/proc/self/mem", O_RDWR);
	f->shadow = opened(source, "../../../../../../etc/shadow", O_RDONLY);
	f->kept = opened(source, "oci-layout", O_RDONLY);
	f->other = opened(other, "oci-layout", O_RDONLY);
	f->made = opened(AT_FDCWD, "made", O_WRONLY | O_CREAT | O_EXCL);
	f->root = inode_of(AT_FDCWD, "/");
	f->source = inode_of(source, "");
	f->source_parent = inode_of(source, "..");
	_exit(0);
}

/* Of a layout that only its owner may read, too. */
Test(image_cell, sees_its_folder_and_its_source)
{
	cleanup_store struct store s = store_make();
	struct found *f =
		mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct oci_source source = { .fd = -1 };
	const char *dir = store_file(&s, "layout");
	struct cloche_err err = { 0 };
	cleanup_fd int other = -1;
	int status = -1;
	pid_t pid;

	cr_assert_neq(f, MAP_FAILED);
	oci_start(dir);
	cr_assert_eq(chmod(dir, 0700), 0);
	source.fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	other = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(source.fd >= 0 && other >= 0);
	cr_assert_eq(oci_source_cut(&source, &err), 0, "%s", err.text);
	pid = fork();
	if (pid == 0)
		look_around(&s, source.fd, other, f);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0, "%#x: %s", (unsigned)status, f->err.text);
	cr_expect_eq(f->passwd, -ENOENT);
	cr_expect_eq(f->above, -ENOENT);
	cr_expect_eq(f->proc, -ENOENT);
	cr_expect_eq(f->shadow, -ENOENT);
	cr_expect_eq(f->source_parent, f->source, "its parent is itself");
	cr_expect_eq(f->kept, 0);
	cr_expect_eq(f->other, -EBADF);
	cr_expect_eq(f->made, 0);
	cr_expect_eq(f->root, inode_of(AT_FDCWD, s.dir));
	fd_close(&source.fd);
}

#define ATTACKED 2000 /* in the file system's own block */

/* As image_make.c has it. */
struct answer {
	struct cloche_err err;
	int64_t newest;
	uint64_t len;
};

/* In place of unpacking: what it answers is right, and it holds the file that will be packed. */
static int take_over(struct image_job *job, struct cloche_err *err)
{
	static const char text[] = "{\"arch\":\"" IMAGE_ARCH "\",\"kind\":\"oci\"}";
	const struct answer answer = { .len = strlen(text) };
	const int archive = *(const int *)job->arg;
	int image = openat(AT_FDCWD, "/image", O_RDWR | O_CREAT | O_CLOEXEC, 0600), out = -1;

	for (int fd = 3; fd < 64; fd++)
		if (fd != archive && fd != job->tree_fd && fd != image && fcntl(fd, F_GETFD) >= 0)
			out = fd;
	if (image < 0 || write(out, &answer, sizeof(answer)) != sizeof(answer) ||
	    write(out, text, answer.len) != (ssize_t)answer.len)
		return cloche_err_set(err, EIO, "the test's filler");
	while (lseek(image, ATTACKED, SEEK_SET) >= 0 && write(image, "attack", 6) != 0)
		;
	return 0;
}

/* It is dead before the tree is packed: what is mounted nobody else has written. */
Test(image_cell, has_no_part_in_what_is_packed)
{
	cleanup_store struct store s = store_make();
	cleanup_fd int archive = open("/dev/null", O_RDONLY | O_CLOEXEC), store = -1;
	struct image image = { .fd = -1 };
	struct cloche_err err = { 0 };
	char bytes[6];
	int sig;

	cr_assert_eq(image_make("x", "oci", archive, take_over, &archive, NULL, &sig, &err), 0,
		     "%s", err.text);
	store = image_store_open(false, &err);
	cr_assert_eq(image_open(store, "x", &image, &err), 0, "%s", err.text);
	cr_expect_eq(image_verify(&image, "x", NULL, &err), 0, "%s", err.text);
	cr_assert_eq(pread(image.fd, bytes, sizeof(bytes), ATTACKED), (ssize_t)sizeof(bytes));
	cr_expect(memcmp(bytes, "attack", sizeof(bytes)) != 0);
	image_close(&image);
}
