/* SPDX-License-Identifier: MIT */
/*
 * Contexts of deployed functions at the launcher's socket, by a front that the test plays: what a
 * kept process used is counted part by part, and once; code is mounted by its name alone. Needs
 * root and HELPERS.
 */
#include <criterion/criterion.h>
#include <sched.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "launch/given.h"
#include "launch/order.h"
#include "serve/command.h"
#include "tests/lib/env.h"
#include "tests/lib/front_rig.h"
#include "tests/lib/images.h"
#include "tests/lib/tmpdir.h"

static struct reply make(struct rig *r, const struct command *c, struct packet_fds *fds)
{
	front_rig_say(r, c);
	return front_rig_hear(r, fds);
}

static uint64_t make_kept(struct rig *r, struct context *ret)
{
	struct command c = front_rig_ask_for(r, 1000);
	struct packet_fds fds = { .n = 0 };
	struct reply reply;

	c.make.kept = 1;
	reply = make(r, &c, &fds);
	cr_assert_eq(reply.kind, REPLY_MADE, "%s", reply.err.text);
	*ret = front_rig_adopt(&fds);
	return c.context;
}

static void hear(struct context *ctx, enum warden_message type)
{
	struct cloche_err err = { 0 };
	struct warden_msg m;

	cr_assert_eq(context_recv(ctx, &m, &err), 0, "%s", err.text);
	cr_assert_eq(m.type, type, "%u", m.type);
}

/* Its init may not take as long as front_rig_go()'s. */
static void go_with(struct context *ctx, char *const argv[], int64_t timeout_ns, int output)
{
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct cloche_err err = { 0 };
	struct spec spec;

	spec_defaults(&spec);
	spec.argv = argv;
	spec.timeout_ns = timeout_ns;
	cr_assert_eq(context_go(ctx, &spec, (int[]){ null, output, null }, false, &err), 0, "%s",
		     err.text);
}

static void go_script(struct context *ctx, const char *script, int64_t timeout_ns, int output)
{
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)(uintptr_t)script, NULL };

	go_with(ctx, argv, timeout_ns, output);
}

static void go(struct context *ctx, int64_t timeout_ns)
{
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	go_script(ctx, "exec sleep 300", timeout_ns, null);
}

/* An init that takes far more than what is behind it: it is through when it has said so. */
static void go_through_init(struct context *ctx)
{
	int ends[2];
	char c;

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	go_script(ctx, "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; echo; exec sleep 300",
		  ORDER_INIT_MAX_NS, ends[1]);
	(void)close(ends[1]);
	hear(ctx, WARDEN_STARTED);
	cr_assert_eq(read(ends[0], &c, 1), 1);
	(void)close(ends[0]);
}

static void pause_it(struct context *ctx)
{
	cr_assert_eq(context_send(ctx, WARDEN_PAUSE, NULL), 0);
	hear(ctx, WARDEN_PAUSED);
}

static struct reply count(struct rig *r, uint64_t number)
{
	struct packet_fds none = { .n = 0 };

	front_rig_say(r, &(struct command){ .kind = COMMAND_COUNT, .context = number });
	return front_rig_hear(r, &none);
}

static void end(struct rig *r, struct context *ctx, uint64_t number)
{
	struct packet_fds none = { .n = 0 };

	context_disown(ctx);
	front_rig_say(r, &(struct command){ .kind = COMMAND_END, .context = number });
	cr_expect_eq(front_rig_hear(r, &none).kind, REPLY_GONE);
}

/* For the first time. */
static void await_resumed(const struct context *ctx)
{
	while (__atomic_load_n(&ctx->plan.shared->resumed_ns, __ATOMIC_SEQ_CST) == 0)
		(void)sched_yield();
}

