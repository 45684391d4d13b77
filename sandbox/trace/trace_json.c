/* SPDX-License-Identifier: MIT */
/*
 * Traces as JSON lines. Written by hand, since a busy function makes a million events a second and
 * each string is clean already; read by jansson, since a file may come from anywhere.
 */
#include "trace/trace_json.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fd.h"
#include "bpf/meter_abi.h"
#include "meter/usage.h"
#include "trace/trace.h"

#define LINE_MAX_BYTES (1 << 20)
#define ARGV_MAX       METER_ARGS_MAX

/* ---- writing ------------------------------------------------------------------------------ */

void trace_json_string(FILE *f, const char *clean)
{
	(void)putc_unlocked('"', f);
	for (; *clean; clean++) {
		if (*clean == '"' || *clean == '\\')
			(void)putc_unlocked('\\', f);
		(void)putc_unlocked(*clean, f);
	}
	(void)putc_unlocked('"', f);
}

static void put_text(FILE *f, const char *key, const char *clean)
{
	(void)fprintf(f, ",\"%s\":", key);
	trace_json_string(f, clean);
}

static void put_exec(FILE *f, const struct trace_event *e)
{
	put_text(f, "path", e->text);
	(void)fputs(",\"argv\":[", f);
	for (size_t i = 0; i < e->argc; i++) {
		if (i)
			(void)putc_unlocked(',', f);
		trace_json_string(f, e->argv[i]);
	}
	(void)fprintf(f, "],\"cut\":%s,\"old_tid\":%u", e->cut ? "true" : "false", e->arg);
}

static void put_denied(FILE *f, const struct trace_event *e)
{
	put_text(f, "syscall", e->text);
	(void)fprintf(f, ",\"arch\":\"%s\",\"number\":%u,\"result\":%" PRId64 ",\"args\":[", e->abi,
		      e->arg, (int64_t)e->value);
	for (size_t i = 0; i < 6; i++)
		(void)fprintf(f, "%s\"0x%" PRIx64 "\"", i ? "," : "", e->args[i]);
	(void)putc_unlocked(']', f);
}

static void put_rest(FILE *f, const struct trace_event *e)
{
	const char *why;

	switch (e->type) {
	case METER_EV_FORK:
		(void)fprintf(f, ",\"child\":%u,\"thread\":%s", e->arg,
			      e->value ? "true" : "false");
		break;
	case METER_EV_EXEC:
		put_exec(f, e);
		break;
	case METER_EV_EXIT:
		(void)fprintf(f, ",\"status\":%u", e->arg);
		break;
	case METER_EV_SIGNAL:
		(void)fprintf(f, ",\"signal\":%u,\"code\":%d,\"sender\":%u", e->arg,
			      (int32_t)(e->value >> 32), (uint32_t)e->value);
		break;
	case METER_EV_ON:
		(void)fprintf(f, ",\"since_ns\":%" PRIu64 ",\"throttled\":%s", e->value,
			      e->arg & METER_ON_HELD ? "true" : "false");
		if (e->arg & METER_ON_BEGAN_HELD)
			(void)fputs(",\"began_throttled\":true", f);
		if (e->arg & METER_ON_UNSEEN)
			(void)fputs(",\"unseen\":true", f);
		break;
	case METER_EV_OFF:
		why = trace_off_text(e->arg);
		put_text(f, "why", why ? why : "?");
		if (e->arg == METER_OFF_THROTTLED_ALL)
			(void)fputs(",\"all\":true", f);
		if (e->value)
			(void)fprintf(f, ",\"early_ns\":%u,\"beside_ns\":%u", (uint32_t)e->value,
				      (uint32_t)(e->value >> 32));
		break;
	case METER_EV_OPEN:
		put_text(f, "path", e->text);
		(void)fprintf(f, ",\"cut\":%s,\"flags\":%u,\"result\":%" PRId64,
			      e->cut ? "true" : "false", e->arg, (int64_t)e->value);
		break;
	case METER_EV_CONNECT:
	case METER_EV_BIND:
		put_text(f, "address", e->text);
		(void)fprintf(f, ",\"port\":%" PRIu64, e->value);
		break;
	case METER_EV_DENIED:
		put_denied(f, e);
		break;
	default:
		break;
	}
}

