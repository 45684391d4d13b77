/* SPDX-License-Identifier: MIT */
/* The table of what may be said when, and the judgement of one message: see command.h. No system
 * calls. */
#include "serve/command.h"

#include "base/utf8.h"
#include "launch/given.h"
#include "launch/order.h"
#include "launch/spec.h"
#include "policy/policy_builtin.h"
#include "policy/policy_join.h"
#include "trace/trace_store.h"

#include <errno.h>
#include <stdio.h>
#include <stddef.h>
#include <string.h>

#define IN(state) (1U << (state))
/* While an invocation has it. */
#define OF_ONE (IN(COMMAND_HANDED) | IN(COMMAND_COUNTING) | IN(COMMAND_COUNTED))

static const struct {
	const char *name;
	unsigned states;
	bool makes, images, traces, general; /* has these fields; general: it has no number */
} table[COMMAND_KINDS] = {
	[COMMAND_READY] = { "ready", IN(COMMAND_UNREADY), .general = true },
	[COMMAND_PONG] = { "pong", IN(COMMAND_ABSENT), .general = true },
	[COMMAND_TALLY] = { "tally", IN(COMMAND_ABSENT), .general = true },
	[COMMAND_STORES] = { "stores", IN(COMMAND_ABSENT), .images = true },
	[COMMAND_BUILD] = { "build", IN(COMMAND_ABSENT), .images = true },
	[COMMAND_SHOW] = { "show", IN(COMMAND_ABSENT), .images = true, .traces = true },
	[COMMAND_REMOVE] = { "remove", IN(COMMAND_ABSENT), .images = true },
	/* The two messages may pass each other. */
	[COMMAND_LEAVE] = { "leave", IN(COMMAND_ABSENT) | IN(COMMAND_BUILDING) },
	[COMMAND_MAKE] = { "make", IN(COMMAND_ABSENT), .makes = true },
	[COMMAND_KILL] = { "kill", OF_ONE },
	[COMMAND_COUNT] = { "count", IN(COMMAND_HANDED) },
	[COMMAND_RECOUNT] = { "recount", OF_ONE },
	[COMMAND_TRACE] = { "trace", IN(COMMAND_HANDED), .traces = true },
	[COMMAND_CONCLUDE] = { "conclude", IN(COMMAND_HANDED) | IN(COMMAND_COUNTED),
			       .traces = true },
	[COMMAND_KEEP] = { "keep", IN(COMMAND_COUNTED) },
	[COMMAND_END] = { "end", OF_ONE | IN(COMMAND_TRACING) | IN(COMMAND_PROVING) },
};

const char *command_name(enum command_kind kind)
{
	return kind < COMMAND_KINDS ? table[kind].name : "unknown";
}

bool command_allowed(enum command_kind kind, enum command_state state)
{
	return kind < COMMAND_KINDS && state < COMMAND_STATES && table[kind].states & IN(state);
}

