/* SPDX-License-Identifier: MIT */
/* Owners' images in the making, and their removal: see building.h. */
#include "serve/building.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "host/slot.h"
#include "image/image.h"
#include "image/image_code.h"
#include "image/image_make.h"
#include "image/image_oci.h"
#include "image/image_pin.h"
#include "image/image_recipe.h"
#include "launch/cgroup.h"
#include "launch/group.h"
#include "launch/limits.h"
#include "launch/sweep.h"
#include "serve/chore.h"
#include "serve/config.h"
#include "serve/owners.h"
#include "serve/packet.h"
#include "serve/place.h"
#include "serve/stores.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Of what all contexts may have one image in the making may have such a part, and needs so much
 * beside what it unpacks. */
#define MEMORY_PART   2
#define MEMORY_OWN    (64ULL << 20)
#define MEMORY_LEAST  (16ULL << 20)
#define PIDS	      16
#define DEADLINE_NS   (900 * NSEC_PER_SEC)
#define REMOVED_NS    (10 * NSEC_PER_MSEC)
#define IMAGES_OF_ONE 256
#define CODES_OF_ONE  4096
#define CGROUP_JOINED (1 + CONTROLLER_N)

/* What the child is told. */
struct task {
	char path[STORES_PATH_LEN];
	struct command_images images;
	const struct config *config;
	int archive;
	int join[CGROUP_JOINED];
	unsigned n_join;
	uint64_t tree_bytes, file_bytes, unpacked_bytes;
};

/* It is kept where code is. */
static bool is_code(const struct command_images *images)
{
	return images->form == IMAGE_OF_CODE || images->form == IMAGE_OF_IMAGE;
}

/* What such things are called, and which quota they have. */
static const char *whats(const struct command_images *images)
{
	return is_code(images) ? "code" : "images";
}

static enum limit limit_for(const struct command_images *images)
{
	return is_code(images) ? LIMIT_OWNER_CODE : LIMIT_OWNER_IMAGES;
}

static uint64_t quota_of(const struct launching *l, const struct command_images *images)
{
	const struct owner_limits *o = config_owner(l->config, images->owner);

	return is_code(images) ? o->code_bytes : o->images_bytes;
}

struct build {
	uint64_t number; /* the front's; 0: it is free, or nobody asks any more */
	uint32_t owner;
	bool used, removes; /* what it does */
	bool done;	    /* the child has ended: what is left is its cgroup */
	bool asked_to_end, late, killed;
	struct chore chore;
	struct slot slot;
	struct cgroup cgroup;
	const struct group *group;
	struct limit_use use;
	uint64_t left_bytes; /* of the quota, when it began */
	int64_t deadline_ns;
	struct task task;
};

struct building {
	struct build builds[BUILDS_MAX];
};

struct building *building_open(void)
{
	return calloc(1, sizeof(struct building));
}

struct building *building_close(struct building *b)
{
	free(b);
	return NULL;
}

/* ---- the child ------------------------------------------------------------------------------- */

/* It is the first to go when there is too little memory. */
static int join_cgroups(const void *arg, struct cloche_err *err)
{
	const struct task *t = arg;

	for (unsigned i = 0; i < t->n_join; i++)
		if (write(t->join[i], "0", 1) != 1)
			return cloche_err_sys(err, errno, "join the owner's cgroup");
	return file_write_text(AT_FDCWD, "/proc/self/oom_score_adj", "1000", err);
}

/* Of that name and hash: the owner's own, or the host's. */
static int pin_job(const struct task *t, struct cloche_err *err)
{
	const struct command_images *i = &t->images;
	cleanup_fd int to = image_store_open_at(t->path, false, err);
	int r = -ENOENT;

	if (to < 0 || join_cgroups(t, err) < 0)
		return -err->code;
	for (int own = 1; own >= 0 && (r == -ENOENT || r == -ESTALE); own--) {
		cleanup_fd int from = stores_open(t->config, i->owner, own, err);

		if (from < 0)
			continue;
		r = image_pin(from, i->ref, i->name, t->file_bytes, to, err);
	}
	if (r == 0)
		*err = (struct cloche_err){ 0 };
	return r;
}

