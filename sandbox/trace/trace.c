/* SPDX-License-Identifier: MIT */
/*
 * Traces in memory: from the kernel's events to ours. All that a function could have written is
 * made harmless here, once, and not in each of the places that show it.
 */
#include "trace/trace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "bpf/meter_abi.h"
#include "policy/policy_words.h"

static const char *const types[METER_EV_TYPES] = {
	[METER_EV_FORK] = "fork", [METER_EV_EXEC] = "exec",
	[METER_EV_EXIT] = "exit", [METER_EV_SIGNAL] = "signal",
	[METER_EV_OOM] = "oom",	  [METER_EV_ON] = "on",
	[METER_EV_OFF] = "off",	  [METER_EV_UNTHROTTLE] = "unthrottle",
	[METER_EV_OPEN] = "open", [METER_EV_CONNECT] = "connect",
	[METER_EV_BIND] = "bind", [METER_EV_DENIED] = "denied",
};

const char *trace_type_text(uint32_t type)
{
	return type < METER_EV_TYPES ? types[type] : NULL;
}

uint32_t trace_type_find(const char *text)
{
	for (uint32_t i = 1; i < METER_EV_TYPES; i++)
		if (types[i] && strcmp(types[i], text) == 0)
			return i;
	return 0;
}

const char *trace_off_text(uint32_t why)
{
	static const char *const text[] = {
		[METER_OFF_SLEEP] = "sleep",
		[METER_OFF_PREEMPTED] = "preempted",
		[METER_OFF_THROTTLED] = "throttled",
		[METER_OFF_DEAD] = "dead",
		[METER_OFF_THROTTLED_ALL] = "throttled",
	};

	return why < sizeof(text) / sizeof(text[0]) ? text[why] : NULL;
}

/* ---- clean text --------------------------------------------------------------------------- */

static size_t clean_into(char *out, const char *s, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	char *o = out;

	while (len) {
		size_t n = utf8_harmless(s, len);

		if (n) {
			memcpy(o, s, n);
			o += n;
		} else {
			*o++ = '\\';
			*o++ = 'x';
			*o++ = hex[(unsigned char)*s >> 4];
			*o++ = hex[*s & 15];
			n = 1;
		}
		s += n;
		len -= n;
	}
	*o = 0;
	return (size_t)(o - out);
}

char *trace_clean(const char *bytes, size_t len)
{
	char *out = malloc(4 * len + 1);

	if (out)
		(void)clean_into(out, bytes, len);
	return out;
}

/* ---- from the kernel ---------------------------------------------------------------------- */

static int exec_of(const struct meter_event_exec *x, struct trace_event *ret)
{
	const char *s = x->args, *end = x->args + x->args_len;
	size_t argc = 0;

	ret->text = trace_clean(x->path, x->path_len ? x->path_len - 1 : 0);
	if (!ret->text)
		return -ENOMEM;
	for (const char *p = s; p < end; p++)
		argc += !*p || p + 1 == end;
	ret->cut = x->args_all > x->args_len || x->path_len == sizeof(x->path);
	ret->argv = calloc(argc + 1, sizeof(*ret->argv));
	if (!ret->argv)
		return -ENOMEM;
	while (s < end) {
		size_t len = strnlen(s, (size_t)(end - s));

		ret->argv[ret->argc] = trace_clean(s, len);
		if (!ret->argv[ret->argc++])
			return -ENOMEM;
		s += len + 1;
	}
	return 0;
}

static int addr_of(const struct meter_event_addr *a, struct trace_event *ret)
{
	char text[INET6_ADDRSTRLEN] = "?";

	(void)inet_ntop((int)a->family, a->addr, text, sizeof(text));
	ret->value = a->port;
	ret->text = strdup(text);
	return ret->text ? 0 : -ENOMEM;
}

/* "unix:" and the path, or '@' and an abstract name; nothing behind it for a socket without name.
 * In the picture it is a connect or bind like all others. */
static int unix_of(const struct meter_event_open *o, struct trace_event *ret)
{
	size_t len = o->path_len;
	const char *at = o->path;
	char *text;
	bool abstract = len > 0 && !*at;

	/* A path ends at its NUL, an abstract name where its length says (unix(7)). */
	if (abstract) {
		at++;
		len--;
	} else {
		len = strnlen(at, len);
	}
	text = trace_clean(at, len);
	ret->type = o->flags ? METER_EV_BIND : METER_EV_CONNECT;
	ret->value = 0;
	if (text && asprintf(&ret->text, "unix:%s%s", abstract ? "@" : "", text) < 0)
		ret->text = NULL;
	free(text);
	return ret->text ? 0 : -ENOMEM;
}

