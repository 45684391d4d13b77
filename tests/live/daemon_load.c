/* SPDX-License-Identifier: MIT */
/*
 * Five owners ask for functions that crash, fork, hang, fill /tmp and eat memory, while front,
 * launcher and wardens are killed at random moments: each request has one answer or one clear
 * error, the ledger is whole and has exactly what was answered, and in the end nothing is left.
 *
 * LOAD_SECONDS: for how long (20); LOAD_SEED: the same choices again. What is chosen when depends
 * on the machine all the same.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/parse.h"
#include "tests/lib/daemon.h"
#include "tests/lib/leftovers.h"
#include "tests/lib/load.h"
#include "tests/lib/run.h"

#define CHILDREN_MAX 256
/* Told of; more say the same. */
#define SHOWN	    20
#define REASONS_MAX 24

/* Small, so that the limits are met, too. */
static const char configuration[] = "contexts: 14\n"
				    "memory: 768M\n"
				    "per_owner: {contexts: 3, memory: 128M, waiting: 1}\n"
				    "wait: 5s\n"
				    "idle_expiry: 1s\n"
				    "silence: 2s\n";

struct trial {
	struct daemon daemon;
	int log; /* what daemons have said */
	uint64_t state;
	unsigned n[8];		  /* blows of each kind */
	unsigned faults, unnamed; /* records */
};

/* Also of one that passes. */
#define say(...) (void)(fprintf(stderr, __VA_ARGS__) + fputc('\n', stderr))

/* ---- the daemon ------------------------------------------------------------------------------ */

static void complain(struct trial *t, const char *what, const char *of)
{
	if (++t->faults <= SHOWN)
		cr_log_error("%s: %s", what, of);
}

static void complain_of(struct trial *t, const char *what, const char *name,
			const struct load_result *r)
{
	char text[LOAD_NAME_LEN + 200];

	(void)snprintf(text, sizeof(text), "%s, which %s: status %d, '%s', %s, %s", name,
		       load_kind(r->kind), r->status, r->verdict, r->request_id, r->why);
	complain(t, what, text);
}

static bool said_since(const struct trial *t, off_t from, const char *text)
{
	char bytes[4096];
	ssize_t n = pread(t->log, bytes, sizeof(bytes) - 1, from);

	bytes[n > 0 ? n : 0] = '\0';
	return strstr(bytes, text) != NULL;
}

static void show_log(const struct trial *t)
{
	char bytes[4096];
	off_t end = lseek(t->log, 0, SEEK_END);
	ssize_t n = pread(t->log, bytes, sizeof(bytes) - 1, end > 4095 ? end - 4095 : 0);

	bytes[n > 0 ? n : 0] = '\0';
	cr_log_error("the daemon said last: %s", bytes);
}

/* False: it has ended instead; its pid is 0 then. */
static bool is_up(struct trial *t)
{
	int status;

	if (t->daemon.pid && waitpid(t->daemon.pid, &status, WNOHANG) == t->daemon.pid) {
		t->daemon.pid = 0;
		complain(t, "the launcher has ended by itself", "see what it said");
		show_log(t);
	}
	return t->daemon.pid != 0;
}

/* Waits until it is ready, but for one that is killed before. */
static void start(struct trial *t, bool whole)
{
	off_t from = lseek(t->log, 0, SEEK_END);

	t->daemon.pid = daemon_spawn(&t->daemon, t->log);
	cr_assert(t->daemon.pid > 0);
	while (whole && is_up(t) && !said_since(t, from, "cloche serve: ready"))
		(void)poll(NULL, 0, 10);
}

static void end(struct trial *t, int how)
{
	int status;

	if (!is_up(t))
		return;
	(void)kill(t->daemon.pid, how);
	status = process_status(t->daemon.pid);
	t->daemon.pid = 0;
	if (status != (how == SIGTERM ? 0 : 128 + how)) {
		complain(t, "the launcher's end", status == 0 ? "0" : "another status");
		show_log(t);
	}
}

/* ---- blows ----------------------------------------------------------------------------------- */

static bool is_child(pid_t pid, pid_t of, bool *ret_front)
{
	char path[64], text[512] = "";
	const char *at;
	FILE *f;
	size_t n;
	int parent = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	if (f)
		(void)fclose(f);
	at = n ? strrchr(text, ')') : NULL;
	if (!at || sscanf(at + 1, " %*c %d", &parent) != 1 || parent != of)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	f = fopen(path, "re");
	n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	if (f)
		(void)fclose(f);
	text[n] = '\0';
	*ret_front = strcmp(text, "cloched") == 0;
	return true;
}

/* One that is the launcher's child still, by a descriptor that no other process can be meant by. */
static void strike(struct trial *t, pid_t pid, bool front, int how)
{
	cleanup_fd int fd = pidfd_open(pid, 0);
	bool is_front;

	if (fd >= 0 && is_child(pid, t->daemon.pid, &is_front) && is_front == front)
		(void)pidfd_send_signal(fd, how, NULL, 0);
}

