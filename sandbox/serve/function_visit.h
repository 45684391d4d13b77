/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_FUNCTION_VISIT_H
#define CLOCHE_SERVE_FUNCTION_VISIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct front;
struct packet_fds;
struct reply;
struct request;

/*
 * Clients who deploy functions, ask which there are, go back to another version or remove one. The
 * front keeps the functions (function/function_store.h), and the launcher their code (stores.h), of
 * which the front sees what is there: a function is deployed when all of its code is, and code that
 * no version has any more is removed, one after the other, when whoever caused that is answered.
 * What is changed is written beside the loop (changing.h): of one user one change after the other,
 * in the order in which they came, and each is answered when it counts.
 */
struct function_visit;

/* Takes the socket over, and text, which may be -1: what a DEPLOY brings. *r has been checked. */
void function_visit_begin(struct front *f, int socket, int text, uid_t uid,
			  const struct request *r);

/* What the launcher says; false: it is nothing that was asked here. */
bool function_visit_hear(struct front *f, const struct reply *reply, struct packet_fds *fds);

/* No new work. */
void function_visits_end(struct front *f);

/* Nor any more time: what is still being written is not waited for. */
void function_visits_leave(struct front *f);

unsigned function_visits_of(const struct front *f, uid_t uid);

#endif
