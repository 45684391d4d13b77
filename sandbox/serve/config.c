/* SPDX-License-Identifier: MIT */
/* The daemon's configuration from YAML, by libcyaml's schema: see config.h. */
#include "serve/config.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/parse.h"
#include "base/yaml_error.h"
#include "base/yaml_line.h"
#include "launch/running.h"
#include "launch/spec.h"
#include "serve/request.h"
#include "serve/tracers.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (64U << 10)
/* Each is a process, some cgroups and 30 descriptors. */
#define CONTEXTS_MAX   1000
#define CONTEXTS_LEAST 64
/* An idle one takes two thirds of a megabyte, nearly all the kernel's: of the host's memory they
 * may so come to a 24th. What runs has a bound of its own (launch/running.h). */
#define CONTEXT_BYTES  (16 << 20)
#define PIDS_MAX       4194304 /* the kernel's */
#define IMAGES_MAX     (1ULL << 40)
#define RECORDS_MAX    1000000000 /* each is a KiB at most */
#define FUNCTIONS_MAX  10000
#define VCPU_MIN       100
#define WAIT_MAX_NS    (60LL * 1000000000)
#define GRACE_MAX_NS   (900LL * 1000000000)
#define SILENCE_MIN_NS 100000000LL
#define SILENCE_MAX_NS (900LL * 1000000000)
#define IDLE_MAX_NS    (24LL * 3600 * 1000000000)

/* ---- what libcyaml makes of it --------------------------------------------------------------- */

struct yaml_limits {
	char *user, *memory, *vcpus, *images, *kept_traces, *code, *code_unpacked;
	uint32_t *contexts, *pids, *waiting, *records, *traces, *functions;
};

struct yaml_allow {
	char **users, **groups;
	uint32_t n_users, n_groups;
};

struct yaml_config {
	char *control, *control_mode, *metrics, *metrics_group, *state, *memory, *vcpus, *wait,
		*idle_expiry, *grace, *silence;
	uint32_t *contexts, *running;
	struct yaml_allow *allow;
	struct yaml_limits *per_owner, *owners;
	uint32_t n_owners;
};

#define OPTIONAL	    (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define TEXT(s, field, max) CYAML_FIELD_STRING_PTR(#field, OPTIONAL, struct s, field, 1, max)
#define NUMBER(s, field)    CYAML_FIELD_UINT_PTR(#field, OPTIONAL, struct s, field)
#define LIMITS                                                                      \
	TEXT(yaml_limits, memory, 40), TEXT(yaml_limits, vcpus, 40),                \
		NUMBER(yaml_limits, contexts), NUMBER(yaml_limits, pids),           \
		NUMBER(yaml_limits, waiting), NUMBER(yaml_limits, records),         \
		NUMBER(yaml_limits, traces), TEXT(yaml_limits, images, 40),         \
		TEXT(yaml_limits, kept_traces, 40), NUMBER(yaml_limits, functions), \
		TEXT(yaml_limits, code, 40), TEXT(yaml_limits, code_unpacked, 40), CYAML_FIELD_END

static const cyaml_schema_field_t per_owner_fields[] = { LIMITS };

static const cyaml_schema_field_t owner_fields[] = {
	CYAML_FIELD_STRING_PTR("user", CYAML_FLAG_POINTER, struct yaml_limits, user, 1, 64), LIMITS
};

static const cyaml_schema_value_t owner_entry = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_limits, owner_fields),
};

static const cyaml_schema_value_t name_entry = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, 64),
};

static const cyaml_schema_field_t allow_fields[] = {
	CYAML_FIELD_SEQUENCE_COUNT("users", OPTIONAL, struct yaml_allow, users, n_users,
				   &name_entry, 0, CONFIG_ALLOW_MAX),
	CYAML_FIELD_SEQUENCE_COUNT("groups", OPTIONAL, struct yaml_allow, groups, n_groups,
				   &name_entry, 0, CONFIG_ALLOW_MAX),
	CYAML_FIELD_END
};

