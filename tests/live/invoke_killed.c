/* SPDX-License-Identifier: MIT */
/*
 * A function that stays is invoked again and again while its processes and their wardens are
 * killed, at any moment between two events and within one: each event has one answer, soon, and
 * what was answered well is in the ledger once. Needs root and HELPERS.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve/packet.h"
#include "serve/request.h"
#include "tests/lib/env.h"
#include "tests/lib/functions.h"
#include "tests/lib/load.h"

#define CLIENTS 2
#define BLOWS	400
#define MOST	64
/* No answer takes as long by itself, beside whatever else. */
#define PATIENCE_S 60

static const char yaml[] =
	"functions:\n"
	"  victim: {runtime: native, code: native, handler: native, memory: 1769, timeout: 60s,\n"
	"           concurrency: {reserved: 2, wait: 60s}}\n";

struct shared_page {
	int stop;
	unsigned answered[CLIENTS], well[CLIENTS];
};

static void put_native(const struct project *s)
{
	cleanup_run struct run run = { 0 };
	char from[700], to[700];

	project_dir(s, "native");
	(void)snprintf(from, sizeof(from), "%s/native", env_need("HELPERS"));
	(void)snprintf(to, sizeof(to), "%s/native/native", s->project);
	RUN(&run, "cp", from, to);
	cr_assert_eq(run.status, 0, "%s", run.err);
}

/* ---- who asks -------------------------------------------------------------------------------- */

/* The verdict; -errno: there was no answer. */
static int ask_once(const struct project *s)
{
	static char bytes[sizeof(struct answer) + REQUEST_SHORT];
	const struct answer *a = (const struct answer *)bytes;
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	struct request r = { .kind = REQUEST_INVOKE, .event_len = 2 };
	int socket = daemon_knock(&s->d), verdict = -EPROTO;

	request_version(r.version);
	(void)snprintf(r.function, sizeof(r.function), "victim");
	(void)setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (packet_send_with(socket, &r, sizeof(r), "{}", 2, NULL) < 0)
		verdict = -errno;
	while (verdict == -EPROTO) {
		ssize_t n = recv(socket, bytes, sizeof(bytes), 0);

		if (n < (ssize_t)sizeof(*a))
			verdict = n < 0 ? -errno : -EPIPE;
		else if (a->kind == ANSWER_OUTCOME)
			verdict = (int)a->outcome.verdict;
		else if (a->kind != ANSWER_STARTING)
			break;
	}
	(void)close(socket);
	return verdict;
}

/* Exits with 0, or with what kept it from an answer. */
static pid_t begin_client(const struct project *s, struct shared_page *page, int which)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setresuid((uid_t)atoi(DAEMON_USER), (uid_t)atoi(DAEMON_USER), 0) < 0)
		_exit(255);
	while (!__atomic_load_n(&page->stop, __ATOMIC_SEQ_CST)) {
		int verdict = ask_once(s);

		if (verdict < 0)
			_exit(-verdict);
		page->answered[which]++;
		page->well[which] += verdict == VERDICT_OK;
	}
	_exit(0);
}

/* ---- who kills ------------------------------------------------------------------------------- */

/* A warden, or who runs in its context: a blank has nobody. */
static void strike(const struct project *s, pid_t front, uint64_t *state)
{
	pid_t all[MOST], inside[MOST], warden = front;
	unsigned n = process_children(s->d.pid, all, MOST), m = 0;

	if (n)
		warden = all[load_choose(state, n)];
	if (warden != front)
		m = process_children(warden, inside, MOST);
	if (m)
		(void)kill(load_choose(state, 2) ? inside[0] : warden, SIGKILL);
}

Test(invoke_killed, each_event_has_one_answer)
{
	uint64_t seed = (uint64_t)clock_real_ns() % UINT32_MAX + 1, state = seed;
	struct shared_page *page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned well = 0, answered = 0;
	pid_t clients[CLIENTS], front;
	struct project s;
	int status;

	cr_assert_neq(page, MAP_FAILED);
	project_begin(&s, "");
	put_native(&s);
	project_deploy(&s, yaml);
	front = daemon_front(&s.d);
	for (int i = 0; i < CLIENTS; i++)
		cr_assert_gt(clients[i] = begin_client(&s, page, i), 0);
	for (int i = 0; i < BLOWS; i++) {
		(void)poll(NULL, 0, 1 + (int)load_choose(&state, 20));
		strike(&s, front, &state);
	}
	__atomic_store_n(&page->stop, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < CLIENTS; i++) {
		cr_assert_eq(waitpid(clients[i], &status, 0), clients[i]);
		cr_expect_eq(status, 0, "%u answers, then %s (seed %llu)", page->answered[i],
			     strerror(WEXITSTATUS(status)), (unsigned long long)seed);
		answered += page->answered[i];
		well += page->well[i];
	}
	cr_expect_gt(well, 0);
	cr_expect_gt(answered, well, "nothing was hit");
	daemon_expect_records(&s.d, "victim        ok", well);
	project_end(&s);
	(void)munmap(page, sizeof(*page));
}
