/* SPDX-License-Identifier: MIT */
/*
 * What gives the peers the same as cloche: an OCI bundle (root file system, limits, seccomp
 * profile) for runc and crun, and the same profile compiled for runners that take a finished
 * filter. The profile is the one that cloche ships, so the filters differ in nothing but who
 * compiled them; the OCI runtimes compile theirs at every start, as they always do.
 */
#include "subject.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <seccomp.h>

#include "base/err.h"
#include "base/fd.h"

static inline void json_cleanup(json_t **json)
{
	json_decref(*json);
}
#define cleanup_json __attribute__((cleanup(json_cleanup)))

static int profile_read(const char *path, json_t **ret, struct cloche_err *err)
{
	json_error_t why;
	json_t *profile = json_load_file(path, JSON_REJECT_DUPLICATES, &why);

	if (!profile)
		return cloche_err_set(err, EINVAL, "read '%s': line %d: %s", path, why.line,
				      why.text);
	if (!json_is_array(json_object_get(profile, "syscalls"))) {
		json_decref(profile);
		return cloche_err_set(err, EINVAL, "read '%s': no array \"syscalls\"", path);
	}
	*ret = profile;
	return 0;
}

/* OCI knows the same words as the profile but neither comments nor includes and excludes; rules
 * that say what the default says are refused by some compilers, and needed by none. */
static json_t *profile_to_oci(json_t *profile)
{
	static const char *const keys[] = { "names", "action", "errnoRet", "args" };
	json_t *rules = json_array(), *rule;
	size_t i;

	json_array_foreach (json_object_get(profile, "syscalls"), i, rule) {
		json_t *kept = json_object();

		for (size_t k = 0; k < sizeof(keys) / sizeof(*keys); k++) {
			json_t *value = json_object_get(rule, keys[k]);

			if (value)
				json_object_set(kept, keys[k], value);
		}
		json_array_append_new(rules, kept);
	}
	return json_pack("{s:O, s:O?, s:[s], s:o}", "defaultAction",
			 json_object_get(profile, "defaultAction"), "defaultErrnoRet",
			 json_object_get(profile, "defaultErrnoRet"), "architectures",
			 "SCMP_ARCH_X86_64", "syscalls", rules);
}

static json_t *oci_process(void)
{
	return json_pack("{s:b, s:{s:i, s:i}, s:[s], s:[s], s:s, s:b,"
			 " s:{s:[], s:[], s:[], s:[], s:[]}, s:[{s:s, s:i, s:i}]}",
			 "terminal", 0, "user", "uid", 1000, "gid", 1000, "args", "/opt/bench/noop",
			 "env", "PATH=/usr/bin:/bin", "cwd", "/", "noNewPrivileges", 1,
			 "capabilities", "bounding", "effective", "inheritable", "permitted",
			 "ambient", "rlimits", "type", "RLIMIT_NOFILE", "hard", LIMIT_NOFILE,
			 "soft", LIMIT_NOFILE);
}

static json_t *oci_mounts(void)
{
	return json_pack("[{s:s, s:s, s:s, s:[s,s,s]}, {s:s, s:s, s:s, s:[s,s,s]},"
			 " {s:s, s:s, s:s, s:[s,s,s]}]",
			 "destination", "/proc", "type", "proc", "source", "proc", "options",
			 "nosuid", "noexec", "nodev", "destination", "/dev", "type", "tmpfs",
			 "source", "tmpfs", "options", "nosuid", "mode=755", "size=64k",
			 "destination", "/tmp", "type", "tmpfs", "source", "tmpfs", "options",
			 "nosuid", "nodev", "size=512m");
}

static json_t *oci_linux(json_t *profile)
{
	return json_pack("{s:[{s:s},{s:s},{s:s},{s:s},{s:s},{s:s}], s:[s,s,s,s], s:[s,s],"
			 " s:{s:[{s:b, s:s}], s:{s:I, s:I}, s:{s:i, s:i}, s:{s:i}}, s:o}",
			 "namespaces", "type", "pid", "type", "network", "type", "ipc", "type",
			 "uts", "type", "mount", "type", "cgroup", "maskedPaths", "/proc/kcore",
			 "/proc/keys", "/proc/timer_list", "/proc/acpi", "readonlyPaths",
			 "/proc/sys", "/proc/irq", "resources", "devices", "allow", 0, "access",
			 "rwm", "memory", "limit", (json_int_t)LIMIT_MEMORY_BYTES, "swap",
			 (json_int_t)LIMIT_MEMORY_BYTES, "cpu", "quota", LIMIT_CPU_QUOTA_US,
			 "period", LIMIT_CPU_PERIOD_US, "pids", "limit", LIMIT_PIDS, "seccomp",
			 profile_to_oci(profile));
}

static int bundle_write(const struct stage *stage, json_t *profile, struct cloche_err *err)
{
	char path[192];
	cleanup_json json_t *config =
		json_pack("{s:s, s:o, s:{s:s, s:b}, s:s, s:o, s:o}", "ociVersion", "1.0.2",
			  "process", oci_process(), "root", "path", "rootfs", "readonly", 1,
			  "hostname", "bench", "mounts", oci_mounts(), "linux", oci_linux(profile));

	snprintf(path, sizeof(path), "%s/config.json", stage->bundle);
	if (!config || json_dump_file(config, path, JSON_INDENT(1)) < 0)
		return cloche_err_set(err, EIO, "write '%s'", path);
	return 0;
}

