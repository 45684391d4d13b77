/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_SERVE_FUNCTION_SPEC_H
#define CLOCHE_SERVE_FUNCTION_SPEC_H

#include "function/function.h"
#include "launch/spec.h"
#include "serve/held.h"

#include <stdbool.h>
#include <stdint.h>

struct cloche_err;
struct function_version;

/* Where Lambda's clients believe to be, when nobody says anything else. */
#define FUNCTION_SPEC_REGION "us-east-1"

/* What a deployed function is as a command: of a version and of what it is started for, a spec, and
 * the kind of its contexts. */
struct function_spec {
	uint64_t memory_bytes; /* set beforehand: instead of what the version has; 0: that */
	struct spec spec;      /* points into the rest, and into the version */
	struct spec_image image;
	char **env; /* owned */
	char *command[2], program[FUNCTION_WORD_MAX + sizeof("/var/task/")];
};

/* asked: the version's number, where it was asked for by that; 0: it is the newest. provisioned:
 * before anybody has asked. It stays where it is until function_spec_free(). */
int function_spec_make(const struct function_version *v, uint32_t asked, bool provisioned,
		       struct function_spec *ret, struct cloche_err *err);
void function_spec_free(struct function_spec *s);

/* What of the kind is a function's: the rest is command_from_spec()'s. */
void function_spec_kind(const struct function_version *v, struct held_kind *ret);

#endif
