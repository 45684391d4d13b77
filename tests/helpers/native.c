/* SPDX-License-Identifier: MIT */
/* A native function: what it does, its event says. */
#include "runtime/cloche_handler.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>

static unsigned count, before_ran, after_ran;
static volatile sig_atomic_t signals;

static void on_signal(int number)
{
	signals++;
}

/* What the next event could find. */
static int trace(struct cloche_response *response)
{
	int fd = open("/tmp/x", O_RDWR | O_CREAT, 0600);

	if (fd < 0 || write(fd, "x", 1) != 1 || setenv("TRACE", "x", 1) < 0 ||
	    fcntl(1, F_SETFL, O_NONBLOCK) < 0)
		return 1;
	return cloche_respond(response, "left", 4);
}

/* Whether what it is a fork of is within reach. */
static int tries(struct cloche_response *response)
{
	static char text[128];
	struct stat st;
	char path[40];
	int flags = fcntl(1, F_GETFL);

	(void)snprintf(path, sizeof(path), "/proc/%d", (int)getppid());
	(void)snprintf(text, sizeof(text), "%d %d %d %d %d %d",
		       ptrace(PTRACE_ATTACH, getppid()) == 0, stat(path, &st) == 0,
		       access("/tmp/x", F_OK) == 0, getenv("TRACE") != NULL,
		       (flags & O_NONBLOCK) != 0, fcntl(3, F_GETFD) >= 0 && fcntl(4, F_GETFD) >= 0);
	return cloche_respond(response, text, strlen(text));
}

/* How many signals there were before; and what it is a fork of gets some. */
static int send_signals(struct cloche_response *response)
{
	static char text[32];

	(void)snprintf(text, sizeof(text), "%d signals", (int)signals);
	(void)kill(getppid(), SIGUSR1);
	(void)kill(getppid(), SIGTERM);
	(void)kill(getppid(), SIGHUP);
	return cloche_respond(response, text, strlen(text));
}

/* What forks would share, as its environment has it. Held to the end. */
static int init_descriptor;
static void *init_memory;

static int init(void)
{
	const char *how = getenv("NATIVE_INIT");

	if (how && strcmp(how, "file") == 0)
		init_descriptor = open("/etc/passwd", O_RDONLY);
	if (how && strcmp(how, "shared") == 0)
		init_memory =
			mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return init_descriptor < 0 || init_memory == MAP_FAILED;
}

static int before(void)
{
	before_ran = 1;
	return 0;
}

static int after(void)
{
	after_ran++;
	return 0;
}

static int answer(const struct cloche_event *event, struct cloche_response *response)
{
	static char text[128];
	const char *what = (const char *)event->data;

	count++;
	if (strcmp(what, "count") == 0) {
		(void)snprintf(text, sizeof(text), "%u %s", count, event->request_id);
		printf("event %u\n", count);
		(void)fflush(stdout);
		return cloche_respond(response, text, strlen(text));
	}
	if (strcmp(what, "hooks") == 0) {
		(void)snprintf(text, sizeof(text), "%u %u", before_ran, after_ran);
		return cloche_respond(response, text, strlen(text));
	}
	if (strcmp(what, "fail") == 0)
		return cloche_fail(response, "Native.Error", "no \"such\" thing");
	if (strcmp(what, "leave") == 0)
		return 9;
	if (strcmp(what, "exit") == 0)
		exit(0);
	if (strcmp(what, "trace") == 0)
		return trace(response);
	if (strcmp(what, "tries") == 0)
		return tries(response);
	if (strcmp(what, "signals") == 0)
		return send_signals(response);
	if (strcmp(what, "process") == 0 && fork() == 0)
		for (;;)
			(void)pause();
	if (strcmp(what, "insist") == 0) {
		(void)cloche_send(CLOCHE_READY, NULL, NULL, 0);
		(void)pause();
	}
	return cloche_respond(response, event->data, event->len);
}

int main(void)
{
	static const struct cloche_hooks hooks = { before, after };

	(void)signal(SIGUSR1, on_signal);
	(void)signal(SIGTERM, on_signal);
	puts("init");
	(void)fflush(stdout);
	if (init() != 0)
		return 1;
	return cloche_serve_with(answer, &hooks);
}