void trace_json_head(FILE *f, const char *request_id, const char *started_at)
{
	(void)fputs("{\"schema\":\"" TRACE_SCHEMA "\"", f);
	put_text(f, "request_id", request_id);
	put_text(f, "started_at", started_at);
	(void)fputs("}\n", f);
}

void trace_json_event_of(FILE *f, const char *request_id, const struct trace_event *e)
{
	const char *type = trace_type_text(e->type);

	(void)putc_unlocked('{', f);
	if (request_id) {
		(void)fputs("\"request_id\":", f);
		trace_json_string(f, request_id);
		(void)putc_unlocked(',', f);
	}
	(void)fprintf(f, "\"at_ns\":%" PRIu64 ",\"event\":\"%s\",\"pid\":%u,\"tid\":%u,\"cpu\":%u",
		      e->at_ns, type ? type : "?", e->pid, e->tid, e->cpu);
	put_text(f, "comm", e->comm);
	put_rest(f, e);
	(void)fputs("}\n", f);
}

void trace_json_event(FILE *f, const struct trace_event *e)
{
	trace_json_event_of(f, NULL, e);
}

static void put_end(FILE *f, const struct trace *t)
{
	(void)fprintf(f,
		      "{\"event\":\"end\",\"begin_ns\":%" PRIu64 ",\"end_ns\":%" PRIu64
		      ",\"busy_ns\":%" PRIu64 ",\"quota_ns\":%" PRIu64 ",\"contention_ns\":%" PRIu64
		      ",\"idle_ns\":%" PRIu64 ",\"on_cpu_ns\":%" PRIu64 ",\"events\":%" PRIu64
		      ",\"lost\":%" PRIu64 ",\"complete\":%s",
		      t->begin_ns, t->end_ns, t->busy_ns, t->quota_ns, t->contention_ns, t->idle_ns,
		      t->on_cpu_ns, t->n_written, t->lost, t->complete ? "true" : "false");
	if (*t->function)
		put_text(f, "function", t->function);
	if (*t->verdict)
		put_text(f, "verdict", t->verdict);
	(void)fputs("}\n", f);
}

void trace_json_end(FILE *f, const struct meter_usage *u, const struct trace_close *how)
{
	struct trace t = { .n_written = how->written,
			   .begin_ns = u->begin_ns,
			   .end_ns = u->end_ns,
			   .busy_ns = u->busy_ns,
			   .quota_ns = u->quota_ns,
			   .contention_ns = u->contention_ns,
			   .idle_ns = u->idle_ns,
			   .on_cpu_ns = u->on_cpu_ns,
			   .lost = u->lost + how->cut,
			   .complete = u->complete && !u->lost && !u->missed && !how->cut };

	(void)snprintf(t.function, sizeof(t.function), "%s", how->function ? how->function : "");
	(void)snprintf(t.verdict, sizeof(t.verdict), "%s", how->verdict ? how->verdict : "");
	put_end(f, &t);
}

void trace_json_write(FILE *f, const struct trace *t)
{
	trace_json_head(f, t->request_id, t->started_at);
	for (size_t i = 0; i < t->n; i++)
		trace_json_event(f, &t->events[i]);
	if (t->ended) {
		struct trace end = *t;

		end.n_written = t->n;
		put_end(f, &end);
	}
}

/* ---- reading ------------------------------------------------------------------------------ */

struct trace_input {
	const char *name;
	unsigned long line;
	struct trace *t;
	struct cloche_err *err;
	const char *bad; /* the first member that is not what it should be */
};

static int64_t get_int(struct trace_input *r, const json_t *o, const char *key, int64_t least,
		       int64_t most)
{
	const json_t *v = json_object_get(o, key);
	int64_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < least || n > most) {
		r->bad = r->bad ? r->bad : key;
		return 0;
	}
	return n;
}

static uint64_t get_ns(struct trace_input *r, const json_t *o, const char *key)
{
	return (uint64_t)get_int(r, o, key, 0, INT64_MAX);
}

