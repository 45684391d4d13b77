/* SPDX-License-Identifier: MIT */
/* Clients of all kinds, and what they are answered: see load.h. */
#include "tests/lib/load.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "tests/lib/daemon.h"

/* Far above what any takes, also where the machine is an emulated one: it waits for ever. */
#define WATCH_NS (300 * NSEC_PER_SEC)
#define SAID_MAX 65536
#define ARGS_MAX 48

/* ---- what there is to ask -------------------------------------------------------------------- */

/* SAYS in an argument is the request's own name. */
#define SAYS	"\1"
#define PATIENT "-t", "60s"
#define SHORT	"-t", "200ms"
#define SLEEPS	"echo begun; exec sleep 300"
#define FORKS	"i=0; while [ $i -lt 12 ]; do sleep 300 & i=$((i + 1)); done"

struct kind {
	const char *name;
	const char *args[12];
	int status;	      /* as it is to end; -1: in any of the ways that the verdicts say */
	const char *verdicts; /* separated by blanks */
	bool says;	      /* its name, and nothing else, is on standard output */
	int signal;	      /* that its client gets underway; 0 */
	const char *verb;     /* NULL: run */
};

/* What comes of it, by itself: that status with that verdict. */
#define ENDS(s, v) .status = (s), .verdicts = (v)

static const struct kind kinds[] = {
	{ "does nothing", { PATIENT, "--", "true" }, ENDS(0, "ok") },
	{ "says", { PATIENT, "--", "echo", SAYS }, ENDS(0, "ok"), .says = true },
	{ "says, bound",
	  { PATIENT, "-b", "/usr", "--", "echo", SAYS },
	  ENDS(0, "ok"),
	  .says = true },
	{ "fails", { PATIENT, "--", "sh", "-c", "exit 7" }, ENDS(7, "error") },
	{ "crashes",
	  { PATIENT, "--", "sh", "-c", "kill -s SEGV $$" },
	  ENDS(128 + SIGSEGV, "signal") },
	{ "forks", { PATIENT, "--", "sh", "-c", FORKS }, ENDS(0, "ok") },
	{ "forks without end",
	  { "-t", "2s", "--pids", "16", "--", "sh", "-c", "while :; do sleep 300 & done" },
	  ENDS(-1, "error pids timeout") },
	{ "hangs", { SHORT, "--", "sh", "-c", SLEEPS }, ENDS(124, "timeout") },
	{ "spins", { SHORT, "--", "sh", "-c", "while :; do :; done" }, ENDS(124, "timeout") },
	{ "stops itself", { SHORT, "--", "sh", "-c", "kill -s STOP $$" }, ENDS(124, "timeout") },
	{ "fills /tmp",
	  { PATIENT, "--tmp-size", "4M", "--", "sh", "-c", "cat /dev/zero >/tmp/full" },
	  ENDS(1, "error") },
	{ "eats memory", { PATIENT, "--", "tail", "/dev/zero" }, ENDS(137, "oom") },
	{ "floods",
	  { PATIENT, "--output-limit", "64K", "--", "cat", "/dev/zero" },
	  ENDS(-1, "output_limit") },
	{ "is not there", { PATIENT, "--", "no-such-program" }, ENDS(127, "launch_error") },
	{ "is cancelled",
	  { PATIENT, "--", "sh", "-c", SLEEPS },
	  ENDS(-1, "cancelled"), /* 130, or as the daemon has it that was told to end */
	  .signal = SIGINT },
	{ "is left", { PATIENT, "--", "sh", "-c", SLEEPS }, ENDS(137, ""), .signal = SIGKILL },
	{ "looks", { NULL }, ENDS(0, ""), .verb = "ps" },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

const char *load_kind(unsigned kind)
{
	return kind < KINDS ? kinds[kind].name : "unknown";
}

/* xorshift64*, as Vigna has it. */
uint32_t load_choose(uint64_t *state, uint32_t n)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)((*state * 0x2545f4914f6cdd1dULL) >> 32) % n;
}

void load_name(unsigned lane, unsigned at, char ret[static LOAD_NAME_LEN])
{
	(void)snprintf(ret, LOAD_NAME_LEN, "lane%u-%u", lane, at);
}

struct load_result *load_find(const struct load *l, const char *name)
{
	unsigned lane, at;

	if (sscanf(name, "lane%u-%u", &lane, &at) != 2 || lane >= LOAD_OWNERS * LOAD_LANES ||
	    at >= l->lanes[lane].n)
		return NULL;
	return &l->lanes[lane].results[at];
}

/* ---- one client ------------------------------------------------------------------------------ */

/* A process of a lane's, with what it has said. */
struct asked {
	const struct kind *kind;
	char name[LOAD_NAME_LEN];
	pid_t pid;
	int fds[2];	   /* its standard output and error */
	int64_t signal_ns; /* when the signal is sent; INT64_MAX: none, or it was */
	bool signalled, endless, died;
	char said[2][SAID_MAX];
	size_t len[2];
};