Test(front_parts, each_part_is_counted_once)
{
	struct context ctx;
	uint64_t number, first;
	struct reply reply;
	struct rig r;

	front_rig_open(&r);
	front_rig_begin(&r);
	number = make_kept(&r, &ctx);
	go_through_init(&ctx);
	pause_it(&ctx);
	reply = count(&r, number);
	cr_assert_eq(reply.kind, REPLY_PARTED);
	first = reply.counted.usage.cpu_ns;
	cr_expect_gt(first, 0);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(context_resume(&ctx, NSEC_PER_SEC, 0, NULL), 0);
		pause_it(&ctx);
		reply = count(&r, number);
		cr_assert_eq(reply.kind, REPLY_PARTED);
		/* It goes to sleep. */
		cr_expect_lt(reply.counted.usage.cpu_ns, first);
	}
	/* Dead, it is counted for good. */
	front_rig_say(&r, &(struct command){ .kind = COMMAND_KILL, .context = number });
	cr_assert_eq(front_rig_turn(&r), 0);
	hear(&ctx, WARDEN_ENDED);
	cr_expect_eq(count(&r, number).kind, REPLY_COUNTED);
	end(&r, &ctx, number);
	front_rig_close(&r);
}

/* The warden has the launcher count it; the front hears no more of it than that it was. */
static uint64_t pause_by_notice(struct rig *r, const struct context *ctx)
{
	struct packet_fds none = { .n = 0 };
	struct reply reply;

	cr_assert_eq(context_pause(ctx, WARDEN_NOTICE, NULL), 0);
	reply = front_rig_hear(r, &none);
	cr_assert_eq(reply.kind, REPLY_PARTED);
	cr_expect_gt(__atomic_load_n(&ctx->plan.shared->paused_ns, __ATOMIC_SEQ_CST), 0);
	return reply.counted.usage.cpu_ns;
}

static struct warden_msg hear_end(struct context *ctx)
{
	struct cloche_err err = { 0 };
	struct warden_msg m;

	cr_assert_eq(context_recv(ctx, &m, &err), 0, "%s", err.text);
	cr_assert_eq(m.type, WARDEN_ENDED, "%u", m.type);
	return m;
}

/* Killed while it is frozen, or when it has gone on since: its end says whether of a pause that was
 * not told otherwise the count was asked for. */
Test(front_parts, a_notice_has_it_counted_once)
{
	for (int goes_on = 0; goes_on < 2; goes_on++) {
		struct packet_fds none = { .n = 0 };
		struct context ctx;
		uint64_t number, first;
		struct rig r;

		front_rig_open(&r);
		front_rig_begin(&r);
		number = make_kept(&r, &ctx);
		go_through_init(&ctx);
		first = pause_by_notice(&r, &ctx);
		for (int i = 0; i < 3; i++) {
			cr_assert_eq(context_resume(&ctx, NSEC_PER_SEC, 0, NULL), 0);
			cr_expect_lt(pause_by_notice(&r, &ctx), first);
		}
		if (goes_on) {
			cr_assert_eq(context_resume(&ctx, NSEC_PER_SEC, 0, NULL), 0);
			while (__atomic_load_n(&ctx.plan.shared->paused_ns, __ATOMIC_SEQ_CST))
				(void)sched_yield();
		}
		front_rig_say(&r, &(struct command){ .kind = COMMAND_KILL, .context = number });
		cr_assert_eq(front_rig_turn(&r), 0);
		cr_expect_eq(hear_end(&ctx).flags & WARDEN_NOTICED, goes_on ? 0 : WARDEN_NOTICED);
		/* Who does not know whether it was told is told what was not, and no more. */
		for (int i = 0; i < 2; i++)
			front_rig_say(&r, &(struct command){ .kind = COMMAND_RECOUNT,
							     .context = number });
		if (goes_on)
			cr_expect_eq(front_rig_hear(&r, &none).kind, REPLY_COUNTED);
		else
			cr_expect_eq(count(&r, number).kind, REPLY_COUNTED);
		end(&r, &ctx, number);
		front_rig_close(&r);
	}
}