static uint32_t get_u32(struct trace_input *r, const json_t *o, const char *key)
{
	return (uint32_t)get_int(r, o, key, 0, UINT32_MAX);
}

static bool get_bool(struct trace_input *r, const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_boolean(v))
		r->bad = r->bad ? r->bad : key;
	return json_is_true(v);
}

/* On the heap; "" also when there is no memory, which the next allocation will tell. */
static char *clean_of(struct trace_input *r, const json_t *v, const char *key)
{
	if (!json_is_string(v)) {
		r->bad = r->bad ? r->bad : key;
		return NULL;
	}
	return trace_clean(json_string_value(v), json_string_length(v));
}

static char *get_text(struct trace_input *r, const json_t *o, const char *key)
{
	return clean_of(r, json_object_get(o, key), key);
}

static void get_short(struct trace_input *r, const json_t *o, const char *key, char *buf,
		      size_t size)
{
	cleanup_free char *text = get_text(r, o, key);

	if (text && strlen(text) >= size)
		r->bad = r->bad ? r->bad : key;
	else if (text)
		(void)snprintf(buf, size, "%s", text);
}

static void get_argv(struct trace_input *r, const json_t *o, struct trace_event *e)
{
	const json_t *a = json_object_get(o, "argv"), *v;
	size_t i;

	e->cut = get_bool(r, o, "cut");
	if (!json_is_array(a) || json_array_size(a) > ARGV_MAX) {
		r->bad = r->bad ? r->bad : "argv";
		return;
	}
	e->argv = calloc(json_array_size(a) + 1, sizeof(*e->argv));
	json_array_foreach (a, i, v) {
		if (!e->argv)
			return;
		e->argv[e->argc] = clean_of(r, v, "argv");
		if (!e->argv[e->argc])
			return;
		e->argc++;
	}
}

static void get_denied(struct trace_input *r, const json_t *o, struct trace_event *e)
{
	const json_t *a = json_object_get(o, "args");

	const char *arch = json_string_value(json_object_get(o, "arch")); /* not in older traces */

	e->text = get_text(r, o, "syscall");
	e->abi = !arch			     ? "x86_64"
		 : strcmp(arch, "i386") == 0 ? "i386"
		 : strcmp(arch, "x32") == 0  ? "x32"
					     : "x86_64";
	e->arg = get_u32(r, o, "number");
	e->value = (uint64_t)get_int(r, o, "result", INT64_MIN, INT64_MAX);
	if (!json_is_array(a) || json_array_size(a) != 6) {
		r->bad = r->bad ? r->bad : "args";
		return;
	}
	for (size_t i = 0; i < 6; i++) {
		const char *s = json_string_value(json_array_get(a, i));
		char *end = NULL;

		if (s && strncmp(s, "0x", 2) == 0)
			e->args[i] = strtoull(s, &end, 16);
		if (!end || *end)
			r->bad = r->bad ? r->bad : "args";
	}
}

static uint32_t off_find(struct trace_input *r, const json_t *o)
{
	const char *why = json_string_value(json_object_get(o, "why"));

	for (uint32_t i = 0; why && trace_off_text(i); i++)
		if (strcmp(trace_off_text(i), why) == 0)
			return i;
	r->bad = r->bad ? r->bad : "why";
	return 0;
}

