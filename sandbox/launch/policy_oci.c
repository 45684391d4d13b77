/* SPDX-License-Identifier: MIT */
/*
 * Turns the JSON of an OCI or Docker seccomp profile into struct policy_profile. It knows the
 * format and libseccomp's names, nothing of filters: policy_rules.c gives the rules a meaning.
 * Reading goes on after a mistake so that one `policy check` shows them all.
 */
#include "launch/policy_oci.h"

#include "base/err.h"
#include "base/quote.h"
#include "launch/policy_json.h"
#include "launch/policy_words.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MAX_STEPS 8

struct reader {
	const char *source, *text;
	size_t len;
	struct json_step path[PATH_MAX_STEPS];
	size_t depth;
	policy_problem_fn *problem;
	void *arg;
	struct cloche_err *err;
	size_t n_problems;
	bool no_memory;
};

static void report(struct reader *r, struct json_place at, const char *text)
{
	char raw[600], line[600];

	(void)snprintf(raw, sizeof(raw), "%s:%u:%u: %s", r->source, at.line, at.column, text);
	/* The text may quote the file, which may hold anything: one line, no terminal codes. */
	quote_field(line, sizeof(line), raw);
	if (r->n_problems++ == 0)
		(void)cloche_err_set(r->err, EINVAL, "%s", line);
	if (r->problem)
		r->problem(r->arg, line);
}

static void complain(struct reader *r, bool at_key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void complain(struct reader *r, bool at_key, const char *fmt, ...)
{
	char text[500];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	report(r, json_locate(r->text, r->len, r->path, r->depth, at_key), text);
}

static void push_key(struct reader *r, const char *key)
{
	r->path[r->depth++] = (struct json_step){ .key = key };
}

static void push_index(struct reader *r, size_t index)
{
	r->path[r->depth++] = (struct json_step){ .index = index };
}

static void pop(struct reader *r)
{
	r->depth--;
}

/* ---- generic pieces ------------------------------------------------------------------------ */

static const char *type_name(const json_t *v)
{
	static const char *const names[] = { "an object",     "an array", "a string",
					     "an integer",    "a number", "true or false",
					     "true or false", "null" };

	return names[json_typeof(v)];
}

/* Reads one member's value; the path points at it. */
typedef void read_fn(struct reader *r, json_t *v, void *to);

struct member {
	const char *key;
	read_fn *read;
	bool required;
	bool may_be_null; /* Docker writes "args": null */
};

/* Every key must be in the table, every required one must be there. */
static void read_object(struct reader *r, json_t *v, const struct member *members, void *to)
{
	const char *key;
	json_t *child;

	if (!json_is_object(v)) {
		complain(r, false, "expected an object, found %s", type_name(v));
		return;
	}
	json_object_foreach (v, key, child) {
		const struct member *m = members;

		while (m->key && strcmp(m->key, key) != 0)
			m++;
		push_key(r, key);
		if (!m->key)
			complain(r, true, "unknown key '%s'", key);
		else if (!json_is_null(child) || !m->may_be_null)
			m->read(r, child, to);
		pop(r);
	}
	for (const struct member *m = members; m->key; m++)
		if (m->required && !json_object_get(v, m->key))
			complain(r, false, "'%s' is missing", m->key);
}

/* The text of a string, or NULL after a complaint. */
static const char *string_of(struct reader *r, json_t *v)
{
	if (!json_is_string(v)) {
		complain(r, false, "expected a string, found %s", type_name(v));
		return NULL;
	}
	return json_string_value(v);
}

static bool unsigned_of(struct reader *r, json_t *v, uint64_t min, uint64_t max, uint64_t *ret)
{
	if (!json_is_integer(v)) {
		complain(r, false, "expected an integer, found %s", type_name(v));
		return false;
	}
	if (json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) < min ||
	    (uint64_t)json_integer_value(v) > max) {
		complain(r, false, "%lld is out of range: %" PRIu64 " to %" PRIu64,
			 (long long)json_integer_value(v), min, max);
		return false;
	}
	*ret = (uint64_t)json_integer_value(v);
	return true;
}

