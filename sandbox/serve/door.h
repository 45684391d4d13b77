/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_DOOR_H
#define CLOCHE_SERVE_DOOR_H

struct cloche_err;
struct front;

/*
 * Who is let in: of those that connect to the control socket, by what the kernel says of them.
 *
 * Who connects in floods is to cost others nothing but that. Those who wait at the socket stand in
 * one line, whoever they are; so they are let in eagerly, many in one turn of the loop, and who is
 * one of too many of his is told so there and then, before anything is made for him. A connection
 * on which nothing was asked yet is nobody's right: one user has but a part of all that there may
 * be, and where there is no room for another one, that which has been silent for longest makes it.
 */
int door_open(struct front *f, struct cloche_err *err);

/* Nobody more. */
void door_close(struct front *f);

#endif