static int build_job(const void *arg, void *ret, struct cloche_err *err)
{
	const struct task *t = arg;
	const struct oci_source source = { .fd = t->archive,
					   .ref = t->images.ref[0] ? t->images.ref : NULL };
	const struct image_bounds bounds = { .tree_bytes = t->tree_bytes,
					     .file_bytes = t->file_bytes,
					     .enter = join_cgroups,
					     .arg = t };
	static const char *const kinds[IMAGE_FORMS] = { "oci", "directory", "code" };
	static image_filler *const fillers[IMAGE_FORMS] = { oci_fill, stream_fill, code_fill };
	const void *const args[IMAGE_FORMS] = { &source, &t->archive, &t->unpacked_bytes };
	const struct image_making how = { .name = t->images.name,
					  .kind = kinds[t->images.form],
					  .archive = t->archive,
					  .fill = fillers[t->images.form],
					  .arg = args[t->images.form],
					  .store = t->path,
					  .sha256 = is_code(&t->images) ? t->images.name : NULL,
					  .part = is_code(&t->images),
					  .bounds = &bounds };
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int sig = 0;

	/* The log is not for what reads archives. */
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			return cloche_err_sys(err, errno, "leave the log");
	if (t->images.form == IMAGE_OF_IMAGE)
		return pin_job(t, err);
	return image_make_as(&how, &sig, err);
}

static int remove_job(const void *arg, void *ret, struct cloche_err *err)
{
	const struct task *t = arg;
	cleanup_fd int store = image_store_open_at(t->path, false, err);
	int r;

	if (store == -ENOENT)
		return cloche_err_set(
			err, ENOENT,
			"there is no image '%s' of your own: 'cloche image list' shows "
			"those that are there",
			t->images.name);
	r = store < 0 ? store : image_remove(store, t->images.name, err);
	return r == 0 ? image_unmount_forsaken(store, err) : r;
}

/* ---- what is said ---------------------------------------------------------------------------- */

static void say_done(struct launching *l, uint64_t number, enum limit limit,
		     const struct cloche_err *why)
{
	launching_say(l,
		      &(struct reply){
			      .kind = REPLY_DONE, .context = number, .limit = limit, .err = *why },
		      NULL);
}

/* What is over a quota says so by its code, and nothing else does. */
static enum limit limit_of(const struct command_images *images, const struct cloche_err *why)
{
	return why->code == EDQUOT ? limit_for(images) : LIMIT_NONE;
}

static void hand_over(struct launching *l, uint64_t number, int pipe)
{
	const struct packet_fds fds = { .fd = { pipe }, .n = 1 };

	launching_say(l, &(struct reply){ .kind = REPLY_BUILDING, .context = number }, &fds);
}

static void name_size(char ret[static 24], uint64_t bytes)
{
	if (bytes >= 10ULL << 20 || bytes == 0)
		(void)snprintf(ret, 24, "%" PRIu64 "M", bytes >> 20);
	else
		(void)snprintf(ret, 24, "%" PRIu64 "K", bytes >> 10);
}

/* ---- the limits ------------------------------------------------------------------------------ */

static int check_quota(const struct launching *l, const struct command_images *images,
		       uint64_t *ret_left, struct cloche_err *err)
{
	uint64_t most = quota_of(l, images), has = 0;
	const char *what = whats(images), *limit = limit_name(limit_for(images));
	uint32_t owner = images->owner;
	char has_text[24], most_text[24];
	unsigned n = 0;
	int r;

	if (most == 0)
		return cloche_err_set(err, EDQUOT,
				      "%s: user %u may have none of his own (limit '%s')", what,
				      owner, limit);
	r = stores_used(l->config, owner, is_code(images), &has, &n, err);
	if (r < 0)
		return r;
	name_size(has_text, has);
	name_size(most_text, most);
	if (n >= (is_code(images) ? CODES_OF_ONE : IMAGES_OF_ONE))
		return cloche_err_set(err, EDQUOT, "%s: user %u has %u of his own, the most", what,
				      owner, n);
	if (has + 4 * IMAGE_BLOCK > most)
		return cloche_err_set(err, EDQUOT,
				      "%s: %s in use of the %s that user %u may have (limit "
				      "'%s'): remove %s",
				      what, has_text, most_text, owner, limit,
				      is_code(images) ? "a function" : "one");
	*ret_left = most - has;
	return 0;
}

