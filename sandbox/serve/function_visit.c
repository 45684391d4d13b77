/* SPDX-License-Identifier: MIT */
/* What clients ask about functions: see function_visit.h. */
#include "serve/function_visit.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "function/function_change.h"
#include "function/function_json.h"
#include "function/function_store.h"
#include "serve/changing.h"
#include "serve/closer.h"
#include "serve/code.h"
#include "serve/command.h"
#include "serve/config.h"
#include "serve/front.h"
#include "serve/invoking.h"
#include "serve/function_list.h"
#include "serve/limit.h"
#include "serve/listing.h"
#include "serve/packet.h"
#include "serve/request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

struct function_visit {
	struct function_visit *next;
	struct front *front;
	uid_t uid;
	int socket; /* -1: it is answered */
	sd_event_source *heard;
	struct request request;
	int text;		   /* what a DEPLOY brings, until it is read; -1 */
	bool turn, waits;	   /* it changes what its user has; or will, behind another */
	struct function_put *puts; /* owned, as are their configurations */
	size_t n;
	struct function_change *change; /* it is being written */
	json_t *said;			/* the answer when it is */
	uint64_t asked;			/* the number of what the launcher owes; 0: nothing */
	bool removing;			/* which is the removal of the last of: */
	struct codes gone;
	struct answer answer;
};

/* ---- its end --------------------------------------------------------------------------------- */

static void hang_up(struct function_visit *v)
{
	v->heard = sd_event_source_disable_unref(v->heard);
	closer_take(v->front->closer, v->uid, &v->socket);
}

static void begin_next(struct front *f, uid_t uid);

static void leave(struct function_visit *v)
{
	struct front *f = v->front;
	uid_t uid = v->uid;
	bool turn = v->turn;

	for (struct function_visit **at = &f->function_visits; *at; at = &(*at)->next)
		if (*at == v) {
			*at = v->next;
			break;
		}
	hang_up(v);
	for (size_t i = 0; i < v->n; i++) {
		function_config_free(v->puts[i].config);
		free(v->puts[i].config);
	}
	free(v->puts);
	closer_take(f->closer, uid, &v->text);
	json_decref(v->said);
	codes_free(&v->gone);
	front_look_whether_done(f);
	free(v);
	if (turn)
		begin_next(f, uid);
}

static void say(struct function_visit *v, enum answer_kind kind, const struct packet_fds *fds)
{
	v->answer.kind = kind;
	request_version(v->answer.version);
	if (v->socket >= 0)
		(void)packet_send(v->socket, &v->answer, sizeof(v->answer), fds);
	hang_up(v);
}

static void refuse(struct function_visit *v, const struct cloche_err *why)
{
	v->answer.refused = *why;
	say(v, ANSWER_REFUSED, NULL);
	leave(v);
}

/* Takes the text over. False: there was no memory, and it is refused. */
static bool say_text(struct function_visit *v, json_t *o)
{
	cleanup_free char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	struct packet_fds fds = { .n = 1 };
	struct cloche_err err = { 0 };
	int fd = text ? listing_hand(text, strlen(text)) : -ENOMEM;

	json_decref(o);
	if (fd < 0) {
		(void)cloche_err_sys(&err, -fd, "list functions");
		refuse(v, &err);
		return false;
	}
	fds.fd[0] = fd;
	say(v, ANSWER_FUNCTIONS, &fds);
	packet_close_fds(&fds);
	return true;
}

/* There is nothing more to say: it goes. What is being written is so all the same. */
static int on_heard(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct function_visit *v = arg;

	if (v->change)
		hang_up(v);
	else
		leave(v);
	return 0;
}

/* ---- code that nobody has any more ----------------------------------------------------------- */

static void ask(struct function_visit *v, enum command_kind kind, const char *sha256)
{
	struct command c = { .kind = kind,
			     .context = front_number(v->front),
			     .images = { .owner = v->uid, .form = IMAGE_OF_CODE } };

	if (sha256)
		(void)snprintf(c.images.name, sizeof(c.images.name), "%s", sha256);
	v->asked = c.context;
	front_tell(v->front, &c);
}

