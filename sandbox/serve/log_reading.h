/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_LOG_READING_H
#define CLOCHE_SERVE_LOG_READING_H

#include <stdbool.h>
#include <stdint.h>

struct client;
struct cloche_err;
struct front;
struct log_reading;
struct request;

/*
 * A function's log on its way to a client: messages of one form with what is in its files, the
 * older one first, from the place on that the client has come to already; the last says up to
 * where. The files themselves go to nobody: whoever has a file open can hold its lock against who
 * writes it, which is the front.
 */
struct log_part {
	char version[16]; /* as struct answer has it */
	uint32_t kind;	  /* ANSWER_LOGS */
	uint32_t len;	  /* of the bytes */
	bool last;
	bool gap; /* what follows is not what comes behind that place: that is not there any more */
	struct log_place {
		uint64_t file, offset; /* 0, 0: the beginning of all */
	} upto;
	char bytes[32U << 10];
};
#define LOG_PART_HEAD __builtin_offsetof(struct log_part, bytes)

/* A client's may be so many at a time. */
#define LOG_READINGS_OF_ONE 8

/* client_read() when it is over. NULL: *err says why. */
struct log_reading *log_reading_open(struct front *f, struct client *c, int socket,
				     const struct request *r, struct cloche_err *err);
struct log_reading *log_reading_close(struct log_reading *l); /* NULL */

#endif
