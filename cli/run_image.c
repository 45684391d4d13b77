/* SPDX-License-Identifier: MIT */
/* What an image adds to the options of a run: see run_image.h. */
#include "cli/run_image.h"

#include "base/err.h"
#include "base/fd.h"
#include "cli/image_user.h"
#include "cli/run_options.h"
#include "image/image.h"
#include "launch/image_config.h"
#include "serve/remote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t count(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

/* One list behind the other; the texts stay whose they are. */
static char **joined(char *const *a, char *const *b)
{
	size_t n = count(a), m = count(b);
	char **list = calloc(n + m + 1, sizeof(*list));

	for (size_t i = 0; list && i < n + m; i++)
		list[i] = i < n ? a[i] : b[i - n];
	return list;
}

static int load_remote(struct run_options *o, struct cloche_err *err)
{
	struct image_stores stores = { .fd = { -1, -1 } };
	struct image image = { .fd = -1 };
	int r = image_name_check(o->spec.rootfs, err);
	bool own = false;

	if (r == 0)
		r = remote_stores(o->control, stores.fd, err);
	if (r == 0)
		r = image_stores_find(&stores, o->spec.rootfs, &image, &own, err);
	if (r == 0) {
		o->image_found.own = own;
		(void)snprintf(o->image_found.sha256, sizeof(o->image_found.sha256), "%s",
			       image.sha256);
		o->spec.image = &o->image_found;
		r = image_config_load(&image, o->spec.rootfs, &o->image, err);
	} else {
		o->image_refused = *err;
		(void)cloche_err_wrap(&o->image_refused, CLOCHE_FIELD "rootfs");
		r = -EBADMSG;
	}
	image_close(&image);
	image_stores_close(&stores);
	return r;
}

static int load(struct run_options *o, struct cloche_err *err)
{
	cleanup_fd int store = o->control ? -1 : image_store_open(false, err);
	struct image image = { .fd = -1 };
	int r;

	if (o->control)
		return load_remote(o, err);
	/* What cannot even be opened the launch says. */
	if (store < 0 || image_open(store, o->spec.rootfs, &image, err) < 0)
		return -EBADMSG;
	r = image_config_load(&image, o->spec.rootfs, &o->image, err);
	image_close(&image);
	return r;
}

/*
 * The entrypoint, then what the command line has, else the image's command. With an entrypoint from
 * the command line the image's command goes: it was for the other.
 */
static int command_make(struct run_options *o, struct cloche_err *err)
{
	const struct image_config *c = &o->image;
	char *own[] = { o->entrypoint && *o->entrypoint ? (char *)o->entrypoint : NULL, NULL };
	char *const *front = o->entrypoint ? own : c->entrypoint;
	bool from_image = !o->entrypoint && !o->spec.argv[0];

	o->command = joined(front, from_image ? c->cmd : o->spec.argv);
	if (!o->command)
		return cloche_err_sys(err, ENOMEM, "image");
	if (!o->command[0])
		return cloche_err_set(err, EINVAL,
				      "a command is missing: image '%s' brings none of its own",
				      o->spec.rootfs);
	o->spec.argv = o->command;
	return 0;
}

int run_image_apply(struct run_options *o, struct cloche_err *err)
{
	struct cloche_err unseen = { 0 };
	int r = load(o, &unseen);

	if (r == -EBADMSG && !o->entrypoint && o->spec.argv[0])
		return 0;
	if (r < 0) {
		*err = unseen;
		return cloche_err_wrap(err, "--rootfs %s", o->spec.rootfs);
	}
	/* The last of one name wins. */
	o->environment = joined(o->image.env, o->env);
	if (!o->environment)
		return cloche_err_sys(err, ENOMEM, "image");
	o->spec.env = o->environment;
	if (!o->workdir_said && o->image.workdir)
		o->spec.workdir = o->image.workdir;
	return command_make(o, err);
}