static const cyaml_schema_field_t fields[] = {
	TEXT(yaml_config, control, CONFIG_CTL_LEN - 1),
	TEXT(yaml_config, control_mode, 8),
	TEXT(yaml_config, metrics, CONFIG_CTL_LEN - 1),
	TEXT(yaml_config, metrics_group, 64),
	TEXT(yaml_config, state, 4000),
	TEXT(yaml_config, memory, 40),
	TEXT(yaml_config, vcpus, 40),
	TEXT(yaml_config, wait, 40),
	TEXT(yaml_config, idle_expiry, 40),
	TEXT(yaml_config, grace, 40),
	TEXT(yaml_config, silence, 40),
	NUMBER(yaml_config, contexts),
	NUMBER(yaml_config, running),
	CYAML_FIELD_MAPPING_PTR("allow", OPTIONAL, struct yaml_config, allow, allow_fields),
	CYAML_FIELD_MAPPING_PTR("per_owner", OPTIONAL, struct yaml_config, per_owner,
				per_owner_fields),
	CYAML_FIELD_SEQUENCE_COUNT("owners", OPTIONAL, struct yaml_config, owners, n_owners,
				   &owner_entry, 0, CONFIG_OWNERS_MAX),
	CYAML_FIELD_END
};

static const cyaml_schema_value_t schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct yaml_config, fields),
};

/* ---- what we make of that -------------------------------------------------------------------- */

/* key is where it stands, as yaml_line() has it. */
struct reading {
	const char *text; /* the file */
	size_t len;
	struct spec_host host;
	struct cloche_err *err;
};

static int wrong(const struct reading *r, const char *key, const char *expected)
{
	return cloche_err_set(r->err, EINVAL, "line %u: %s: expected %s",
			      yaml_line(r->text, r->len, key), key, expected);
}

static int read_path(const struct reading *r, const char *key, const char *text, char *ret,
		     size_t size)
{
	if (!text)
		return 0;
	if (text[0] != '/')
		return wrong(r, key, "an absolute path");
	(void)snprintf(ret, size, "%s", text);
	return 0;
}

static int read_duration(const struct reading *r, const char *key, const char *text, int64_t min_ns,
			 int64_t max_ns, int64_t *ret)
{
	char expected[80];
	int64_t ns;

	if (!text)
		return 0;
	if (parse_duration(text, &ns, NULL) < 0 || ns < min_ns || ns > max_ns) {
		(void)snprintf(expected, sizeof(expected),
			       "a duration, as in 250ms or 2m, of %" PRId64 "ms to %" PRId64 "s",
			       min_ns / 1000000, max_ns / 1000000000);
		return wrong(r, key, expected);
	}
	*ret = ns;
	return 0;
}

static int read_number(const struct reading *r, const char *key, const uint32_t *n, uint32_t min,
		       uint32_t max, uint32_t *ret)
{
	char expected[80];

	if (!n)
		return 0;
	if (*n < min || *n > max) {
		(void)snprintf(expected, sizeof(expected), "a number from %u to %u", min, max);
		return wrong(r, key, expected);
	}
	*ret = *n;
	return 0;
}

/* What the host does not have nobody is promised. */
static int read_memory(const struct reading *r, const char *key, const char *text, uint64_t *ret)
{
	char expected[100];
	uint64_t bytes;

	if (!text)
		return 0;
	if (parse_size(text, &bytes, NULL) < 0 || bytes < SPEC_MEMORY_MIN ||
	    bytes > r->host.memory_bytes) {
		(void)snprintf(expected, sizeof(expected),
			       "a size, as in 512M or 2G, from 4M to the host's %" PRIu64 "M",
			       r->host.memory_bytes >> 20);
		return wrong(r, key, expected);
	}
	*ret = bytes;
	return 0;
}

static int read_images(const struct reading *r, const char *key, const char *text, uint64_t *ret)
{
	if (text && (parse_size(text, ret, NULL) < 0 || *ret > IMAGES_MAX))
		return wrong(r, key, "a size, as in 512M or 2G, up to 1024G; 0: none");
	return 0;
}

static int read_vcpus(const struct reading *r, const char *key, const char *text, uint64_t *ret)
{
	char expected[100];
	uint64_t milli;

	if (!text)
		return 0;
	if (parse_milli(text, &milli, NULL) < 0 || milli < VCPU_MIN ||
	    milli > r->host.cpus * 1000ULL) {
		(void)snprintf(expected, sizeof(expected),
			       "a number of vCPUs, as in 0.5 or 2, from 0.1 to the host's %u",
			       r->host.cpus);
		return wrong(r, key, expected);
	}
	*ret = milli;
	return 0;
}