/* By what there is, or will be when it is written. */
static bool is_used(const struct front *f, uid_t uid, const char *sha256)
{
	for (const struct function_visit *v = f->function_visits; v; v = v->next)
		if (v->uid == uid && v->change && change_uses(v->change, sha256))
			return true;
	return function_store_uses(f->functions, uid, sha256);
}

/* The next one; one that somebody has again stays. */
static void collect(struct function_visit *v)
{
	if (v->removing)
		codes_drop(&v->gone);
	v->removing = false;
	while (codes_last(&v->gone) && is_used(v->front, v->uid, codes_last(&v->gone)))
		codes_drop(&v->gone);
	if (!codes_last(&v->gone) || v->front->stopping) {
		leave(v);
		return;
	}
	v->removing = true;
	ask(v, COMMAND_REMOVE, codes_last(&v->gone));
}

/* It is there, and nobody takes it away. */
static bool has_code(const struct front *f, uid_t uid, int dir, const char *sha256)
{
	for (const struct function_visit *v = f->function_visits; v; v = v->next)
		if (v->uid == uid && v->removing && strcmp(codes_last(&v->gone), sha256) == 0)
			return false;
	return code_is_there(dir, sha256);
}

/* ---- to deploy ------------------------------------------------------------------------------- */

/* What a cloche.yaml may say and nothing here does yet: better refused than passed over. */
static int check_there(const struct function_config *c, struct cloche_err *err)
{
	if (c->family == FAMILY_IMAGE && (!c->code.sha256[0] || !c->start.command))
		return cloche_err_set(err, EBADMSG, "image: it is not said what is in it");
	if (c->concurrency.provisioned && !function_stays(c))
		return cloche_err_set(err, EINVAL,
				      "concurrency/provisioned: only what is reused as process or "
				      "fork can be ready beforehand; expected 0");
	return 0;
}

static int take_one(struct function_visit *v, const json_t *o, struct cloche_err *err)
{
	struct function_config *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return cloche_err_sys(err, ENOMEM, "deploy");
	r = function_from_json(o, c, err);
	if (r < 0) {
		free(c);
		return r;
	}
	v->puts[v->n++] = (struct function_put){ .config = c };
	if (function_check(c, &v->front->host, err) < 0 || check_there(c, err) < 0)
		return cloche_err_wrap(err, "function '%.64s'", c->name);
	for (size_t i = 0; i + 1 < v->n; i++)
		if (strcmp(v->puts[i].config->name, c->name) == 0)
			return cloche_err_set(err, EINVAL, "function '%s' comes twice", c->name);
	return 0;
}

static int take_all(struct function_visit *v, const json_t *list, struct cloche_err *err)
{
	size_t n = json_array_size(list);
	int r = 0;

	if (n == 0 || n > REQUEST_DEPLOY_N)
		return cloche_err_set(err, EBADMSG, "the daemon was sent no functions");
	v->puts = calloc(n, sizeof(*v->puts));
	if (!v->puts)
		return cloche_err_sys(err, ENOMEM, "deploy");
	for (size_t i = 0; r == 0 && i < n; i++)
		r = take_one(v, json_array_get(list, i), err);
	return r;
}

/* Strictly: whoever sent it has read a file of its own. */
static int take_text(struct function_visit *v, const char *text, size_t len, struct cloche_err *err)
{
	json_t *list = function_parse(text, len, err);
	int r = list ? take_all(v, list, err) : -err->code;

	json_decref(list);
	return r;
}

static int check_room(struct function_visit *v, struct cloche_err *err)
{
	const struct function_store *s = v->front->functions;
	size_t has = function_store_count(s, v->uid);
	size_t more = function_store_new(s, v->uid, v->puts, v->n);
	unsigned most = config_owner(v->front->config, v->uid)->functions;

	if (more == 0 || has + more <= most)
		return 0;
	v->front->counts.refused[LIMIT_OWNER_FUNCTIONS]++;
	return cloche_err_set(err, EDQUOT,
			      "functions: user %u has %zu of the %u that he may have (limit '%s'), "
			      "and these would be %zu more",
			      v->uid, has, most, limit_name(LIMIT_OWNER_FUNCTIONS), more);
}

