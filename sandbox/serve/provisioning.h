/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_PROVISIONING_H
#define CLOCHE_SERVE_PROVISIONING_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct front;
struct held;

/*
 * Contexts of deployed functions that are ready, with their init over, before anybody asks: so many
 * of the version that counts as its configuration has it (concurrency/provisioned). Those of one
 * owner are made one after the other, and again when one of them ends; where there is no room for
 * one, or its init fails, the next try for its owner is later, and others have their turn. What
 * they use until their first event is nobody's bill.
 */
#define PROVISIONING_STARTS 8 /* at a time, of as many owners */
#define PROVISIONING_LATER \
	64 /* owners who wait at a time; of more the first is tried again sooner */

struct provisioning {
	sd_event_source *again;
	struct {
		uint32_t owner;
		int64_t until_ns; /* CLOCK_MONOTONIC; 0: nobody does */
	} later[PROVISIONING_LATER];
	unsigned next;
};

/* Something has changed: whether one is to be made. */
void provisioning_look(struct front *f);
void provisioning_end(struct front *f);

/* Of one that was made for this: its context is there; there will be none; its init is over. */
void provisioning_have(struct front *f, struct held *h);
void provisioning_refused(struct front *f, uint32_t owner);
void provisioning_settled(struct front *f, struct held *h, bool well);

/* Whether it is one of those that stay, however long nobody asks. */
bool provisioning_keeps(const struct front *f, const struct held *h);

#endif
