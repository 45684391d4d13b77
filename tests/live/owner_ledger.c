/* SPDX-License-Identifier: MIT */
/*
 * `cloche bill`, `cloche audit` and `cloche cost` by an owner without rights: his own records out
 * of the daemon's ledger, as from a ledger of his own, and of others nothing; root's are all. Who
 * asks and means ill holds up nobody.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "ledger/ledger_record.h"
#include "serve/packet.h"
#include "serve/reading.h"
#include "serve/records.h"
#include "serve/request.h"
#include "tests/lib/daemon.h"
#include "tests/lib/ledgers.h"
#include "tests/lib/run.h"
#include "tests/lib/tmpdir.h"

#define OTHER "1001"

#define LITTLE "--cpu", "shared", "-t", "60s", "-m", "32M"

/* ---- a ledger that has a past ---------------------------------------------------------------- */

/* As the front writes them, beside it: records from to to-1, those of the owners in turn. */
static void append(const struct daemon *d, uint32_t owner, uint32_t owners, uint64_t from,
		   uint64_t to)
{
	struct stat st;
	pid_t pid;

	cr_assert_eq(stat(d->ledger, &st), 0, "%s: %m", d->ledger);
	pid = fork();
	if (pid == 0) {
		struct ledger *l;
		struct ledger_record r;

		if (chdir(d->ledger) < 0 || setgroups(0, NULL) < 0 ||
		    setresgid(st.st_gid, st.st_gid, st.st_gid) < 0 ||
		    setresuid(st.st_uid, st.st_uid, st.st_uid) < 0)
			_exit(1);
		l = ledgers_open(".", 0, false);
		for (uint64_t i = from; i < to; i++) {
			ledgers_record(i, &r);
			r.owner_uid = owner + (uint32_t)(i % owners);
			(void)snprintf(r.owner_name, sizeof(r.owner_name), "user%u", r.owner_uid);
			(void)snprintf(r.function, sizeof(r.function), "of-%u-%u", r.owner_uid,
				       (unsigned)(i % 5));
			if (ledger_append(l, &r, NULL, NULL) < 0)
				_exit(2);
		}
		(void)ledger_close(l);
		_exit(0);
	}
	cr_assert_eq(process_status(pid), 0);
}

/* With a ledger that is empty. */
static void start(struct daemon *d)
{
	cleanup_run struct run run = { 0 };

	daemon_prepare(d);
	daemon_start(d);
	d->verb = "audit";
	AS_USER(d, &run, "show");
	cr_assert_eq(run.status, 0, "%s", run.err);
	cr_expect_str_eq(run.out, "");
}

static void ask(const struct daemon *d, const char *user, struct run *run, const char *verb,
		const char *const args[])
{
	struct daemon as = *d;

	as.verb = verb;
	daemon_run_as(&as, user, run, args);
}
#define ASK(d, user, run, verb, ...) \
	ask((d), (user), (run), (verb), (const char *const[]){ __VA_ARGS__, NULL })

/* What the verb says to the user is what it says of a ledger that has these records and no others,
 * byte by byte. */
static void expect_same(const struct daemon *d, const char *user, const char *dir,
			const char *const args[])
{
	cleanup_run struct run asked = { 0 }, read = { 0 };
	const char *argv[16] = { env_need("CLOCHE"), args[0] };
	size_t n = 2;

	ask(d, user, &asked, args[0], args + 1);
	cr_expect_eq(asked.status, 0, "%s", asked.err);
	for (size_t i = 1; args[i]; i++)
		argv[n++] = args[i];
	argv[n++] = "--ledger";
	argv[n++] = dir;
	run_argv(&read, argv);
	cr_expect_eq(read.status, 0, "%s", read.err);
	cr_expect_str_eq(asked.out, read.out, "%s %s", args[0], args[1]);
	cr_expect_str_eq(asked.err, read.err);
	cr_expect_gt(asked.out_len, 0);
}
#define EXPECT_SAME(d, user, dir, ...) \
	expect_same((d), (user), (dir), (const char *const[]){ __VA_ARGS__, NULL })

/* ---- who sees what --------------------------------------------------------------------------- */