/* Whose front is gone when nothing of it was under way has nothing to tell the next one. */
Test(front_parts, what_is_idle_is_nobodys_when_its_front_ends)
{
	for (int under_way = 0; under_way < 2; under_way++) {
		struct packet_fds none = { .n = 0 };
		struct context ctx;
		struct reply reply;
		uint64_t number, cpu_ns;
		struct rig r;

		front_rig_open(&r);
		front_rig_begin(&r);
		number = make_kept(&r, &ctx);
		go_through_init(&ctx);
		pause_it(&ctx);
		reply = count(&r, number);
		cr_assert_eq(reply.kind, REPLY_PARTED);
		cpu_ns = reply.counted.usage.cpu_ns;
		if (under_way) {
			cr_assert_eq(context_resume(&ctx, NSEC_PER_SEC, 0, NULL), 0);
			await_resumed(&ctx);
		}
		context_disown(&ctx);
		/* The next is there before what the last had is gone. */
		fd_close(&r.front);
		launching_drop(r.launching);
		front_rig_connect(&r);
		front_rig_say(&r, &(struct command){ .kind = COMMAND_READY });
		while ((reply = front_rig_hear(&r, &none)).kind == REPLY_LEFT) {
			cr_expect_eq(reply.context, number);
			cr_expect(under_way ? reply.counted.usage.cpu_ns < cpu_ns
					    : reply.counted.usage.cpu_ns == cpu_ns,
				  "the part that it is asked for");
		}
		cr_expect_eq(reply.kind, REPLY_ALONE);
		front_rig_close(&r);
	}
}

/* An init without a quota is short, and nobody goes on who was not stopped. */
Test(front_parts, a_front_that_breaks_the_rules_loses_its_context)
{
	struct cloche_err err = { 0 };
	struct warden_msg m;
	struct context ctx;
	uint64_t number;
	struct rig r;

	front_rig_open(&r);
	for (int i = 0; i < 6; i++) {
		front_rig_begin(&r);
		number = make_kept(&r, &ctx);
		go(&ctx, i == 0 ? ORDER_INIT_MAX_NS + 1 : ORDER_INIT_MAX_NS);
		if (i > 0)
			hear(&ctx, WARDEN_STARTED);
		if (i == 1)
			cr_assert_eq(context_resume(&ctx, NSEC_PER_SEC, 0, NULL), 0);
		if (i > 1 && i < 5)
			pause_it(&ctx);
		if (i == 2)
			cr_assert_eq(context_send(&ctx, WARDEN_PAUSE, NULL), 0);
		if (i == 3)
			cr_assert_eq(context_resume(&ctx, SPEC_TIMEOUT_MAX + 1, 0, NULL), 0);
		if (i == 4)
			cr_assert_eq(context_resume(&ctx, NSEC_PER_SEC, WARDEN_STOP << 1, NULL), 0);
		if (i == 5)
			cr_assert_eq(context_pause(&ctx, WARDEN_NOTICE << 1, NULL), 0);
		cr_expect_lt(context_recv(&ctx, &m, &err), 0, "row %d: %u", i, m.type);
		cr_expect_eq(err.code, EPROTO, "%s", err.text);
		end(&r, &ctx, number);
		front_rig_drop(&r);
	}
	front_rig_close(&r);
}

/* Whether it is told to go or heard from. */
Test(front_parts, who_is_dead_is_said_to_be)
{
	char *const argv[] = { (char *)"true", NULL };
	struct cloche_err err = { 0 };
	struct context ctx;
	struct spec spec;
	struct rig r;
	pid_t pid;

	front_rig_open(&r);
	front_rig_begin(&r);
	(void)make_kept(&r, &ctx);
	pid = front_rig_last_child();
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
	spec_defaults(&spec);
	spec.argv = argv;
	cr_expect_lt(context_go(&ctx, &spec, (int[]){ 0, 1, 2 }, false, &err), 0);
	cr_expect_str_eq(err.text, "pid 1 of the context died");
	context_disown(&ctx);
	front_rig_close(&r);
}

/* ---- code ---- */

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void put_code(const struct rig *r, const struct store *s)
{
	static const char *const dirs[] = { "owners", "owners/1000", "owners/1000/code" };
	char to[256], from[256], sha[65];

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		(void)snprintf(to, sizeof(to), "%s/%s", r->dir, dirs[i]);
		cr_assert_eq(mkdir(to, 0755), 0);
	}
	store_build(s, tree_make(s, "code"), "code", sha);
	(void)snprintf(from, sizeof(from), "%s/code.erofs", s->path);
	(void)snprintf(to, sizeof(to), "%s/owners/1000/code/" HEX ".erofs", r->dir);
	cr_assert_eq(rename(from, to), 0, "%m");
}

