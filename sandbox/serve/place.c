/* SPDX-License-Identifier: MIT */
/* The beginning of a context in the launcher, at once or when its image is there: see place.h. */
#include "serve/place.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "serve/chore.h"
#include "serve/owners.h"
#include "serve/packet.h"
#include "serve/stores.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What makes a context when its image, which it takes long to look at, is mounted. */
struct mounting {
	struct chore chore;
	struct command_make make;
	const struct group *group;
	struct policy_bare bare;
	const struct config *config; /* for the chore */
};

/* ---- to the front ---------------------------------------------------------------------------- */

static void hand_over(struct launching *l, struct place *p, bool clocked)
{
	struct reply reply = { .kind = REPLY_MADE, .clocked = clocked, .context = p->number };
	struct packet_fds fds = { .n = HANDED_FDS };

	context_describe_handed(&p->keeper.ctx, &reply.made);
	context_hand(&p->keeper.ctx, fds.fd);
	launching_say(l, &reply, &fds);
	packet_close_fds(&fds);
}

void place_hand_again(struct launching *l, struct place *p, bool clocked)
{
	struct reply reply = { .kind = REPLY_KEPT, .clocked = clocked, .context = p->number };
	struct packet_fds fds = { .fd = { context_hand_again(&p->keeper.ctx) }, .n = 1 };

	launching_say(l, &reply, &fds);
	packet_close_fds(&fds);
}

int place_offer(struct launching *l, struct place *p, bool *ret_clocked, struct cloche_err *err)
{
	const struct metering_trace none = { .file = NULL };
	int r;

	place_turn(l, p, COMMAND_HANDED);
	p->last.metered.known = p->parted = false;
	keeper_invoked(&p->keeper);
	powers_local_init(&p->powers, &p->keeper.ctx, &p->metering);
	r = p->powers.powers.begin(&p->powers.powers, &none, "", ret_clocked, err);
	return r == 0 ? context_begin(&p->keeper.ctx, err) : r;
}

/* ---- the context ----------------------------------------------------------------------------- */

static int make(struct launching *l, struct place *p, const struct command_make *m,
		const struct group *group, struct cloche_err *err)
{
	struct keeper_options o = { .spec = &p->spec,
				    .how = { .handed = true,
					     .terminals = m->terminals,
					     .given = m->binds,
					     .owner = { .uid = m->owner, .gid = m->owner_gid },
					     .group = group },
				    .launcher = &l->launcher,
				    .metering = &p->metering };
	struct context blank;
	bool clocked = false;
	int r;

	metering_try_have(&p->metering, l->launcher.hierarchy.v2);
	if (blanks_take(&l->blanks, &p->spec, &blank))
		o.blank = &blank;
	blanks_asked(&l->blanks);
	r = keeper_make(&p->keeper, &o, err);
	if (r == -EPIPE) {
		/* Killed by somebody else, before anything was asked of it. */
		o.blank = NULL;
		r = keeper_make(&p->keeper, &o, err);
	}
	if (r == 0) {
		l->by_slot[p->keeper.ctx.slot.n] = p;
		r = place_offer(l, p, &clocked, err);
	}
	if (r == 0)
		hand_over(l, p, clocked);
	return r;
}

static void make_or_refuse(struct launching *l, struct place *p, const struct command_make *m,
			   const struct group *group, int r, struct cloche_err *why)
{
	if (r == 0)
		r = make(l, p, m, group, why);
	p->spec.bare = NULL;
	if (r == 0)
		return;
	launching_refuse(l, p->number, LIMIT_NONE, why);
	place_name(l, p, 0);
	if (p->state == COMMAND_ABSENT || p->state == COMMAND_MOUNTING)
		place_leave(l, p);
	else
		place_end(l, p, true);
}

/* ---- its image ------------------------------------------------------------------------------- */

static bool means(int store, const char *name, const char *sha256)
{
	struct image image = { .fd = -1 };
	bool same = image_open(store, name, &image, NULL) == 0 && strcmp(image.sha256, sha256) == 0;

	image_close(&image);
	return same;
}

/*
 * The store that it is in, and its name there. What functions keep is mounted where others have it
 * from, too, as long as it is there: they all read one copy of it in memory.
 */
static int open_store(const struct config *config, const struct command_make *m, const char **name,
		      struct cloche_err *err)
{
	const struct command_image *i = &m->image;

