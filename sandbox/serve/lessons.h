/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_LESSONS_H
#define CLOCHE_SERVE_LESSONS_H

#include <stdint.h>

struct visit;

/*
 * Clients who learn what one of their functions calls while others invoke it (`cloche policy learn
 * --for`). What is called is counted elsewhere (learner.h), by cgroup; here they are told of each
 * invocation that has ended, with its cgroup, in messages so small that hundreds may wait. What was
 * idle for the function goes when they come, and what was not goes when it is: so that whatever
 * serves it from then on is seen from its first instruction on, its init too. Who does not read has
 * the connection ended: a profile that lacks an invocation's calls would deny them.
 */

struct learnt {
	uint64_t cgroup;  /* of its context, on cgroup2; 0: not known */
	uint32_t verdict; /* enum verdict */
	uint16_t ran;	  /* 0 or 1: it came to its command */
	uint16_t before;  /* 0 or 1: its context was there when LEARN came */
};

/* LEARN. */
void lessons_join(struct visit *v);
void lessons_leave(struct visit *v);

/* An invocation of that function has ended, and is booked. */
void lessons_tell(const struct visit *of);

#endif