Test(front_parts, code_is_mounted_by_its_name)
{
	cleanup_store struct store s = store_make();
	struct packet_fds fds = { .n = 0 };
	struct context ctx;
	struct command c;
	struct reply reply;
	struct rig r;

	front_rig_open(&r);
	front_rig_begin(&r);
	c = front_rig_ask_for(&r, 1000);
	(void)snprintf(c.make.code[0].sha256, sizeof(c.make.code[0].sha256), HEX);
	(void)snprintf(c.make.code[1].sha256, sizeof(c.make.code[1].sha256), HEX);
	reply = make(&r, &c, &fds);
	cr_expect_eq(reply.kind, REPLY_REFUSED, "there is none yet");
	put_code(&r, &s);
	/* Not mounted yet, and then it is. */
	for (int i = 0; i < 2; i++) {
		c.context = ++r.given;
		reply = make(&r, &c, &fds);
		cr_assert_eq(reply.kind, REPLY_MADE, "%s", reply.err.text);
		ctx = front_rig_adopt(&fds);
		cr_expect_eq(front_rig_exit_of(&ctx, "/var/task/noop && /opt/noop && "
						     "! touch /var/task/x /opt/x"),
			     0);
		end(&r, &ctx, c.context);
	}
	/* Another's is not his. */
	c.context = ++r.given;
	c.make.owner = 1001;
	cr_expect_eq(make(&r, &c, &fds).kind, REPLY_REFUSED);
	front_rig_close(&r);
}

/* ---- blanks ---- */

#define SEEN 16384

/* One line without the numbers, which are another context's. */
static size_t put_line(char *ret, size_t room, const char *line)
{
	size_t n = 0;

	for (; *line && n + 1 < room; line++)
		if (!strchr("0123456789", *line))
			ret[n++] = *line;
	ret[n] = '\0';
	return n;
}

static int in_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What is mounted there, in whatever order. */
static size_t put_mounts(char *ret, size_t room, pid_t warden)
{
	cleanup_file FILE *f = NULL;
	char path[64], line[1000], *lines[200];
	size_t n = 0, len = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/mountinfo", warden);
	f = fopen(path, "re");
	cr_assert_not_null(f, "%s: %m", path);
	while (n < 200 && fgets(line, sizeof(line), f))
		lines[n++] = strdup(line);
	for (size_t i = 0; i < n; i++)
		(void)put_line(lines[i], strlen(lines[i]) + 1, lines[i]);
	qsort(lines, n, sizeof(lines[0]), in_order);
	for (size_t i = 0; i < n; i++) {
		len += put_line(ret + len, room - len, lines[i]);
		free(lines[i]);
	}
	return len;
}

static size_t put_capabilities(char *ret, size_t room, pid_t warden)
{
	cleanup_file FILE *f = NULL;
	char path[64], line[256];
	size_t len = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", warden);
	f = fopen(path, "re");
	cr_assert_not_null(f, "%s: %m", path);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, "Cap", 3) == 0)
			len += (size_t)snprintf(ret + len, room - len, "%s", line);
	return len;
}

struct looked_at {
	struct context ctx;
	uint64_t number;
	pid_t warden;
	char seen[SEEN];
};

/* One that is there inside, one to be made, one in what is new for each invocation. */
static const char *const bind_places[] = { "/mnt", "/new/place", "/tmp/in" };
#define BIND_PLACES (sizeof(bind_places) / sizeof(bind_places[0]))