/* Calls read for each element, with the path at it. */
static void read_array(struct reader *r, json_t *v, read_fn *read, void *to)
{
	size_t i;
	json_t *child;

	if (!json_is_array(v)) {
		complain(r, false, "expected an array, found %s", type_name(v));
		return;
	}
	json_array_foreach (v, i, child) {
		push_index(r, i);
		read(r, child, to);
		pop(r);
	}
}

static bool word_of(struct reader *r, json_t *v, const struct policy_word *words, const char *noun,
		    uint32_t *ret)
{
	const char *text = string_of(r, v);
	const struct policy_word *w = text ? policy_word_find(words, text) : NULL;

	if (text && !w)
		complain(r, false, "unknown %s '%s'", noun, text);
	if (w)
		*ret = w->value;
	return w;
}

static char *copy_text(struct reader *r, const char *text)
{
	char *copy = strdup(text);

	r->no_memory |= !copy;
	return copy;
}

static void read_comment(struct reader *r, json_t *v, char **ret)
{
	const char *text = string_of(r, v);

	if (text && *text)
		*ret = copy_text(r, text);
}

/* ---- actions ------------------------------------------------------------------------------- */

/* An action and its errno, which stand in two keys in any order. */
struct action {
	uint32_t value;
	uint64_t errno_ret;
	bool has_errno;
};

static void read_action(struct reader *r, json_t *v, struct action *to)
{
	uint32_t value;

	if (!word_of(r, v, policy_action_words, "action", &value))
		return;
	if (value == SCMP_ACT_NOTIFY || value == SCMP_ACT_TRACE(0))
		complain(r, false, "%s is not supported: nobody would answer the call",
			 json_string_value(v));
	else
		to->value = value;
}

static void read_errno(struct reader *r, json_t *v, struct action *to)
{
	/* Above 4095 the kernel cuts (include/linux/err.h, MAX_ERRNO). */
	to->has_errno = unsigned_of(r, v, 1, 4095, &to->errno_ret);
}

static uint32_t action_join(struct reader *r, const struct action *a, const char *errno_key)
{
	if (a->value == SCMP_ACT_ERRNO(0))
		return SCMP_ACT_ERRNO(a->has_errno ? a->errno_ret : EPERM);
	if (a->has_errno) {
		push_key(r, errno_key);
		complain(r, true, "'%s' goes with SCMP_ACT_ERRNO only", errno_key);
		pop(r);
	}
	return a->value;
}

/* ---- syscalls[].args ----------------------------------------------------------------------- */

static void read_arg_index(struct reader *r, json_t *v, void *to)
{
	uint64_t n = 0;

	if (unsigned_of(r, v, 0, POLICY_ARGS_MAX - 1, &n))
		((struct policy_arg *)to)->index = (unsigned int)n;
}

static void read_arg_value(struct reader *r, json_t *v, void *to)
{
	(void)unsigned_of(r, v, 0, INT64_MAX, &((struct policy_arg *)to)->value);
}

static void read_arg_value_two(struct reader *r, json_t *v, void *to)
{
	(void)unsigned_of(r, v, 0, INT64_MAX, &((struct policy_arg *)to)->value_two);
}

static void read_arg_op(struct reader *r, json_t *v, void *to)
{
	uint32_t op;

	if (word_of(r, v, policy_op_words, "operator", &op))
		((struct policy_arg *)to)->op = (enum scmp_compare)op;
}

static void check_arg(struct reader *r, const struct policy_arg *a)
{
	if (a->op != SCMP_CMP_MASKED_EQ && a->value_two != 0)
		complain(r, false, "'valueTwo' goes with SCMP_CMP_MASKED_EQ only");
	if (a->op == SCMP_CMP_MASKED_EQ && (a->value_two & ~a->value) != 0)
		complain(r, false,
			 "can never hold: 'valueTwo' has bits that the mask in 'value' clears");
}

