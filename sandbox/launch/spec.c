/* SPDX-License-Identifier: MIT */
/* The limits of what may be asked, each with the field's name and the mend. No system is changed.
 */
#include "launch/spec.h"

#include "base/err.h"
#include "base/file.h"
#include "launch/order.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <sys/sysinfo.h>

#define MIB (1ULL << 20)

void spec_host_read(struct spec_host *ret)
{
	struct sysinfo si;
	cpu_set_t set;

	*ret = (struct spec_host){ .memory_bytes = UINT64_MAX, .cpus = 1 };
	if (sysinfo(&si) == 0)
		ret->memory_bytes = (uint64_t)si.totalram * si.mem_unit;
	if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
		ret->cpus = (unsigned)CPU_COUNT(&set);
}

void spec_host_fit(const struct spec *spec, struct spec_host *host)
{
	unsigned n = 0;

	for (size_t i = 0; i < SPEC_CPUS_WORDS; i++)
		n += (unsigned)__builtin_popcountll(spec->cpus[i]);
	if (n && n < host->cpus)
		host->cpus = n;
}

void spec_defaults(struct spec *spec)
{
	*spec = (struct spec){
		.memory_bytes = LIMITS_VCPU_BYTES,
		.timeout_ns = 3000000000LL,
		.pids = 64,
		.fsize_bytes = UINT64_MAX,
		.workdir = "/tmp",
		.policy = "default",
	};
}

/*
 * What the kernel has behind a descriptor (a timer, an epoll set, an open file of /sys) is up to
 * 288 bytes that it charges to nobody. One for each 4 KiB of memory, all processes together, is 7 %
 * of it.
 */
static uint64_t nofile_of(const struct spec *s)
{
	uint64_t each = s->memory_bytes / 4096 / s->pids;

	return each < SPEC_NOFILE_MIN	? SPEC_NOFILE_MIN
	       : each < SPEC_NOFILE_MAX ? each
					: SPEC_NOFILE_MAX;
}

/* Its pages count against the memory: a larger one would be an OOM kill when full. */
static int check_scratch(const char *field, const char *dir, uint64_t size, uint64_t most,
			 struct cloche_err *err)
{
	if (size > most)
		return cloche_err_set(err, ERANGE,
				      CLOCHE_FIELD
				      "%s %" PRIu64
				      "K: at most three quarters of the memory (%" PRIu64
				      "K), since a full %s would be an out-of-memory kill; "
				      "raise " CLOCHE_FIELD "memory",
				      field, size / 1024, most / 1024, dir);
	return 0;
}

static int check_memory(struct spec *s, const struct spec_host *host, struct cloche_err *err)
{
	uint64_t most = s->memory_bytes / 4 * 3;
	int r;
	uint64_t unit = s->memory_bytes % MIB == 0 ? MIB : s->memory_bytes % 1024 == 0 ? 1024 : 1;

	if (s->memory_bytes < SPEC_MEMORY_MIN || s->memory_bytes > host->memory_bytes)
		return cloche_err_set(err, ERANGE,
				      CLOCHE_FIELD "memory %" PRIu64 "%s: from 4M to %" PRIu64
						   "M, the memory of this host",
				      (uint64_t)(s->memory_bytes / unit),
				      unit == 1	     ? " bytes"
				      : unit == 1024 ? "K"
						     : "M",
				      (uint64_t)(host->memory_bytes / MIB));
	if (s->tmp_bytes == 0) {
		s->tmp_bytes = s->memory_bytes / 2;
		if (s->tmp_bytes > 512 * MIB)
			s->tmp_bytes = 512 * MIB;
	}
	if (s->shm_bytes == 0)
		s->shm_bytes = s->memory_bytes / 2;
	r = check_scratch("tmp-size", "/tmp", s->tmp_bytes, most, err);
	return r < 0 ? r : check_scratch("shm-size", "/dev/shm", s->shm_bytes, most, err);
}

static int check_path(const char *field, const char *path, struct cloche_err *err)
{
	if (path[0] != '/')
		return cloche_err_set(err, EINVAL,
				      CLOCHE_FIELD
				      "%s '%s': an absolute path inside the sandbox is "
				      "needed",
				      field, path);
	if (strlen(path) >= 4096)
		return cloche_err_set(err, ENAMETOOLONG,
				      CLOCHE_FIELD "%s: a path may have 4095 bytes", field);
	/* ".." inside is resolved by nobody: what it would mean depends on what is mounted where.
	 */
	for (const char *p = path; (p = strstr(p, "/..")); p += 3)
		if (p[3] == '/' || p[3] == '\0')
			return cloche_err_set(err, EINVAL,
					      CLOCHE_FIELD "%s '%s': may not contain '..'", field,
					      path);
	return 0;
}