Test(owner_ledger, what_ran_is_on_its_owners_bill)
{
	static const char *const users[] = { DAEMON_USER, OTHER };
	cleanup_run struct run run = { 0 };
	struct daemon d;

	daemon_prepare(&d);
	daemon_start(&d);
	for (int i = 0; i < 3; i++) {
		daemon_run_as(&d, users[i == 2], &run,
			      (const char *const[]){ LITTLE, "--name", i == 2 ? "theirs" : "mine",
						     "--", "true", NULL });
		cr_assert_eq(run.status, 0, "%s", run.err);
		run_free(&run);
	}
	ASK(&d, DAEMON_USER, &run, "bill", "--json");
	cr_assert_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "\"function\":\"mine\"");
	expect_has(run.out, "\"total\":{\"invocations\":2,");
	cr_expect(!strstr(run.out, "theirs"), "%s", run.out);
	run_free(&run);
	ASK(&d, OTHER, &run, "bill", "--json");
	expect_has(run.out, "\"function\":\"theirs\"");
	expect_has(run.out, "\"total\":{\"invocations\":1,");
	cr_expect(!strstr(run.out, "mine"), "%s", run.out);
	run_free(&run);
	/* Between his first record and his next one may be as many of others' as there will. */
	ASK(&d, OTHER, &run, "audit", "show", "--json");
	cr_expect_eq(count_lines(run.out), 1);
	expect_has(run.out, "\"number\":1}");
	expect_has(run.out, "\"owner_uid\":1001,");
	run_free(&run);
	ASK(&d, "1002", &run, "bill", NULL);
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect(!strstr(run.out, "mine") && !strstr(run.out, "theirs"), "%s", run.out);
	run_free(&run);
	ASK(&d, "0", &run, "bill", "--json");
	expect_has(run.out, "/mine\"");
	expect_has(run.out, "/theirs\"");
	expect_has(run.out, "\"total\":{\"invocations\":3,");
	daemon_stop(&d);
}

/* Two owners' records between each other, and each owner's by themselves. */
Test(owner_ledger, says_what_it_says_of_a_ledger_of_ones_own)
{
	struct daemon d;
	char path[700];

	start(&d);
	append(&d, 1000, 2, 0, 500);
	for (uint32_t uid = 1000; uid < 1002; uid++) {
		char user[16];
		struct ledger *l;
		struct ledger_record r;

		(void)snprintf(user, sizeof(user), "%u", uid);
		(void)snprintf(path, sizeof(path), "%s/own-%u", d.dir, uid);
		l = ledgers_open(path, 0, false);
		for (uint64_t i = uid - 1000; i < 500; i += 2) {
			ledgers_record(i, &r);
			r.owner_uid = uid;
			(void)snprintf(r.owner_name, sizeof(r.owner_name), "user%u", uid);
			(void)snprintf(r.function, sizeof(r.function), "of-%u-%u", uid,
				       (unsigned)(i % 5));
			cr_assert_eq(ledger_append(l, &r, NULL, NULL), 0);
		}
		(void)ledger_close(l);
		EXPECT_SAME(&d, user, path, "bill", "--owner", user);
		EXPECT_SAME(&d, user, path, "bill", "--owner", user, "--by", "verdict", "--csv");
		EXPECT_SAME(&d, user, path, "bill", "--owner", user, "--by", "day", "--json",
			    "--since", "2026-01-01T00:01Z");
		EXPECT_SAME(&d, user, path, "cost", "--function",
			    uid == 1000 ? "of-1000-0" : "of-1001-0");
	}
	/* Root has it as the file has it, with what is no record. */
	EXPECT_SAME(&d, "0", d.ledger, "bill");
	EXPECT_SAME(&d, "0", d.ledger, "bill", "--by", "owner", "--csv");
	EXPECT_SAME(&d, "0", d.ledger, "audit", "show");
	EXPECT_SAME(&d, "0", d.ledger, "audit", "show", "--json");
	daemon_stop(&d);
}

/* By what the kernel says of who asks: neither by an option nor by whom it names. */
Test(owner_ledger, nothing_names_another_owner)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;

	start(&d);
	append(&d, 1000, 2, 0, 40);
	ASK(&d, DAEMON_USER, &run, "bill", "--owner", OTHER);
	cr_expect_eq(run.status, 2);
	expect_has(run.err, "only root sees other owners' bills");
	run_free(&run);
	/* Number 1 is the other's. */
	ASK(&d, DAEMON_USER, &run, "audit", "show", "--request",
	    "00000000-0000-4000-8000-000000000001");
	cr_expect_eq(run.status, 1);
	expect_has(run.err, "no record of request");
	run_free(&run);
	ASK(&d, DAEMON_USER, &run, "audit", "show");
	cr_expect_eq(count_lines(run.out), 20);
	/* Its own numbers: the chain's would count others' records. */
	expect_has(run.out, "\n      20  2026-01-01T00:00:38");
	cr_expect(!strstr(run.out, "of-1001"), "%s", run.out);
	cr_expect(!strstr(run.out, " -- "), "%s", run.out);
	daemon_stop(&d);
}

