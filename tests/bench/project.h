/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BENCH_PROJECT_H
#define CLOCHE_BENCH_PROJECT_H

struct cloche_err;
struct stage;

/* A folder of functions that the daemon's user deploys. */
struct project {
	const struct stage *stage;
	char *client; /* borrowed; cloche, as that user has it */
	char dir[96];
	char bare[128]; /* bare.py TIMES: half of its forks take no longer than so many ns */
};

/* Their code, by root; it goes with the stage. */
int project_make(const struct stage *stage, char *client, struct project *ret,
		 struct cloche_err *err);

/* By the user: a cloche.yaml of that text. What is refused is *err. */
int project_deploy(struct project *p, const char *yaml, struct cloche_err *err);

/* What is measured most, native, loop, python and node, stays; what is cold begins anew for each
 * event. */
extern const char project_functions[], project_python[], project_node[];

/* What is measured where it may be deployed. */
extern const char project_forked[];

/* From so many to so many, which are all the same but by their names: n0, n1, …; each as small as
 * may be. */
int project_deploy_many(struct project *p, unsigned from, unsigned to, struct cloche_err *err);

#endif