static void get_rest(struct trace_input *r, const json_t *o, struct trace_event *e)
{
	switch (e->type) {
	case METER_EV_FORK:
		e->arg = get_u32(r, o, "child");
		e->value = get_bool(r, o, "thread");
		break;
	case METER_EV_EXEC:
		e->text = get_text(r, o, "path");
		get_argv(r, o, e);
		/* Traces from before this was recorded do not have it. */
		e->arg = json_object_get(o, "old_tid") ? get_u32(r, o, "old_tid") : e->tid;
		break;
	case METER_EV_EXIT:
		e->arg = get_u32(r, o, "status");
		break;
	case METER_EV_SIGNAL:
		e->arg = get_u32(r, o, "signal");
		e->value = (uint64_t)get_int(r, o, "code", INT32_MIN, INT32_MAX) << 32 |
			   get_u32(r, o, "sender");
		break;
	case METER_EV_ON:
		e->value = get_ns(r, o, "since_ns");
		e->arg = get_bool(r, o, "throttled") ? METER_ON_HELD : 0;
		if (json_is_true(json_object_get(o, "began_throttled")))
			e->arg |= METER_ON_BEGAN_HELD;
		if (json_is_true(json_object_get(o, "unseen")))
			e->arg |= METER_ON_UNSEEN;
		break;
	case METER_EV_OFF:
		e->arg = off_find(r, o);
		/* Not in older traces, and only where there is something to say. */
		if (e->arg == METER_OFF_THROTTLED && json_is_true(json_object_get(o, "all")))
			e->arg = METER_OFF_THROTTLED_ALL;
		if (json_object_get(o, "early_ns"))
			e->value = (uint64_t)get_u32(r, o, "beside_ns") << 32 |
				   get_u32(r, o, "early_ns");
		break;
	case METER_EV_OPEN:
		e->text = get_text(r, o, "path");
		e->cut = json_is_true(json_object_get(o, "cut")); /* not in older traces */
		e->arg = get_u32(r, o, "flags");
		e->value = (uint64_t)get_int(r, o, "result", INT64_MIN, INT64_MAX);
		break;
	case METER_EV_CONNECT:
	case METER_EV_BIND:
		e->text = get_text(r, o, "address");
		e->value = (uint64_t)get_int(r, o, "port", 0, 65535);
		break;
	case METER_EV_DENIED:
		get_denied(r, o, e);
		break;
	default:
		break;
	}
}

static void read_end(struct trace_input *r, const json_t *o)
{
	struct trace *t = r->t;

	t->begin_ns = get_ns(r, o, "begin_ns");
	t->end_ns = get_ns(r, o, "end_ns");
	t->busy_ns = get_ns(r, o, "busy_ns");
	t->quota_ns = get_ns(r, o, "quota_ns");
	t->contention_ns = get_ns(r, o, "contention_ns");
	t->idle_ns = get_ns(r, o, "idle_ns");
	t->on_cpu_ns = get_ns(r, o, "on_cpu_ns");
	t->lost = get_ns(r, o, "lost");
	t->complete = get_bool(r, o, "complete");
	t->n_written = get_ns(r, o, "events");
	if (json_object_get(o, "function"))
		get_short(r, o, "function", t->function, sizeof(t->function));
	if (json_object_get(o, "verdict"))
		get_short(r, o, "verdict", t->verdict, sizeof(t->verdict));
	if (t->end_ns < t->begin_ns)
		r->bad = r->bad ? r->bad : "end_ns";
	t->ended = true;
}

/* 0, with *ret filled in or r->bad set. */
static int get_event(struct trace_input *r, const json_t *o, struct trace_event *ret)
{
	const char *type = json_string_value(json_object_get(o, "event"));
	struct trace_event e = { .type = type ? trace_type_find(type) : 0 };

	if (!e.type) {
		r->bad = "event";
		return 0;
	}
	e.at_ns = get_ns(r, o, "at_ns");
	e.pid = get_u32(r, o, "pid");
	e.tid = get_u32(r, o, "tid");
	e.cpu = get_u32(r, o, "cpu");
	get_short(r, o, "comm", e.comm, sizeof(e.comm));
	get_rest(r, o, &e);
	if (r->bad) {
		trace_event_free(&e);
		return 0;
	}
	if ((e.type == METER_EV_EXEC || e.type >= METER_EV_OPEN) && !e.text) {
		trace_event_free(&e);
		return -ENOMEM;
	}
	*ret = e;
	return 0;
}

int trace_json_parse(const json_t *o, struct trace_event *ret)
{
	struct trace_input r = { 0 };
	int e = get_event(&r, o, ret);

	return e ? e : r.bad ? -EPROTO : 0;
}

static int read_event(struct trace_input *r, const json_t *o)
{
	struct trace_event ev;
	int e = get_event(r, o, &ev);

	return e || r->bad ? e : trace_add(r->t, &ev);
}

