/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_FUNCTIONS_H
#define CLOCHE_TESTS_LIB_FUNCTIONS_H

#include "tests/lib/daemon.h"
#include "tests/lib/run.h"

/* A folder with a cloche.yaml, everybody's to read, and a daemon. */
struct project {
	struct daemon d;
	char project[600];
	struct run run;
};

/* config: lines of the daemon's configuration. */
void project_begin(struct project *s, const char *config);
void project_end(struct project *s);

/* A file, a directory, a link in it. */
void project_put(const struct project *s, const char *name, const char *text);
void project_dir(const struct project *s, const char *name);
void project_link(const struct project *s, const char *name, const char *target);

/* `cloche WORDS…` by a user, into s->run. */
void project_by(struct project *s, const char *user, const char *const words[]);
#define BY(user, ...) project_by(&s, (user), (const char *const[]){ __VA_ARGS__, NULL })
#define OWN(...)      BY(DAEMON_USER, __VA_ARGS__)

/* A cloche.yaml of that text. */
void project_deploy_as(struct project *s, const char *user, const char *yaml);
void project_deploy(struct project *s, const char *yaml);

/* What the last one said. */
void project_expect(const struct project *s, const char *out);
void project_refused(const struct project *s, int status, const char *err);

/* How much code of a user's there is; what is removed is so when whoever caused it is answered. */
unsigned project_codes(const struct project *s, const char *user);
void project_expect_codes(struct project *s, const char *user, unsigned n);

/* Processes whose environment has "K=V"; returns how many, of so many at most. */
unsigned project_functions(const char *mark, pid_t *ret, unsigned most);

/* A function in a cloche.yaml. */
#define F(name, memory)                                                                 \
	"  " name ":\n    runtime: python3\n    code: code\n    handler: app.handler\n" \
	"    memory: " memory "\n"

#endif
