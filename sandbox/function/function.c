/* SPDX-License-Identifier: MIT */
/* What a function may be: see function.h. No system calls. */
#include "function/function.h"

#include "base/envfile.h"
#include "base/err.h"
#include "base/parse.h"
#include "base/quote.h"
#include "image/image.h"
#include "policy/policy_builtin.h"
#include "runtime/runtime_env.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MB (1ULL << 20)

/* How Lambda names versions of each: what stands behind the family's own name. */
static const struct {
	const char *name, *versions; /* of these characters, "": it has none */
	const char *prefix;	     /* ..., behind this */
} families[FAMILIES] = {
	[FAMILY_PYTHON3] = { "python3", "0123456789", "." },
	[FAMILY_NODEJS] = { "nodejs", "0123456789.x", "" },
	[FAMILY_PROVIDED] = { "provided", "0123456789", ".al" },
	[FAMILY_NATIVE] = { "native", "", "" },
	[FAMILY_EXEC] = { "exec", "", "" },
	[FAMILY_IMAGE] = { "image", "", "" },
};

static const char *const reuses[REUSES] = { "none", "context", "fork", "process" };
static const char *const nets[] = { [NET_NONE] = "none", [NET_LOOPBACK] = "loopback" };

bool function_family_of(const char *runtime, enum function_family *ret)
{
	for (int i = 0; i < FAMILY_IMAGE; i++) {
		size_t len = strlen(families[i].name), prefix;
		const char *version = runtime + len;

		if (strlen(runtime) >= FUNCTION_RUNTIME_LEN ||
		    strncmp(runtime, families[i].name, len) != 0)
			continue;
		*ret = (enum function_family)i;
		if (!*version)
			return true;
		prefix = strlen(families[i].prefix);
		return strncmp(version, families[i].prefix, prefix) == 0 && version[prefix] &&
		       strspn(version + prefix, families[i].versions) == strlen(version + prefix);
	}
	return false;
}

const char *function_family_text(enum function_family family)
{
	return family < FAMILIES ? families[family].name : "unknown";
}

bool function_reuse_of(const char *text, enum function_reuse *ret)
{
	for (int i = 0; i < REUSES; i++)
		if (strcmp(text, reuses[i]) == 0) {
			*ret = (enum function_reuse)i;
			return true;
		}
	return false;
}

const char *function_reuse_text(enum function_reuse reuse)
{
	return reuse < REUSES ? reuses[reuse] : "unknown";
}

bool function_net_of(const char *text, enum net_mode *ret)
{
	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
		if (strcmp(text, nets[i]) == 0) {
			*ret = (enum net_mode)i;
			return true;
		}
	return false;
}

const char *function_net_text(enum net_mode net)
{
	return net <= NET_LOOPBACK ? nets[net] : "unknown";
}

bool function_stays(const struct function_config *c)
{
	return c->reuse == REUSE_PROCESS || c->reuse == REUSE_FORK;
}

bool function_speaks_http(const struct function_config *c)
{
	return c->family != FAMILY_NATIVE && c->family != FAMILY_EXEC;
}

void function_config_defaults(struct function_config *ret, enum function_family family)
{
	*ret = (struct function_config){
		.family = family,
		.memory_mb = FUNCTION_MEMORY_MB,
		.timeout_ns = FUNCTION_TIMEOUT_NS,
		.reuse = family == FAMILY_EXEC ? REUSE_CONTEXT : REUSE_PROCESS,
		.concurrency = { .wait_ns = FUNCTION_WAIT_NS },
		.policy = "default",
	};
}

static void free_texts(char **texts)
{
	for (char **at = texts; at && *at; at++)
		free(*at);
	free(texts);
}

void function_config_free(struct function_config *c)
{
	free_texts(c->handler);
	free_texts(c->env);
	free_texts(c->start.command);
	free_texts(c->start.env);
	free(c->start.workdir);
	free(c->code.path);
	free(c->policy_path);
	free(c->filter);
	for (size_t i = 0; i < FUNCTION_LAYERS_MAX; i++)
		free(c->layers[i].path);
	*c = (struct function_config){ 0 };
}

/* ---- what is wrong --------------------------------------------------------------------------- */

size_t function_key_len(const char *text)
{
	return strcspn(text, ":");
}

int function_name_check(const char *name, struct cloche_err *err)
{
	size_t len =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
	char shown[QUOTE_LEN];

	if (len > 0 && len < FUNCTION_NAME_LEN && !name[len])
		return 0;
	return cloche_err_set(err, EINVAL,
			      "%s is no function's name: expected up to 64 letters, digits, '-' "
			      "and '_'",
			      quote(shown, name));
}

