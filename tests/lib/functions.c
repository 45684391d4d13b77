/* SPDX-License-Identifier: MIT */
/* Deploys functions by a daemon of the test's own: see functions.h. */
#include "tests/lib/functions.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void project_put(const struct project *s, const char *name, const char *text)
{
	char path[700];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", s->project, name);
	f = fopen(path, "we");
	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s: %m", path);
}

void project_dir(const struct project *s, const char *name)
{
	char path[700];

	(void)snprintf(path, sizeof(path), "%s/%s", s->project, name);
	cr_assert(mkdir(path, 0755) == 0 || errno == EEXIST, "%s: %m", path);
}

void project_link(const struct project *s, const char *name, const char *target)
{
	char path[700];

	(void)snprintf(path, sizeof(path), "%s/%s", s->project, name);
	cr_assert_eq(symlink(target, path), 0, "%s: %m", path);
}

void project_begin(struct project *s, const char *config)
{
	*s = (struct project){ 0 };
	daemon_prepare(&s->d);
	daemon_reconfigure(&s->d, config);
	(void)snprintf(s->project, sizeof(s->project), "%s/project", s->d.dir);
	cr_assert_eq(mkdir(s->project, 0755), 0);
	project_dir(s, "code");
	project_put(s, "code/app.py", "def handler(event, context):\n    return event\n");
	daemon_start(&s->d);
}

void project_end(struct project *s)
{
	daemon_stop(&s->d);
	run_free(&s->run);
}

/* `cloche VERB ARGS…` by a user. */
void project_by(struct project *s, const char *user, const char *const words[])
{
	struct daemon other = s->d;

	other.user = user;
	other.verb = words[0];
	run_free(&s->run);
	daemon_run_as_user(&other, &s->run, words + 1);
}

void project_deploy_as(struct project *s, const char *user, const char *yaml)
{
	char path[700];

	project_put(s, "cloche.yaml", yaml);
	(void)snprintf(path, sizeof(path), "%s/cloche.yaml", s->project);
	project_by(s, user, (const char *const[]){ "deploy", path, NULL });
}

void project_deploy(struct project *s, const char *yaml)
{
	project_deploy_as(s, DAEMON_USER, yaml);
}

void project_expect(const struct project *s, const char *out)
{
	cr_expect_eq(s->run.status, 0, "%d: %s", s->run.status, s->run.err);
	cr_expect(strstr(s->run.out, out), "said: %snot: %s", s->run.out, out);
}

void project_refused(const struct project *s, int status, const char *err)
{
	cr_expect_eq(s->run.status, status, "%d: %s", s->run.status, s->run.err);
	cr_expect(strstr(s->run.err, err), "said: %snot: %s", s->run.err, err);
	cr_expect_str_eq(s->run.out, "");
}

/* How much code of a user's there is. */
unsigned project_codes(const struct project *s, const char *user)
{
	char path[700];
	unsigned n = 0;
	struct dirent *e;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/state/owners/%s/code", s->d.dir, user);
	d = opendir(path);
	while (d && (e = readdir(d)))
		n += strstr(e->d_name, ".erofs") != NULL;
	if (d)
		(void)closedir(d);
	return n;
}

/* What is removed is so when whoever caused it is answered; an owner's next answer comes behind. */
void project_expect_codes(struct project *s, const char *user, unsigned n)
{
	for (int i = 0; i < 1000 && project_codes(s, user) != n; i++)
		project_by(s, user, (const char *const[]){ "functions", "--json", NULL });
	cr_expect_eq(project_codes(s, user), n);
}

static bool has_in_environment(const char *pid, const char *mark)
{
	char path[300], text[8192];
	FILE *f;
	size_t n;

	(void)snprintf(path, sizeof(path), "/proc/%s/environ", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	n = fread(text, 1, sizeof(text), f);
	(void)fclose(f);
	return memmem(text, n, mark, strlen(mark) + 1) != NULL;
}

unsigned project_functions(const char *mark, pid_t *ret, unsigned most)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	unsigned n = 0;

	while (n < most && (e = readdir(proc)))
		if (*e->d_name > '0' && *e->d_name <= '9' && has_in_environment(e->d_name, mark))
			ret[n++] = (pid_t)atoi(e->d_name);
	(void)closedir(proc);
	return n;
}