static int read_mode(const struct reading *r, const char *text, mode_t *ret)
{
	char *end = NULL;
	unsigned long mode = text ? strtoul(text, &end, 8) : 0;

	if (!text)
		return 0;
	if (*end || mode > 0777)
		return wrong(r, "control_mode", "an octal mode, as in 0660");
	*ret = (mode_t)mode;
	return 0;
}

/* ---- users and groups ------------------------------------------------------------------------ */

static bool is_number(const char *text, uint32_t *ret)
{
	uint64_t n;

	if (parse_count(text, 0, UINT32_MAX - 1, &n, NULL) < 0)
		return false;
	*ret = (uint32_t)n;
	return true;
}

/* From the files alone: what else the name service is made of is nothing for the launcher. */
static bool find_user(const char *name, uint32_t *ret)
{
	cleanup_file FILE *f = fopen("/etc/passwd", "re");
	struct passwd *pw = NULL;

	while (f && (pw = fgetpwent(f)) && strcmp(pw->pw_name, name) != 0)
		;
	if (pw)
		*ret = pw->pw_uid;
	return pw != NULL;
}

static bool find_group(const char *name, uint32_t *ret)
{
	cleanup_file FILE *f = fopen("/etc/group", "re");
	struct group *group = NULL;

	while (f && (group = fgetgrent(f)) && strcmp(group->gr_name, name) != 0)
		;
	if (group)
		*ret = group->gr_gid;
	return group != NULL;
}

static int read_name(const struct reading *r, const char *key, const char *name, bool user,
		     uint32_t *ret)
{
	if (is_number(name, ret) || (user ? find_user(name, ret) : find_group(name, ret)))
		return 0;
	return wrong(r, key,
		     user ? "a user of /etc/passwd, or a number"
			  : "a group of /etc/group, or a number");
}

int config_metrics_beside(struct config *c)
{
	const char *slash = strrchr(c->control, '/');
	int n = snprintf(c->metrics, sizeof(c->metrics), "%.*s/metrics",
			 slash ? (int)(slash - c->control) : 0, c->control);

	return n < (int)sizeof(c->metrics) ? 0 : -ENAMETOOLONG;
}

static int read_metrics(const struct reading *r, const struct yaml_config *y, struct config *c)
{
	int code = read_path(r, "metrics", y->metrics, c->metrics, sizeof(c->metrics));

	if (code == 0 && y->control && !y->metrics && config_metrics_beside(c) < 0)
		code = wrong(r, "control", "a shorter path, or 'metrics'");
	if (code == 0 && y->metrics_group) {
		c->metrics_grouped = true;
		code = read_name(r, "metrics_group", y->metrics_group, false, &c->metrics_gid);
	}
	return code;
}

static int read_allow(const struct reading *r, const struct yaml_allow *y, struct config *c)
{
	char key[40];
	int code = 0;

	if (!y)
		return 0;
	c->restricted = true;
	c->n_allow_users = c->n_allow_groups = 0;
	for (uint32_t i = 0; code == 0 && i < y->n_users; i++) {
		(void)snprintf(key, sizeof(key), "allow/users/%u", i);
		code = read_name(r, key, y->users[i], true, &c->allow_users[c->n_allow_users++]);
	}
	for (uint32_t i = 0; code == 0 && i < y->n_groups; i++) {
		(void)snprintf(key, sizeof(key), "allow/groups/%u", i);
		code = read_name(r, key, y->groups[i], false,
				 &c->allow_groups[c->n_allow_groups++]);
	}
	return code;
}

/* ---- limits ---------------------------------------------------------------------------------- */

static const char *at(char key[static 64], const char *where, const char *name)
{
	(void)snprintf(key, 64, "%s/%s", where, name);
	return key;
}