static int rootfs_make(const struct stage *stage, struct cloche_err *err)
{
	static const char *const dirs[] = { "",
					    "/rootfs",
					    "/rootfs/proc",
					    "/rootfs/dev",
					    "/rootfs/tmp",
					    "/rootfs/opt",
					    "/rootfs/opt/bench" };
	char path[192], noop[PATH_MAX + 8];
	int r;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		snprintf(path, sizeof(path), "%s%s", stage->bundle, dirs[i]);
		r = stage_mkdir(path, err);
		if (r < 0)
			return r;
	}
	snprintf(path, sizeof(path), "%s/rootfs/opt/bench/noop", stage->bundle);
	snprintf(noop, sizeof(noop), "%s/noop", stage->helpers);
	return stage_copy(noop, path, err);
}

static uint32_t action_parse(const char *name, int errno_ret)
{
	if (!name)
		return SCMP_ACT_KILL_PROCESS;
	if (!strcmp(name, "SCMP_ACT_ALLOW"))
		return SCMP_ACT_ALLOW;
	if (!strcmp(name, "SCMP_ACT_LOG"))
		return SCMP_ACT_LOG;
	if (!strcmp(name, "SCMP_ACT_ERRNO"))
		return SCMP_ACT_ERRNO((uint16_t)errno_ret);
	return SCMP_ACT_KILL_PROCESS;
}

static enum scmp_compare compare_parse(const char *name)
{
	static const struct {
		const char *name;
		enum scmp_compare op;
	} ops[] = {
		{ "SCMP_CMP_NE", SCMP_CMP_NE }, { "SCMP_CMP_LT", SCMP_CMP_LT },
		{ "SCMP_CMP_LE", SCMP_CMP_LE }, { "SCMP_CMP_EQ", SCMP_CMP_EQ },
		{ "SCMP_CMP_GE", SCMP_CMP_GE }, { "SCMP_CMP_GT", SCMP_CMP_GT },
	};

	for (size_t i = 0; name && i < sizeof(ops) / sizeof(*ops); i++) {
		if (!strcmp(name, ops[i].name))
			return ops[i].op;
	}
	return SCMP_CMP_MASKED_EQ;
}

static int errno_of(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	return value ? (int)json_integer_value(value) : EPERM;
}

static int rule_add(scmp_filter_ctx ctx, json_t *rule, uint32_t default_action)
{
	struct scmp_arg_cmp cmp[6] = { 0 };
	unsigned n = 0;
	uint32_t action = action_parse(json_string_value(json_object_get(rule, "action")),
				       errno_of(rule, "errnoRet"));
	json_t *arg, *name;
	size_t i;

	if (action == default_action)
		return 0;
	json_array_foreach (json_object_get(rule, "args"), i, arg) {
		if (n == 6)
			return -E2BIG;
		cmp[n++] = (struct scmp_arg_cmp){
			.arg = (unsigned)json_integer_value(json_object_get(arg, "index")),
			.op = compare_parse(json_string_value(json_object_get(arg, "op"))),
			.datum_a = (uint64_t)json_integer_value(json_object_get(arg, "value")),
			.datum_b = (uint64_t)json_integer_value(json_object_get(arg, "valueTwo")),
		};
	}
	json_array_foreach (json_object_get(rule, "names"), i, name) {
		int nr = seccomp_syscall_resolve_name(json_string_value(name));
		/* Calls that this libseccomp does not know get the default, as with runc. */
		int r = nr == __NR_SCMP_ERROR ? 0 : seccomp_rule_add_array(ctx, action, nr, n, cmp);

		if (r < 0 && r != -EEXIST)
			return r;
	}
	return 0;
}

static int filter_fill(scmp_filter_ctx ctx, const struct stage *stage, json_t *profile,
		       uint32_t default_action, struct cloche_err *err)
{
	json_t *rule;
	size_t i;
	int r;

	json_array_foreach (json_object_get(profile, "syscalls"), i, rule) {
		r = rule_add(ctx, rule, default_action);
		if (r < 0)
			return cloche_err_sys(err, -r, "compile rule %zu of '%s'", i,
					      stage->profile);
	}
	cleanup_fd int fd = open(stage->filter, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		return cloche_err_sys(err, errno, "create '%s'", stage->filter);
	r = seccomp_export_bpf(ctx, fd);
	return r < 0 ? cloche_err_sys(err, -r, "export the filter of '%s'", stage->profile) : 0;
}

static int filter_write(const struct stage *stage, json_t *profile, struct cloche_err *err)
{
	uint32_t default_action =
		action_parse(json_string_value(json_object_get(profile, "defaultAction")),
			     errno_of(profile, "defaultErrnoRet"));
	scmp_filter_ctx ctx = seccomp_init(default_action);
	int r;

	if (!ctx)
		return cloche_err_set(err, EINVAL, "seccomp_init for '%s'", stage->profile);
	r = filter_fill(ctx, stage, profile, default_action, err);
	seccomp_release(ctx);
	return r;
}

int bundle_make(const struct stage *stage, struct cloche_err *err)
{
	cleanup_json json_t *profile = NULL;
	int r;

	r = profile_read(stage->profile, &profile, err);
	if (r < 0)
		return r;
	r = rootfs_make(stage, err);
	if (r < 0)
		return r;
	r = bundle_write(stage, profile, err);
	if (r < 0)
		return r;
	return filter_write(stage, profile, err);
}
