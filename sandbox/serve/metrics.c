/* SPDX-License-Identifier: MIT */
/* Between libmicrohttpd's epoll and sd-event's: see metrics.h. */
#include "serve/metrics.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/tick.h"
#include "serve/counts.h"
#include "serve/front.h"
#include "serve/lister.h"
#include "serve/listing.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define CONNECTIONS_MAX 16
#define PATIENCE_S	10U
#define CONTENT_TYPE	"text/plain; version=0.0.4; charset=utf-8"

struct metrics {
	struct front *front;
	struct MHD_Daemon *http;
	sd_event_source *io, *time;
	struct MHD_Connection *waiting[CONNECTIONS_MAX];
};

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, char *text, size_t len)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result done;

	if (!r)
		return MHD_NO;
	(void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, CONTENT_TYPE);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		(void)MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	done = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return done;
}

static enum MHD_Result answer_text(struct MHD_Connection *c, unsigned status, const char *text)
{
	return answer(c, status, (char *)(uintptr_t)text, strlen(text));
}

static enum MHD_Result answer_counts(struct metrics *m, struct MHD_Connection *c)
{
	cleanup_free struct listing *all = lister_list(m->front, 0);
	cleanup_free char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	if (!to)
		return MHD_NO;
	if (all)
		counts_write(&m->front->counts, all, to);
	if (fclose(to) != 0 || !all)
		return MHD_NO;
	return answer(c, MHD_HTTP_OK, text, len);
}

static enum MHD_Result wait_for_launcher(struct metrics *m, struct MHD_Connection *c)
{
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		if (!m->waiting[i]) {
			m->waiting[i] = c;
			MHD_suspend_connection(c);
			return MHD_YES;
		}
	return MHD_NO;
}

/* Called once when the head is there, and again for the rest of it. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **seen)
{
	static int begun;
	struct metrics *m = arg;

	if (!*seen) {
		*seen = &begun;
		return MHD_YES;
	}
	if (*upload_len) {
		*upload_len = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET /metrics\n");
	if (strcmp(url, "/metrics") != 0)
		return answer_text(c, MHD_HTTP_NOT_FOUND, "GET /metrics\n");
	return lister_ready(m->front) ? answer_counts(m, c) : wait_for_launcher(m, c);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static unsigned connections(const struct metrics *m)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(m->http, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

	return info ? info->num_connections : 0;
}

/* At its limit the library listens no more, and begins again with the next run only: of the one
 * in which connections ended nobody would tell it that there is room. */
static void run(struct metrics *m)
{
	unsigned before = connections(m), now = before;

	for (int i = 0; i == 0 || (now < before && i < CONNECTIONS_MAX); i++) {
		before = now;
		/* It throws away what else is sent. */
		tick_begin();
		(void)MHD_run(m->http);
		tick_end();
		now = connections(m);
	}
}

static void turn(struct metrics *m)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;

	run(m);
	if (MHD_get_timeout(m->http, &ms) != MHD_YES) {
		(void)sd_event_source_set_enabled(m->time, SD_EVENT_OFF);
		return;
	}
	(void)sd_event_source_set_time_relative(m->time, (uint64_t)ms * 1000);
	(void)sd_event_source_set_enabled(m->time, SD_EVENT_ONESHOT);
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	turn(arg);
	return 0;
}

static int on_time(sd_event_source *s, uint64_t usec, void *arg)
{
	turn(arg);
	return 0;
}

void metrics_listed(struct metrics *m)
{
	bool any = false;

	for (int i = 0; m && i < CONNECTIONS_MAX; i++) {
		struct MHD_Connection *c = m->waiting[i];

		m->waiting[i] = NULL;
		if (c)
			MHD_resume_connection(c);
		any |= c != NULL;
	}
	if (any)
		turn(m);
}

/* What goes wrong with one client is nobody's news. */
static void say_nothing(void *arg, const char *fmt, va_list ap)
{
}

static int start(struct metrics *m, int listening, struct cloche_err *err)
{
	const union MHD_DaemonInfo *info = NULL;
	int r;

	m->http = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
				   NULL, NULL, on_request, m, MHD_OPTION_EXTERNAL_LOGGER,
				   say_nothing, NULL, MHD_OPTION_LISTEN_SOCKET, listening,
				   MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
				   MHD_OPTION_CONNECTION_TIMEOUT, PATIENCE_S, MHD_OPTION_END);
	if (m->http)
		info = MHD_get_daemon_info(m->http, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info)
		return cloche_err_set(err, EIO, "begin to answer for metrics");
	r = sd_event_add_io(m->front->event, &m->io, info->epoll_fd, EPOLLIN, on_io, m);
	if (r >= 0)
		r = sd_event_add_time_relative(m->front->event, &m->time, CLOCK_MONOTONIC, 0, 0,
					       on_time, m);
	return r < 0 ? cloche_err_sys(err, -r, "begin to answer for metrics") : 0;
}

int metrics_open(struct front *f, int listening, struct metrics **ret, struct cloche_err *err)
{
	struct metrics *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return cloche_err_sys(err, ENOMEM, "begin to answer for metrics");
	m->front = f;
	r = start(m, listening, err);
	if (r < 0) {
		(void)metrics_close(m);
		return r;
	}
	*ret = m;
	return 0;
}

struct metrics *metrics_close(struct metrics *m)
{
	if (!m)
		return NULL;
	(void)sd_event_source_disable_unref(m->io);
	(void)sd_event_source_disable_unref(m->time);
	/* None may be suspended then. */
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		if (m->waiting[i])
			MHD_resume_connection(m->waiting[i]);
	if (m->http)
		MHD_stop_daemon(m->http);
	free(m);
	return NULL;
}
