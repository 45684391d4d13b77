/* SPDX-License-Identifier: MIT */
/*
 * Mounts images, once for all contexts, at /run/cloche/images/SHA256 (see image.h). That directory
 * is a private mount of its own, so that nothing mounted there shows up in other mount namespaces.
 */
#include "image/image.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "host/host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define MOUNTS	      HOST_RUN_DIR "/images"
#define NAME_LEN      (sizeof("-01234567") + HASH_HEX_LEN)
#define LOCK	      "images.lock"
#define LOOP_CTRL     makedev(10, 237) /* Documentation/admin-guide/devices.txt */
#define LOOP_ATTEMPTS 64

/* By content and store: to remove an image from one store shall not take another's mount away. The
 * store is the directory, however its path is spelled. */
static void name_of(int store, const char *sha256, char ret[static NAME_LEN])
{
	struct stat st = { 0 };
	uint64_t which;

	(void)fstat(store, &st);
	which = hash_fnv_u64(hash_fnv_u64(HASH_FNV_START, st.st_dev), st.st_ino);
	(void)snprintf(ret, NAME_LEN, "%s-%08x", sha256, (uint32_t)(which ^ which >> 32));
}

void image_mount_path(int store, const char *sha256, char ret[static IMAGE_PATH_LEN])
{
	char name[NAME_LEN];

	name_of(store, sha256, name);
	(void)snprintf(ret, IMAGE_PATH_LEN, MOUNTS "/%s", name);
}

bool image_mounted_of(int store, const char *sha256)
{
	char path[IMAGE_PATH_LEN];
	struct statfs fs;

	image_mount_path(store, sha256, path);
	/* The directory below a mount that is gone is of another file system. */
	return statfs(path, &fs) == 0 && fs.f_type == EROFS_SUPER_MAGIC_V1;
}

bool image_mounted(const char *sha256)
{
	cleanup_fd int store = open(image_store_path(), O_PATH | O_DIRECTORY | O_CLOEXEC);

	return store >= 0 && image_mounted_of(store, sha256);
}

/* The kernel loads the loop module when its node is opened. Without udev or systemd the node itself
 * is not there before the module is. */
static int loop_control(struct cloche_err *err)
{
	static const char path[] = "/dev/loop-control";
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && mknod(path, S_IFCHR | 0660, LOOP_CTRL) == 0) {
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			(void)unlink(path);
	}
	if (fd < 0)
		return cloche_err_sys(err, errno, "open '%s': 'modprobe loop' may help", path);
	return fd;
}

/* A loop device that goes when its mount goes. Returns its fd and its path. */
static int loop_make(const struct image *image, char *path, size_t size, struct cloche_err *err)
{
	cleanup_fd int control = loop_control(err);
	struct loop_config config = {
		.fd = (unsigned)image->fd,
		.info = { .lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR,
			  .lo_sizelimit = image->fs_bytes },
	};

	if (control < 0)
		return control;
	(void)snprintf((char *)config.info.lo_file_name, LO_NAME_SIZE, "cloche-image-%.40s",
		       image->sha256);
	for (int i = 0; i < LOOP_ATTEMPTS; i++) {
		int n = ioctl(control, LOOP_CTL_GET_FREE), saved;
		cleanup_fd int fd = -1;

		if (n < 0)
			return cloche_err_sys(err, errno, "find a free loop device");
		(void)snprintf(path, size, "/dev/loop%d", n);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		saved = errno;
		if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) == 0)
			return TAKE_FD(fd);
		saved = fd >= 0 ? errno : saved;
		/* Somebody else took it first: again. */
		if (saved != EBUSY)
			return cloche_err_sys(err, saved, "set up '%s'", path);
	}
	return cloche_err_set(err, EBUSY, "no loop device stays free long enough");
}

/* A detached mount of the erofs that lies in source: a loop device, or a file where the kernel can
 * (Linux 6.12). */
