/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BENCH_BENCH_H
#define CLOCHE_BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "subject.h"

struct cloche_err;
struct json_t;

/* One call of the bench. `root` becomes the file of --json; what is printed is in it too. */
struct bench {
	struct stage stage;
	struct json_t *root;	/* owned */
	struct json_t *targets; /* array in root */
	bool quick;
	bool missed; /* a target of speed: said, never a failure */
	bool leaked; /* something survived: exit status 1 */
};

/* The figures that targets are made of; 0: not measured. Filled by the parts as they run. */
struct figures {
	int64_t bwrap_ns, cloche_ns, runc_ns, bwrap_idle_ns, cloche_idle_ns;
	int64_t host_noop_ns, image_noop_ns, host_python_ns, image_python_ns;
	int64_t tree_ns, tree_image_ns; /* of the same python3 */
	double parallel_ratio;		/* 100 at a time, 500 mounts : 1 at a time, none */
	int64_t daemon_bare_ns, daemon_bwrap_ns, daemon_ns, daemon_call_ns;
	int64_t daemon_idle_bwrap_ns, daemon_idle_ns;
	double daemon_rate;   /* calls a second, eight at a time */
	double hostile_ratio; /* the p99 of a call beside hostile clients : alone */
	int64_t overshoot_burn_p99_ns, overshoot_bomb_p99_ns;
	/* Deployed functions. */
	int64_t relay_ns, native_ns, native_p99_ns, loop_ns, python_ns, node_ns;
	int64_t fork_ns, bare_fork_ns, cold_heavy_ns;
	int64_t bare_python_ns, cold_python_ns, bare_node_ns, cold_node_ns;
	int64_t alone_ns, beside_ns; /* the same event, without and with hundreds deployed beside */
};

/* Each part prints its table and adds its figures to bench->root. 0, or -errno when something
 * that is measured failed. */
int noise_measure(struct bench *bench, struct cloche_err *err);
int latency_measure(struct bench *bench, struct figures *figures, struct cloche_err *err);
int parallel_measure(struct bench *bench, struct figures *figures, struct cloche_err *err);
int overshoot_measure(struct bench *bench, struct figures *figures, struct cloche_err *err);
int daemon_measure(struct bench *bench, struct figures *figures, struct cloche_err *err);
int functions_measure(struct bench *bench, struct figures *figures, struct cloche_err *err);
int hostile_measure(struct bench *bench, struct figures *figures, struct cloche_err *err);
int idle_usual(struct bench *bench, struct figures *figures, struct cloche_err *err);
int warm_measure(struct bench *bench, unsigned functions, struct cloche_err *err);
int idle_measure(struct bench *bench, unsigned contexts, struct cloche_err *err);
int soak_measure(struct bench *bench, unsigned runs, unsigned width, struct cloche_err *err);
int kill_measure(struct bench *bench, unsigned kills, struct cloche_err *err);

/* A random number below `below` (> 0), from a generator with a fixed seed: two calls of the bench
 * take their turns in the same order. */
uint32_t bench_random(uint32_t below);

/* From the kill of 64 spinning forks to their end, once. */
int floor_measure(const char *helpers, int64_t *ret_ns, struct cloche_err *err);

#endif
