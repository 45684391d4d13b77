/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_IMAGE_VISIT_H
#define CLOCHE_SERVE_IMAGE_VISIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct front;
struct packet_fds;
struct reply;
struct request;

/*
 * Clients who ask something about images, or for traces that are kept, of which the launcher does
 * all: what they ask is passed on, what it says is their answer. One is there until it is answered
 * or gone; what is being done for it then ends.
 */
struct image_visit;

/* Takes the socket over; *r has been checked. */
void image_visit_begin(struct front *f, int socket, uid_t uid, const struct request *r);

/* What the launcher says of what was asked; false: nobody asked here. */
bool image_visit_hear(struct front *f, const struct reply *reply, struct packet_fds *fds);

/* There may be room for who waits for some. */
void image_visits_retry(struct front *f);

/* No new work, and what is not done is not waited for. */
void image_visits_end(struct front *f);

unsigned image_visits_of(const struct front *f, uid_t uid);

#endif