static void read_arg(struct reader *r, json_t *v, void *to)
{
	static const struct member members[] = {
		{ "index", read_arg_index, true, false },
		{ "value", read_arg_value, true, false },
		{ "valueTwo", read_arg_value_two, false, false },
		{ "op", read_arg_op, true, false },
		{ 0 },
	};
	struct policy_rule *rule = to;
	struct policy_arg a = { .op = SCMP_CMP_EQ };
	size_t before = r->n_problems;

	read_object(r, v, members, &a);
	if (r->n_problems != before)
		return;
	check_arg(r, &a);
	for (size_t i = 0; i < rule->n_args; i++) {
		if (rule->args[i].index == a.index) {
			complain(r, false,
				 "argument %u has two conditions in one rule, which libseccomp "
				 "cannot "
				 "join: use a mask or two rules",
				 a.index);
			return;
		}
	}
	rule->args[rule->n_args++] = a; /* six different indexes at most, so it fits */
}

/* ---- syscalls[].includes and .excludes ----------------------------------------------------- */

struct filter {
	bool has_caps, has_arches, arch_matches, has_kernel, kernel_matches;
};

static void read_cap(struct reader *r, json_t *v, void *to)
{
	uint32_t unused;

	((struct filter *)to)->has_caps = true;
	(void)word_of(r, v, policy_cap_words, "capability", &unused);
}

static void read_filter_arch(struct reader *r, json_t *v, void *to)
{
	struct filter *f = to;
	uint32_t arch = 0;

	f->has_arches = true;
	if (word_of(r, v, policy_goarch_words, "architecture", &arch))
		f->arch_matches |= arch == seccomp_arch_native();
}

static void read_caps(struct reader *r, json_t *v, void *to)
{
	read_array(r, v, read_cap, to);
}

static void read_filter_arches(struct reader *r, json_t *v, void *to)
{
	read_array(r, v, read_filter_arch, to);
}

static void read_min_kernel(struct reader *r, json_t *v, void *to)
{
	struct filter *f = to;
	const char *text = string_of(r, v);
	unsigned int major, minor;
	struct policy_kernel now = policy_kernel_now();
	int used = 0;

	if (!text)
		return;
	if (text[0] < '0' || text[0] > '9' ||
	    sscanf(text, "%4u.%4u%n", &major, &minor, &used) != 2 || text[used] != '\0') {
		complain(r, false, "'%s' is no kernel version: expected, for example, \"4.8\"",
			 text);
		return;
	}
	f->has_kernel = true;
	f->kernel_matches = now.major > major || (now.major == major && now.minor >= minor);
}

static const struct member filter_members[] = {
	{ "caps", read_caps, false, true },
	{ "arches", read_filter_arches, false, true },
	{ "minKernel", read_min_kernel, false, true },
	{ 0 },
};

/* All that is named must hold; a function never has a capability. */
static void read_includes(struct reader *r, json_t *v, void *to)
{
	struct filter f = { 0 };

	read_object(r, v, filter_members, &f);
	if (f.has_caps || (f.has_arches && !f.arch_matches) || (f.has_kernel && !f.kernel_matches))
		((struct policy_rule *)to)->applies = false;
}

/* Anything that is named and holds takes the rule away. */
static void read_excludes(struct reader *r, json_t *v, void *to)
{
	struct filter f = { 0 };

	read_object(r, v, filter_members, &f);
	if (f.arch_matches || f.kernel_matches)
		((struct policy_rule *)to)->applies = false;
}

/* ---- syscalls[] ---------------------------------------------------------------------------- */

/* What one element is read into; the action is joined when both of its keys were seen. */
struct rule_reading {
	struct policy_rule rule; /* first: the readers of args and filters see only this */
	struct action action;
};

static void read_name(struct reader *r, json_t *v, void *to)
{
	struct policy_rule *rule = to;
	const char *name = string_of(r, v);

	if (!name)
		return;
	if (policy_call_number(name) == __NR_SCMP_ERROR) {
		const struct scmp_version *have = seccomp_version();

		complain(r, false,
			 "unknown syscall '%s': libseccomp %u.%u.%u has it on no architecture",
			 name, have->major, have->minor, have->micro);
		return;
	}
	rule->names[rule->n_names] = copy_text(r, name);
	rule->n_names += rule->names[rule->n_names] != NULL;
}

