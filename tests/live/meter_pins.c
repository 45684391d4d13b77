/* SPDX-License-Identifier: MIT */
/*
 * Loading, finding, replacing and removing the pinned meter, and slots that somebody left behind.
 * Under names of its own. Needs root and BPF.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "meter/meter.h"
#include "meter/meter_state.h"
#include "meter/usage.h"
#include "tests/lib/meter_rig.h"

#define BPFFS "/sys/fs/bpf/"

static unsigned versions(const char *name)
{
	DIR *dir = opendir(BPFFS);
	unsigned n = 0;
	struct dirent *d;

	while (dir && (d = readdir(dir)))
		n += strncmp(d->d_name, name, strlen(name)) == 0;
	if (dir)
		closedir(dir);
	return n;
}

static void open_ok(struct meter *m, const char *name)
{
	struct cloche_err err = { 0 };

	*m = (struct meter)METER_INIT;
	cr_assert(!meter_open(m, name, &err), "%s", err.text);
}

static uint64_t inode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_ino;
}

Test(meter_pins, loaded_once_and_found)
{
	const char *name = "cloche-meter-test-once";
	struct meter_state s;
	struct meter m;
	uint64_t first;

	open_ok(&m, name);
	first = inode_of(m.path);
	cr_assert_neq(first, 0);
	meter_close(&m);
	cr_assert(!meter_state(&s, name, NULL));
	cr_assert(s.mounted && s.loaded);
	cr_assert_geq(s.programs, 10);
	cr_assert_eq(s.slots_armed, 0);
	cr_assert_eq(s.others, 0);
	open_ok(&m, name);
	cr_assert_eq(inode_of(m.path), first, "loaded a second time");
	cr_assert_eq(meter_remove(name, NULL), -EBUSY);
	cr_assert_eq(inode_of(m.path), first);
	meter_close(&m);
	cr_assert(!meter_remove(name, NULL));
	cr_assert_eq(versions(name), 0);
	cr_assert(!meter_state(&s, name, NULL));
	cr_assert(!s.loaded);
}

/* Eight at once: one loads, all get the same. */
Test(meter_pins, many_at_once_load_one)
{
	const char *name = "cloche-meter-test-race";
	uint64_t first = 0;
	int pipes[2], status;

	cr_assert(!pipe(pipes));
	for (int i = 0; i < 8; i++)
		if (!fork()) {
			struct meter m = METER_INIT;
			bool ok = !meter_open(&m, name, NULL);
			uint64_t inode = inode_of(m.path);

			ok = ok && write(pipes[1], &inode, sizeof(inode)) == sizeof(inode);
			_exit(!ok);
		}
	for (int i = 0; i < 8; i++)
		cr_assert(wait(&status) > 0 && !status);
	for (int i = 0; i < 8; i++) {
		uint64_t inode;

		cr_assert_eq(read(pipes[0], &inode, sizeof(inode)), sizeof(inode));
		if (!first)
			first = inode;
		cr_assert_eq(inode, first);
	}
	cr_assert_eq(versions(name), 1);
	cr_assert(!meter_remove(name, NULL));
	close(pipes[0]);
	close(pipes[1]);
}

/* Other builds' pins go when nobody holds them, and what only looks like them stays. */
Test(meter_pins, a_newer_build_replaces_an_unused_one)
{
	const char *name = "cloche-meter-test-new";
	const char *unused = BPFFS "cloche-meter-test-new-0123456789abcdef";
	const char *half = BPFFS "cloche-meter-test-new-0123456789abcdef-new";
	const char *used = BPFFS "cloche-meter-test-new-00000000deadbeef";
	const char *other = BPFFS "cloche-meter-test-new-mine";
	struct meter_state s;
	struct meter m;
	int lock;

	open_ok(&m, name); /* mounts the file system */
	meter_close(&m);
	cr_assert(!meter_remove(name, NULL));
	cr_assert(!mkdir(unused, 0700) && !mkdir(used, 0700) && !mkdir(other, 0700));
	cr_assert(!mkdir(half, 0700));
	lock = open(used, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(lock >= 0 && !flock(lock, LOCK_SH));
	open_ok(&m, name);
	cr_assert(access(unused, F_OK) && access(half, F_OK));
	cr_assert(!access(used, F_OK) && !access(other, F_OK));
	cr_assert(!meter_state(&s, name, NULL));
	cr_assert_eq(s.others, 1);
	close(lock);
	meter_close(&m);
	cr_assert(!meter_remove(name, NULL));
	cr_assert(access(used, F_OK) && !access(other, F_OK));
	cr_assert(!rmdir(other));
}

static int dies_armed(void *arg)
{
	rig_tell(0);
	rig_burn(1000000);
	pause();
	return 0;
}

/* Whoever armed a slot and was killed: the next owner starts from nothing, and the old processes,
 * while they last, change nothing of its. */
Test(meter_pins, a_stale_slot_is_reclaimed)
{
	struct cloche_err err = { 0 };
	struct meter_context next;
	struct meter_usage u;
	struct child c;
	struct rig r;

	rig_open(&r, 0);
	rig_begin(&r, false, false);
	c = rig_spawn(&r, dies_armed, NULL);
	rig_hear(&c);
	rig_await_sleep(&c);
	/* The same slot, for another cgroup, without a disarm. */
	cr_assert(!meter_arm(&next, &r.meter, r.ctx.slot, r.id + 1000000, &err), "%s", err.text);
	cr_assert(!meter_begin(&next, false, false, &err), "%s", err.text);
	kill(c.process.pid, SIGKILL);
	rig_reap(&c, NULL);
	cr_assert(!meter_end(&next, &u, &err), "%s", err.text);
	cr_assert_eq(u.on_cpu_ns + u.started + u.switches_forced + u.switches_voluntary, 0);
	cr_assert_eq(u.wall_ns, u.idle_ns);
	/* And the old owner is told. */
	cr_assert_eq(meter_end(&r.ctx, &u, &err), -ESTALE);
	cr_assert(!meter_disarm(&next, &err), "%s", err.text);
	rig_close(&r);
}

Test(meter_pins, a_slot_out_of_range_is_refused)
{
	struct cloche_err err = { 0 };
	struct meter_context c;
	struct meter m = METER_INIT;

	cr_assert_eq(meter_arm(&c, &m, 4096, 1, &err), -ERANGE);
	cr_assert_neq(err.text[0], 0);
}