/* Who can read one chain of all owners' records proves it; others are told so. */
Test(owner_ledger, the_chain_itself_is_roots)
{
	static const char *const verbs[] = { "seal", "index" };
	cleanup_run struct run run = { 0 };
	struct daemon d;

	start(&d);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		ASK(&d, DAEMON_USER, &run, "audit", verbs[i]);
		cr_expect_eq(run.status, 1);
		cr_expect_str_eq(run.out, "");
		cr_expect_eq(count_lines(run.err), 1);
		expect_has(run.err, "only root can prove: --ledger ");
		run_free(&run);
	}
	CLOCHE(&run, "audit", "verify", "--ledger", d.ledger);
	cr_expect_eq(run.status, 0, "%s%s", run.out, run.err);
	daemon_stop(&d);
}

Test(owner_ledger, without_a_daemon)
{
	static const char *const verbs[][2] = { { "bill", NULL }, { "audit", "show" } };
	struct daemon d;

	daemon_prepare(&d);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		cleanup_run struct run run = { 0 };

		ASK(&d, DAEMON_USER, &run, verbs[i][0], verbs[i][1]);
		cr_expect_eq(run.status, 1);
		expect_has(run.err, "no daemon can be reached at '");
		expect_has(run.err, "have 'cloche serve' started, or name a ledger by --ledger");
		cr_expect_eq(count_lines(run.err), 1);
		cr_expect_str_eq(run.out, "");
	}
	tmpdir_free(&d.dir);
}

/* What root keeps is not shown, and what it takes to see something is said. */
Test(owner_ledger, kept_traces_of_others)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	char path[700];

	daemon_prepare(&d);
	(void)snprintf(path, sizeof(path), "%s/traces", d.dir);
	cr_assert(mkdir(path, 0700) == 0 && setenv("CLOCHE_TRACES", path, 1) == 0);
	ASK(&d, DAEMON_USER, &run, "trace", "--list");
	cr_expect_eq(run.status, 1);
	expect_has(run.err, "/traces': permission denied");
	cr_expect_str_eq(run.out, "");
	run_free(&run);
	/* His own folder is his. */
	cr_assert_eq(chown(path, 1000, 1000), 0);
	ASK(&d, DAEMON_USER, &run, "trace", "--list");
	cr_expect_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "none is kept");
	tmpdir_free(&d.dir);
}

/* ---- much, and what is not as it was --------------------------------------------------------- */

Test(owner_ledger, thousands_of_records)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;

	start(&d);
	append(&d, 1000, 3, 0, 9000);
	ASK(&d, DAEMON_USER, &run, "bill", "--json");
	expect_has(run.out, "\"total\":{\"invocations\":3000,");
	run_free(&run);
	ASK(&d, OTHER, &run, "audit", "show");
	cr_expect_eq(count_lines(run.out), 3000);
	run_free(&run);
	/* What comes behind it is there when it is asked the next time. */
	append(&d, 1001, 1, 9000, 9001);
	ASK(&d, OTHER, &run, "audit", "show");
	cr_expect_eq(count_lines(run.out), 3001);
	run_free(&run);
	ASK(&d, "0", &run, "bill", "--json");
	expect_has(run.out, "\"total\":{\"invocations\":9001,");
	daemon_stop(&d);
}

