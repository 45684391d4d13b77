/* SPDX-License-Identifier: MIT */
/*
 * Turns the JSON of an OCI or Docker seccomp profile into struct policy_profile. It knows the
 * format and libseccomp's names, nothing of filters: policy_rules.c gives the rules a meaning.
 * Reading goes on after a mistake so that one `policy check` shows them all.
 */
#include "policy/policy_oci.h"

#include "base/err.h"
#include "policy/policy_left_out.h"
#include "policy/policy_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void read_comment(struct policy_reader *r, json_t *v, char **ret)
{
	const char *text = policy_reader_string(r, v);

	if (text && *text)
		*ret = policy_reader_copy(r, text);
}

/* ---- actions ------------------------------------------------------------------------------- */

/* An action and its errno, which stand in two or three keys in any order. */
struct action {
	uint32_t value;
	uint64_t errno_ret, errno_named;
	bool has_errno, has_name;
};

static void read_action(struct policy_reader *r, json_t *v, struct action *to)
{
	uint32_t value;

	if (!policy_reader_word(r, v, policy_action_words, "action", &value))
		return;
	if (value == SCMP_ACT_NOTIFY || value == SCMP_ACT_TRACE(0))
		policy_reader_complain(r, false,
				       "%s is not supported: nobody would answer the call",
				       json_string_value(v));
	else
		to->value = value;
}

static void read_errno(struct policy_reader *r, json_t *v, struct action *to)
{
	/* Above 4095 the kernel cuts (include/linux/err.h, MAX_ERRNO). */
	to->has_errno = policy_reader_unsigned(r, v, 1, 4095, &to->errno_ret);
}

/* podman writes the errno's name beside its number, which is not the same everywhere. "": none. */
static void read_errno_name(struct policy_reader *r, json_t *v, struct action *to)
{
	const char *text = policy_reader_string(r, v);
	uint32_t action;

	if (!text || !*text)
		return;
	if (policy_action_read(text, &action) &&
	    (action & SECCOMP_RET_ACTION_FULL) == SCMP_ACT_ERRNO(0)) {
		to->has_name = true;
		to->errno_named = action & SECCOMP_RET_DATA;
	} else {
		policy_reader_complain(r, false, "unknown errno '%s'", text);
	}
}

static uint32_t action_join(struct policy_reader *r, const struct action *a, const char *number_key,
			    const char *name_key)
{
	const char *key = a->has_errno ? number_key : name_key;
	bool has = a->has_errno || a->has_name;

	policy_reader_push_key(r, key);
	if (has && a->value != SCMP_ACT_ERRNO(0))
		policy_reader_complain(r, true, "'%s' goes with SCMP_ACT_ERRNO only", key);
	else if (a->has_errno && a->has_name && a->errno_ret != a->errno_named)
		policy_reader_complain(r, true, "'%s' is %" PRIu64 ", but '%s' is %" PRIu64,
				       number_key, a->errno_ret, name_key, a->errno_named);
	policy_reader_pop(r);
	if (a->value != SCMP_ACT_ERRNO(0))
		return a->value;
	return SCMP_ACT_ERRNO(a->has_errno ? a->errno_ret : a->has_name ? a->errno_named : EPERM);
}

/* ---- syscalls[].args ----------------------------------------------------------------------- */

static void read_arg_index(struct policy_reader *r, json_t *v, void *to)
{
	uint64_t n = 0;

	if (policy_reader_unsigned(r, v, 0, POLICY_ARGS_MAX - 1, &n))
		((struct policy_arg *)to)->index = (unsigned int)n;
}

static void read_arg_value(struct policy_reader *r, json_t *v, void *to)
{
	(void)policy_reader_unsigned(r, v, 0, INT64_MAX, &((struct policy_arg *)to)->value);
}

static void read_arg_value_two(struct policy_reader *r, json_t *v, void *to)
{
	(void)policy_reader_unsigned(r, v, 0, INT64_MAX, &((struct policy_arg *)to)->value_two);
}

static void read_arg_op(struct policy_reader *r, json_t *v, void *to)
{
	uint32_t op;

	if (policy_reader_word(r, v, policy_op_words, "operator", &op))
		((struct policy_arg *)to)->op = (enum scmp_compare)op;
}

static void check_arg(struct policy_reader *r, const struct policy_arg *a)
{
	if (a->op != SCMP_CMP_MASKED_EQ && a->value_two != 0)
		policy_reader_complain(r, false, "'valueTwo' goes with SCMP_CMP_MASKED_EQ only");
	if (a->op == SCMP_CMP_MASKED_EQ && (a->value_two & ~a->value) != 0)
		policy_reader_complain(
			r, false,
			"can never hold: 'valueTwo' has bits that the mask in 'value' clears");
}

