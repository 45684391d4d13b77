/* SPDX-License-Identifier: MIT */
/* Which interpreter there is for a runtime, by asking it: see interpreter.h. */
#include "cli/interpreter.h"

#include "base/fd.h"
#include "base/process.h"
#include "base/quote.h"
#include "function/function.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What says no version in that time is not waited for. */
#define PATIENCE_MS 5000

/* As the first lines of vm-images/bootstraps name them. */
static const char *path_of(const char *runtime)
{
	enum function_family family;

	if (!runtime || !function_family_of(runtime, &family))
		return NULL;
	switch (family) {
	case FAMILY_PYTHON3:
		return "/usr/bin/python3";
	case FAMILY_NODEJS:
		return "/usr/bin/node";
	default:
		return NULL;
	}
}

_Noreturn static void say_version(const char *path, int out)
{
	char *const argv[] = { (char *)(uintptr_t)path, (char *)(uintptr_t) "--version", NULL };
	char *const env[] = { NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0)
		_exit(127);
	(void)execve(path, argv, env);
	_exit(127);
}

/* Its first words; what it does besides is nobody's matter. */
static void hear_version(int in, char *ret, size_t size)
{
	struct pollfd there = { .fd = in, .events = POLLIN };
	char text[256];
	ssize_t n = 0;

	if (poll(&there, 1, PATIENCE_MS) == 1)
		n = read(in, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	quote_field(ret, size, text);
}

static void ask_version(const char *path, char *ret, size_t size)
{
	struct process p;
	int pair[2];
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid == 0)
		say_version(path, pair[1]);
	(void)close(pair[1]);
	if (pid > 0) {
		p = process_open(pid);
		hear_version(pair[0], ret, size);
		process_kill(&p);
		(void)process_reap(&p, NULL);
	}
	(void)close(pair[0]);
}

bool interpreter_find(const char *runtime, struct interpreter *ret)
{
	const char *path = path_of(runtime);
	char real[PATH_MAX];

	if (!path)
		return false;
	*ret = (struct interpreter){ .is_there = realpath(path, real) != NULL };
	quote_field(ret->path, sizeof(ret->path), ret->is_there ? real : path);
	if (ret->is_there)
		ask_version(real, ret->version, sizeof(ret->version));
	return true;
}