/* Nothing is summed up that is not proven, and how much there is of others' is not told with it. */
Test(owner_ledger, a_ledger_that_was_changed)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	char path[700], byte;
	int fd;

	start(&d);
	append(&d, 1000, 2, 0, 1000);
	(void)snprintf(path, sizeof(path), "%s/000000000001.seg", d.ledger);
	fd = open(path, O_RDWR | O_CLOEXEC);
	cr_assert(fd >= 0 && pread(fd, &byte, 1, 300000) == 1);
	byte ^= 1;
	cr_assert_eq(pwrite(fd, &byte, 1, 300000), 1);
	(void)close(fd);
	ASK(&d, DAEMON_USER, &run, "bill", NULL);
	cr_expect_eq(run.status, 1);
	cr_expect_str_eq(run.out, "");
	expect_has(run.err, "the daemon's ledger cannot be read on; 'cloche audit verify");
	cr_expect(!strpbrk(run.err, "0123456789"), "%s", run.err);
	run_free(&run);
	ASK(&d, "0", &run, "audit", "show");
	cr_expect_eq(run.status, 1);
	expect_has(run.err, "is broken at record ");
	cr_expect_gt(count_lines(run.out), 100);
	run_free(&run);
	/* And records of what runs still come behind it. */
	d.verb = "run";
	AS_USER(&d, &run, LITTLE, "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	daemon_stop(&d);
}

/* That there were more is said to everybody, how many to root. */
Test(owner_ledger, a_ledger_that_lost_records)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	struct stat st;
	char path[700];

	start(&d);
	append(&d, 1000, 2, 0, 10);
	(void)snprintf(path, sizeof(path), "%s/000000000001.seg", d.ledger);
	cr_assert(stat(path, &st) == 0 && truncate(path, st.st_size - 20) == 0);
	ASK(&d, DAEMON_USER, &run, "bill", "--json");
	cr_expect_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "\"total\":{\"invocations\":5,");
	expect_has(run.err, "records may have been removed from this ledger");
	cr_expect(!strpbrk(run.err, "0123456789"), "%s", run.err);
	run_free(&run);
	ASK(&d, "0", &run, "bill", "--json");
	expect_has(run.out, "\"total\":{\"invocations\":9,");
	expect_has(run.err, "1 records are missing from this ledger");
	daemon_stop(&d);
}

/* ---- who means ill --------------------------------------------------------------------------- */

static int demand(const struct daemon *d, size_t len)
{
	struct request r = { .kind = REQUEST_RECORDS };
	int fd = daemon_knock(d);

	request_version(r.version);
	cr_assert_eq(send(fd, &r, len, MSG_NOSIGNAL), (ssize_t)len);
	return fd;
}

/* The same, asked by a child of that user, whose socket it is. */
static int demand_as(const struct daemon *d, uid_t uid)
{
	int pair[2], fd;
	struct packet_fds fds = { .n = 1 };
	pid_t pid;
	char byte;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	if (pid == 0) {
		if (setresuid(uid, uid, uid) < 0)
			_exit(1);
		fds.fd[0] = demand(d, sizeof(struct request));
		_exit(packet_send(pair[1], "x", 1, &fds) < 0);
	}
	cr_assert_eq(process_status(pid), 0);
	cr_assert_eq(packet_recv(pair[0], &byte, 1, &fds), 1);
	fd = fds.fd[0];
	(void)close(pair[0]);
	(void)close(pair[1]);
	return fd;
}

/* All that comes until it is hung up: whether the last of it says that it is. */
static bool hears_the_last(int fd)
{
	static char bytes[RECORDS_MAX + sizeof(struct answer)];
	bool last = false;

	while (recv(fd, bytes, sizeof(bytes), 0) > 0)
		last = ((struct records_head *)bytes)->last;
	return last;
}

/* The first message. */
static uint32_t kind_of_answer(int fd)
{
	static union {
		struct answer answer;
		struct records records;
	} m;

	cr_assert_gt(recv(fd, &m, sizeof(m), 0), (ssize_t)sizeof(m.records.head));
	return m.answer.kind;
}

/* More than a socket holds, for each of many that ask and do not read: others are served, and it
 * ends when it is told to. */
Test(owner_ledger, who_does_not_read_holds_up_nobody)
{
	cleanup_run struct run run = { 0 };
	int fds[READINGS_OF_ONE + 1], refused = 0;
	struct daemon d;
	pid_t front;

	start(&d);
	append(&d, 0, 1, 0, 4000);
	append(&d, 1000, 2, 4000, 4010);
	front = daemon_front(&d);
	for (size_t i = 0; i <= READINGS_OF_ONE; i++)
		fds[i] = demand(&d, sizeof(struct request));
	/* One more than may be, whichever was heard last; that is his matter alone. */
	for (size_t i = 0; i <= READINGS_OF_ONE; i++)
		refused += kind_of_answer(fds[i]) == ANSWER_REFUSED;
	cr_expect_eq(refused, 1);
	ASK(&d, OTHER, &run, "bill", "--json");
	cr_expect_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "\"total\":{\"invocations\":5,");
	run_free(&run);
	ASK(&d, DAEMON_USER, &run, "run", LITTLE, "--", "true");
	cr_expect_eq(run.status, 0, "%s", run.err);
	cr_expect_eq(daemon_front(&d), front, "the front was replaced");
	daemon_stop(&d);
	for (size_t i = 0; i <= READINGS_OF_ONE; i++)
		(void)close(fds[i]);
}