/* Behind slashes and "." in front. */
static const char *first_name(const char *path)
{
	for (;;) {
		path += strspn(path, "/");
		if (path[0] != '.' || (path[1] != '/' && path[1] != '\0'))
			return path;
		path++;
	}
}

int spec_check_place(const char *dst, const char *name, struct cloche_err *err)
{
	int r = check_path("bind", dst, err);

	if (r < 0)
		return r;
	if (file_is_below(first_name(dst), "proc"))
		return cloche_err_set(
			err, EINVAL,
			CLOCHE_FIELD "bind '%s': cannot be put over '/proc' or into it", name);
	if (*first_name(dst) == '\0')
		return cloche_err_set(err, EINVAL,
				      CLOCHE_FIELD
				      "bind '%s': cannot be put over '/'; use " CLOCHE_FIELD
				      "rootfs",
				      name);
	return 0;
}

static int check_binds(const struct spec *s, struct cloche_err *err)
{
	int r = 0;

	if (s->n_binds > SPEC_BINDS_MAX)
		return cloche_err_set(err, E2BIG,
				      CLOCHE_FIELD
				      "bind: %zu binds; at most %d are possible, bind a "
				      "directory that holds them",
				      s->n_binds, SPEC_BINDS_MAX);
	for (size_t i = 0; r == 0 && i < s->n_binds; i++)
		r = spec_check_place(s->binds[i].dst, s->binds[i].src, err);
	return r;
}

static int check_env(const struct spec *s, struct cloche_err *err)
{
	size_t sum = 0;

	for (char *const *e = s->env; e && *e; e++)
		sum += strlen(*e) + 1 + sizeof(char *);
	if (sum > SPEC_ENV_MAX)
		return cloche_err_set(err, E2BIG,
				      CLOCHE_FIELD
				      "env: the environment has %zu bytes; at most %llu "
				      "are possible, pass large data by file",
				      sum, (unsigned long long)SPEC_ENV_MAX);
	return 0;
}

static int refuse_time(const char *field, int64_t ns, const char *most, struct cloche_err *err)
{
	const char *unit = ns % 1000000000 == 0 ? "s" : ns % 1000000 == 0 ? "ms" : "ns";
	int64_t per = *unit == 's' ? 1000000000 : *unit == 'm' ? 1000000 : 1;

	return cloche_err_set(err, ERANGE, CLOCHE_FIELD "%s %" PRId64 "%s: from 1ms to %s", field,
			      ns / per, unit, most);
}

int spec_check(struct spec *s, const struct spec_host *host, struct cloche_err *err)
{
	int r;

	r = check_memory(s, host, err);
	if (r < 0)
		return r;
	if (s->timeout_ns < SPEC_TIMEOUT_MIN || s->timeout_ns > SPEC_TIMEOUT_MAX)
		return refuse_time("timeout", s->timeout_ns, "900s", err);
	if (s->cpu_time_ns != 0 &&
	    (s->cpu_time_ns < SPEC_TIMEOUT_MIN || s->cpu_time_ns > SPEC_TIMEOUT_MAX * 64))
		return refuse_time("cpu-time", s->cpu_time_ns, "57600s", err);
	if (s->cpu_mode == CPU_FIXED &&
	    (s->cpu_milli < 1 || s->cpu_milli > (uint64_t)host->cpus * 1000))
		return cloche_err_set(
			err, ERANGE,
			CLOCHE_FIELD "cpu %" PRIu64 ".%03" PRIu64 ": from 0.001 to %u, the CPUs of "
				     "this host",
			(uint64_t)s->cpu_milli / 1000, (uint64_t)s->cpu_milli % 1000, host->cpus);
	if (s->pids < 1 || s->pids > 4194304)
		return cloche_err_set(err, ERANGE, CLOCHE_FIELD "pids: from 1 to 4194304");
	if (s->nofile == 0)
		s->nofile = nofile_of(s);
	if (s->nofile < 3 || s->nofile > 1048576)
		return cloche_err_set(err, ERANGE, CLOCHE_FIELD "nofile: from 3 to 1048576");
	if (s->kept && !s->init_invoked && s->timeout_ns > ORDER_INIT_MAX_NS)
		return refuse_time("timeout", s->timeout_ns, "10s, of an init", err);
	if (s->zygote && !s->kept)
		return cloche_err_set(err, EINVAL, CLOCHE_FIELD "reuse: a zygote is kept");
	if (s->api && s->net != NET_LOOPBACK)
		return cloche_err_set(err, EINVAL,
				      CLOCHE_FIELD "net: the Runtime API needs a loopback");
	r = check_path("workdir", s->workdir, err);
	if (r < 0)
		return r;
	r = check_binds(s, err);
	if (r < 0)
		return r;
	return check_env(s, err);
}