static unsigned children(const struct trial *t, pid_t ret[static CHILDREN_MAX])
{
	return process_children(t->daemon.pid, ret, CHILDREN_MAX);
}

static void strike_front(struct trial *t, int how)
{
	pid_t all[CHILDREN_MAX];
	unsigned n = children(t, all);

	for (unsigned i = 0; i < n; i++)
		strike(t, all[i], true, how);
}

static void strike_wardens(struct trial *t, unsigned how_many)
{
	pid_t all[CHILDREN_MAX];
	unsigned n = children(t, all);

	for (; n && how_many; how_many--)
		strike(t, all[load_choose(&t->state, n)], false, SIGKILL);
}

static void kill_front(struct trial *t)
{
	strike_front(t, SIGKILL);
}

static void kill_a_warden(struct trial *t)
{
	strike_wardens(t, 1);
}

static void stop_front(struct trial *t)
{
	strike_front(t, SIGSTOP);
}

static void kill_launcher(struct trial *t)
{
	end(t, SIGKILL);
	/* The next ones may not come as far as to serve. */
	while (load_choose(&t->state, 4) == 0) {
		start(t, false);
		(void)poll(NULL, 0, (int)load_choose(&t->state, 150));
		end(t, SIGKILL);
	}
	start(t, true);
}

static void kill_all(struct trial *t)
{
	(void)kill(t->daemon.pid, SIGSTOP);
	strike_front(t, SIGKILL);
	strike_wardens(t, 6);
	kill_launcher(t);
}

static void stop_well(struct trial *t)
{
	end(t, SIGTERM);
	start(t, true);
}

static void reload(struct trial *t)
{
	(void)kill(t->daemon.pid, SIGHUP);
}

static const struct {
	const char *name;
	void (*strike)(struct trial *t);
	unsigned weight;
} blows[] = {
	{ "front killed", kill_front, 8 },
	{ "warden killed", kill_a_warden, 8 },
	{ "front stopped", stop_front, 1 },
	{ "launcher killed", kill_launcher, 3 },
	{ "all killed", kill_all, 2 },
	{ "launcher told to end", stop_well, 1 },
	{ "launcher told to reload", reload, 1 },
};
#define BLOWS (sizeof(blows) / sizeof(blows[0]))

static void strike_somewhere(struct trial *t)
{
	unsigned all = 0, at, i = 0;

	for (size_t b = 0; b < BLOWS; b++)
		all += blows[b].weight;
	at = load_choose(&t->state, all);
	while (at >= blows[i].weight)
		at -= blows[i++].weight;
	t->n[i]++;
	blows[i].strike(t);
}

/* ---- what the ledger has of it --------------------------------------------------------------- */

/* For each request: how many records. */
static void look_at_record(struct trial *t, const struct load *l, const json_t *record,
			   unsigned (*found)[LOAD_MOST])
{
	const char *name = json_string_value(json_object_get(record, "function"));
	const char *id = json_string_value(json_object_get(record, "request_id"));
	const char *verdict = json_string_value(json_object_get(record, "verdict"));
	struct load_result *r = name ? load_find(l, name) : NULL;
	unsigned lane = 0, at = 0;

	/* Of run_once(). */
	if (!name && t->unnamed++ == 0)
		return;
	if (!r || !id || !verdict) {
		complain(t, "a record of nobody's", name ? name : "without a name");
		return;
	}
	(void)sscanf(name, "lane%u-%u", &lane, &at);
	if (found[lane][at]++)
		complain(t, "a second record", name);
	if (r->answer == LOAD_ANSWERED &&
	    (strcmp(r->request_id, id) != 0 || strcmp(r->verdict, verdict) != 0))
		complain(t, "the record says something else", name);
}