static bool is_empty(const void *fields, size_t size)
{
	const char *bytes = fields;

	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* What it is about: an image by its name. */
static bool images_are(const struct command *c)
{
	const struct command_images *i = &c->images;
	bool named = c->kind == COMMAND_BUILD || c->kind == COMMAND_REMOVE;

	if (strnlen(i->name, sizeof(i->name)) == sizeof(i->name) ||
	    strnlen(i->ref, sizeof(i->ref)) == sizeof(i->ref) || i->form >= IMAGE_FORMS)
		return false;
	if (c->kind != COMMAND_BUILD && ((i->form && i->form != IMAGE_OF_CODE) || i->bytes ||
					 !is_empty(i->ref, sizeof(i->ref))))
		return false;
	if (i->form >= IMAGE_OF_CODE && named && !hash_is_hex(i->name))
		return false;
	if (i->form == IMAGE_OF_IMAGE && image_name_check(i->ref, NULL) < 0)
		return false;
	return named ? image_name_check(i->name, NULL) == 0 : is_empty(i->name, sizeof(i->name));
}

/* Whose texts end: nobody here looks into them but for their form. */
static bool trace_is(const struct command *c)
{
	const struct command_trace *t = &c->trace;
	bool begins = c->kind == COMMAND_TRACE, empty = is_empty(t->command, sizeof(t->command));
	size_t len = strnlen(t->request_id, sizeof(t->request_id));

	if (!begins && (!empty || t->watchers))
		return false;
	if (c->kind == COMMAND_SHOW)
		return t->file <= 1 && !t->keep && !t->verdict &&
		       is_empty(t->function, sizeof(t->function)) &&
		       (is_empty(t->request_id, sizeof(t->request_id)) ||
			(len < sizeof(t->request_id) && len >= TRACE_STORE_PREFIX &&
			 trace_store_is_id(t->request_id)));
	if (c->kind == COMMAND_CONCLUDE)
		return t->verdict <= VERDICT_CANCELLED && !t->file && !t->keep &&
		       is_empty(t->request_id, sizeof(t->request_id)) &&
		       is_empty(t->function, sizeof(t->function));
	if (!begins)
		return true;
	return t->file <= 1 && t->keep <= 1 && t->watchers <= SCRIBE_WATCHERS &&
	       (t->file || t->keep || t->watchers) && !t->verdict && len == UUID_LEN - 1 &&
	       trace_store_is_id(t->request_id) && t->command[sizeof(t->command) - 1] == '\0' &&
	       strnlen(t->function, sizeof(t->function)) < sizeof(t->function);
}

int command_read(const void *bytes, size_t len, unsigned fds, struct command *ret,
		 struct cloche_err *err)
{
	struct command c;

	if (len < sizeof(c))
		return cloche_err_set(err, EBADMSG, "a message of %zu bytes, not of %zu", len,
				      sizeof(c));
	if (fds)
		return cloche_err_set(err, EBADMSG, "a message with %u descriptors", fds);
	memcpy(&c, bytes, sizeof(c));
	if (c.kind >= COMMAND_KINDS)
		return cloche_err_set(err, EBADMSG, "a message of kind %u", c.kind);
	if (c.reserved || (c.context == 0) != table[c.kind].general ||
	    (!is_empty(&c.make, sizeof(c.make)) && !table[c.kind].makes) ||
	    (!is_empty(&c.images, sizeof(c.images)) && !table[c.kind].images) ||
	    (!is_empty(&c.trace, sizeof(c.trace)) && !table[c.kind].traces) || !images_are(&c) ||
	    !trace_is(&c))
		return cloche_err_set(err, EBADMSG, "'%s' with a field that it does not have",
				      table[c.kind].name);
	if (c.make.bare_n > BPF_MAXINSNS || len != sizeof(c) + COMMAND_BARE_LEN(c.make.bare_n))
		return cloche_err_set(err, EBADMSG, "'%s' of %zu bytes", table[c.kind].name, len);
	*ret = c;
	return 0;
}

/* NULL: there are not so many. */
static const char *policy_at(uint32_t at)
{
	for (const struct policy_builtin *p = policy_builtins; p->name; p++)
		if (p->kind == POLICY_PROFILE && at-- == 0)
			return p->name;
	return NULL;
}

/* The image is looked for by it: no path. */
static bool image_is(const struct command_image *i)
{
	size_t len = strnlen(i->name, sizeof(i->name));

	if (len == 0)
		return is_empty(i, sizeof(*i));
	return i->own <= COMMAND_IMAGE_PINNED && len < sizeof(i->name) &&
	       image_name_check(i->name, NULL) == 0 &&
	       strnlen(i->sha256, sizeof(i->sha256)) == HASH_HEX_LEN - 1 && hash_is_hex(i->sha256);
}

/* Each is there or not, and nothing is behind one that is not. */
static bool codes_are(const struct command_make *m)
{
	bool over = false;

	for (int i = 0; i < COMMAND_CODES; i++) {
		const char *hex = m->code[i].sha256;
		size_t len = strnlen(hex, sizeof(m->code[i].sha256));

		if (len &&
		    (over || len != HASH_HEX_LEN - 1 || strspn(hex, "0123456789abcdef") != len))
			return false;
		/* Without code there may be layers. */
		over |= len == 0 && i > 0;
		if (!is_empty(hex + len, sizeof(m->code[i].sha256) - len))
			return false;
	}
	return true;
}

/* As it is shown and written down. */
static bool name_is_text(const char name[static 64])
{
	size_t len = strnlen(name, 64), n;

	if (len == 64)
		return false;
	for (size_t at = 0; at < len; at += n) {
		n = utf8_harmless(name + at, len - at);
		if (n == 0)
			return false;
	}
	return true;
}

int command_from_spec(const struct spec *spec, struct command_make *ret, struct cloche_err *err)
{
	uint32_t policy = 0;

	while (!spec->bare && policy_at(policy) && strcmp(policy_at(policy), spec->policy) != 0)
		policy++;
	if (!policy_at(policy))
		return cloche_err_set(err, ENOENT,
				      CLOCHE_FIELD "policy: there is none of that name");
	*ret = (struct command_make){ .memory_bytes = spec->memory_bytes,
				      .cpu_milli = spec->cpu_milli,
				      .pids = spec->pids,
				      .nofile = spec->nofile,
				      .tmp_bytes = spec->tmp_bytes,
				      .shm_bytes = spec->shm_bytes,
				      .read_locks = spec->read_locks,
				      .cpu_mode = spec->cpu_mode,
				      .net = spec->net,
				      .kept = spec->kept,
				      .zygote = spec->zygote,
				      .api = spec->api,
				      .policy = policy };
	memcpy(ret->cpus, spec->cpus, sizeof(ret->cpus));
	if (spec->image) {
		/* As the launcher has it, for which it would be a breach. */
		ret->image.own = spec->image->own;
		(void)snprintf(ret->image.name, sizeof(ret->image.name), "%s", spec->rootfs);
		(void)snprintf(ret->image.sha256, sizeof(ret->image.sha256), "%s",
			       spec->image->sha256);
	}
	if (!spec->bare)
		return 0;
	ret->bare_n = spec->bare->n;
	ret->bare_flags = spec->bare->flags;
	(void)snprintf(ret->bare_name, sizeof(ret->bare_name), "%s", spec->policy);
	hash_sha256(spec->bare, spec->bare_size, ret->bare_hash);
	return name_is_text(ret->bare_name)
		       ? 0
		       : cloche_err_set(err, EINVAL,
					CLOCHE_FIELD "policy: its file's name is none that can be "
						     "shown; rename it");
}

int command_to_spec(const struct command_make *make, struct spec *ret, struct cloche_err *err)
{
	const char *policy = policy_at(make->policy);

	if (make->cpu_mode > CPU_FIXED || make->terminals > 1 || make->read_locks > 1 ||
	    make->binds > GIVEN_MAX || make->net > NET_LOOPBACK || !policy || make->api > 1 ||
	    make->kept > 1 || make->zygote > make->kept || make->reserved || !codes_are(make) ||
	    !name_is_text(make->bare_name) || !image_is(&make->image))
		return cloche_err_set(err, EBADMSG, "'make' with a choice that there is not");
	spec_defaults(ret);
	ret->memory_bytes = make->memory_bytes;
	ret->cpu_mode = (enum cpu_mode)make->cpu_mode;
	ret->cpu_milli = make->cpu_milli;
	memcpy(ret->cpus, make->cpus, sizeof(ret->cpus));
	ret->net = (enum net_mode)make->net;
	ret->pids = make->pids;
	ret->nofile = make->nofile;
	ret->tmp_bytes = make->tmp_bytes;
	ret->shm_bytes = make->shm_bytes;
	ret->read_locks = make->read_locks;
	ret->kept = make->kept;
	ret->zygote = make->zygote;
	ret->api = make->api;
	if (ret->kept)
		ret->timeout_ns = ORDER_INIT_MAX_NS; /* each order has its own */
	ret->policy = make->bare_n ? make->bare_name : policy;
	ret->rootfs = make->image.name[0] ? make->image.name : NULL;
	return 0;
}

int command_take_bare(const struct command_make *make, const char *bytes, struct policy_bare *bare,
		      struct spec *spec, struct cloche_err *err)
{
	unsigned char hash[HASH_LEN];

	if (make->bare_n == 0)
		return 0;
	bare->n = make->bare_n;
	bare->flags = make->bare_flags;
	memcpy(bare->insns, bytes + sizeof(struct command), COMMAND_BARE_LEN(make->bare_n));
	spec->bare = bare;
	spec->bare_size = offsetof(struct policy_bare, insns) + COMMAND_BARE_LEN(make->bare_n);
	hash_sha256(bare, spec->bare_size, hash);
	return memcmp(hash, make->bare_hash, sizeof(hash)) == 0
		       ? 0
		       : cloche_err_set(err, EBADMSG, "'make' with a policy of another hash");
}