/* What is not said is as it was. One may have no more than all. */
static int read_limits(const struct reading *r, const char *where, const struct yaml_limits *y,
		       const struct config *c, struct owner_limits *l)
{
	char key[64];
	int code = read_memory(r, at(key, where, "memory"), y->memory, &l->memory_bytes);

	if (code == 0)
		code = read_vcpus(r, at(key, where, "vcpus"), y->vcpus, &l->vcpu_milli);
	if (code == 0)
		code = read_number(r, at(key, where, "contexts"), y->contexts, 1, CONTEXTS_MAX,
				   &l->contexts);
	if (code == 0 && y->pids) {
		uint32_t pids = 0;

		code = read_number(r, at(key, where, "pids"), y->pids, 1, PIDS_MAX, &pids);
		l->pids = pids;
	}
	if (code == 0)
		code = read_number(r, at(key, where, "waiting"), y->waiting, 0, CONTEXTS_MAX,
				   &l->waiting);
	if (code == 0)
		code = read_number(r, at(key, where, "records"), y->records, 0, RECORDS_MAX,
				   &l->records);
	if (code == 0)
		code = read_number(r, at(key, where, "traces"), y->traces, 0, TRACERS_MAX,
				   &l->traces);
	if (code == 0)
		code = read_images(r, at(key, where, "images"), y->images, &l->images_bytes);
	if (code == 0)
		code = read_images(r, at(key, where, "kept_traces"), y->kept_traces,
				   &l->kept_bytes);
	if (code == 0)
		code = read_number(r, at(key, where, "functions"), y->functions, 0, FUNCTIONS_MAX,
				   &l->functions);
	if (code == 0)
		code = read_images(r, at(key, where, "code"), y->code, &l->code_bytes);
	if (code == 0)
		code = read_images(r, at(key, where, "code_unpacked"), y->code_unpacked,
				   &l->unpacked_bytes);
	if (code < 0)
		return code;
	if (y->memory && l->memory_bytes > c->memory_bytes)
		return wrong(r, at(key, where, "memory"), "no more than all have ('memory')");
	if (y->vcpus && c->vcpu_milli && l->vcpu_milli > c->vcpu_milli)
		return wrong(r, at(key, where, "vcpus"), "no more than all have ('vcpus')");
	return 0;
}

static int read_owners(const struct reading *r, const struct yaml_config *y, struct config *c)
{
	char where[32], key[64];
	int code = y->per_owner ? read_limits(r, "per_owner", y->per_owner, c, &c->per_owner) : 0;

	if (y->owners)
		c->n_owners = 0;
	for (uint32_t i = 0; code == 0 && y->owners && i < y->n_owners; i++) {
		struct owner_config *o = &c->owners[i];

		(void)snprintf(where, sizeof(where), "owners/%u", i);
		o->limits = c->per_owner;
		code = read_name(r, at(key, where, "user"), y->owners[i].user, true, &o->uid);
		if (code == 0)
			code = read_limits(r, where, &y->owners[i], c, &o->limits);
		for (uint32_t j = 0; code == 0 && j < i; j++)
			if (c->owners[j].uid == o->uid)
				code = wrong(r, at(key, where, "user"), "each user once");
		c->n_owners = i + 1;
	}
	return code;
}

static int apply(const struct reading *r, const struct yaml_config *y, struct config *c)
{
	int code = read_path(r, "control", y->control, c->control, sizeof(c->control));

	if (code == 0)
		code = read_path(r, "state", y->state, c->state, sizeof(c->state));
	if (code == 0)
		code = read_mode(r, y->control_mode, &c->control_mode);
	if (code == 0)
		code = read_metrics(r, y, c);
	if (code == 0)
		code = read_number(r, "contexts", y->contexts, 1, CONTEXTS_MAX, &c->contexts);
	if (code == 0)
		code = read_number(r, "running", y->running, 1, RUNNING_MAX, &c->running);
	if (code == 0)
		code = read_memory(r, "memory", y->memory, &c->memory_bytes);
	if (code == 0)
		code = read_vcpus(r, "vcpus", y->vcpus, &c->vcpu_milli);
	if (code == 0)
		code = read_duration(r, "wait", y->wait, 0, WAIT_MAX_NS, &c->wait_ns);
	if (code == 0)
		code = read_duration(r, "idle_expiry", y->idle_expiry, 0, IDLE_MAX_NS,
				     &c->idle_expiry_ns);
	if (code == 0)
		code = read_duration(r, "grace", y->grace, 0, GRACE_MAX_NS, &c->grace_ns);
	if (code == 0)
		code = read_duration(r, "silence", y->silence, SILENCE_MIN_NS, SILENCE_MAX_NS,
				     &c->silence_ns);
	if (code == 0)
		code = read_allow(r, y->allow, c);
	return code == 0 ? read_owners(r, y, c) : code;
}