/* At each place of the way, and by a signal; then nothing of it is left. */
Test(owner_ledger, who_goes_on_the_way_leaves_nothing)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	pid_t front;

	start(&d);
	append(&d, 0, 1, 0, 4000);
	front = daemon_front(&d);
	for (int i = 0; i < 40; i++) {
		int fd = demand(&d, sizeof(struct request));

		for (int k = 0; k < i % 4; k++)
			cr_expect_eq(kind_of_answer(fd), ANSWER_RECORDS);
		if (i % 3 == 0)
			(void)send(fd, "?", 1, MSG_NOSIGNAL);
		(void)close(fd);
	}
	/* As many again as may: those are gone. */
	for (int i = 0; i < READINGS_OF_ONE; i++) {
		int fd;

		do
			fd = demand(&d, sizeof(struct request));
		while (kind_of_answer(fd) != ANSWER_RECORDS && close(fd) == 0);
		(void)close(fd);
	}
	ASK(&d, "0", &run, "bill", "--json");
	expect_has(run.out, "\"total\":{\"invocations\":4000,");
	cr_expect_eq(daemon_front(&d), front, "the front was replaced");
	daemon_stop(&d);
}

/* Who may not use the daemon reads nothing of it either. */
Test(owner_ledger, who_may_not_connect)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;

	daemon_prepare(&d);
	daemon_reconfigure(&d, "allow: {users: [1001]}\n");
	daemon_start(&d);
	ASK(&d, DAEMON_USER, &run, "bill", NULL);
	cr_expect_eq(run.status, 1);
	expect_has(run.err, "user 1000 may not use the daemon");
	cr_expect_str_eq(run.out, "");
	run_free(&run);
	ASK(&d, OTHER, &run, "bill", NULL);
	cr_expect_eq(run.status, 0, "%s", run.err);
	daemon_stop(&d);
}

/* Whose records come late, or never, hears in between that there are none yet. */
Test(owner_ledger, much_of_others)
{
	static struct records m;
	struct daemon d;
	ssize_t n;
	int fd;

	start(&d);
	append(&d, 1001, 1, 0, 12000);
	append(&d, 0, 1, 12000, 12001);
	/* Not root's: this process is. */
	fd = demand_as(&d, 1000);
	n = recv(fd, &m, sizeof(m), 0);
	cr_expect_eq(n, (ssize_t)sizeof(m.head));
	cr_expect(m.head.kind == ANSWER_RECORDS && m.head.len == 0 && !m.head.last);
	while (!m.head.last && recv(fd, &m, sizeof(m), 0) > 0)
		cr_expect_eq(m.head.len, 0);
	cr_expect(m.head.last && m.head.why.code == 0);
	(void)close(fd);
	daemon_stop(&d);
}

/* Its reader hears that it was not all; the next front has all. */
Test(owner_ledger, a_front_that_dies_on_the_way)
{
	cleanup_run struct run run = { 0 };
	struct daemon d;
	pid_t front;
	int fd;

	start(&d);
	append(&d, 0, 1, 0, 4000);
	front = daemon_front(&d);
	fd = demand(&d, sizeof(struct request));
	cr_expect_eq(kind_of_answer(fd), ANSWER_RECORDS);
	/* What the socket held is still there; it has not held all. */
	cr_assert_eq(kill(front, SIGSTOP), 0);
	cr_assert_eq(kill(front, SIGKILL), 0);
	cr_expect(!hears_the_last(fd));
	(void)close(fd);
	ASK(&d, "0", &run, "bill", "--json");
	cr_expect_eq(run.status, 0, "%s", run.err);
	expect_has(run.out, "\"total\":{\"invocations\":4000,");
	daemon_stop(&d);
}

