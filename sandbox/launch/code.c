/* SPDX-License-Identifier: MIT */
/* Detached mounts of a function's code: see code.h. */
#include "launch/code.h"

#include "base/err.h"
#include "base/fd.h"
#include "launch/idmap.h"
#include "launch/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#define ATTRIBUTES (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

static int protect(int tree, struct cloche_err *err)
{
	struct mount_attr attr = { .attr_set = ATTRIBUTES, .propagation = MS_PRIVATE };

	return mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0
		       ? cloche_err_sys(err, errno, "make code read-only (mount_setattr)")
		       : 0;
}

static int clone_one(const char *at, const struct idmap *map, struct cloche_err *err)
{
	cleanup_fd int tree = open_tree(AT_FDCWD, at, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0)
		return cloche_err_sys(err, errno, "clone the mount of code '%s' (open_tree)", at);
	if (protect(tree, err) < 0)
		return -err->code;
	/* A file system that cannot leaves them root's, for all to read who may. */
	(void)idmap_apply(tree, map);
	return TAKE_FD(tree);
}

/* The paths themselves are too long for an option. */
static int stack_up(const struct spec *spec, int fds[static SPEC_LAYERS_MAX],
		    struct cloche_err *err)
{
	char lower[SPEC_LAYERS_MAX * sizeof("/proc/self/fd/-2147483648:")] = "";
	cleanup_fd int fs = -1;
	int tree;

	for (size_t i = spec->n_layers; i-- > 0;) {
		size_t at = strlen(lower);

		fds[i] = open(spec->layers_at[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fds[i] < 0)
			return cloche_err_sys(err, errno, "open layer '%s'", spec->layers_at[i]);
		(void)snprintf(lower + at, sizeof(lower) - at, "%s/proc/self/fd/%d", at ? ":" : "",
			       fds[i]);
	}
	fs = fsopen("overlay", FSOPEN_CLOEXEC);
	if (fs < 0)
		return cloche_err_sys(
			err, errno, "several layers need overlayfs ('modprobe overlay' may help)");
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", "layers", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir", lower, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return cloche_err_sys(err, errno, "put %zu layers together (overlayfs)",
				      spec->n_layers);
	tree = fsmount(fs, FSMOUNT_CLOEXEC, ATTRIBUTES);
	return tree < 0 ? cloche_err_sys(err, errno, "mount layers (fsmount)") : tree;
}

static int mount_layers(const struct spec *spec, const struct idmap *map, struct cloche_err *err)
{
	int fds[SPEC_LAYERS_MAX], tree;

	if (spec->n_layers == 1)
		return clone_one(spec->layers_at[0], map, err);
	for (int i = 0; i < SPEC_LAYERS_MAX; i++)
		fds[i] = -1;
	tree = stack_up(spec, fds, err);
	for (int i = 0; i < SPEC_LAYERS_MAX; i++)
		fd_close(&fds[i]);
	return tree;
}

int code_prepare(int run_fd, const struct spec *spec, uid_t uid, struct code *ret,
		 struct cloche_err *err)
{
	struct idmap map = IDMAP_NONE;
	struct code c = CODE_NONE;
	int r = 0;

	*ret = c;
	if (!spec->code_at && !spec->n_layers)
		return 0;
	(void)idmap_open(run_fd, 0, 0, uid, true, &map, NULL);
	if (spec->code_at)
		r = c.task = clone_one(spec->code_at, &map, err);
	if (r >= 0 && spec->n_layers)
		r = c.layers = mount_layers(spec, &map, err);
	idmap_close(&map);
	if (r < 0) {
		code_close(&c);
		return r;
	}
	*ret = c;
	return 0;
}

void code_close(struct code *code)
{
	fd_close(&code->task);
	fd_close(&code->layers);
}