/* By user 1000, who is asked by the kernel for both: who makes the socket, and who sends. */
static void give_binds(struct context *ctx, const struct bind_spec *binds, unsigned n)
{
	unsigned char claim[HASH_LEN];
	struct cloche_err err = { 0 };
	struct spec spec;
	int socket, r;

	spec_defaults(&spec);
	spec.binds = binds;
	spec.n_binds = n;
	cr_assert(setresgid(1000, 1000, 0) == 0 && setresuid(1000, 1000, 0) == 0);
	r = given_pack(&spec, &socket, claim, &err);
	cr_assert(setresuid(0, 0, 0) == 0 && setresgid(0, 0, 0) == 0);
	cr_assert_eq(r, 0, "%s", err.text);
	cr_assert_eq(context_give(ctx, socket, &err), 0, "%s", err.text);
	(void)close(socket);
}

static void make_to_look(struct rig *r, struct command *c, const struct bind_spec *binds,
			 struct looked_at *ret)
{
	struct packet_fds fds = { .n = 0 };
	struct reply reply;

	c->context = ret->number = ++r->given;
	reply = make(r, c, &fds);
	ret->warden = front_rig_last_child();
	cr_assert_eq(reply.kind, REPLY_MADE, "%s", reply.err.text);
	ret->ctx = front_rig_adopt(&fds);
	if (c->make.binds)
		give_binds(&ret->ctx, binds, c->make.binds);
}

/* What it says of itself, and what there is of it on the host. */
static void look(struct looked_at *l, char *const argv[])
{
	int ends[2];
	size_t len;
	FILE *f;

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	go_with(&l->ctx, argv, ORDER_INIT_MAX_NS, ends[1]);
	(void)close(ends[1]);
	f = fdopen(ends[0], "r");
	cr_assert_not_null(f);
	len = fread(l->seen, 1, SEEN - 1, f);
	(void)fclose(f);
	len += put_mounts(l->seen + len, SEEN - len, l->warden);
	(void)put_capabilities(l->seen + len, SEEN - len, l->warden);
}

/* A blank that is not taken in time is ended: both are there before it is looked at anything. */
static void expect_the_same(struct rig *r, struct command *c, const struct bind_spec *binds,
			    char *const argv[], const char *has)
{
	static struct looked_at fresh, dressed;
	pid_t blank;

	cr_assert_eq(launching_blanks(r->launching), 0);
	make_to_look(r, c, binds, &fresh);
	while (launching_blanks(r->launching) == 0)
		cr_assert_eq(front_rig_turn(r), 0);
	blank = front_rig_last_child();
	make_to_look(r, c, binds, &dressed);
	cr_expect_eq(launching_blanks(r->launching), 0, "it was not taken");
	/* The last child may be one that was but asked for a user namespace. */
	dressed.warden = blank;
	look(&fresh, argv);
	look(&dressed, argv);
	cr_expect_str_eq(dressed.seen, fresh.seen);
	cr_expect(strstr(fresh.seen, "CapEff") && strstr(fresh.seen, has), "%s", fresh.seen);
	end(r, &fresh.ctx, fresh.number);
	end(r, &dressed.ctx, dressed.number);
}

/* A context of a command, of one in an image, of a function. */
Test(front_parts, what_was_a_blank_is_what_was_none)
{
	static const char script[] = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start "
				     "/proc/net/if_inet6; ls /var/task /opt; ulimit -n";
	char *const shell[] = { (char *)"sh", (char *)"-c", (char *)(uintptr_t)script, NULL };
	char *const noop[] = { (char *)"/noop", NULL };
	enum { COMMAND, IMAGE, FUNCTION, KINDS };

	for (int kind = 0; kind < KINDS; kind++) {
		cleanup_store struct store s = store_make();
		struct command c;
		struct rig r;

		front_rig_open(&r);
		front_rig_begin(&r);
		put_code(&r, &s);
		c = front_rig_ask_for(&r, 1000);
		c.make.cpu_mode = CPU_FIXED;
		c.make.cpu_milli = 1000;
		c.make.kept = c.make.api = kind == FUNCTION;
		c.make.net = kind == FUNCTION ? NET_LOOPBACK : NET_NONE;
		for (int i = 0; kind == FUNCTION && i < 2; i++)
			(void)snprintf(c.make.code[i].sha256, sizeof(c.make.code[i].sha256), HEX);
		if (kind == IMAGE) {
			store_build(&s, store_file(&s, "code"), "mine", c.make.image.sha256);
			(void)snprintf(c.make.image.name, sizeof(c.make.image.name), "mine");
		}
		expect_the_same(&r, &c, NULL, kind == IMAGE ? noop : shell,
				kind == IMAGE	   ? "erofs"
				: kind == FUNCTION ? "/var/task"
						   : "");
		front_rig_close(&r);
	}
}

