/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_FUNCTION_FUNCTION_H
#define CLOCHE_FUNCTION_FUNCTION_H

#include "base/hash.h"
#include "launch/spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cloche_err;

/*
 * A function to be deployed: what its owner says of it, as a value. It comes from a cloche.yaml
 * (function_file.h), goes to the daemon and is kept there as JSON (function_json.h), by versions
 * (function_store.h). Whoever gets one from somebody else asks function_check() again.
 */
#define FUNCTION_NAME_LEN    65 /* [a-zA-Z0-9-_]{1,64}, as Lambda has it */
#define FUNCTION_RUNTIME_LEN 32
#define FUNCTION_WORD_MAX    4096 /* of a handler or one word of a command */
#define FUNCTION_WORDS_MAX   128
#define FUNCTION_HANDLER_MAX 8192 /* all of them: who keeps functions keeps many */
#define FUNCTION_LAYERS_MAX  5
#define FUNCTION_ENV_MAX     4096 /* bytes of all names and values, as Lambda counts */
#define FUNCTION_ENV_N	     1024
#define FUNCTION_KEPT_MAX    1000 /* concurrency, either way */
#define FUNCTION_MEMORY_MB   128
#define FUNCTION_TIMEOUT_NS  3000000000LL
#define FUNCTION_WAIT_NS     1000000000LL
#define FUNCTION_WAIT_MAX    (60LL * 1000000000)
#define FUNCTION_TMP_MAX     (10240ULL << 20)
#define FUNCTION_START_MAX   (16U << 10) /* bytes of all that an image says of how it is started */

enum function_family {
	FAMILY_PYTHON3,
	FAMILY_NODEJS,
	FAMILY_PROVIDED, /* a program "bootstrap" that speaks the Runtime API */
	FAMILY_NATIVE,
	FAMILY_EXEC,  /* the event on standard input, the response on standard output */
	FAMILY_IMAGE, /* what an image starts speaks the Runtime API; there is no code */
	FAMILIES
};

enum function_reuse { REUSE_NONE, REUSE_CONTEXT, REUSE_FORK, REUSE_PROCESS, REUSES };

/* A directory or a zip, by what it was sent as. */
struct function_code {
	char *path;		   /* owned; the client's, NULL elsewhere */
	char sha256[HASH_HEX_LEN]; /* "": not packed yet */
};

/* How it is started, as its image says it: found when it is deployed, and kept with the version.
 * Before that it is what a cloche.yaml says instead of the image: an entrypoint, a directory. */
struct function_start {
	char **command; /* owned, and NULL at the end; NULL: it is not known yet */
	char **env;	/* owned: K=V sorted by K, and NULL at the end; NULL: none */
	char *workdir;	/* owned: absolute; NULL: it says none */
};

struct function_config {
	char name[FUNCTION_NAME_LEN];
	enum function_family family;
	char runtime[FUNCTION_RUNTIME_LEN]; /* as asked for: "python3.11"; "": an image's */
	/* Owned, and NULL at the end: one word, but exec's, and an image's, whose command (CMD) it
	 * replaces; NULL: none. */
	char **handler;
	struct function_code code; /* of an image: its own hash */
	struct function_code layers[FUNCTION_LAYERS_MAX];
	size_t n_layers;
	char image[72];		     /* FAMILY_IMAGE: its name, else "" */
	struct function_start start; /* FAMILY_IMAGE */
	uint64_t memory_mb;
	int64_t timeout_ns;
	char **env; /* owned: K=V sorted by K, and NULL at the end; NULL: none */
	enum function_reuse reuse;
	struct {
		uint32_t reserved; /* 0: what its owner may have */
		uint32_t provisioned;
		int64_t wait_ns; /* for a context; 0: refused at once */
	} concurrency;
	uint64_t tmp_bytes;	    /* 0: by its memory, as of a spec */
	char policy[64];	    /* its name */
	char *policy_path;	    /* in a cloche.yaml: of its file; owned; NULL: it has none */
	struct policy_bare *filter; /* what its file has become, in deploying; owned; NULL: the
				     * policy is one that everybody has */
	size_t filter_size;	    /* as of policy_bare_make() */
	enum net_mode net; /* that its owner asks for; the Runtime API needs loopback anyway */
};

/* All but name, family, runtime and what code there is; reuse as its family has it. */
void function_config_defaults(struct function_config *ret, enum function_family family);
void function_config_free(struct function_config *c);

/* -EINVAL: *err begins with the key that is wrong, as in a cloche.yaml below the function's name
 * ("concurrency/wait"), and a colon. Neither files nor hashes are looked at. */
int function_check(const struct function_config *c, const struct spec_host *host,
		   struct cloche_err *err);

/* Takes from an image how it is started: entrypoint and command (one of both may be NULL), with the
 * handler instead of the command where there is one; env and workdir may be NULL. What the function
 * says itself goes before it, and the command of an image goes with its entrypoint. What is given
 * stays the caller's; what comes of it is function_check()'s to judge. */
int function_start_make(struct function_config *c, char *const *entrypoint, char *const *command,
			char *const *env, const char *workdir, struct cloche_err *err);

/* Length of the key that such a text begins with. */
size_t function_key_len(const char *text);

/* -EINVAL: it is none. */
int function_name_check(const char *name, struct cloche_err *err);

/* By a runtime's name, with or without a version of its own: false: there is none. */
bool function_family_of(const char *runtime, enum function_family *ret);
const char *function_family_text(enum function_family family);

bool function_reuse_of(const char *text, enum function_reuse *ret);
const char *function_reuse_text(enum function_reuse reuse);

bool function_net_of(const char *text, enum net_mode *ret);
const char *function_net_text(enum net_mode net);

/* Whether its process stays in its context from one event to the next. */
bool function_stays(const struct function_config *c);

/* Whether it is known by the Runtime API, so that its context needs loopback. */
bool function_speaks_http(const struct function_config *c);

/* "NAME" or "NAME@N"; *ret_version: 0 where none is said. -EINVAL. */
int function_ref_parse(const char *text, char ret_name[static FUNCTION_NAME_LEN],
		       uint32_t *ret_version, struct cloche_err *err);

#endif
