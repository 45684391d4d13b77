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
 * of the version that counts as its configuration has it (concurrency/provisioned). They are made
 * one after the other, and again when one of them ends; where there is no room for one, or its init
 * fails, the next try is later. What they use until their first event is nobody's bill.
 */
struct provisioning {
	sd_event_source *again;
	int64_t not_before_ns; /* CLOCK_MONOTONIC */
};

/* Something has changed: whether one is to be made. */
void provisioning_look(struct front *f);
void provisioning_end(struct front *f);

/* Of one that was made for this: its context is there; there will be none; its init is over. */
void provisioning_have(struct front *f, struct held *h);
void provisioning_refused(struct front *f);
void provisioning_settled(struct front *f, struct held *h, bool well);

/* Whether it is one of those that stay, however long nobody asks. */
bool provisioning_keeps(const struct front *f, const struct held *h);

#endif