/* An archive and what is in it lie in memory side by side. Who says what that comes to may be
 * wrong, to his own loss; the tree may be 3/4 of it. */
static uint64_t memory_for(const struct launching *l, const struct command_images *images,
			   uint64_t left)
{
	uint64_t own = config_owner(l->config, images->owner)->memory_bytes;
	uint64_t most = l->config->memory_bytes / MEMORY_PART, want = 2 * left + MEMORY_OWN;
	uint64_t said = images->bytes < left ? images->bytes : left;

	if (images->form == IMAGE_OF_IMAGE)
		want = MEMORY_LEAST;
	else if (images->bytes)
		want = 2 * said + MEMORY_OWN;

	want = own && own < want ? own : want;
	return most < want ? most : want;
}

/* Why it failed, where that is a limit of the owner's. */
static void explain(const struct launching *l, const struct build *b,
		    const struct cgroup_usage *used, struct cloche_err *err)
{
	const struct command_images *images = &b->task.images;
	uint64_t most = quota_of(l, images);
	const char *what = whats(images), *limit = limit_name(limit_for(images));
	char left[24], most_text[24], memory[24];
	bool killed = used->oom_kills != UINT64_MAX && used->oom_kills > 0;

	if (b->late)
		(void)cloche_err_set(err, ETIMEDOUT, "the %s not made within %d minutes",
				     is_code(images) ? "code was" : "image was",
				     (int)(DEADLINE_NS / NSEC_PER_SEC / 60));
	name_size(left, b->left_bytes);
	name_size(most_text, most);
	name_size(memory, b->use.memory_bytes);
	/* By what unpacks it. */
	if (err->code == EFBIG && is_code(images) && strstr(err->text, "unpacked it is more"))
		(void)cloche_err_wrap(err, "limit 'per_owner.code_unpacked'");
	else if (err->code == EFBIG)
		(void)cloche_err_set(err, EDQUOT,
				     "%s: it takes more than the %s that are left of the %s "
				     "that user %u may have (limit '%s')",
				     what, left, most_text, b->owner, limit);
	else if (err->code == ENOSPC || killed)
		(void)cloche_err_set(err, EDQUOT,
				     "%s: unpacked it takes more than the %s of memory that "
				     "there are for it (limits '%s', '%s', '%s')",
				     what, memory, limit, limit_name(LIMIT_OWNER_MEMORY),
				     limit_name(LIMIT_MEMORY));
}

/* ---- to begin -------------------------------------------------------------------------------- */

static struct build *find_free(struct building *all, uint32_t owner, bool removes,
			       struct cloche_err *err)
{
	struct build *free_one = NULL;

	for (unsigned i = 0; i < BUILDS_MAX; i++) {
		struct build *b = &all->builds[i];

		if (b->used && b->owner == owner && b->removes == removes) {
			(void)cloche_err_set(err, EBUSY,
					     "another image of user %u is being %s; try again",
					     owner, removes ? "removed" : "made");
			return NULL;
		}
		if (!b->used)
			free_one = b;
	}
	if (!free_one)
		(void)cloche_err_set(err, EBUSY, "too many images are being made; try again");
	return free_one;
}

static void init(struct build *b, const struct command *c, bool removes)
{
	*b = (struct build){ .number = c->context,
			     .owner = c->images.owner,
			     .removes = removes,
			     .chore = CHORE_NONE,
			     .slot = { .fd = -1 },
			     .cgroup = CGROUP_NONE,
			     .deadline_ns = clock_now_ns() + DEADLINE_NS,
			     .task = { .images = c->images, .archive = -1 } };
}

static void close_task(struct task *t)
{
	while (t->n_join)
		fd_close(&t->join[--t->n_join]);
	fd_close(&t->archive);
}

