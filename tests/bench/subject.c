/* SPDX-License-Identifier: MIT */
/*
 * Who is measured: one table of runners and one of works, argument vectors with placeholders, so
 * that what was measured can be read off a screen. Limits and filter are equal wherever the runner
 * has such a thing; where it has not, it does less than cloche, never more, and the name of the
 * row says so. Users' namespaces are cloche's only: the OCI runtimes run without, as they do by
 * default, which is to their advantage.
 */
#include "subject.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"

#define STR_(x) #x
#define STR(x)	STR_(x)

/* "@host": the work's words as the host sees it; "@inside": as cloche's function sees it. */
static const struct {
	const char *host[6], *inside[6];
} works[WORK_COUNT] = {
	[WORK_NOOP] = { { "@helpers/noop" }, { "/opt/bench/noop" } },
	[WORK_PYTHON] = { { "/usr/bin/python3", "-c", "pass" },
			  { "/usr/bin/python3", "-c", "pass" } },
	[WORK_BURN] = { { "@helpers/burn" }, { "/opt/bench/burn" } },
	[WORK_FORKBOMB] = { { "@helpers/forkbomb" }, { "/opt/bench/forkbomb" } },
};

static const struct {
	const char *name, *tool; /* tool NULL: nothing to look for */
	int want;
	bool filter;
	const char *argv[16];
} subjects[SUBJECT_COUNT] = {
	[SUBJECT_BARE] = {
		.name = "bare fork+exec",
		.argv = { "@host" },
	},
	[SUBJECT_BWRAP] = {
		.name = "bwrap",
		.tool = "/usr/bin/bwrap",
		.argv = { "/usr/bin/bwrap", "--unshare-all", "--ro-bind", "/", "/", "@host" },
	},
	[SUBJECT_BWRAP_SECCOMP] = {
		.name = "bwrap, filter",
		.tool = "/usr/bin/bwrap",
		.filter = true,
		.argv = { "/usr/bin/bwrap", "--unshare-all", "--seccomp", STR(FILTER_FD),
			  "--ro-bind", "/", "/", "@host" },
	},
	[SUBJECT_CLOCHE] = {
		.name = "cloche run",
		.tool = "@cloche",
		.argv = { "@cloche", "run", "-q", "-b", "@helpers:/opt/bench", "--", "@inside" },
	},
	[SUBJECT_CLOCHE_REPORT] = {
		.name = "cloche run --report",
		.tool = "@cloche",
		.argv = { "@cloche", "run", "-q", "--report", "@report", "-b",
			  "@helpers:/opt/bench", "--", "@inside" },
	},
	[SUBJECT_CLOCHE_IMAGE] = {
		.name = "--rootfs " STAGE_IMAGE,
		.tool = "@cloche",
		.argv = { "@cloche", "run", "-q", "--rootfs", STAGE_IMAGE, "-b",
			  "@helpers:/opt/bench", "--", "@inside" },
	},
	[SUBJECT_CLOCHE_TREE] = {
		.name = "--rootfs DIR",
		.tool = "@cloche",
		.argv = { "@cloche", "run", "-q", "--rootfs", "@tree", "-b",
			  "@helpers:/opt/bench", "--", "@inside" },
	},
	[SUBJECT_CLOCHE_TREE_IMAGE] = {
		.name = "--rootfs IMAGE of DIR",
		.tool = "@cloche",
		.argv = { "@cloche", "run", "-q", "--rootfs", STAGE_TREE_IMAGE, "-b",
			  "@helpers:/opt/bench", "--", "@inside" },
	},
	[SUBJECT_CLOCHE_REPEAT] = {
		.name = "cloche run --repeat " STR(SUBJECT_REPEAT),
		.tool = "@cloche",
		.argv = { "@cloche", "run", "-q", "--repeat", STR(SUBJECT_REPEAT), "-b",
			  "@helpers:/opt/bench", "--", "@inside" },
	},
	[SUBJECT_CLOCHE_50MS] = {
		.name = "cloche run -t 50ms",
		.tool = "@cloche",
		.want = 124,
		.argv = { "@cloche", "run", "-q", "-t", "50ms", "--report", "@report", "-b",
			  "@helpers:/opt/bench", "--", "@inside" },
	},
	[SUBJECT_CLOCHE_1S] = {
		.name = "cloche run -t 1s",
		.tool = "@cloche",
		.want = 124,
		.argv = { "@cloche", "run", "-q", "-t", "1s", "-b", "@helpers:/opt/bench",
			  "--", "@inside" },
	},
	[SUBJECT_CRUN] = {
		.name = "crun, limits, filter",
		.tool = "/usr/bin/crun",
		.argv = { "/usr/bin/crun", "--root", "@state", "run", "--bundle", "@bundle",
			  "@id" },
	},
	[SUBJECT_RUNC] = {
		.name = "runc, limits, filter",
		.tool = "/usr/sbin/runc",
		.argv = { "/usr/sbin/runc", "--root", "@state", "run", "--bundle",
			  "@bundle", "@id" },
	},
};