static void read_arg(struct policy_reader *r, json_t *v, void *to)
{
	static const struct policy_reader_member members[] = {
		{ "index", read_arg_index, true, false },
		{ "value", read_arg_value, true, false },
		{ "valueTwo", read_arg_value_two, false, false },
		{ "op", read_arg_op, true, false },
		{ 0 },
	};
	struct policy_rule *rule = to;
	struct policy_arg a = { .op = SCMP_CMP_EQ };
	size_t before = r->n_problems;

	policy_reader_object(r, v, members, &a);
	if (r->n_problems != before)
		return;
	check_arg(r, &a);
	for (size_t i = 0; i < rule->n_args; i++) {
		if (rule->args[i].index == a.index) {
			policy_reader_complain(
				r, false,
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

static void read_cap(struct policy_reader *r, json_t *v, void *to)
{
	uint32_t unused;

	((struct filter *)to)->has_caps = true;
	(void)policy_reader_word(r, v, policy_cap_words, "capability", &unused);
}

static void read_filter_arch(struct policy_reader *r, json_t *v, void *to)
{
	struct filter *f = to;
	uint32_t arch = 0;

	f->has_arches = true;
	if (policy_reader_word(r, v, policy_goarch_words, "architecture", &arch))
		f->arch_matches |= arch == seccomp_arch_native();
}

static void read_caps(struct policy_reader *r, json_t *v, void *to)
{
	policy_reader_array(r, v, read_cap, to);
}

static void read_filter_arches(struct policy_reader *r, json_t *v, void *to)
{
	policy_reader_array(r, v, read_filter_arch, to);
}

static void read_min_kernel(struct policy_reader *r, json_t *v, void *to)
{
	struct filter *f = to;
	const char *text = policy_reader_string(r, v);
	unsigned int major, minor;
	struct policy_kernel now = policy_kernel_now();
	int used = 0;

	if (!text)
		return;
	if (text[0] < '0' || text[0] > '9' ||
	    sscanf(text, "%4u.%4u%n", &major, &minor, &used) != 2 || text[used] != '\0') {
		policy_reader_complain(r, false,
				       "'%s' is no kernel version: expected, for example, \"4.8\"",
				       text);
		return;
	}
	f->has_kernel = true;
	f->kernel_matches = now.major > major || (now.major == major && now.minor >= minor);
}

static const struct policy_reader_member filter_members[] = {
	{ "caps", read_caps, false, true },
	{ "arches", read_filter_arches, false, true },
	{ "minKernel", read_min_kernel, false, true },
	{ 0 },
};

/* All that is named must hold; a function never has a capability. */
static void read_includes(struct policy_reader *r, json_t *v, void *to)
{
	struct filter f = { 0 };

	policy_reader_object(r, v, filter_members, &f);
	if (f.has_caps || (f.has_arches && !f.arch_matches) || (f.has_kernel && !f.kernel_matches))
		((struct policy_rule *)to)->applies = false;
	((struct policy_rule *)to)->chosen |= f.has_caps || f.has_arches || f.has_kernel;
}

/* Anything that is named and holds takes the rule away. */
static void read_excludes(struct policy_reader *r, json_t *v, void *to)
{
	struct filter f = { 0 };

	policy_reader_object(r, v, filter_members, &f);
	if (f.arch_matches || f.kernel_matches)
		((struct policy_rule *)to)->applies = false;
	((struct policy_rule *)to)->chosen |= f.has_caps || f.has_arches || f.has_kernel;
}

/* ---- syscalls[] ---------------------------------------------------------------------------- */

/* What one element is read into; the action is joined when both of its keys were seen. */
struct rule_reading {
	struct policy_rule rule; /* first: the readers of args and filters see only this */
	struct action action;
	const char *only_name; /* the text's */
};

static void read_name(struct policy_reader *r, json_t *v, void *to)
{
	struct policy_rule *rule = to;
	const char *name = policy_reader_string(r, v);

	if (!name)
		return;
	rule->names[rule->n_names] = policy_reader_copy(r, name);
	rule->n_names += rule->names[rule->n_names] != NULL;
}

static void read_names(struct policy_reader *r, json_t *v, void *to)
{
	struct policy_rule *rule = to;

	if (json_is_array(v) && json_array_size(v) == 0) {
		policy_reader_complain(r, false, "expected at least one syscall");
		return;
	}
	rule->names = calloc(json_array_size(v) + 1, sizeof(*rule->names));
	r->no_memory |= !rule->names;
	if (rule->names)
		policy_reader_array(r, v, read_name, rule);
}

/* Docker's form until 2016, still in what people have: a rule about one call. "": none. */
static void read_only_name(struct policy_reader *r, json_t *v, void *to)
{
	struct rule_reading *reading = to;
	const char *name = policy_reader_string(r, v);

	if (name && *name)
		reading->only_name = name;
}

static void read_rule_action(struct policy_reader *r, json_t *v, void *to)
{
	read_action(r, v, &((struct rule_reading *)to)->action);
}

static void read_rule_errno(struct policy_reader *r, json_t *v, void *to)
{
	read_errno(r, v, &((struct rule_reading *)to)->action);
}

static void read_rule_errno_name(struct policy_reader *r, json_t *v, void *to)
{
	read_errno_name(r, v, &((struct rule_reading *)to)->action);
}

/* A hint to libseccomp about the order of its tests, which are in an order of ours. */
static void read_priority(struct policy_reader *r, json_t *v, void *to)
{
	uint64_t unused;

	(void)to;
	(void)policy_reader_unsigned(r, v, 0, INT64_MAX, &unused);
}

static void read_args(struct policy_reader *r, json_t *v, void *to)
{
	policy_reader_array(r, v, read_arg, to);
}

static void read_rule_comment(struct policy_reader *r, json_t *v, void *to)
{
	read_comment(r, v, &((struct policy_rule *)to)->comment);
}

/* One of the two forms, in one place. */
static void join_names(struct policy_reader *r, json_t *v, struct rule_reading *reading)
{
	json_t *names = json_object_get(v, "names");
	bool has_names = names && !json_is_null(names);

	if (reading->only_name && has_names) {
		policy_reader_push_key(r, "name");
		policy_reader_complain(r, true, "'name' and 'names' exclude each other");
		policy_reader_pop(r);
	} else if (reading->only_name) {
		reading->rule.names = calloc(1, sizeof(*reading->rule.names));
		r->no_memory |= !reading->rule.names;
		if (reading->rule.names)
			read_name(r, json_object_get(v, "name"), &reading->rule);
	} else if (names && !has_names) {
		policy_reader_complain(r, false, "expected at least one syscall");
	} else if (!names) {
		policy_reader_complain(r, false, "'names' is missing");
	}
}

static void read_rule(struct policy_reader *r, json_t *v, void *to)
{
	static const struct policy_reader_member members[] = {
		{ "names", read_names, false, true },
		{ "name", read_only_name, false, true },
		{ "action", read_rule_action, true, false },
		{ "errnoRet", read_rule_errno, false, true },
		{ "errno", read_rule_errno_name, false, true },
		{ "priority", read_priority, false, true },
		{ "args", read_args, false, true },
		{ "comment", read_rule_comment, false, true },
		{ "includes", read_includes, false, true },
		{ "excludes", read_excludes, false, true },
		{ 0 },
	};
	struct policy_profile *profile = to;
	struct rule_reading reading = { .rule.applies = true };

	policy_reader_object(r, v, members, &reading);
	if (json_is_object(v))
		join_names(r, v, &reading);
	reading.rule.action = action_join(r, &reading.action, "errnoRet", "errno");
	profile->rules[profile->n_rules++] = reading.rule;
}

/* ---- the profile --------------------------------------------------------------------------- */

struct profile_reading {
	struct policy_profile profile;
	struct action action;
	bool has_architectures, has_arch_map, native_listed;
};

static void read_default_action(struct policy_reader *r, json_t *v, void *to)
{
	read_action(r, v, &((struct profile_reading *)to)->action);
}

static void read_default_errno(struct policy_reader *r, json_t *v, void *to)
{
	read_errno(r, v, &((struct profile_reading *)to)->action);
}

static void read_default_errno_name(struct policy_reader *r, json_t *v, void *to)
{
	read_errno_name(r, v, &((struct profile_reading *)to)->action);
}

/* Of a listener for SCMP_ACT_NOTIFY; with no rule that asks one, which would be refused, it is of
 * no meaning. */
static void read_listener(struct policy_reader *r, json_t *v, void *to)
{
	(void)to;
	(void)policy_reader_string(r, v);
}

static void read_arch(struct policy_reader *r, json_t *v, void *to)
{
	uint32_t arch = 0;

	((struct profile_reading *)to)->has_architectures = true;
	if (policy_reader_word(r, v, policy_arch_words, "architecture", &arch))
		((struct profile_reading *)to)->native_listed |= arch == seccomp_arch_native();
}

static void read_architectures(struct policy_reader *r, json_t *v, void *to)
{
	policy_reader_array(r, v, read_arch, to);
}

static void read_sub_arch(struct policy_reader *r, json_t *v, void *to)
{
	uint32_t unused;

	(void)policy_reader_word(r, v, policy_arch_words, "architecture", &unused);
}

static void read_sub_arches(struct policy_reader *r, json_t *v, void *to)
{
	policy_reader_array(r, v, read_sub_arch, to);
}

static void read_map_arch(struct policy_reader *r, json_t *v, void *to)
{
	uint32_t arch = 0;

	if (policy_reader_word(r, v, policy_arch_words, "architecture", &arch))
		((struct profile_reading *)to)->native_listed |= arch == seccomp_arch_native();
}

static void read_map_entry(struct policy_reader *r, json_t *v, void *to)
{
	static const struct policy_reader_member members[] = {
		{ "architecture", read_map_arch, true, false },
		{ "subArchitectures", read_sub_arches, false, true },
		{ 0 },
	};

	((struct profile_reading *)to)->has_arch_map = true;
	policy_reader_object(r, v, members, to);
}

static void read_arch_map(struct policy_reader *r, json_t *v, void *to)
{
	policy_reader_array(r, v, read_map_entry, to);
}

static void read_flag(struct policy_reader *r, json_t *v, void *to)
{
	uint32_t flag = 0;

	if (policy_reader_word(r, v, policy_flag_words, "flag", &flag))
		((struct profile_reading *)to)->profile.flags |= flag;
}

static void read_flags(struct policy_reader *r, json_t *v, void *to)
{
	policy_reader_array(r, v, read_flag, to);
}

static void read_syscalls(struct policy_reader *r, json_t *v, void *to)
{
	struct policy_profile *profile = to;

	profile->rules = calloc(json_array_size(v) + 1, sizeof(*profile->rules));
	r->no_memory |= !profile->rules;
	if (profile->rules)
		policy_reader_array(r, v, read_rule, profile);
}

static void read_profile_comment(struct policy_reader *r, json_t *v, void *to)
{
	read_comment(r, v, &((struct profile_reading *)to)->profile.comment);
}

static void check_architectures(struct policy_reader *r, const struct profile_reading *p)
{
	const char *key = p->has_architectures ? "architectures" : "archMap";

	if (p->has_architectures && p->has_arch_map)
		policy_reader_complain(r, false,
				       "'architectures' and 'archMap' exclude each other");
	if ((p->has_architectures || p->has_arch_map) && !p->native_listed) {
		policy_reader_push_key(r, key);
		policy_reader_complain(r, true,
				       "the profile is not for this machine: '%s' lacks %s", key,
				       policy_word_name(policy_arch_words, seccomp_arch_native()));
		policy_reader_pop(r);
	}
}

/* A name without a number here that must not be left out. */
static void check_names(struct policy_reader *r, const struct policy_profile *p)
{
	const struct scmp_version *have = seccomp_version();

	policy_reader_push_key(r, "syscalls");
	for (size_t i = 0; i < p->n_rules; i++) {
		policy_reader_push_index(r, i);
		policy_reader_push_key(r, "names");
		for (size_t j = 0; j < p->rules[i].n_names; j++) {
			if (policy_name_fate(p, i, j) != POLICY_NAME_NEEDED)
				continue;
			policy_reader_push_index(r, j);
			policy_reader_complain(
				r, false,
				"unknown syscall '%s': libseccomp %u.%u.%u has it on no "
				"architecture, and the default would let it pass",
				p->rules[i].names[j], have->major, have->minor, have->micro);
			policy_reader_pop(r);
		}
		policy_reader_pop(r);
		policy_reader_pop(r);
	}
	policy_reader_pop(r);
}

static void read_profile(struct policy_reader *r, json_t *root, struct policy_profile *ret)
{
	static const struct policy_reader_member members[] = {
		{ "defaultAction", read_default_action, true, false },
		{ "defaultErrnoRet", read_default_errno, false, true },
		{ "defaultErrno", read_default_errno_name, false, true },
		{ "architectures", read_architectures, false, true },
		{ "archMap", read_arch_map, false, true },
		{ "flags", read_flags, false, true },
		{ "syscalls", read_syscalls, false, true },
		{ "comment", read_profile_comment, false, true },
		{ "listenerPath", read_listener, false, true },
		{ "listenerMetadata", read_listener, false, true },
		{ 0 },
	};
	struct profile_reading reading = { .action.value = SCMP_ACT_KILL_PROCESS };
	size_t before = r->n_problems;

	policy_reader_object(r, root, members, &reading);
	reading.profile.default_action =
		action_join(r, &reading.action, "defaultErrnoRet", "defaultErrno");
	if (r->n_problems == before)
		check_architectures(r, &reading);
	if (r->n_problems == before)
		check_names(r, &reading.profile);
	*ret = reading.profile;
}

int policy_profile_parse(const char *source, const char *text, size_t len,
			 policy_problem_fn *problem, void *arg, struct policy_profile *ret,
			 struct cloche_err *err)
{
	struct policy_reader r = { .source = source,
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
		policy_reader_report(
			&r,
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