	*name = i->name;
	if (i->own != COMMAND_IMAGE_PINNED)
		return stores_open(config, m->owner, i->own, err);
	for (int own = 1; own >= 0; own--) {
		cleanup_fd int store = stores_open(config, m->owner, own, NULL);

		if (store >= 0 && means(store, i->name, i->sha256))
			return TAKE_FD(store);
	}
	*name = i->sha256;
	return stores_open_code(config, m->owner, err);
}

/* Where it is or will be mounted; -ESTALE: the name means another one now. */
static int find_image(const struct config *config, const struct command_make *m,
		      char ret_at[static IMAGE_PATH_LEN], bool *ret_mounted, struct cloche_err *err)
{
	const struct command_image *i = &m->image;
	const char *name;
	cleanup_fd int store = open_store(config, m, &name, err);
	struct image image = { .fd = -1 };
	int r = store < 0 ? store : image_open(store, name, &image, err);

	if (r < 0)
		return r;
	if (strcmp(image.sha256, i->sha256) != 0)
		r = cloche_err_set(err, ESTALE,
				   "image '%s' has just been replaced by another one; try again",
				   i->name);
	image_mount_path(store, image.sha256, ret_at);
	*ret_mounted = image_mounted_of(store, image.sha256);
	image_close(&image);
	return r;
}

/* The same of all that is code; by what names it no other can be meant. *ret_mounted: each is. */
static int find_code(const struct config *config, const struct command_make *m,
		     char ret_at[static COMMAND_CODES][IMAGE_PATH_LEN], bool *ret_mounted,
		     struct cloche_err *err)
{
	cleanup_fd int store = -1;

	for (int i = 0; i < COMMAND_CODES; i++) {
		struct image image = { .fd = -1 };

		if (!m->code[i].sha256[0])
			continue;
		if (store < 0)
			store = stores_open_code(config, m->owner, err);
		if (store < 0 || image_open(store, m->code[i].sha256, &image, err) < 0)
			return cloche_err_wrap(err, "the function's code");
		image_mount_path(store, image.sha256, ret_at[i]);
		*ret_mounted &= image_mounted_of(store, image.sha256);
		image_close(&image);
	}
	return 0;
}

static int mount_image(const struct mounting *m, void *ret, struct cloche_err *err)
{
	const char *name;
	cleanup_fd int store = open_store(m->config, &m->make, &name, err);

	_Static_assert(IMAGE_PATH_LEN <= CHORE_ROOM, "a path has room");
	if (store < 0 || image_mount_of(store, name, ret, err) < 0)
		return cloche_err_wrap(err, CLOCHE_FIELD "rootfs");
	return 0;
}

/* Reads all of each, and compares its hash. */
static int mount_job(const void *arg, void *ret, struct cloche_err *err)
{
	const struct mounting *m = arg;
	cleanup_fd int store = -1;
	char at[IMAGE_PATH_LEN];
	int r = m->make.image.name[0] ? mount_image(m, ret, err) : 0;

	for (int i = 0; r == 0 && i < COMMAND_CODES; i++) {
		if (!m->make.code[i].sha256[0])
			continue;
		if (store < 0)
			store = stores_open_code(m->config, m->make.owner, err);
		r = store < 0 ? store : image_mount_of(store, m->make.code[i].sha256, at, err);
		if (r < 0)
			(void)cloche_err_wrap(err, "the function's code");
	}
	return r;
}

/* Where all of it is or will be. */
static void show_trees(struct place *p, const struct command_make *m)
{
	struct spec *s = &p->spec;

	s->rootfs = m->image.name[0] ? p->image : NULL;
	s->image_at = p->image_at;
	s->code_at = m->code[0].sha256[0] ? p->code_at[0] : NULL;
	s->n_layers = 0;
	for (int i = 1; i < COMMAND_CODES && m->code[i].sha256[0]; i++)
		p->layers_at[s->n_layers++] = p->code_at[i];
	s->layers_at = p->layers_at;
}