static int check_codes(const struct function_visit *v, int dir, struct cloche_err *err)
{
	for (size_t i = 0; i < v->n; i++) {
		const struct function_config *c = v->puts[i].config;

		for (size_t j = 0; j <= c->n_layers; j++) {
			const char *sha256 = j ? c->layers[j - 1].sha256 : c->code.sha256;

			if (sha256[0] && !has_code(v->front, v->uid, dir, sha256))
				return cloche_err_set(err, ESTALE,
						      "function '%s': its code %.12s… is not "
						      "there (any more): deploy again",
						      c->name, sha256);
		}
	}
	return 0;
}

/* What their versions have now may be nobody's afterwards. */
static void note_codes(struct function_visit *v, const char *name)
{
	const struct function *f = function_store_find(v->front->functions, v->uid, name);

	for (size_t i = 0; f && i < f->n; i++) {
		const struct function_config *c = &f->versions[i]->config;

		codes_add(&v->gone, c->code.sha256);
		for (size_t j = 0; j < c->n_layers; j++)
			codes_add(&v->gone, c->layers[j].sha256);
	}
}

static json_t *said_of(const char *name, uint32_t version, const char *what)
{
	return json_pack("{s:s, s:I, s:s}", "name", name, "version", (json_int_t)version, "what",
			 what);
}

/* ---- to write it ------------------------------------------------------------------------------
 */

static void on_written(void *arg, int written, const struct cloche_err *err)
{
	struct function_visit *v = arg;
	struct front *f = v->front;
	uid_t uid = v->uid;

	v->change = NULL;
	invoking_retire(f);
	if (written < 0) {
		refuse(v, err);
		return;
	}
	if (!v->said)
		say(v, ANSWER_DONE, NULL);
	else if (!say_text(v, TAKE_PTR(v->said)))
		return;
	v->turn = false;
	begin_next(f, uid);
	collect(v);
}

/* change NULL: all is as it is to be. */
static void write_change(struct function_visit *v, struct function_change *change)
{
	static const struct cloche_err none = { 0 };

	v->change = change;
	if (change)
		changing_begin(v->front->changing, change, on_written, v);
	else
		on_written(v, 0, &none);
}

static json_t *said_of_all(const struct function_visit *v, const json_t *names)
{
	static const char *const whats[] = {
		[PUT_UNCHANGED] = "unchanged", [PUT_CREATED] = "new", [PUT_UPDATED] = "updated"
	};
	json_t *list = json_array();

	for (size_t i = 0; i < v->n; i++)
		(void)json_array_append_new(list,
					    said_of(json_string_value(json_array_get(names, i)),
						    v->puts[i].version, whats[v->puts[i].what]));
	return list;
}

static void put(struct function_visit *v, int dir)
{
	struct function_change *change = NULL;
	struct cloche_err err = { 0 };
	json_t *names = json_array();
	int r = check_codes(v, dir, &err);

	for (size_t i = 0; r == 0 && i < v->n; i++) {
		(void)json_array_append_new(names, json_string(v->puts[i].config->name));
		note_codes(v, v->puts[i].config->name);
	}
	if (r == 0)
		r = change_put(v->front->functions, v->uid, v->puts, v->n, clock_real_ns(), &change,
			       &err);
	if (r == 0)
		v->said = said_of_all(v, names);
	json_decref(names);
	if (r < 0) {
		refuse(v, &err);
		return;
	}
	codes_add_strays(&v->gone, dir);
	write_change(v, change);
}