/* ---- a daemon that is none ------------------------------------------------------------------- */

/* In the daemon's place: answers the next client so, and hangs up. */
static pid_t pretend(const struct daemon *d, const void *bytes, size_t len)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	pid_t pid;

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%.107s", d->control);
	(void)unlink(d->control);
	cr_assert(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 1) == 0 &&
		  chmod(d->control, 0666) == 0);
	pid = fork();
	if (pid == 0) {
		struct request r;
		int client = accept(fd, NULL, NULL);

		if (recv(client, &r, sizeof(r), 0) != sizeof(r))
			_exit(1);
		_exit(len && send(client, bytes, len, MSG_NOSIGNAL) != (ssize_t)len);
	}
	(void)close(fd);
	return pid;
}

/* No sum of what is not all, and no nonsense: one line. */
static void expect_no_bill(const struct daemon *d, const void *bytes, size_t len, const char *why)
{
	cleanup_run struct run run = { 0 };
	pid_t pid = pretend(d, bytes, len);

	ASK(d, DAEMON_USER, &run, "bill", NULL);
	cr_expect_eq(run.status, 1);
	cr_expect_str_eq(run.out, "");
	cr_expect_eq(count_lines(run.err), 1);
	expect_has(run.err, why);
	cr_expect_eq(process_status(pid), 0);
}

Test(owner_ledger, what_is_not_all_is_no_bill)
{
	static struct records r;
	unsigned char body[LEDGER_BODY_MAX];
	struct ledger_record record;
	struct frame frame = { .type = FRAME_RECORD, .body = body };
	size_t len;
	struct daemon d;

	daemon_prepare(&d);
	ledgers_record(1, &record);
	frame.body_len = (size_t)ledger_record_encode(&record, body, NULL);
	records_begin(&r);
	records_add(&r, &(struct ledger_entry){ .frame = &frame }, 1, 0);
	len = sizeof(r.head) + r.head.len;
	expect_no_bill(&d, &r, len, "ended before it answered");
	expect_no_bill(&d, &r, 0, "ended before it answered");
	r.head.last = true;
	expect_no_bill(&d, &r, len - 1, "of another version");
	expect_no_bill(&d, &r, 30, "of another version");
	r.bytes[0]++;
	r.bytes[sizeof(struct records_item)]++;
	expect_no_bill(&d, &r, len, "are no records");
	r.head.version[0]++;
	expect_no_bill(&d, &r, len, "of another version");
	tmpdir_free(&d.dir);
}

/* Who takes nothing at all for half a minute is hung up on, and then has what was sent and no more.
 */
Test(owner_ledger, who_takes_nothing_for_long_is_left)
{
	struct pollfd gone = { .events = 0 };
	struct daemon d;

	start(&d);
	append(&d, 0, 1, 0, 4000);
	gone.fd = demand(&d, sizeof(struct request));
	cr_expect_eq(poll(&gone, 1, -1), 1);
	cr_expect(gone.revents & POLLHUP);
	cr_expect(!hears_the_last(gone.fd));
	(void)close(gone.fd);
	daemon_stop(&d);
}

Test(owner_ledger, requests_that_are_none)
{
	struct request r = { .kind = REQUEST_RECORDS, .bare_n = 1 };
	struct packet_fds fds = { .n = 1 };
	struct daemon d;
	pid_t front;
	int fd;

	start(&d);
	front = daemon_front(&d);
	for (size_t len = 1; len < sizeof(struct request); len += 7) {
		fd = demand(&d, len);
		cr_expect_eq(kind_of_answer(fd), ANSWER_REFUSED, "%zu bytes", len);
		(void)close(fd);
	}
	request_version(r.version);
	fd = daemon_knock(&d);
	cr_assert_eq(packet_send(fd, &r, sizeof(r), NULL), 0);
	cr_expect_eq(kind_of_answer(fd), ANSWER_REFUSED, "a policy that is not there");
	(void)close(fd);
	r.bare_n = 0;
	fds.fd[0] = fd = daemon_knock(&d);
	cr_assert_eq(packet_send(fd, &r, sizeof(r), &fds), 0);
	cr_expect_eq(kind_of_answer(fd), ANSWER_REFUSED, "a descriptor");
	(void)close(fd);
	cr_expect_eq(daemon_front(&d), front, "the front was replaced");
	daemon_stop(&d);
}