/* The memory is counted where the controllers are, and the whole is ended by cgroup2. */
static int open_joined(const struct cgroup *cg, struct task *t, struct cloche_err *err)
{
	for (int i = 0; i < CONTROLLER_N; i++)
		if (cg->tasks[i] >= 0)
			t->join[t->n_join++] = fcntl(cg->tasks[i], F_DUPFD_CLOEXEC, 3);
	t->join[t->n_join++] = openat(cg->v2, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	for (unsigned i = 0; i < t->n_join; i++)
		if (t->join[i] < 0)
			return cloche_err_sys(err, errno, "open the owner's cgroup");
	return 0;
}

static int make_cgroup(struct launching *l, struct build *b, struct cloche_err *err)
{
	const struct cpu_limits cpu =
		cpu_limits_of(CPU_SHARED, b->use.memory_bytes, 0, l->host.cpus);
	const struct cgroup_limits limits = { .memory_bytes = b->use.memory_bytes,
					      .pids = PIDS,
					      .cpu = &cpu };
	int r = slot_take(l->launcher.run_fd, l->launcher.slots, sweep_slot, &l->launcher.hierarchy,
			  &b->slot, err);

	if (r == 0)
		r = cgroup_create(&b->group->inside, b->slot.n, &limits, CGROUP_ALL, &b->cgroup,
				  err);
	return r == 0 ? open_joined(&b->cgroup, &b->task, err) : r;
}

static int start(struct launching *l, struct build *b, int *ret_pipe, struct cloche_err *err)
{
	struct task *t = &b->task;
	int keep[CGROUP_JOINED + 1], pair[2], r;

	t->config = l->config;
	t->tree_bytes = b->use.memory_bytes - b->use.memory_bytes / 4;
	t->file_bytes = b->left_bytes;
	t->unpacked_bytes = config_owner(l->config, b->owner)->unpacked_bytes;
	r = make_cgroup(l, b, err);
	if (r == 0)
		r = stores_make(l->config, b->owner, is_code(&t->images), t->path, err);
	if (r < 0)
		return r;
	if (pipe2(pair, O_CLOEXEC) < 0)
		return cloche_err_sys(err, errno, "pipe2");
	t->archive = pair[0];
	memcpy(keep, t->join, t->n_join * sizeof(keep[0]));
	keep[t->n_join] = t->archive;
	r = chore_begin(&b->chore, &l->launcher, build_job, t, keep, t->n_join + 1, err);
	if (r == 0)
		*ret_pipe = pair[1];
	else
		(void)close(pair[1]);
	return r;
}

/* What is left when there is no child. False: the kernel still has somebody in its cgroup. */
static bool try_free(struct launching *l, struct build *b)
{
	int r = 0;

	close_task(&b->task);
	if (b->cgroup.v2 >= 0)
		r = cgroup_remove(&b->group->inside, &b->cgroup, CGROUP_ALL, NULL);
	if (r == -EBUSY)
		return false;
	cgroup_close(&b->cgroup);
	if (b->slot.fd >= 0)
		slot_release(&b->slot, r == 0);
	if (b->group)
		owners_leave(l->owners, b->owner, &b->use);
	b->used = false;
	b->number = 0;
	return true;
}

int building_on_build(struct launching *l, const struct command *c, struct cloche_err *err)
{
	struct cloche_err why = { 0 };
	enum limit limit = LIMIT_NONE;
	uint32_t owner = c->images.owner;
	struct build *b = find_free(l->building, owner, false, &why);
	cleanup_fd int pipe = -1;
	uint64_t left = 0;
	int r = b ? check_quota(l, &c->images, &left, &why) : -EBUSY;

	if (r < 0 || !b) {
		say_done(l, c->context, limit_of(&c->images, &why), &why);
		return 0;
	}
	init(b, c, false);
	b->left_bytes = left;
	b->use = (struct limit_use){ .contexts = 1,
				     .memory_bytes = memory_for(l, &c->images, left),
				     .pids = PIDS };
	if (b->use.memory_bytes < MEMORY_LEAST)
		b->use.memory_bytes = MEMORY_LEAST;
	r = owners_enter(l->owners, owner, &b->use, &b->group, &limit, &why);
	if (r < 0) {
		say_done(l, c->context, limit, &why);
		return 0;
	}
	b->used = true;
	r = start(l, b, &pipe, &why);
	/* The child has its own; with ours there would be no end to it. */
	close_task(&b->task);
	if (r == 0) {
		hand_over(l, c->context, pipe);
		return 0;
	}
	say_done(l, c->context, LIMIT_NONE, &why);
	b->number = 0;
	b->done = true;
	(void)try_free(l, b);
	return 0;
}

int building_on_remove(struct launching *l, const struct command *c, struct cloche_err *err)
{
	struct cloche_err why = { 0 };
	struct build *b = find_free(l->building, c->images.owner, true, &why);
	int r = b ? 0 : -EBUSY;

	if (b) {
		init(b, c, true);
		stores_path(l->config, b->owner, is_code(&c->images), b->task.path);
		r = chore_begin(&b->chore, &l->launcher, remove_job, &b->task, NULL, 0, &why);
		b->used = r == 0;
	}
	if (r < 0)
		say_done(l, c->context, LIMIT_NONE, &why);
	return 0;
}

/* ---- to go on and to end --------------------------------------------------------------------- */

static struct build *find(const struct launching *l, uint64_t number)
{
	for (unsigned i = 0; i < BUILDS_MAX; i++)
		if (number && l->building->builds[i].number == number)
			return &l->building->builds[i];
	return NULL;
}

bool building_has(const struct launching *l, uint64_t number)
{
	return find(l, number) != NULL;
}

/* Who does not end by itself, for whatever reason, has the time that everything has when the daemon
 * is to end; what it leaves in the store the next start takes away. */
static void ask_to_end(const struct launching *l, struct build *b)
{
	if (b->asked_to_end)
		return;
	if (b->used && !b->done && !b->removes)
		chore_end(&b->chore);
	b->asked_to_end = true;
	b->deadline_ns = clock_now_ns() + l->config->grace_ns;
}

/* With the child all are killed whom it began. */
static void look_whether_late(const struct launching *l, struct build *b)
{
	if (b->done || b->killed || clock_now_ns() < b->deadline_ns)
		return;
	if (!b->asked_to_end) {
		b->late = true;
		ask_to_end(l, b);
		return;
	}
	b->killed = true;
	chore_kill(&b->chore);
}

void building_end(struct launching *l, uint64_t number)
{
	struct build *b = find(l, number);

	if (!b)
		return;
	b->number = 0;
	ask_to_end(l, b);
}

void building_drop(struct launching *l)
{
	for (unsigned i = 0; i < BUILDS_MAX; i++) {
		struct build *b = &l->building->builds[i];

		b->number = 0;
		if (b->used)
			ask_to_end(l, b);
	}
}

bool building_idle(const struct launching *l)
{
	for (unsigned i = 0; i < BUILDS_MAX; i++)
		if (l->building->builds[i].used)
			return false;
	return true;
}

int64_t building_wait(struct launching *l, struct pollfd *fds)
{
	int64_t until_ns = INT64_MAX;

	for (unsigned i = 0; i < BUILDS_MAX; i++) {
		const struct build *b = &l->building->builds[i];
		bool waits = b->used && !b->done;
		int64_t due_ns = INT64_MAX;

		fds[i] = (struct pollfd){ .fd = waits ? b->chore.process.pidfd : -1,
					  .events = POLLIN };
		if (b->used && b->done)
			due_ns = clock_now_ns() + REMOVED_NS;
		else if (b->used && !b->killed)
			due_ns = b->deadline_ns;
		until_ns = due_ns < until_ns ? due_ns : until_ns;
	}
	return until_ns;
}

static void step_one(struct launching *l, struct build *b)
{
	struct cgroup_usage used = { .oom_kills = UINT64_MAX };
	struct cloche_err why = { 0 };
	char none[1];
	int r;

	look_whether_late(l, b);
	if (!b->done) {
		r = chore_done(&b->chore, none, 0, &why);
		if (r == -EAGAIN)
			return;
		b->done = true;
		if (b->cgroup.v2 >= 0)
			cgroup_read(&b->cgroup, &used);
		if (r < 0 && !b->removes)
			explain(l, b, &used, &why);
		if (b->number)
			say_done(l, b->number, limit_of(&b->task.images, &why), &why);
		b->number = 0;
	}
	(void)try_free(l, b);
}

void building_step(struct launching *l)
{
	for (unsigned i = 0; i < BUILDS_MAX; i++)
		if (l->building->builds[i].used)
			step_one(l, &l->building->builds[i]);
}