static int read_object(struct trace_input *r, const json_t *o)
{
	const char *schema = json_string_value(json_object_get(o, "schema"));
	const char *type = json_string_value(json_object_get(o, "event"));
	int e = 0;

	if (r->line == 1) {
		if (!schema || strcmp(schema, TRACE_SCHEMA) != 0)
			return cloche_err_set(r->err, EPROTO,
					      "'%s' is no trace: its first line has no "
					      "\"schema\":\"" TRACE_SCHEMA "\"",
					      r->name);
		get_short(r, o, "request_id", r->t->request_id, sizeof(r->t->request_id));
		get_short(r, o, "started_at", r->t->started_at, sizeof(r->t->started_at));
	} else if (r->t->ended) {
		return cloche_err_set(r->err, EPROTO, "'%s' line %lu: behind the end", r->name,
				      r->line);
	} else if (!type) {
		r->bad = "event";
	} else if (strcmp(type, "end") == 0) {
		read_end(r, o);
	} else {
		e = read_event(r, o);
	}
	if (e)
		return cloche_err_sys(r->err, -e, "read '%s'", r->name);
	if (r->bad)
		return cloche_err_set(r->err, EPROTO,
				      "'%s' line %lu: \"%s\" is missing or not what a trace has",
				      r->name, r->line, r->bad);
	return 0;
}

static int read_line(struct trace_input *r, const char *line, size_t len)
{
	json_error_t why;
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, &why);
	int e;

	/* Only a line that was written to its end has a newline. */
	if (!o && (!len || line[len - 1] != '\n') && r->line > 1)
		return 0;
	if (!o)
		return cloche_err_set(r->err, EPROTO, "'%s' line %lu: %.120s", r->name, r->line,
				      why.text);
	e = read_object(r, o);
	json_decref(o);
	return e;
}

int trace_json_read(FILE *f, const char *name, struct trace *ret, struct cloche_err *err)
{
	struct trace_input r = { .name = name, .t = ret, .err = err };
	cleanup_free char *line = NULL;
	size_t room = 0;
	ssize_t len;
	int e;

	*ret = (struct trace){ 0 };
	while ((len = getline(&line, &room, f)) >= 0) {
		r.line++;
		if (len > LINE_MAX_BYTES)
			return cloche_err_set(err, EPROTO, "'%s' line %lu: longer than a trace has",
					      name, r.line);
		e = read_line(&r, line, (size_t)len);
		if (e)
			return e;
	}
	if (ferror(f))
		return cloche_err_sys(err, errno, "read '%s'", name);
	if (!r.line)
		return cloche_err_set(err, EPROTO, "'%s' is no trace: it is empty", name);
	trace_sort(ret);
	return 0;
}

/* The longest end is far shorter than this. */

int trace_json_summary(FILE *f, const char *name, struct trace *ret, struct cloche_err *err)
{
	struct trace_input r = { .name = name, .line = 1, .t = ret, .err = err };
	char head[TRACE_JSON_HEAD], tail[TRACE_JSON_TAIL + 1], *last;
	size_t len;
	int e;

	*ret = (struct trace){ 0 };
	if (!fgets(head, sizeof(head), f))
		return cloche_err_set(err, EPROTO, "'%s' is no trace: it is empty", name);
	e = read_line(&r, head, strlen(head));
	if (e)
		return e;
	if (fseeko(f, -TRACE_JSON_TAIL, SEEK_END) < 0 && fseeko(f, 0, SEEK_SET) < 0)
		return cloche_err_sys(err, errno, "read '%s'", name);
	len = fread(tail, 1, TRACE_JSON_TAIL, f);
	tail[len] = 0;
	if (!len || tail[len - 1] != '\n')
		return 0;
	tail[len - 1] = 0;
	last = strrchr(tail, '\n');
	last = last ? last + 1 : tail;
	if (strncmp(last, "{\"event\":\"end\"", 14) != 0)
		return 0;
	r.line = 2; /* whichever it is, it is not the first */
	return read_line(&r, last, strlen(last));
}