static void fill_args(const struct daemon *d, struct asked *a, const char *argv[static ARGS_MAX])
{
	static const char *const common[] = { "-q",  "--report", "-",	   "-m",
					      "32M", "--cpu",	 "shared", "--name" };
	size_t n = 0;

	argv[n++] = d->cloche;
	argv[n++] = a->kind->verb ? a->kind->verb : "run";
	if (!a->kind->verb) {
		for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
			argv[n++] = common[i];
		argv[n++] = a->name;
		argv[n++] = "-e";
		argv[n++] = d->mark;
	}
	for (size_t i = 0; a->kind->args[i]; i++)
		argv[n++] = strcmp(a->kind->args[i], SAYS) == 0 ? a->name : a->kind->args[i];
	argv[n] = NULL;
}

static _Noreturn void become_client(const struct daemon *d, struct asked *a, uid_t uid)
{
	const char *argv[ARGS_MAX];
	char control[700];

	fill_args(d, a, argv);
	(void)snprintf(control, sizeof(control), "CLOCHE_CONTROL=%s", d->control);
	(void)putenv(control);
	(void)unsetenv("CLOCHE_LEDGER"); /* the tests' own */
	/* A shell that runs us behind it has it ignored, and a client leaves that so. */
	(void)signal(SIGINT, SIG_DFL);
	(void)dup2(a->fds[0], STDOUT_FILENO);
	(void)dup2(a->fds[1], STDERR_FILENO);
	if (setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 &&
	    setresuid(uid, uid, uid) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
		(void)execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(99);
}

static void start(const struct daemon *d, struct asked *a, uid_t uid)
{
	int out[2], err[2];

	a->pid = -1;
	if (pipe2(out, O_CLOEXEC) < 0)
		return;
	if (pipe2(err, O_CLOEXEC) < 0)
		return;
	a->fds[0] = out[1];
	a->fds[1] = err[1];
	a->pid = fork();
	if (a->pid == 0)
		become_client(d, a, uid);
	(void)close(out[1]);
	(void)close(err[1]);
	a->fds[0] = out[0];
	a->fds[1] = err[0];
}

static void take(struct asked *a, int i)
{
	static char beyond[4096];
	size_t room = sizeof(a->said[i]) - 1 - a->len[i];
	ssize_t n = read(a->fds[i], room ? a->said[i] + a->len[i] : beyond,
			 room ? room : sizeof(beyond));

	if (n <= 0)
		fd_close(&a->fds[i]);
	else if (room)
		a->len[i] += (size_t)n;
}

/* Until nobody has its output any more. */
static void hear(struct asked *a)
{
	int64_t until_ns = clock_now_ns() + WATCH_NS, now_ns;

	while (a->fds[0] >= 0 || a->fds[1] >= 0) {
		struct pollfd fds[2] = { { .fd = a->fds[0], .events = POLLIN },
					 { .fd = a->fds[1], .events = POLLIN } };
		int64_t next_ns = a->signal_ns < until_ns ? a->signal_ns : until_ns;

		now_ns = clock_now_ns();
		if (now_ns >= a->signal_ns) {
			a->signalled = kill(a->pid, a->kind->signal) == 0;
			a->signal_ns = INT64_MAX;
		} else if (now_ns >= until_ns) {
			a->endless = true;
			(void)kill(a->pid, SIGKILL);
			return;
		} else if (poll(fds, 2, (int)((next_ns - now_ns) / NSEC_PER_MSEC) + 1) > 0) {
			for (int i = 0; i < 2; i++)
				if (fds[i].revents)
					take(a, i);
		}
	}
}

/* ---- what it was answered -------------------------------------------------------------------- */

static void fault(struct load_result *r, const char *what, const struct asked *a)
{
	char verdict[sizeof(r->verdict)];

	memcpy(verdict, r->verdict, sizeof(verdict));
	if (!r->fault[0])
		(void)snprintf(r->fault, sizeof(r->fault), "%s %s: %s; status %d, '%s', %.90s",
			       a->name, a->kind->name, what, r->status, verdict, a->said[1]);
}

/* The report is taken out of what was said; what is left are lines for people. */
static void take_report(struct asked *a, struct load_result *r)
{
	char *at = strstr(a->said[1], "{\"schema\""), *end = at ? strchr(at, '\n') : NULL;
	const char *verdict, *id;
	json_t *report;

	if (!at || !end)
		return;
	*end = '\0';
	report = json_loads(at, 0, NULL);
	verdict = json_string_value(json_object_get(report, "verdict"));
	id = json_string_value(json_object_get(report, "request_id"));
	(void)snprintf(r->verdict, sizeof(r->verdict), "%s", verdict ? verdict : "none");
	(void)snprintf(r->request_id, sizeof(r->request_id), "%s", id ? id : "");
	json_decref(report);
	memmove(at, end + 1, strlen(end + 1) + 1);
}

/* Our own lines, of which *ret is the last. */
static unsigned own_lines(const struct asked *a, char ret[static LOAD_WHY_LEN])
{
	char own[24];
	unsigned n = 0;

	(void)snprintf(own, sizeof(own), "cloche %s: ", a->kind->verb ? a->kind->verb : "run");
	ret[0] = '\0';
	for (const char *at = a->said[1]; at && *at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, own, strlen(own)) != 0)
			continue;
		n++;
		(void)snprintf(ret, LOAD_WHY_LEN, "%.*s", (int)strcspn(at, "\n"), at);
	}
	return n;
}

