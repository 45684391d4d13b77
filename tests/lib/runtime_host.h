/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_RUNTIME_HOST_H
#define CLOCHE_TESTS_LIB_RUNTIME_HOST_H

/* A runtime as a plain process of the test's, and the Runtime API that it asks (runtime_rig.h). */
#include "tests/lib/runtime_rig.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "launch/bootstraps.h"
#include "tests/lib/env.h"
#include "tests/lib/spawn.h"
#include "tests/lib/tmpdir.h"

#define ID "8476a536-e9f4-11e8-9739-2dfe598c3fcd"

struct file {
	const char *name, *text;
};

/* A runtime's process, and the host's side of it. */
struct host {
	struct runtime_rig rig;
	char *dir; /* with the bootstrap, "task", and its output in "log" */
	const char *const
		*client; /* its command instead of a bootstrap of ours, the handler behind */
	pid_t pid;
	struct runtime_answer answer;
	char *text; /* of the answer */
};

RIG_UNUSED static void put(const char *dir, const char *name, const void *bytes, size_t len,
			   mode_t mode)
{
	char path[512], *slash = tmpdir_path(path, dir, name) + strlen(dir) + 1;
	cleanup_fd int fd = -1;

	while ((slash = strchr(slash, '/'))) {
		*slash = '\0';
		(void)mkdir(path, 0755);
		*slash++ = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	cr_assert_geq(fd, 0, "%s: %m", path);
	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
}

RIG_UNUSED static void put_bootstrap(const char *dir, const char *runtime)
{
	const struct bootstrap *b = bootstraps;

	while (b->name && strcmp(b->name, runtime) != 0)
		b++;
	cr_assert_not_null(b->name, "%s", runtime);
	put(dir, "bootstrap", b->bytes, b->len, 0755);
}

RIG_UNUSED static void execute(const struct host *h, const char *handler)
{
	char api[64], task[600], name[300], path[512];
	char *env[] = { api,
			task,
			name,
			"AWS_LAMBDA_FUNCTION_NAME=f",
			"AWS_LAMBDA_FUNCTION_VERSION=7",
			"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128",
			"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/f",
			"AWS_LAMBDA_LOG_STREAM_NAME=stream",
			"PATH=/usr/local/bin:/usr/bin:/bin",
			"LANG=en_US.UTF-8",
			NULL };
	const char *argv[8] = { "bootstrap" };
	int out = open(tmpdir_path(path, h->dir, "log"), O_WRONLY | O_CREAT | O_APPEND, 0644);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)snprintf(api, sizeof(api), "AWS_LAMBDA_RUNTIME_API=%s", h->rig.address);
	(void)snprintf(task, sizeof(task), "LAMBDA_TASK_ROOT=%s/task", h->dir);
	(void)snprintf(name, sizeof(name), "_HANDLER=%s", handler);
	(void)dup2(out, STDOUT_FILENO);
	(void)dup2(out, STDERR_FILENO);
	for (size_t i = 0; h->client && h->client[i]; i++) {
		argv[i] = h->client[i];
		argv[i + 1] = handler;
	}
	if (chdir(strchr(task, '=') + 1) == 0)
		(void)execve(h->client ? argv[0] : tmpdir_path(path, h->dir, "bootstrap"),
			     (char *const *)argv, env);
	_exit(99);
}

/* runtime: the name of a bootstrap; NULL: client is what runs. */
RIG_UNUSED static void start_any(struct host *h, const char *runtime, const char *const client[],
				 const char *handler, const struct file files[])
{
	char path[512];

	*h = (struct host){ .dir = tmpdir_make(), .client = client };
	rig_open(&h->rig);
	if (runtime)
		put_bootstrap(h->dir, runtime);
	for (; files->name; files++)
		put(h->dir, tmpdir_path(path, "task", files->name), files->text,
		    strlen(files->text), 0644);
	h->pid = fork();
	if (h->pid == 0)
		execute(h, handler);
}

RIG_UNUSED static void start(struct host *h, const char *runtime, const char *handler,
			     const struct file files[])
{
	start_any(h, runtime, NULL, handler, files);
}

RIG_UNUSED static char *log_of(const struct host *h)
{
	char path[512];

	return contents(tmpdir_path(path, h->dir, "log"));
}

RIG_UNUSED static enum runtime_news next_news(struct host *h)
{
	enum runtime_news news = rig_news(&h->rig);

	if (news == RUNTIME_ASKED)
		return news;
	runtime_http_answer(h->rig.http, &h->answer);
	free(h->text);
	h->text = strndup(h->answer.bytes, h->answer.len);
	return news;
}

/* One invocation; what comes of it is in h->answer and h->text. */
RIG_UNUSED static enum runtime_news invoke(struct host *h, const struct runtime_event *event)
{
	while (next_news(h) != RUNTIME_ASKED)
		;
	cr_assert_eq(runtime_http_give(h->rig.http, event, NULL), 0);
	return next_news(h);
}

RIG_UNUSED static enum runtime_news invoke_with(struct host *h, const char *payload)
{
	struct runtime_event e = { .request_id = ID,
				   .deadline_ms = 4102444800000,
				   .function_arn = "arn:f",
				   .payload = payload,
				   .len = strlen(payload) };

	return invoke(h, &e);
}

RIG_UNUSED static int end(struct host *h, int signal)
{
	cleanup_fd int pidfd = pidfd_open(h->pid, 0);
	int status = -1;

	if (signal)
		(void)kill(h->pid, signal);
	while (waitpid(h->pid, &status, WNOHANG) == 0)
		rig_turn(&h->rig, pidfd);
	rig_close(&h->rig);
	free(h->text);
	tmpdir_free(&h->dir);
	return status;
}

RIG_UNUSED static void expect_error(const struct host *h, const char *type, const char *message)
{
	json_t *error = json_loads(h->text, 0, NULL);

	cr_assert_not_null(error, "%s", h->text);
	cr_expect_str_eq(json_string_value(json_object_get(error, "errorType")), type);
	cr_expect_not_null(
		strstr(json_string_value(json_object_get(error, "errorMessage")), message), "%s",
		h->text);
	cr_expect_str_eq(h->answer.error_type, type);
	cr_expect(json_is_array(json_object_get(error, "stackTrace")) ||
		  json_is_array(json_object_get(error, "trace")));
	json_decref(error);
}

#define FILES(...) ((const struct file[]){ __VA_ARGS__, { NULL, NULL } })

#endif