const char *subject_missing(enum subject_id id, const struct stage *stage)
{
	static char why[PATH_MAX + 64];
	const char *tool = subjects[id].tool;

	if (!tool)
		return NULL;
	if (!strcmp(tool, "@cloche"))
		tool = stage->cloche;
	if (id == SUBJECT_CLOCHE_IMAGE && stage->no_image[0])
		return stage->no_image;
	if ((id == SUBJECT_CLOCHE_TREE || id == SUBJECT_CLOCHE_TREE_IMAGE) && stage->no_tree[0])
		return stage->no_tree;
	if (access(tool, X_OK) == 0)
		return NULL;
	snprintf(why, sizeof(why), "%s is not there", tool);
	return why;
}

const char *subject_name(enum subject_id id)
{
	return subjects[id].name;
}

bool subject_is_peer(enum subject_id id)
{
	return subjects[id].tool && strcmp(subjects[id].tool, "@cloche") != 0;
}

/* A placeholder stands at the beginning of a word; what follows it is kept. */
static char *word_expand(const char *word, const struct stage *stage)
{
	const struct {
		const char *name, *value;
	} places[] = {
		{ "@cloche", stage->cloche }, { "@helpers", stage->helpers },
		{ "@report", stage->report }, { "@bundle", stage->bundle },
		{ "@state", stage->state },   { "@tree", stage->tree },
	};
	char *text;

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		size_t len = strlen(places[i].name);

		if (strncmp(word, places[i].name, len) == 0)
			return asprintf(&text, "%s%s", places[i].value, word + len) < 0 ? NULL
											: text;
	}
	return strdup(word);
}

static int command_add(struct command *command, const char *word, const struct stage *stage,
		       struct cloche_err *err)
{
	int at = 0;

	while (command->argv[at])
		at++;
	if (at + 1 >= COMMAND_ARGS)
		return cloche_err_set(err, E2BIG, "more than %d words in a bench command",
				      COMMAND_ARGS - 1);
	if (!strcmp(word, "@id"))
		command->id_at = at;
	/* Room for any id: see command_start. */
	command->argv[at] = strcmp(word, "@id") ? word_expand(word, stage) : calloc(1, 64);
	if (!command->argv[at])
		return cloche_err_sys(err, ENOMEM, "expand '%s'", word);
	return 0;
}

int command_make(enum subject_id id, enum work work, const struct stage *stage, struct command *ret,
		 struct cloche_err *err)
{
	struct command command = { .name = subjects[id].name,
				   .want = subjects[id].want,
				   .filter = subjects[id].filter,
				   .id_at = -1 };
	int r = 0;

	for (const char *const *word = subjects[id].argv; *word && r == 0; word++) {
		const char *const *inner = NULL;

		if (!strcmp(*word, "@host"))
			inner = works[work].host;
		else if (!strcmp(*word, "@inside"))
			inner = works[work].inside;
		if (!inner)
			r = command_add(&command, *word, stage, err);
		for (; inner && *inner && r == 0; inner++)
			r = command_add(&command, *inner, stage, err);
	}
	if (r < 0)
		command_free(&command);
	else
		*ret = command;
	return r;
}