/* With each bind alone and with all of them. */
Test(front_parts, what_was_a_blank_has_binds_as_what_was_none)
{
	static const char script[] = "for at in /mnt /new/place /tmp/in; do "
				     "[ -e $at/file ] || continue; stat -c %u:%g $at $at/file; "
				     "cat $at/file; >$at/new && echo written; rm $at/new; done; "
				     "pwd; ls /; cat /proc/self/mounts | wc -l";
	char *const shell[] = { (char *)"sh", (char *)"-c", (char *)(uintptr_t)script, NULL };
	cleanup_tmpdir char *dir = tmpdir_make_open();
	struct bind_spec binds[BIND_PLACES];
	char file[512];

	tmpdir_path(file, dir, "file");
	cr_assert(mknod(file, S_IFREG | 0644, 0) == 0 && chown(file, 1000, 1000) == 0);
	cr_assert(chown(dir, 1000, 1000) == 0);
	for (unsigned i = 0; i < BIND_PLACES; i++)
		binds[i] = (struct bind_spec){ .src = dir, .dst = bind_places[i], .rw = true };
	for (unsigned i = 0; i <= BIND_PLACES; i++) {
		struct command c;
		struct rig r;

		front_rig_open(&r);
		front_rig_begin(&r);
		c = front_rig_ask_for(&r, 1000);
		c.make.cpu_mode = CPU_FIXED;
		c.make.cpu_milli = 1000;
		c.make.owner_gid = 1000;
		c.make.binds = i < BIND_PLACES ? 1 : BIND_PLACES;
		expect_the_same(&r, &c, i < BIND_PLACES ? &binds[i] : binds, shell, "written");
		front_rig_close(&r);
	}
}

/* By a link of the root's own, or by the owner's in another bind: a blank has its /proc by then. */
Test(front_parts, no_bind_is_led_into_proc)
{
	static const char *const places[][2] = { { "/etc/mtab", "/opt/file" },
						 { "/opt/outer", "/opt/outer/link" },
						 { "/opt/outer", "/opt/outer/link/x" } };
	cleanup_tmpdir char *dir = tmpdir_make_open();
	struct bind_spec binds[2];
	char file[512], link[512];

	tmpdir_path(file, dir, "file");
	tmpdir_path(link, dir, "link");
	cr_assert(mknod(file, S_IFREG | 0644, 0) == 0 && symlink("/proc/self", link) == 0);
	for (size_t i = 0; i < 2 * sizeof(places) / sizeof(places[0]); i++) {
		const char *const *at = places[i / 2];
		struct cloche_err err = { 0 };
		struct looked_at l;
		struct warden_msg m = { .type = WARDEN_MESSAGES };
		struct command c;
		struct rig r;

		front_rig_open(&r);
		front_rig_begin(&r);
		if (i % 2) {
			struct context first;

			(void)make_kept(&r, &first);
			while (launching_blanks(r.launching) == 0)
				cr_assert_eq(front_rig_turn(&r), 0);
			context_disown(&first);
		}
		for (int b = 0; b < 2; b++)
			binds[b] = (struct bind_spec){ .src = i < 2 ? file : dir, .dst = at[b] };
		c = front_rig_ask_for(&r, 1000);
		c.make.owner_gid = 1000;
		c.make.binds = 2;
		make_to_look(&r, &c, binds, &l);
		go(&l.ctx, NSEC_PER_SEC);
		if (context_recv(&l.ctx, &m, &err) == 0) {
			cr_expect_eq(m.type, WARDEN_FAILED, "'%s': %u", at[1], m.type);
			err = l.ctx.plan.shared->err;
		}
		cr_expect(strstr(err.text, "bind: "), "'%s': %s", at[1], err.text);
		context_disown(&l.ctx);
		front_rig_close(&r);
	}
}
