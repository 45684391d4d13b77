/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_GIVEN_H
#define CLOCHE_LAUNCH_GIVEN_H

#include "base/hash.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cloche_err;
struct rights;
struct rootfs;
struct spec;

/*
 * Binds that somebody without rights gives, on their way to the warden of the context.
 *
 * Theory of operation. Whoever gives them opens each source with rights of its own (O_PATH) and
 * puts all of them, with the places where they are to be, as one message into a socket pair; the
 * end from which it can be read goes from hand to hand, unread, until the warden has it
 * (WARDEN_BINDS). With the message the kernel says who has sent it, and by the pair who has made
 * that: so whoever has the socket in between can look into it or lose it, but neither change
 * what is in it nor pass its own descriptors off as another's. The warden believes nothing else:
 * what comes must be of the user that its launcher was told the context is for; each descriptor
 * must be one that opens nothing, on a mount of the host's that cannot hold up who looks at it;
 * what that user may not use is refused, and the files of nobody else become the function's.
 *
 * It is the warden, and neither the front nor the launcher, that takes the descriptors: to close
 * one that was opened on a file system of the sender's own may take for ever, and then it is the
 * sender's own context that does.
 */
#define GIVEN_MAX	64
#define GIVEN_PLACE_LEN 512
#define GIVEN_MAGIC	"cloche's binds 1"

enum given_how { GIVEN_RO, GIVEN_RW, GIVEN_ROOT /* it is the root; once, the first */ };

struct given_bind {
	uint32_t how;
	char place[GIVEN_PLACE_LEN]; /* GIVEN_ROOT: none */
};

/* The message, with as many of binds as n says, and a descriptor for each. */
struct given {
	char magic[17];
	uint8_t pad[3];
	uint32_t n;
	struct given_bind binds[GIVEN_MAX];
};

/* The giver's side, of spec->binds and a directory that is spec->rootfs: how many they are, and
 * their socket, the caller's, and what they are known by (given_mark.h). */
unsigned given_count(const struct spec *spec);
int given_pack(const struct spec *spec, int *ret_socket, unsigned char ret_claim[static HASH_LEN],
	       struct cloche_err *err);

/* The launcher's, before the warden is made: room for n binds, and a map for the owner's files. */
int given_prepare(unsigned n, int run_fd, const struct rights *owner, uid_t uid, struct rootfs *fs,
		  struct cloche_err *err);

/* The same room, without the map, in a warden that learns of them later. No allocation: the pages
 * are gone with it. */
int given_room(unsigned n, const struct rights *owner, struct rootfs *fs);

/* The warden's, in the host's mount namespace: takes what is in the socket, as the binds of fs. No
 * allocation. */
int given_take(int socket, const struct rights *owner, struct rootfs *fs,
	       unsigned char ret_mark[static HASH_LEN], struct cloche_err *err);

/* And of what comes for a further invocation: whether it is the same, which is then left as it is.
 * Takes the socket over. */
bool given_same(int socket, const struct rights *owner, const unsigned char mark[static HASH_LEN]);

#endif