void command_free(struct command *command)
{
	for (int i = 0; i < COMMAND_ARGS; i++)
		free(command->argv[i]);
	memset(command->argv, 0, sizeof(command->argv));
}

int stage_mkdir(const char *path, struct cloche_err *err)
{
	if (mkdir(path, 0755) < 0)
		return cloche_err_sys(err, errno, "mkdir '%s'", path);
	return 0;
}

int stage_copy(const char *from, const char *to, struct cloche_err *err)
{
	cleanup_fd int in = open(from, O_RDONLY | O_CLOEXEC);
	cleanup_fd int out = -1;
	ssize_t n;

	if (in < 0)
		return cloche_err_sys(err, errno, "open '%s'", from);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (out < 0)
		return cloche_err_sys(err, errno, "create '%s'", to);
	while ((n = sendfile(out, in, NULL, 1 << 20)) > 0)
		;
	if (n < 0)
		return cloche_err_sys(err, errno, "copy '%s' to '%s'", from, to);
	return 0;
}

/* Absolute, so that it means the same in every runner's root and directory. */
static int path_resolve(const char *path, char ret[static PATH_MAX], struct cloche_err *err)
{
	if (!realpath(path, ret))
		return cloche_err_sys(err, errno, "find '%s'", path);
	return 0;
}

/* The program may not be built yet when only the peers are measured: then its path stays as
 * given, and subject_missing says so. */
static void cloche_find(struct stage *stage)
{
	const char *given = getenv("CLOCHE");

	if (!given || !*given)
		given = "build/cloche";
	if (!realpath(given, stage->cloche))
		snprintf(stage->cloche, sizeof(stage->cloche), "%s", given);
}

int stage_make(struct stage *stage, const char *helpers, const char *profile,
	       struct cloche_err *err)
{
	int r;

	cloche_find(stage);
	r = path_resolve(helpers, stage->helpers, err);
	if (r < 0)
		return cloche_err_wrap(err, "helper programs (make tests builds them)");
	r = path_resolve(profile, stage->profile, err);
	if (r < 0)
		return cloche_err_wrap(err, "seccomp profile for the peers");
	stage->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (stage->null_fd < 0)
		return cloche_err_sys(err, errno, "open '/dev/null'");
	stage->errors_fd = memfd_create("bench-errors", MFD_CLOEXEC);
	if (stage->errors_fd < 0 || fcntl(stage->errors_fd, F_SETFL, O_APPEND) < 0)
		return cloche_err_sys(err, errno, "make a file for what goes wrong");
	snprintf(stage->dir, sizeof(stage->dir), "/tmp/cloche-bench-XXXXXX");
	if (!mkdtemp(stage->dir)) {
		int code = errno;

		stage->dir[0] = '\0';
		return cloche_err_sys(err, code, "mkdtemp in '/tmp'");
	}
	snprintf(stage->bundle, sizeof(stage->bundle), "%s/bundle", stage->dir);
	snprintf(stage->state, sizeof(stage->state), "%s/state", stage->dir);
	snprintf(stage->tree, sizeof(stage->tree), "%s/tree", stage->dir);
	snprintf(stage->filter, sizeof(stage->filter), "%s/filter.bpf", stage->dir);
	snprintf(stage->report, sizeof(stage->report), "%s/report.json", stage->dir);
	r = bundle_make(stage, err);
	if (r < 0)
		stage_remove(stage);
	return r;
}

static int entry_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)remove(path);
	return 0;
}

void stage_remove(struct stage *stage)
{
	/* FTW_MOUNT: should a runner have left a mount there, what is in it is not ours. */
	if (stage->dir[0])
		(void)nftw(stage->dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	stage->dir[0] = '\0';
	fd_close(&stage->null_fd);
	fd_close(&stage->errors_fd);
}