static int parse(const char *text, size_t len, struct config *c, struct cloche_err *err)
{
	struct yaml_error said = { .line = 0 };
	const cyaml_config_t how = { .log_fn = yaml_error_take,
				     .log_ctx = &said,
				     .mem_fn = cyaml_mem,
				     .log_level = CYAML_LOG_ERROR,
				     .flags = CYAML_CFG_NO_ALIAS };
	cleanup_free struct config *changed = malloc(sizeof(*changed));
	struct reading reading = { .text = text, .len = len, .err = err };
	struct yaml_config *y = NULL;
	cyaml_err_t yerr;
	int r;

	if (!changed)
		return cloche_err_sys(err, ENOMEM, "read it");
	yerr = cyaml_load_data((const uint8_t *)text, len, &how, &schema, (cyaml_data_t **)&y,
			       NULL);
	if (yerr != CYAML_OK) {
		yaml_error_mend(&said, yerr, text, len);
		return cloche_err_set(err, EINVAL, "line %u: %s", said.line ? said.line : 1,
				      said.text);
	}
	*changed = *c;
	spec_host_read(&reading.host);
	/* NULL: there is no document, but comments perhaps. */
	r = y ? apply(&reading, y, changed) : 0;
	(void)cyaml_free(&how, &schema, y, 0);
	if (r == 0)
		*c = *changed;
	return r;
}

static unsigned contexts_of(uint64_t memory_bytes)
{
	uint64_t n = memory_bytes / CONTEXT_BYTES;

	if (n < CONTEXTS_LEAST)
		return CONTEXTS_LEAST;
	return n > CONTEXTS_MAX ? CONTEXTS_MAX : (unsigned)n;
}

void config_defaults(struct config *ret)
{
	struct spec_host host;

	spec_host_read(&host);
	*ret = (struct config){
		.control = CONTROL_PATH,
		.metrics = CONFIG_METRICS,
		.control_mode = 0666,
		.state = CONFIG_STATE,
		.contexts = contexts_of(host.memory_bytes),
		.running = RUNNING_MAX,
		/* The rest is the host's own: to it nothing shall come from here. */
		.memory_bytes = host.memory_bytes / 4 * 3,
		.per_owner = { .contexts = 32,
			       .images_bytes = 1ULL << 30,
			       .records = 2000000,
			       .traces = 2,
			       .kept_bytes = 64ULL << 20,
			       .functions = 100,
			       .code_bytes = 1ULL << 30,
			       .unpacked_bytes = 250ULL << 20 },
		.wait_ns = 1000000000LL,
		.idle_expiry_ns = 60LL * 1000000000,
		.grace_ns = 5000000000LL,
		.silence_ns = 10000000000LL
	};
}

int config_load(const char *path, struct config *config, struct cloche_err *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r = file_load(AT_FDCWD, path, FILE_MAX, &text, &len, err);

	if (r == 0)
		r = parse(text, len, config, err);
	return r < 0 ? cloche_err_wrap(err, "configuration '%.200s'", path) : 0;
}

/* ---- what it says ---------------------------------------------------------------------------- */

const struct owner_limits *config_owner(const struct config *config, uint32_t uid)
{
	for (size_t i = 0; i < config->n_owners; i++)
		if (config->owners[i].uid == uid)
			return &config->owners[i].limits;
	return &config->per_owner;
}

bool config_allows(const struct config *config, uint32_t uid, const gid_t *groups, size_t n_groups)
{
	if (!config->restricted || uid == 0)
		return true;
	for (size_t i = 0; i < config->n_allow_users; i++)
		if (config->allow_users[i] == uid)
			return true;
	for (size_t i = 0; i < config->n_allow_groups; i++)
		for (size_t j = 0; j < n_groups; j++)
			if (config->allow_groups[i] == groups[j])
				return true;
	return false;
}

bool config_subordinate(const struct config *config, uint32_t uid)
{
	if (uid == 0 || !subordinates_have(&config->subordinates, uid))
		return false;
	for (size_t i = 0; i < config->n_owners; i++)
		if (config->owners[i].uid == uid)
			return false;
	for (size_t i = 0; i < config->n_allow_users; i++)
		if (config->allow_users[i] == uid)
			return false;
	return true;
}