static int denied_of(const struct meter_event_denied *d, struct trace_event *ret)
{
	ret->abi = policy_abi(d->arch, d->ev.arg);
	memcpy(ret->args, d->args, sizeof(ret->args));
	ret->text = policy_abi_call_name(d->arch, d->ev.arg);
	if (!ret->text && asprintf(&ret->text, "syscall_%u", d->ev.arg) < 0)
		ret->text = NULL;
	return ret->text ? 0 : -ENOMEM;
}

#define ERESTARTSYS   512 /* include/linux/errno.h */
#define ERESTART_LAST 516

bool trace_is_restart(uint64_t result)
{
	int64_t r = (int64_t)result;

	return r <= -ERESTARTSYS && r >= -ERESTART_LAST;
}

int trace_event_of(const struct meter_event *ev, struct trace_event *ret)
{
	int r = 0;

	*ret = (struct trace_event){ .at_ns = ev->at_ns,
				     .type = ev->type,
				     .pid = ev->tgid,
				     .tid = ev->pid,
				     .cpu = ev->cpu,
				     .arg = ev->arg,
				     .value = ev->value };
	(void)clean_into(ret->comm, ev->comm, strnlen(ev->comm, METER_COMM_LEN - 1));
	if ((ev->type == METER_EV_OPEN || ev->type == METER_EV_DENIED) &&
	    trace_is_restart(ev->value))
		ret->value = (uint64_t)-EINTR;
	if (ev->type == METER_EV_EXEC) {
		r = exec_of((const void *)ev, ret);
	} else if (ev->type == METER_EV_OPEN) {
		const struct meter_event_open *o = (const void *)ev;

		ret->arg = o->flags;
		ret->text = trace_clean(o->path, o->path_len ? o->path_len - 1 : 0);
		ret->cut = o->path_len == sizeof(o->path); /* if it is not just that long */
		r = ret->text ? 0 : -ENOMEM;
	} else if (ev->type == METER_EV_CONNECT || ev->type == METER_EV_BIND) {
		r = addr_of((const void *)ev, ret);
	} else if (ev->type == METER_EV_UNIX) {
		r = unix_of((const void *)ev, ret);
	} else if (ev->type == METER_EV_DENIED) {
		r = denied_of((const void *)ev, ret);
	}
	if (r)
		trace_event_free(ret);
	return r;
}

/* ---- the trace ---------------------------------------------------------------------------- */

void trace_event_free(struct trace_event *ev)
{
	free(ev->text);
	for (size_t i = 0; i < ev->argc; i++)
		free(ev->argv[i]);
	free(ev->argv);
	ev->text = NULL;
	ev->argv = NULL;
	ev->argc = 0;
}

int trace_add(struct trace *t, struct trace_event *ev)
{
	if (t->n == t->room) {
		size_t room = t->room ? 2 * t->room : 256;
		struct trace_event *more = reallocarray(t->events, room, sizeof(*more));

		if (!more) {
			trace_event_free(ev);
			return -ENOMEM;
		}
		t->events = more;
		t->room = room;
	}
	ev->seq = t->n;
	t->events[t->n++] = *ev;
	return 0;
}

/* Equal times keep the order in which they came: a birth is before what the newborn does. */
static int by_time(const void *a, const void *b)
{
	const struct trace_event *x = a, *y = b;

	if (x->at_ns != y->at_ns)
		return x->at_ns < y->at_ns ? -1 : 1;
	return (x->seq > y->seq) - (x->seq < y->seq);
}

static void drop_before(struct trace *t, uint64_t begin_ns)
{
	size_t n = 0;

	while (n < t->n && t->events[n].at_ns < begin_ns)
		trace_event_free(&t->events[n++]);
	t->n -= n;
	if (n)
		memmove(t->events, t->events + n, t->n * sizeof(*t->events));
}

void trace_sort(struct trace *t)
{
	if (!t->n)
		return;
	qsort(t->events, t->n, sizeof(*t->events), by_time);
	if (t->ended) {
		drop_before(t, t->begin_ns);
		return;
	}
	t->begin_ns = t->events[0].at_ns;
	t->end_ns = t->events[t->n - 1].at_ns;
}

void trace_free(struct trace *t)
{
	for (size_t i = 0; i < t->n; i++)
		trace_event_free(&t->events[i]);
	free(t->events);
	t->events = NULL;
	t->n = t->room = 0;
}
