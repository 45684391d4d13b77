/* SPDX-License-Identifier: MIT */
/* The launcher's accounts: see owners.h. */
#include "serve/owners.h"

#include "base/err.h"
#include "launch/group.h"
#include "launch/launcher.h"
#include "serve/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct account {
	struct account *next;
	uint32_t uid;
	struct limit_use has;
	struct group group;
	unsigned holds; /* for which it stays without a context */
};

struct owners {
	const struct launcher *launcher;
	const struct config *config;
	void (*say)(const char *text);
	struct group all;
	struct limit_use has;
	struct account *accounts;
};

static struct group_limits limits_of_all(const struct config *c)
{
	return (struct group_limits){ .memory_bytes = c->memory_bytes,
				      .vcpu_milli = c->vcpu_milli };
}

static struct group_limits limits_of(const struct config *c, uint32_t uid)
{
	const struct owner_limits *o = config_owner(c, uid);

	return (struct group_limits){ .memory_bytes = o->memory_bytes,
				      .vcpu_milli = o->vcpu_milli,
				      .pids = o->pids };
}

int owners_open(const struct launcher *launcher, const struct config *config,
		void (*say)(const char *text), struct owners **ret, struct cloche_err *err)
{
	struct owners *o = calloc(1, sizeof(*o));
	struct group_limits all = limits_of_all(config);
	int r;

	if (!o)
		return cloche_err_sys(err, ENOMEM, "begin");
	*o = (struct owners){
		.launcher = launcher, .config = config, .say = say, .all = GROUP_NONE
	};
	r = group_make(launcher, NULL, &all, &o->all, err);
	if (r < 0)
		return owners_close(o), r;
	*ret = o;
	return 0;
}

static void say_left(const struct owners *o, const struct cloche_err *err)
{
	if (o->say && err->code)
		o->say(err->text);
}

static void forget(struct owners *o, struct account *a)
{
	struct cloche_err err = { 0 };

	(void)group_remove(o->launcher, &o->all, &a->group, &err);
	say_left(o, &err);
	for (struct account **at = &o->accounts; *at; at = &(*at)->next)
		if (*at == a) {
			*at = a->next;
			break;
		}
	free(a);
}

struct owners *owners_close(struct owners *o)
{
	struct cloche_err err = { 0 };

	if (!o)
		return NULL;
	while (o->accounts)
		forget(o, o->accounts);
	(void)group_remove(o->launcher, NULL, &o->all, &err);
	say_left(o, &err);
	free(o);
	return NULL;
}

static struct account *find(const struct owners *o, uint32_t uid)
{
	struct account *a = o->accounts;

	while (a && a->uid != uid)
		a = a->next;
	return a;
}

static int open_account(struct owners *o, uint32_t uid, struct account **ret,
			struct cloche_err *err)
{
	struct group_limits limits = limits_of(o->config, uid);
	struct account *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return cloche_err_sys(err, ENOMEM, "begin");
	a->uid = uid;
	r = group_make(o->launcher, &o->all, &limits, &a->group, err);
	if (r < 0) {
		free(a);
		return r;
	}
	a->next = o->accounts;
	o->accounts = a;
	*ret = a;
	return 0;
}

int owners_enter(struct owners *o, uint32_t owner, const struct limit_use *one,
		 const struct group **ret_group, enum limit *ret_limit, struct cloche_err *err)
{
	static const struct limit_use nothing;
	struct account *a = find(o, owner);
	int r = 0;

	*ret_limit = limit_check(o->config, &o->has, owner, a ? &a->has : &nothing, one, err);
	if (*ret_limit != LIMIT_NONE)
		return -EBUSY;
	if (!a)
		r = open_account(o, owner, &a, err);
	if (r < 0)
		return r;
	limit_add(&o->has, one);
	limit_add(&a->has, one);
	*ret_group = &a->group;
	return 0;
}

void owners_leave(struct owners *o, uint32_t owner, const struct limit_use *one)
{
	struct account *a = find(o, owner);

	if (!a)
		return;
	limit_take(&o->has, one);
	limit_take(&a->has, one);
	if (a->has.contexts == 0 && a->holds == 0)
		forget(o, a);
}

int owners_hold(struct owners *o, uint32_t owner, uint64_t *ret_id, struct cloche_err *err)
{
	struct account *a = find(o, owner);
	int r = a ? 0 : open_account(o, owner, &a, err);
	struct stat st;

	if (!a)
		return r;
	a->holds++;
	if (fstat(a->group.inside.v2, &st) < 0) {
		r = cloche_err_sys(err, errno, "look at an owner's cgroup");
		owners_let_go(o, owner);
		return r;
	}
	*ret_id = st.st_ino;
	return 0;
}

void owners_let_go(struct owners *o, uint32_t owner)
{
	struct account *a = find(o, owner);

	if (a && --a->holds == 0 && a->has.contexts == 0)
		forget(o, a);
}

/* Less memory than there is in use would have the kernel end processes for it. */
static void spare(struct group_limits *limits, const struct limit_use *has)
{
	if (limits->memory_bytes && limits->memory_bytes < has->memory_bytes)
		limits->memory_bytes = has->memory_bytes;
}

void owners_change(struct owners *o, const struct config *config)
{
	struct group_limits limits = limits_of_all(config);
	struct group_limits none = { 0 };
	struct cloche_err err = { 0 };
	char text[sizeof(err.text) + 64];

	o->config = config;
	/* First without any, that those below may be set in any order (a quota of v1). */
	(void)group_set(&o->all, &none, NULL);
	for (struct account *a = o->accounts; a; a = a->next) {
		struct group_limits own = limits_of(config, a->uid);

		spare(&own, &a->has);
		if (group_set(&a->group, &own, &err) == 0)
			continue;
		(void)snprintf(text, sizeof(text),
			       "user %u keeps limits until he has no context: %s", a->uid,
			       err.text);
		o->say(text);
	}
	spare(&limits, &o->has);
	if (group_set(&o->all, &limits, &err) < 0) {
		(void)snprintf(text, sizeof(text), "limits of all count for new contexts only: %s",
			       err.text);
		o->say(text);
	}
}