static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = words; len && (at = strstr(at, word)); at += len)
		if ((at == words || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
			return true;
	return false;
}

/* It was not run, or nobody knows what became of it: one line says why. */
static void judge_refusal(struct asked *a, struct load_result *r)
{
	if (own_lines(a, r->why) != 1)
		fault(r, "no clear error", a);
	if (strstr(r->why, "has ended before it answered"))
		r->answer = LOAD_LOST;
	else
		/* This is the end of one that was begun; others died while they were made. */
		r->answer = strcmp(r->why, "cloche run: pid 1 of the context died") == 0
				    ? LOAD_ANSWERED
				    : LOAD_REFUSED;
}

/* Beside what it does by itself an invocation can be ended by the daemon's end, a warden's death,
 * and whoever started it. */
static void judge_verdict(struct asked *a, struct load_result *r)
{
	bool own = has_word(a->kind->verdicts, r->verdict);

	r->answer = LOAD_ANSWERED;
	if (!own && strcmp(r->verdict, "cancelled") != 0)
		fault(r, "not its end", a);
	if (own && a->kind->status >= 0 && r->status != a->kind->status)
		fault(r, "not the status of its verdict", a);
	if (own && a->kind->says &&
	    (strncmp(a->said[0], a->name, strlen(a->name)) != 0 ||
	     strcmp(a->said[0] + strlen(a->name), "\n") != 0))
		fault(r, "somebody else's output", a);
}

static void judge(struct asked *a, struct load_result *r)
{
	take_report(a, r);
	if (a->endless)
		fault(r, "it waits for ever", a);
	else if (a->signalled && a->died)
		r->answer = LOAD_NONE;
	else if (a->kind->verb && r->status == 0)
		r->answer = LOAD_LISTED;
	else if (a->kind->verb || (r->status == 125 && strcmp(r->verdict, "cancelled") != 0))
		judge_refusal(a, r);
	else
		judge_verdict(a, r);
}

/* ---- a lane ---------------------------------------------------------------------------------- */

static void ask(const struct load *l, unsigned lane, uint64_t *state, struct asked *a)
{
	struct load_lane *to = &l->lanes[lane];
	struct load_result *r = &to->results[to->n];
	uint32_t kind = load_choose(state, KINDS), delay_ms = load_choose(state, 300);
	int status = 0;

	*a = (struct asked){ .kind = &kinds[kind], .signal_ns = INT64_MAX };
	if (a->kind->signal)
		a->signal_ns = clock_now_ns() + delay_ms * NSEC_PER_MSEC;
	load_name(lane, to->n, a->name);
	*r = (struct load_result){ .kind = (uint8_t)kind };
	start(l->daemon, a, LOAD_FIRST_UID + lane / LOAD_LANES);
	if (a->pid < 0) {
		fault(r, "no client could be started", a);
		return;
	}
	to->n++;
	hear(a);
	(void)waitpid(a->pid, &status, 0);
	a->died = WIFSIGNALED(status);
	r->begun = a->len[0] > 0 && !a->kind->verb;
	r->status = (int16_t)(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	judge(a, r);
	for (int i = 0; i < 2; i++)
		fd_close(&a->fds[i]);
	/* Where there is no daemon, there will be one. */
	if (r->answer == LOAD_REFUSED)
		(void)poll(NULL, 0, 20);
}

static _Noreturn void be_lane(const struct load *l, unsigned lane)
{
	struct asked *a = malloc(sizeof(*a));
	uint64_t state = (l->seed + 1) * 1000003 + lane * 7919 + 1;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	while (a && !__atomic_load_n(l->stop, __ATOMIC_ACQUIRE) && l->lanes[lane].n < LOAD_MOST)
		ask(l, lane, &state, a);
	_exit(a ? 0 : 1);
}

static void *share(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(at, MAP_FAILED);
	return at;
}

void load_begin(struct load *l, const struct daemon *d, uint64_t seed)
{
	*l = (struct load){ .daemon = d, .seed = seed };
	l->stop = share(sizeof(*l->stop));
	l->lanes = share(LOAD_OWNERS * LOAD_LANES * sizeof(*l->lanes));
	for (unsigned i = 0; i < LOAD_OWNERS * LOAD_LANES; i++) {
		l->pids[i] = fork();
		if (l->pids[i] == 0)
			be_lane(l, i);
		cr_assert(l->pids[i] > 0);
	}
}

bool load_end(struct load *l)
{
	bool well = true;
	int status;

	__atomic_store_n(l->stop, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < LOAD_OWNERS * LOAD_LANES; i++)
		well &= waitpid(l->pids[i], &status, 0) == l->pids[i] && status == 0;
	return well;
}

void load_free(struct load *l)
{
	(void)munmap(l->stop, sizeof(*l->stop));
	(void)munmap(l->lanes, LOAD_OWNERS * LOAD_LANES * sizeof(*l->lanes));
}