static void deploy(struct function_visit *v)
{
	cleanup_free char *bytes = NULL;
	struct cloche_err err = { 0 };
	int r = request_read_text(v->text, v->request.order_len, &bytes);

	if (r < 0)
		(void)cloche_err_sys(&err, -r, "read the functions");
	else
		r = take_text(v, bytes, v->request.order_len, &err);
	closer_take(v->front->closer, v->uid, &v->text);
	if (r == 0)
		r = check_room(v, &err);
	if (r < 0)
		refuse(v, &err);
	else
		ask(v, COMMAND_STORES, NULL);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void roll_back(struct function_visit *v)
{
	uint32_t version = v->request.function_version;
	struct function_change *change = NULL;
	struct cloche_err err = { 0 };

	if (change_rollback(v->front->functions, v->uid, v->request.function, &version, &change,
			    &err) < 0) {
		refuse(v, &err);
		return;
	}
	v->said = json_pack("[o]", said_of(v->request.function, version, "rolled back"));
	write_change(v, change);
}

static void forget(struct function_visit *v)
{
	struct function_change *change = NULL;
	struct cloche_err err = { 0 };

	note_codes(v, v->request.function);
	if (change_remove(v->front->functions, v->uid, v->request.function, &change, &err) < 0)
		refuse(v, &err);
	else
		write_change(v, change);
}

/* ---- one user's changes, one after the other --------------------------------------------------
 */

static void begin_change(struct function_visit *v)
{
	v->waits = false;
	v->turn = true;
	if (v->request.kind == REQUEST_DEPLOY)
		deploy(v);
	else if (v->request.kind == REQUEST_ROLLBACK)
		roll_back(v);
	else
		forget(v);
}

static bool has_turn(const struct front *f, uid_t uid)
{
	for (const struct function_visit *v = f->function_visits; v; v = v->next)
		if (v->uid == uid && v->turn)
			return true;
	return false;
}

/* Who came first is the last in the list. */
static void begin_next(struct front *f, uid_t uid)
{
	struct function_visit *first = NULL;

	for (struct function_visit *v = f->function_visits; v; v = v->next)
		if (v->uid == uid && v->waits)
			first = v;
	if (first && !f->stopping && !has_turn(f, uid))
		begin_change(first);
}

static void list(struct function_visit *v, const struct request *r)
{
	struct cloche_err err = { 0 };
	json_t *o = r->function[0] ? function_show(v->front, v->uid, r->function, &err)
				   : function_list(v->front, v->uid);

	if (err.code)
		refuse(v, &err);
	else if (say_text(v, o))
		leave(v);
}

static void begin(struct function_visit *v, const struct request *r)
{
	struct cloche_err err = { 0 };

	if (v->front->stopping)
		(void)cloche_err_set(&err, EBUSY, "the daemon is being stopped");
	else if (sd_event_add_io(v->front->event, &v->heard, v->socket, EPOLLIN, on_heard, v) < 0)
		(void)cloche_err_sys(&err, ENOMEM, "begin");
	if (err.code)
		refuse(v, &err);
	else if (r->kind == REQUEST_FUNCTIONS)
		list(v, r);
	else if (has_turn(v->front, v->uid))
		v->waits = true;
	else
		begin_change(v);
}

void function_visit_begin(struct front *f, int socket, int text, uid_t uid, const struct request *r)
{
	struct function_visit *v = calloc(1, sizeof(*v));

	if (!v) {
		closer_take(f->closer, uid, &socket);
		closer_take(f->closer, uid, &text);
		return;
	}
	*v = (struct function_visit){ .next = f->function_visits,
				      .front = f,
				      .uid = uid,
				      .socket = socket,
				      .request = *r,
				      .text = text };
	f->function_visits = v;
	begin(v, r);
}

bool function_visit_hear(struct front *f, const struct reply *reply, struct packet_fds *fds)
{
	struct function_visit *v = f->function_visits;

	while (v && !(v->asked && v->asked == reply->context))
		v = v->next;
	if (!v)
		return false;
	v->asked = 0;
	if (v->removing)
		collect(v);
	else if (reply->err.code)
		refuse(v, &reply->err);
	else
		put(v, fds->n ? fds->fd[0] : -1);
	return true;
}

void function_visits_end(struct front *f)
{
	static const struct cloche_err why = { .code = EBUSY,
					       .text = "the daemon is being stopped" };

	struct function_visit *next;

	/* None of them begins another one now. */
	for (struct function_visit *v = f->function_visits; v; v = next) {
		next = v->next;
		if (!v->change)
			refuse(v, &why);
	}
}

void function_visits_leave(struct front *f)
{
	for (struct function_visit *v = f->function_visits; v; v = v->next) {
		(void)cloche_err_set(&v->answer.refused, EBUSY,
				     "the daemon is being stopped, and it is not written yet: "
				     "'cloche functions' will show whether it counts");
		if (v->socket >= 0)
			say(v, ANSWER_REFUSED, NULL);
	}
}

unsigned function_visits_of(const struct front *f, uid_t uid)
{
	unsigned n = 0;

	for (const struct function_visit *v = f->function_visits; v; v = v->next)
		n += v->uid == uid;
	return n;
}