int function_ref_parse(const char *text, char ret_name[static FUNCTION_NAME_LEN],
		       uint32_t *ret_version, struct cloche_err *err)
{
	size_t len = strcspn(text, "@");
	char shown[QUOTE_LEN];
	uint64_t version = 0;

	(void)snprintf(ret_name, FUNCTION_NAME_LEN, "%.*s", len > 64 ? 64 : (int)len, text);
	if (len > 64 || (text[len] && parse_count(text + len + 1, 1, UINT32_MAX, &version, NULL)))
		return cloche_err_set(err, EINVAL,
				      "%s: expected a function's name, or NAME@VERSION",
				      quote(shown, text));
	*ret_version = (uint32_t)version;
	return function_name_check(ret_name, err);
}

static int check_handler(const struct function_config *c, struct cloche_err *err)
{
	size_t n = 0, all = 0;

	while (c->handler && c->handler[n]) {
		size_t len = strlen(c->handler[n++]);

		all += len + 1;

		if (len == 0 && n == 1)
			return cloche_err_set(err, EINVAL, "handler: expected no empty text");
		if (len > FUNCTION_WORD_MAX || n > FUNCTION_WORDS_MAX || all > FUNCTION_HANDLER_MAX)
			return cloche_err_set(err, EINVAL,
					      "handler: expected up to %d words, each of up to %d "
					      "bytes, and %d together",
					      FUNCTION_WORDS_MAX, FUNCTION_WORD_MAX,
					      FUNCTION_HANDLER_MAX);
	}
	if (c->family == FAMILY_EXEC && n == 0)
		return cloche_err_set(err, EINVAL,
				      "handler: expected the command, as in [./resize, --fast]");
	if (n > 1 && c->family != FAMILY_EXEC && c->family != FAMILY_IMAGE)
		return cloche_err_set(err, EINVAL,
				      "handler: expected one text; a command is 'exec's alone, or "
				      "an image's");
	if ((c->family == FAMILY_PYTHON3 || c->family == FAMILY_NODEJS) &&
	    (n == 0 || !strchr(c->handler[0], '.')))
		return cloche_err_set(err, EINVAL,
				      "handler: expected MODULE.FUNCTION, as in app.handler");
	if (c->family == FAMILY_NATIVE && n == 0)
		return cloche_err_set(err, EINVAL, "handler: expected the program in 'code'");
	return 0;
}

static int check_env(const struct function_config *c, struct cloche_err *err)
{
	size_t bytes = 0, n = 0;
	char shown[QUOTE_LEN];

	for (char **at = c->env; at && *at; at++, n++) {
		size_t len = strcspn(*at, "=");

		if (!(*at)[len] || !envfile_name_ok(*at, len))
			return cloche_err_set(err, EINVAL,
					      "environment: %s is no name: expected letters, "
					      "digits and '_', and no digit first",
					      quote_n(shown, *at, len));
		if (runtime_env_reserved(*at))
			return cloche_err_set(err, EINVAL,
					      "environment/%.*s: it is reserved for the runtime: "
					      "expected another name",
					      (int)len, *at);
		bytes += strlen(*at) - 1;
	}
	if (bytes > FUNCTION_ENV_MAX || n > FUNCTION_ENV_N)
		return cloche_err_set(err, EINVAL,
				      "environment: expected no more than %d bytes of names and "
				      "values, and there are %zu",
				      FUNCTION_ENV_MAX, bytes);
	return 0;
}

static int check_reuse(const struct function_config *c, struct cloche_err *err)
{
	bool forks = c->family == FAMILY_PYTHON3 || c->family == FAMILY_NATIVE;

	if (c->reuse >= REUSES)
		return cloche_err_set(err, EINVAL,
				      "reuse: expected none, context, fork or process");
	if (c->reuse == REUSE_FORK && !forks)
		return cloche_err_set(err, EINVAL,
				      "reuse: what runs '%s' cannot be forked: expected none, "
				      "context%s",
				      function_family_text(c->family),
				      c->family == FAMILY_EXEC ? "" : " or process");
	if (c->reuse == REUSE_PROCESS && c->family == FAMILY_EXEC)
		return cloche_err_set(err, EINVAL,
				      "reuse: a command of 'exec' ends with its event: expected "
				      "none or context");
	return 0;
}

static int check_sizes(const struct function_config *c, const struct spec_host *host,
		       struct cloche_err *err)
{
	uint64_t most = host->memory_bytes / MB;

	if (c->memory_mb < SPEC_MEMORY_MIN / MB || c->memory_mb > most)
		return cloche_err_set(err, EINVAL,
				      "memory: expected a size, as in 512 or 1G, from 4M to the "
				      "host's %" PRIu64 "M",
				      most);
	if (c->timeout_ns < SPEC_TIMEOUT_MIN || c->timeout_ns > SPEC_TIMEOUT_MAX)
		return cloche_err_set(err, EINVAL,
				      "timeout: expected a duration, as in 250ms or 3s, from 1ms "
				      "to 900s");
	if (c->tmp_bytes > FUNCTION_TMP_MAX)
		return cloche_err_set(err, EINVAL,
				      "tmp: expected a size, as in 512M, of up to 10240M");
	return 0;
}