static void read_names(struct reader *r, json_t *v, void *to)
{
	struct policy_rule *rule = to;

	if (json_is_array(v) && json_array_size(v) == 0) {
		complain(r, false, "expected at least one syscall");
		return;
	}
	rule->names = calloc(json_array_size(v) + 1, sizeof(*rule->names));
	r->no_memory |= !rule->names;
	if (rule->names)
		read_array(r, v, read_name, rule);
}

static void read_rule_action(struct reader *r, json_t *v, void *to)
{
	read_action(r, v, &((struct rule_reading *)to)->action);
}

static void read_rule_errno(struct reader *r, json_t *v, void *to)
{
	read_errno(r, v, &((struct rule_reading *)to)->action);
}

static void read_args(struct reader *r, json_t *v, void *to)
{
	read_array(r, v, read_arg, to);
}

static void read_rule_comment(struct reader *r, json_t *v, void *to)
{
	read_comment(r, v, &((struct policy_rule *)to)->comment);
}

static void read_rule(struct reader *r, json_t *v, void *to)
{
	static const struct member members[] = {
		{ "names", read_names, true, false },
		{ "action", read_rule_action, true, false },
		{ "errnoRet", read_rule_errno, false, true },
		{ "args", read_args, false, true },
		{ "comment", read_rule_comment, false, false },
		{ "includes", read_includes, false, true },
		{ "excludes", read_excludes, false, true },
		{ 0 },
	};
	struct policy_profile *profile = to;
	struct rule_reading reading = { .rule.applies = true };

	read_object(r, v, members, &reading);
	reading.rule.action = action_join(r, &reading.action, "errnoRet");
	profile->rules[profile->n_rules++] = reading.rule;
}

/* ---- the profile --------------------------------------------------------------------------- */

struct profile_reading {
	struct policy_profile profile;
	struct action action;
	bool has_architectures, has_arch_map, native_listed;
};

static void read_default_action(struct reader *r, json_t *v, void *to)
{
	read_action(r, v, &((struct profile_reading *)to)->action);
}

static void read_default_errno(struct reader *r, json_t *v, void *to)
{
	read_errno(r, v, &((struct profile_reading *)to)->action);
}

static void read_arch(struct reader *r, json_t *v, void *to)
{
	uint32_t arch = 0;

	((struct profile_reading *)to)->has_architectures = true;
	if (word_of(r, v, policy_arch_words, "architecture", &arch))
		((struct profile_reading *)to)->native_listed |= arch == seccomp_arch_native();
}

static void read_architectures(struct reader *r, json_t *v, void *to)
{
	read_array(r, v, read_arch, to);
}

static void read_sub_arch(struct reader *r, json_t *v, void *to)
{
	uint32_t unused;

	(void)word_of(r, v, policy_arch_words, "architecture", &unused);
}

static void read_sub_arches(struct reader *r, json_t *v, void *to)
{
	read_array(r, v, read_sub_arch, to);
}

static void read_map_arch(struct reader *r, json_t *v, void *to)
{
	uint32_t arch = 0;

	if (word_of(r, v, policy_arch_words, "architecture", &arch))
		((struct profile_reading *)to)->native_listed |= arch == seccomp_arch_native();
}

static void read_map_entry(struct reader *r, json_t *v, void *to)
{
	static const struct member members[] = {
		{ "architecture", read_map_arch, true, false },
		{ "subArchitectures", read_sub_arches, false, true },
		{ 0 },
	};

	((struct profile_reading *)to)->has_arch_map = true;
	read_object(r, v, members, to);
}

static void read_arch_map(struct reader *r, json_t *v, void *to)
{
	read_array(r, v, read_map_entry, to);
}

