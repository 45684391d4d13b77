/* SPDX-License-Identifier: MIT */
/* Functions, as a client asks for them: see remote_function.h. */
#include "serve/remote_function.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "function/function_json.h"
#include "serve/listing.h"
#include "serve/packet.h"
#include "serve/remote.h"
#include "serve/request.h"
#include "serve/stores.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A daemon that lives answers at once; but for what a disk takes. */
#define PATIENCE_MS 60000
#define ANSWER_MAX  (64U << 20)

static int lacks(const char *control, int code, struct cloche_err *err)
{
	if (code == -ENOENT || code == -ECONNREFUSED || code == -EACCES)
		return cloche_err_set(err, ENOTCONN,
				      "deployed functions are the daemon's, and none can be "
				      "reached at '%.200s'; have 'cloche serve' started",
				      control);
	return code;
}

static int open_daemon(const char *control, struct remote *ret, struct cloche_err *err)
{
	return lacks(control, remote_open(control, ret, err), err);
}

/* The descriptors are the caller's, also on failure. */
static int ask(const char *control, struct request *request, const struct packet_fds *with,
	       struct answer *answer, struct packet_fds *fds, struct cloche_err *err)
{
	struct remote remote = { .socket = -1 };
	struct pollfd there = { .events = POLLIN };
	int code = open_daemon(control, &remote, err);

	if (code < 0)
		return code;
	request_version(request->version);
	there.fd = remote.socket;
	code = packet_send(remote.socket, request, sizeof(*request), with);
	/* It may have said why it does not listen. */
	if (code < 0 && code != -EPIPE && code != -ECONNRESET)
		code = remote_asked(code, err);
	else
		do
			code = poll(&there, 1, PATIENCE_MS);
		while (code < 0 && errno == EINTR);
	if (code == 0)
		code = cloche_err_set(err, ETIMEDOUT, "the daemon does not answer");
	else if (code > 0)
		code = remote_hear(&remote, answer, fds, err);
	remote_close(&remote);
	return code;
}

/* Whoever runs the daemon wrote it: it may be anything. */
static int take_text(int fd, json_t **ret, struct cloche_err *err)
{
	cleanup_free char *text = NULL;
	struct stat st;
	int r;

	if (fcntl(fd, F_GET_SEALS) < 0 || fstat(fd, &st) < 0 || st.st_size > ANSWER_MAX)
		return cloche_err_set(err, EPROTO, "the daemon answered something else");
	r = request_read_text(fd, (size_t)st.st_size, &text);
	if (r < 0)
		return cloche_err_sys(err, -r, "read what the daemon answered");
	*ret = function_parse(text, (size_t)st.st_size, err);
	return *ret ? 0 : cloche_err_wrap(err, "what the daemon answered");
}

static int ask_for_text(const char *control, struct request *request, const struct packet_fds *with,
			json_t **ret, struct cloche_err *err)
{
	cleanup_free struct answer *answer = calloc(1, sizeof(*answer));
	struct packet_fds fds = { .n = 0 };
	int code;

	if (!answer)
		return cloche_err_sys(err, ENOMEM, "ask the daemon");
	code = ask(control, request, with, answer, &fds, err);
	if (code == 0)
		code = answer->kind == ANSWER_FUNCTIONS && fds.n == 1
			       ? take_text(fds.fd[0], ret, err)
			       : cloche_err_set(err, EPROTO, "the daemon answered something else");
	packet_close_fds(&fds);
	return code;
}

static void name_function(struct request *request, const char *name)
{
	(void)snprintf(request->function, sizeof(request->function), "%s", name);
}

int remote_deploy(const char *control, const json_t *functions, json_t **ret,
		  struct cloche_err *err)
{
	cleanup_free char *text = json_dumps(functions, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;
	struct request request = { .kind = REQUEST_DEPLOY, .order_len = (uint32_t)len };
	struct packet_fds with = { .n = 1 };
	int code;

	if (!text)
		return cloche_err_sys(err, ENOMEM, "deploy");
	if (len > REQUEST_DEPLOY_MAX)
		return cloche_err_set(err, E2BIG,
				      "the functions are more than can be deployed at once: make "
				      "several files of them");
	with.fd[0] = listing_hand(text, len);
	if (with.fd[0] < 0)
		return cloche_err_sys(err, -with.fd[0], "hand the functions over (memfd)");
	code = ask_for_text(control, &request, &with, ret, err);
	packet_close_fds(&with);
	return code;
}

int remote_functions(const char *control, const char *name, json_t **ret, struct cloche_err *err)
{
	struct request request = { .kind = REQUEST_FUNCTIONS };

	name_function(&request, name ? name : "");
	return ask_for_text(control, &request, NULL, ret, err);
}

int remote_rollback(const char *control, const char *name, uint32_t version, json_t **ret,
		    struct cloche_err *err)
{
	struct request request = { .kind = REQUEST_ROLLBACK, .function_version = version };

	name_function(&request, name);
	return ask_for_text(control, &request, NULL, ret, err);
}

int remote_forget(const char *control, const char *name, struct cloche_err *err)
{
	cleanup_free struct answer *answer = calloc(1, sizeof(*answer));
	struct request request = { .kind = REQUEST_FORGET };
	struct packet_fds fds = { .n = 0 };
	int code;

	if (!answer)
		return cloche_err_sys(err, ENOMEM, "ask the daemon");
	name_function(&request, name);
	code = ask(control, &request, NULL, answer, &fds, err);
	packet_close_fds(&fds);
	if (code == 0 && answer->kind != ANSWER_DONE)
		code = cloche_err_set(err, EPROTO, "the daemon answered something else");
	return code;
}

int remote_function_images(const char *control, int ret[static 2], struct cloche_err *err)
{
	return lacks(control, remote_stores(control, ret, err), err);
}

int remote_codes(const char *control, int *ret, struct cloche_err *err)
{
	cleanup_free struct answer *answer = calloc(1, sizeof(*answer));
	struct request request = { .kind = REQUEST_STORES, .image_form = IMAGE_OF_CODE };
	struct packet_fds fds = { .n = 0 };
	int code;

	if (!answer)
		return cloche_err_sys(err, ENOMEM, "ask the daemon");
	code = ask(control, &request, NULL, answer, &fds, err);
	if (code == 0 && (answer->kind != ANSWER_STORES || fds.n > 1))
		code = cloche_err_set(err, EPROTO, "the daemon answered something else");
	if (code == 0)
		*ret = fds.n ? fds.fd[--fds.n] : -1;
	packet_close_fds(&fds);
	return code;
}