static void compare(struct trial *t, const struct load *l)
{
	unsigned(*found)[LOAD_MOST] = calloc(LOAD_OWNERS * LOAD_LANES, sizeof(*found));
	struct run run = { .timeout_ms = 600000 };
	char *save = NULL, name[LOAD_NAME_LEN];

	cr_assert(found != NULL);
	CLOCHE(&run, "audit", "show", "--json", "--ledger", t->daemon.ledger);
	cr_expect_eq(run.status, 0, "%s", run.err);
	for (char *line = strtok_r(run.out, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		json_t *record = json_loads(line, 0, NULL);

		look_at_record(t, l, record, found);
		json_decref(record);
	}
	for (unsigned lane = 0; lane < LOAD_OWNERS * LOAD_LANES; lane++)
		for (unsigned at = 0; at < l->lanes[lane].n; at++) {
			const struct load_result *r = &l->lanes[lane].results[at];

			load_name(lane, at, name);
			if ((r->answer == LOAD_ANSWERED || r->begun) && found[lane][at] == 0)
				complain_of(t, "it ran, and no record", name, r);
			if ((r->answer == LOAD_REFUSED || r->answer == LOAD_LISTED) &&
			    found[lane][at])
				complain(t, "not run, and a record", name);
		}
	free(found);
	run_free(&run);
	run.timeout_ms = 600000;
	CLOCHE(&run, "audit", "verify", "--ledger", t->daemon.ledger);
	cr_expect_eq(run.status, 0, "%s%s", run.out, run.err);
	run_free(&run);
}

/* ---- the trial ------------------------------------------------------------------------------- */

/* What was said for refusals, each once, without its numbers. */
struct reason {
	char text[LOAD_WHY_LEN];
	unsigned n;
};

static void count_reason(struct reason all[static REASONS_MAX], const char *why)
{
	char text[LOAD_WHY_LEN];
	size_t at = 0;

	for (; *why; why++)
		if (*why < '0' || *why > '9')
			text[at++] = *why;
	text[at] = '\0';
	for (size_t i = 0; i < REASONS_MAX; i++)
		if (all[i].n == 0 || strcmp(all[i].text, text) == 0) {
			memcpy(all[i].text, text, sizeof(text));
			all[i].n++;
			break;
		}
}

static void tell_reasons(const struct load *l)
{
	struct reason all[REASONS_MAX] = { 0 };

	for (unsigned lane = 0; lane < LOAD_OWNERS * LOAD_LANES; lane++)
		for (unsigned i = 0; i < l->lanes[lane].n; i++)
			if (l->lanes[lane].results[i].why[0])
				count_reason(all, l->lanes[lane].results[i].why);
	for (size_t i = 0; i < REASONS_MAX && all[i].n; i++)
		say("%u: %s", all[i].n, all[i].text);
}

static void tell(struct trial *t, const struct load *l)
{
	static const char *const answers[] = { "client killed", "lost with the daemon", "refused",
					       "answered", "listed" };
	unsigned n[sizeof(answers) / sizeof(answers[0])] = { 0 }, all = 0;
	char text[512];
	size_t at = 0;

	for (unsigned lane = 0; lane < LOAD_OWNERS * LOAD_LANES; lane++)
		for (unsigned i = 0; i < l->lanes[lane].n; i++, all++) {
			const struct load_result *r = &l->lanes[lane].results[i];

			n[r->answer]++;
			if (r->fault[0])
				complain(t, "an answer", r->fault);
		}
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, ", %u %s", n[i], answers[i]);
	say("%u requests%s", all, text);
	tell_reasons(l);
	at = 0;
	for (size_t i = 0; i < BLOWS; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%u %s", i ? ", " : "",
				       t->n[i], blows[i].name);
	say("%s", text);
	cr_expect(n[LOAD_ANSWERED] > 0);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	uint64_t n = otherwise;

	if (text && *text)
		cr_assert_eq(parse_count(text, 1, UINT32_MAX, &n, NULL), 0, "%s: %s", name, text);
	return n;
}

static void strike_for(struct trial *t, int64_t ns)
{
	int64_t until_ns = clock_now_ns() + ns;

	while (clock_now_ns() < until_ns) {
		(void)poll(NULL, 0, 50 + (int)load_choose(&t->state, 1500));
		if (!is_up(t))
			start(t, true);
		strike_somewhere(t);
	}
}

/* As before the first one, when what is made once is made. */
static char *run_once(struct trial *t)
{
	cleanup_run struct run run = { 0 };

	start(t, true);
	AS_USER(&t->daemon, &run, "-q", "-m", "32M", "--cpu", "shared", "-t", "60s", "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	end(t, SIGTERM);
	return leftover_state();
}

Test(daemon_load, each_request_has_one_answer_and_nothing_is_left)
{
	static struct load load;
	cleanup_free char *before = NULL, *after = NULL, *path = NULL;
	uint64_t seconds = number_of("LOAD_SECONDS", 20);
	uint64_t seed = number_of("LOAD_SEED", (uint64_t)clock_real_ns() % UINT32_MAX + 1);
	struct trial t = { .state = seed };
	struct run run = { 0 };

	say("LOAD_SEED=%llu LOAD_SECONDS=%llu", (unsigned long long)seed,
	    (unsigned long long)seconds);
	daemon_prepare(&t.daemon);
	daemon_reconfigure(&t.daemon, configuration);
	cr_assert(asprintf(&path, "%s/log", t.daemon.dir) > 0);
	t.log = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	cr_assert(t.log >= 0);
	before = run_once(&t);
	RUN(&run, "rm", "-r", t.daemon.ledger);
	run_free(&run);
	start(&t, true);
	load_begin(&load, &t.daemon, seed);
	strike_for(&t, (int64_t)seconds * NSEC_PER_SEC);
	cr_expect(load_end(&load), "a lane");
	end(&t, SIGTERM);
	tell(&t, &load);
	daemon_expect_nothing(&t.daemon);
	after = leftover_state();
	cr_expect_str_eq(after, before);
	/* What ran when the last front ended may be in the ledger only with the next one. */
	free(run_once(&t));
	compare(&t, &load);
	cr_expect_eq(t.faults, 0);
	load_free(&load);
	(void)close(t.log);
}