static int erofs_mount(const char *source, struct cloche_err *err)
{
	cleanup_fd int fs = fsopen("erofs", FSOPEN_CLOEXEC);
	int tree;

	if (fs < 0 && errno == ENODEV)
		return cloche_err_set(err, ENODEV,
				      "this kernel has no erofs (CONFIG_EROFS_FS), or 'modprobe "
				      "erofs' fails");
	if (fs < 0)
		return cloche_err_sys(err, errno, "fsopen erofs");
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return cloche_err_sys(err, errno, "mount erofs");
	tree = fsmount(fs, FSMOUNT_CLOEXEC,
		       MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	return tree < 0 ? cloche_err_sys(err, errno, "fsmount erofs") : tree;
}

static int mount_file(const struct image *image, struct cloche_err *err)
{
	cleanup_fd int loop = -1;
	char path[64];
	int tree;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", image->fd);
	tree = erofs_mount(path, err);
	if (tree != -ENOTBLK)
		return tree;
	loop = loop_make(image, path, sizeof(path), err);
	return loop < 0 ? loop : erofs_mount(path, err);
}

static int arch_check(const char *name, const char *arch, struct cloche_err *err)
{
	if (!*arch)
		return cloche_err_set(err, EBADMSG, "image '%s' does not say its architecture",
				      name);
	if (strcmp(arch, IMAGE_ARCH) != 0)
		return cloche_err_set(
			err, ENOEXEC,
			"image '%s' is for %s: this program and machine are " IMAGE_ARCH, name,
			arch);
	return 0;
}

static int mount_at(const struct image *image, const char *name, const char *path,
		    struct cloche_err *err)
{
	cleanup_fd int tree = -1;
	char arch[IMAGE_ARCH_LEN];
	int r = image_verify(image, name, arch, err);

	if (r == 0)
		r = arch_check(name, arch, err);
	if (r == 0)
		r = host_private_dir(MOUNTS, err);
	if (r < 0)
		return r;
	tree = mount_file(image, err);
	if (tree < 0)
		return cloche_err_wrap(err, "image '%s'", name);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return cloche_err_sys(err, errno, "make '%s'", path);
	if (move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return cloche_err_sys(err, errno, "mount image '%s' at '%s'", name, path);
	return 0;
}

int image_mount_of(int store, const char *name, char ret[static IMAGE_PATH_LEN],
		   struct cloche_err *err)
{
	cleanup_fd int run = -1, lock = -1;
	struct image image = { .fd = -1 };
	int r = image_open(store, name, &image, err);

	if (r < 0)
		return r;
	image_mount_path(store, image.sha256, ret);
	if (!image_mounted_of(store, image.sha256)) {
		run = host_run_dir(err);
		lock = run < 0 ? run : host_lock(run, LOCK, err);
		r = lock < 0 ? lock : 0;
		if (r == 0 && !image_mounted_of(store, image.sha256))
			r = mount_at(&image, name, ret, err);
	}
	image_close(&image);
	return r;
}

int image_mount(const char *name, char ret[static IMAGE_PATH_LEN], struct cloche_err *err)
{
	cleanup_fd int store = -1;
	int r = image_name_check(name, err);

	if (r < 0)
		return r;
	store = image_store_open(false, err);
	if (store == -ENOENT)
		return cloche_err_set(err, ENOENT,
				      "there is no image '%s', and no store at '%.200s': 'cloche "
				      "image build' or 'import' makes one; a directory is written "
				      "with a '/'",
				      name, image_store_path());
	return store < 0 ? store : image_mount_of(store, name, ret, err);
}

int image_store_show(int store, struct cloche_err *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
					       MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };
	cleanup_fd int tree =
		open_tree(store, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return cloche_err_sys(err, errno, "show the image store (open_tree)");
	return TAKE_FD(tree);
}

/* Whether a directory of MOUNTS is of this store, and no image of the store has what lies in it. */
static bool is_forsaken(const char *dir, int store, char *const *names, size_t n)
{
	char sha256[HASH_HEX_LEN] = "", name[NAME_LEN];
	bool named = false;

	memcpy(sha256, dir, strnlen(dir, HASH_HEX_LEN - 1));
	name_of(store, sha256, name);
	if (strcmp(dir, name) != 0)
		return false;
	for (size_t i = 0; i < n && !named; i++) {
		struct image image = { .fd = -1 };

		named = image_open(store, names[i], &image, NULL) == 0 &&
			strcmp(image.sha256, sha256) == 0;
		image_close(&image);
	}
	return !named;
}

static int unmount_all_but(DIR *mounts, int store, char *const *names, size_t n,
			   struct cloche_err *err)
{
	char path[sizeof(MOUNTS) + NAME_MAX + 2];
	struct dirent *e;
	int r;

	while ((r = file_next(mounts, &e)) > 0) {
		if (!is_forsaken(e->d_name, store, names, n))
			continue;
		(void)snprintf(path, sizeof(path), MOUNTS "/%s", e->d_name);
		/* EINVAL: nothing is mounted there. */
		if (umount2(path, MNT_DETACH) < 0 && errno != EINVAL) {
			r = cloche_err_sys(err, errno, "unmount '%s'", path);
			break;
		}
		(void)rmdir(path);
	}
	if (r < 0 && !e)
		(void)cloche_err_sys(err, -r, "read '" MOUNTS "'");
	return r;
}

static int unmount(int store, char *const *names, size_t n, struct cloche_err *err)
{
	cleanup_fd int run = -1, lock = -1;
	DIR *mounts = opendir(MOUNTS);
	int r;

	/* Nobody but root has mounted any, or can see. */
	if (!mounts)
		return 0;
	run = host_run_dir(err);
	lock = run < 0 ? run : host_lock(run, LOCK, err);
	r = lock < 0 ? lock : unmount_all_but(mounts, store, names, n, err);
	(void)closedir(mounts);
	return r;
}

int image_unmount_forsaken(int store, struct cloche_err *err)
{
	char **names = NULL;
	size_t n = 0;
	int r = image_names(store, &names, &n, err);

	if (r == 0)
		r = unmount(store, names, n, err);
	image_names_free(names, n);
	return r;
}

int image_unmount_all(int store, struct cloche_err *err)
{
	return unmount(store, NULL, 0, err);
}