/* 1: not at once. */
static int have_trees(struct launching *l, struct place *p, const struct command_make *m,
		      const struct group *group, struct cloche_err *err)
{
	bool mounted = true;
	int r;

	p->image_at[0] = '\0';
	if (m->image.name[0] && find_image(l->config, m, p->image_at, &mounted, err) < 0)
		return cloche_err_wrap(err, CLOCHE_FIELD "rootfs");
	r = find_code(l->config, m, p->code_at, &mounted, err);
	if (r < 0)
		return r;
	show_trees(p, m);
	if (mounted)
		return 0;
	p->mounting = malloc(sizeof(*p->mounting));
	if (!p->mounting)
		return cloche_err_sys(err, ENOMEM, "begin");
	p->mounting->make = *m;
	p->mounting->group = group;
	p->mounting->config = l->config;
	if (p->spec.bare) {
		p->mounting->bare = l->bare;
		p->spec.bare = &p->mounting->bare;
	}
	r = chore_begin(&p->mounting->chore, &l->launcher, mount_job, p->mounting, NULL, 0, err);
	if (r < 0) {
		free(TAKE_PTR(p->mounting));
		return r;
	}
	place_turn(l, p, COMMAND_MOUNTING);
	return 1;
}

void place_mounting_wait(const struct place *p, struct pollfd *ret)
{
	*ret = (struct pollfd){ .fd = p->mounting->chore.process.pidfd, .events = POLLIN };
}

void place_mounting_kill(const struct place *p)
{
	chore_kill(&p->mounting->chore);
}

/* Its name may have become another's since it was looked for. */
static bool is_pinned(const struct command_make *m, const char at[static IMAGE_PATH_LEN])
{
	return m->image.own == COMMAND_IMAGE_PINNED && strstr(at, m->image.sha256);
}

void place_mounting_step(struct launching *l, struct place *p)
{
	cleanup_free struct mounting *m = NULL;
	char at[IMAGE_PATH_LEN] = "";
	struct cloche_err err = { 0 };
	int r;

	if (p->state != COMMAND_MOUNTING)
		return;
	r = chore_done(&p->mounting->chore, at, sizeof(at), &err);
	if (r == -EAGAIN)
		return;
	m = TAKE_PTR(p->mounting);
	if (p->silent) {
		place_leave(l, p);
		return;
	}
	if (r == 0 && is_pinned(&m->make, at))
		memcpy(p->image_at, at, sizeof(p->image_at));
	if (r == 0 && strncmp(at, p->image_at, sizeof(at)) != 0)
		r = cloche_err_set(&err, ESTALE,
				   CLOCHE_FIELD "rootfs: image '%s' has just been replaced by "
						"another one; try again",
				   p->image);
	make_or_refuse(l, p, &m->make, m->group, r, &err);
}

/* ---- the handler ----------------------------------------------------------------------------- */

/* The number of contexts is among the limits: there are as many places. */
static struct place *find_room(struct launching *l)
{
	for (unsigned i = 0; i < l->n_places; i++)
		if (l->places[i].state == COMMAND_ABSENT)
			return &l->places[i];
	return NULL;
}

static void enter(struct launching *l, struct place *p, const struct command *c,
		  const struct spec *spec, const struct limit_use *use)
{
	p->number = c->context;
	p->owner = c->make.owner;
	p->silent = p->deferred = false;
	place_name(l, p, c->context);
	p->spec = *spec;
	(void)snprintf(p->policy, sizeof(p->policy), "%s", spec->policy);
	(void)snprintf(p->image, sizeof(p->image), "%.*s", IMAGE_NAME_MAX, c->make.image.name);
	p->spec.policy = p->policy;
	p->use = *use;
	p->cpu_ns = 0;
	p->last.metered.known = false;
}

/* A number that is out of its range is no breach: the front may be older than a limit here. */
int place_on_make(struct launching *l, struct place *p, const struct command *c,
		  struct cloche_err *err)
{
	enum limit limit = LIMIT_NONE;
	const struct group *group = NULL;
	struct cloche_err why = { 0 };
	struct limit_use use;
	struct spec spec;
	int r = command_to_spec(&c->make, &spec, err);

	if (r == 0)
		r = command_take_bare(&c->make, l->inbox, &l->bare, &spec, err);
	if (r < 0)
		return r;
	use = limit_use_of(&spec, l->host.cpus);
	r = spec_check(&spec, &l->host, &why);
	p = find_room(l);
	if (r == 0)
		r = owners_enter(l->owners, c->make.owner, &use, &group, &limit, &why);
	if (r < 0 || !p) {
		launching_refuse(l, c->context, limit, &why);
		return 0;
	}
	enter(l, p, c, &spec, &use);
	r = have_trees(l, p, &c->make, group, &why);
	if (r <= 0)
		make_or_refuse(l, p, &c->make, group, r, &why);
	return 0;
}