static int check_concurrency(const struct function_config *c, struct cloche_err *err)
{
	uint32_t most = c->concurrency.reserved ? c->concurrency.reserved : FUNCTION_KEPT_MAX;

	if (c->concurrency.reserved > FUNCTION_KEPT_MAX)
		return cloche_err_set(err, EINVAL,
				      "concurrency/reserved: expected a number from 1 to %d, or 0 "
				      "for what there is",
				      FUNCTION_KEPT_MAX);
	if (c->concurrency.provisioned > most)
		return cloche_err_set(err, EINVAL,
				      "concurrency/provisioned: expected a number from 0 to %u%s",
				      most, c->concurrency.reserved ? ", which is reserved" : "");
	if (c->concurrency.wait_ns < 0 || c->concurrency.wait_ns > FUNCTION_WAIT_MAX)
		return cloche_err_set(err, EINVAL,
				      "concurrency/wait: expected a duration, as in 250ms or 1s, "
				      "from 0s to 60s");
	return 0;
}

static int check_policy(const struct function_config *c, struct cloche_err *err)
{
	char shown[QUOTE_LEN];

	if (c->policy_path || c->filter)
		return 0;
	for (const struct policy_builtin *p = policy_builtins; p->name; p++)
		if (p->kind == POLICY_PROFILE && strcmp(p->name, c->policy) == 0)
			return 0;
	return cloche_err_set(err, EINVAL,
			      "policy: there is no %s: expected a name that 'cloche policy list' "
			      "shows, or a file, as in ./policy.json",
			      quote_n(shown, c->policy, strnlen(c->policy, sizeof(c->policy))));
}

/* As it was made, or comes from somebody else. */
static int check_start(const struct function_config *c, struct cloche_err *err)
{
	const struct function_start *s = &c->start;
	size_t bytes = s->workdir ? strlen(s->workdir) : 0;

	if (s->command && !s->command[0])
		return cloche_err_set(err, EINVAL,
				      "image: '%s' brings no command of its own: expected one as "
				      "'handler'",
				      c->image);
	if (s->command && !s->command[0][0])
		return cloche_err_set(err, EINVAL, "entrypoint: expected no empty text");
	for (char **at = s->command; at && *at; at++)
		bytes += strlen(*at) + 1;
	for (char **at = s->env; at && *at; at++)
		bytes += strlen(*at) + 1;
	if (bytes > FUNCTION_START_MAX)
		return cloche_err_set(err, EINVAL,
				      "image: '%s' has %zu bytes of command and environment: "
				      "expected no more than %u",
				      c->image, bytes, FUNCTION_START_MAX);
	if (s->workdir && s->workdir[0] != '/')
		return cloche_err_set(err, EINVAL, "workdir: expected an absolute path");
	return 0;
}

/* What there is to be executed. */
static int check_code(const struct function_config *c, struct cloche_err *err)
{
	bool coded = c->code.path || (c->code.sha256[0] && c->family != FAMILY_IMAGE);
	enum function_family named = FAMILIES;

	if (c->family == FAMILY_IMAGE) {
		if (coded || c->runtime[0] || c->n_layers)
			return cloche_err_set(err, EINVAL,
					      "image: expected neither 'runtime' nor 'code' nor "
					      "'layers' beside it");
		return image_name_check(c->image, NULL) < 0
			       ? cloche_err_set(err, EINVAL,
						"image: expected a name that 'cloche image list' "
						"shows")
			       : check_start(c, err);
	}
	if (c->family >= FAMILIES || !function_family_of(c->runtime, &named) || named != c->family)
		return cloche_err_set(err, EINVAL,
				      "runtime: expected python3, nodejs, provided, native or "
				      "exec, or a name of Lambda's, as python3.11");
	if (c->image[0])
		return cloche_err_set(err, EINVAL, "image: expected no 'runtime' beside it");
	if (c->start.command || c->start.workdir)
		return cloche_err_set(err, EINVAL, "%s: expected 'image' beside it",
				      c->start.command ? "entrypoint" : "workdir");
	if (!coded && c->family != FAMILY_EXEC)
		return cloche_err_set(err, EINVAL, "code: expected a directory or a zip");
	return c->n_layers > FUNCTION_LAYERS_MAX
		       ? cloche_err_set(err, EINVAL, "layers: expected no more than %d",
					FUNCTION_LAYERS_MAX)
		       : 0;
}

int function_check(const struct function_config *c, const struct spec_host *host,
		   struct cloche_err *err)
{
	int r = function_name_check(c->name, err);

	if (r == 0)
		r = check_code(c, err);
	if (r == 0)
		r = check_handler(c, err);
	if (r == 0)
		r = check_sizes(c, host, err);
	if (r == 0)
		r = check_env(c, err);
	if (r == 0)
		r = check_reuse(c, err);
	if (r == 0)
		r = check_concurrency(c, err);
	if (r == 0)
		r = check_policy(c, err);
	if (r == 0 && c->net > NET_LOOPBACK)
		r = cloche_err_set(err, EINVAL, "network: expected none or loopback");
	return r;
}
