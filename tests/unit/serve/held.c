/* SPDX-License-Identifier: MIT */
/*
 * What the front does with its contexts at the launcher's word, which the test says: what it asks
 * for, and what it gives up. The contexts are sockets that nobody serves.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "launch/handed.h"
#include "serve/config.h"
#include "serve/front.h"
#include "serve/held.h"
#include "serve/packet.h"

#define ENDS_MAX 8

struct rig {
	struct front front;
	struct config config;
	int launcher;	    /* its end */
	int ends[ENDS_MAX]; /* the wardens' */
	unsigned n_ends;
};

static void open_rig(struct rig *r, int64_t idle_expiry_ns)
{
	int pair[2];

	*r = (struct rig){ .config = { .idle_expiry_ns = idle_expiry_ns } };
	r->front.config = &r->config;
	r->front.clients_end = &r->front.clients;
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	r->front.launcher = pair[0];
	r->launcher = pair[1];
	cr_assert_geq(sd_event_new(&r->front.event), 0);
}

/* What the front says next. */
static struct command said(struct rig *r)
{
	struct packet_fds none;
	struct command c = { .kind = ~0U };

	cr_assert_eq(packet_recv(r->launcher, &c, sizeof(c), &none), (int)sizeof(c));
	return c;
}

static bool silent(struct rig *r)
{
	struct packet_fds none;
	struct command c;

	return packet_recv(r->launcher, &c, sizeof(c), &none) == -EAGAIN;
}

static int socket_of_one(struct rig *r)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	r->ends[r->n_ends++] = pair[1];
	return pair[0];
}

/* One that is made and that nobody wants any more: idle. */
static struct held *idle_one(struct rig *r, uint32_t owner)
{
	const struct held_kind kind = { .make = { .owner = owner, .memory_bytes = 1 } };
	struct held *h = held_make(&r->front, &kind, NULL, NULL);
	struct packet_fds fds = { .n = HANDED_FDS };
	struct reply reply = { .kind = REPLY_MADE };

	cr_assert_eq(said(r).kind, COMMAND_MAKE);
	reply.context = h->number;
	fds.fd[HANDED_DRIVER] = socket_of_one(r);
	fds.fd[HANDED_SHARED] = memfd_create("shared", MFD_CLOEXEC);
	cr_assert_eq(ftruncate(fds.fd[HANDED_SHARED], sizeof(struct shared)), 0);
	held_hear(&r->front, &reply, &fds);
	cr_assert_eq(h->pool.state, POOL_IDLE);
	return h;
}

/* Half of them, of whoever has most the longest idle one first. */
Test(held, under_pressure_the_least_valuable_go)
{
	struct held *h[4];
	struct rig r;

	open_rig(&r, 60000000000);
	for (int i = 0; i < 4; i++)
		h[i] = idle_one(&r, i == 0 ? 1001 : 1000);
	held_press(&r.front);
	for (int i = 1; i <= 2; i++) {
		struct command c = said(&r);

		cr_expect_eq(c.kind, COMMAND_END);
		cr_expect_eq(c.context, h[i]->number, "%d", i);
	}
	cr_expect(silent(&r));
	/* One is half of one, too. */
	cr_assert_eq(r.front.pool.n[POOL_IDLE], 2);
	held_press(&r.front);
	held_press(&r.front);
	cr_expect_eq(r.front.pool.n[POOL_IDLE], 0);
	held_press(&r.front);
}

Test(held, one_that_has_died_is_not_taken)
{
	struct held *h;
	struct rig r;

	open_rig(&r, 60000000000);
	h = idle_one(&r, 1000);
	(void)close(r.ends[0]);
	cr_expect_not(held_take(&r.front, h, NULL));
	cr_expect_eq(said(&r).kind, COMMAND_END);
	cr_expect_eq(h->pool.state, POOL_ENDING);
	h = idle_one(&r, 1000);
	cr_expect(held_take(&r.front, h, NULL));
	cr_expect(silent(&r));
}

/* What was not counted may still run: it is not asked to be kept. */
Test(held, only_what_was_counted_is_kept)
{
	struct held *h;
	struct rig r;

	open_rig(&r, 60000000000);
	for (int counted = 0; counted < 2; counted++) {
		struct packet_fds none = { .n = 0 };

		h = idle_one(&r, 1000);
		cr_assert(held_take(&r.front, h, NULL));
		if (counted)
			held_hear(&r.front,
				  &(struct reply){ .kind = REPLY_COUNTED, .context = h->number },
				  &none);
		held_keep(&r.front, h);
		cr_expect_eq(said(&r).kind, counted ? COMMAND_KEEP : COMMAND_END);
	}
}

/* And of another kind nobody is told. */
Test(held, the_next_of_its_kind_is_told_why_it_went)
{
	struct packet_fds none = { .n = 0 };
	struct reply gone = { .kind = REPLY_GONE, .residue = RESIDUE_TMP };
	struct held *h;
	struct rig r;

	open_rig(&r, 60000000000);
	h = idle_one(&r, 1000);
	gone.context = h->number;
	held_hear(&r.front, &gone, &none);
	cr_expect_eq(r.front.pool.first, NULL);
	cr_expect_eq(idle_one(&r, 1001)->replaced, RESIDUE_NONE);
	cr_expect_eq(idle_one(&r, 1000)->replaced, RESIDUE_TMP);
	cr_expect_eq(idle_one(&r, 1000)->replaced, RESIDUE_NONE);
}

/* What the launcher says of what the front does not know, or out of turn, changes nothing. */
Test(held, what_is_out_of_turn_changes_nothing)
{
	struct held *h;
	struct rig r;

	open_rig(&r, 60000000000);
	h = idle_one(&r, 1000);
	for (unsigned kind = 0; kind <= REPLY_STOP; kind++) {
		struct packet_fds none = { .n = 0 };

		held_hear(&r.front, &(struct reply){ .kind = kind, .context = h->number + 1 },
			  &none);
	}
	held_hear(&r.front, &(struct reply){ .kind = REPLY_KEPT, .context = h->number },
		  &(struct packet_fds){ .n = 0 });
	cr_expect_eq(h->pool.state, POOL_IDLE);
	cr_expect(silent(&r));
}