static void read_flag(struct reader *r, json_t *v, void *to)
{
	uint32_t flag = 0;

	if (word_of(r, v, policy_flag_words, "flag", &flag))
		((struct profile_reading *)to)->profile.flags |= flag;
}

static void read_flags(struct reader *r, json_t *v, void *to)
{
	read_array(r, v, read_flag, to);
}

static void read_syscalls(struct reader *r, json_t *v, void *to)
{
	struct policy_profile *profile = to;

	profile->rules = calloc(json_array_size(v) + 1, sizeof(*profile->rules));
	r->no_memory |= !profile->rules;
	if (profile->rules)
		read_array(r, v, read_rule, profile);
}

static void read_profile_comment(struct reader *r, json_t *v, void *to)
{
	read_comment(r, v, &((struct profile_reading *)to)->profile.comment);
}

static void check_architectures(struct reader *r, const struct profile_reading *p)
{
	const char *key = p->has_architectures ? "architectures" : "archMap";

	if (p->has_architectures && p->has_arch_map)
		complain(r, false, "'architectures' and 'archMap' exclude each other");
	if ((p->has_architectures || p->has_arch_map) && !p->native_listed) {
		push_key(r, key);
		complain(r, true, "the profile is not for this machine: '%s' lacks %s", key,
			 policy_word_name(policy_arch_words, seccomp_arch_native()));
		pop(r);
	}
}

static void read_profile(struct reader *r, json_t *root, struct policy_profile *ret)
{
	static const struct member members[] = {
		{ "defaultAction", read_default_action, true, false },
		{ "defaultErrnoRet", read_default_errno, false, true },
		{ "architectures", read_architectures, false, true },
		{ "archMap", read_arch_map, false, true },
		{ "flags", read_flags, false, true },
		{ "syscalls", read_syscalls, false, true },
		{ "comment", read_profile_comment, false, false },
		{ 0 },
	};
	struct profile_reading reading = { .action.value = SCMP_ACT_KILL_PROCESS };
	size_t before = r->n_problems;

	read_object(r, root, members, &reading);
	reading.profile.default_action = action_join(r, &reading.action, "defaultErrnoRet");
	if (r->n_problems == before)
		check_architectures(r, &reading);
	*ret = reading.profile;
}

int policy_profile_parse(const char *source, const char *text, size_t len,
			 policy_problem_fn *problem, void *arg, struct policy_profile *ret,
			 struct cloche_err *err)
{
	struct reader r = { .source = source,
			    .text = text,
			    .len = len,
			    .problem = problem,
			    .arg = arg,
			    .err = err };
	json_error_t where;
	json_t *root;

	*ret = (struct policy_profile){ 0 };
	if (len > POLICY_TEXT_MAX)
		return cloche_err_set(err, EFBIG, "%s: a profile has at most %zu KiB", source,
				      POLICY_TEXT_MAX / 1024);
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
	if (!root) {
		report(&r,
		       (struct json_place){ where.line > 0 ? (unsigned int)where.line : 1,
					    where.column > 0 ? (unsigned int)where.column : 1 },
		       where.text);
		return -EINVAL;
	}
	read_profile(&r, root, ret);
	json_decref(root);
	if (r.no_memory || r.n_problems > 0)
		policy_profile_free(ret);
	if (r.no_memory)
		return cloche_err_set(err, ENOMEM, "%s: out of memory", source);
	return r.n_problems > 0 ? -EINVAL : 0;
}

void policy_profile_free(struct policy_profile *profile)
{
	for (size_t i = 0; i < profile->n_rules; i++) {
		for (size_t j = 0; j < profile->rules[i].n_names; j++)
			free(profile->rules[i].names[j]);
		free(profile->rules[i].names);
		free(profile->rules[i].comment);
	}
	free(profile->rules);
	free(profile->comment);
	*profile = (struct policy_profile){ 0 };
}

unsigned int policy_rule_line(const char *text, size_t len, size_t rule)
{
	const struct json_step steps[] = { { .key = "syscalls" }, { .index = rule } };

	return json_locate(text, len, steps, 2, false).line;
}
