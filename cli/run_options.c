/* SPDX-License-Identifier: MIT */
/* The options of `cloche run`: their table, and a setter for each. */
#include "cli/run_options.h"

#include "base/envfile.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/parse.h"
#include "base/quote.h"
#include "cli/cli.h"
#include "cli/ledger_args.h"
#include "cli/run_envfile.h"
#include "cli/run_image.h"
#include "cli/run_prices.h"
#include "cli/show.h"
#include "cli/verb.h"
#include "cli/verb_options.h"
#include "launch/rights.h"
#include "ledger/ledger.h"
#include "serve/request.h"
#include "trace/trace_store.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	OPT_CPU_TIME = 256,
	OPT_CPU,
	OPT_PIDS,
	OPT_NOFILE,
	OPT_FSIZE,
	OPT_TMP_SIZE,
	OPT_SHM_SIZE,
	OPT_OUTPUT_LIMIT,
	OPT_ENV_FILE,
	OPT_BIND_PRIVATE,
	OPT_READ_LOCKS,
	OPT_ETC,
	OPT_ROOTFS,
	OPT_ENTRYPOINT,
	OPT_NET,
	OPT_POLICY,
	OPT_REPORT,
	OPT_REPEAT,
	OPT_NAME,
	OPT_PRICES,
	OPT_METER,
	OPT_TRACE,
	OPT_KEEP_TRACE,
	OPT_LEDGER,
	OPT_NO_LEDGER,
	OPT_LEDGER_FULL,
	OPT_LEDGER_SYNC
};

static const struct verb_option options[] = {
	{ .text = "Limits" },
	{ "memory", 'm', "SIZE", NULL, "memory; CPU follows from it (1769M: one vCPU)" },
	{ "timeout", 't', "TIME", NULL, "wall clock, from first instruction to end (3s)" },
	{ "cpu-time", OPT_CPU_TIME, "TIME", NULL, "CPU time (none)" },
	{ "cpu", OPT_CPU, "MODE", "capped shared",
	  "capped, shared, or a number of vCPUs (capped)" },
	{ "pids", OPT_PIDS, "N", NULL, "processes and threads (64)" },
	{ "nofile", OPT_NOFILE, "N", NULL,
	  "open files of each process (64 to 1024: 4 KiB of memory for each, all processes "
	  "together)" },
	{ "fsize", OPT_FSIZE, "SIZE", NULL, "size of a written file (none)" },
	{ "tmp-size", OPT_TMP_SIZE, "SIZE", NULL, "size of /tmp (half the memory, at most 512M)" },
	{ "shm-size", OPT_SHM_SIZE, "SIZE", NULL, "size of /dev/shm (half the memory)" },
	{ "output-limit", OPT_OUTPUT_LIMIT, "SIZE", NULL,
	  "bytes written to standard output and error (none)" },

	{ .text = "What is inside" },
	{ "env", 'e', "K=V", NULL, "set a variable; nothing is inherited" },
	{ "env-file", OPT_ENV_FILE, "FILE", "@file", "set variables, one K=V a line" },
	{ "bind", 'b', "SRC[:DST[:ro|rw]]", "@file",
	  "make a path visible (ro), at any place; its owner's files are the function's" },
	{ "bind-private", OPT_BIND_PRIVATE, NULL, NULL,
	  "binds of /etc, /boot and /var show what is root's alone" },
	{ "read-locks", OPT_READ_LOCKS, NULL, NULL,
	  "files to be read may be locked (fcntl), as a live SQLite database is" },
	{ "etc", OPT_ETC, "NAME", NULL,
	  "more of the host's /etc: the file or directory NAME, as everybody may read it" },
	{ "rootfs", OPT_ROOTFS, "DIR|NAME", "@image @dir",
	  "root file system: a path with a '/', or an image (the host's /usr); an image brings "
	  "environment, working directory, entrypoint and command: what is said here comes "
	  "first, and ARGs take the place of its command" },
	{ "entrypoint", OPT_ENTRYPOINT, "FILE", NULL,
	  "instead of the image's entrypoint and command; '': none" },
	{ "workdir", 'w', "DIR", NULL, "working directory (the image's, else /tmp)" },
	{ "net", OPT_NET, "none|loopback", "none loopback", "network (none)" },
	{ "policy", OPT_POLICY, "NAME|FILE", "@policy @file", "seccomp profile (default)" },

	{ .text = "Results" },
	{ "report", OPT_REPORT, "FILE", "- @file", "JSON report; '-' is standard error" },
	{ "trace", OPT_TRACE, "FILE", "@file",
	  "what it did and when, for 'cloche trace'; with --repeat FILE.1, FILE.2 and so on" },
	{ "keep-trace", OPT_KEEP_TRACE, NULL, NULL,
	  "keep it for 'cloche trace REQUEST_ID', in $CLOCHE_TRACES or " TRACE_STORE_DIR
	  "; through the daemon: in $CLOCHE_TRACES, or with the daemon" },
	{ "meter", OPT_METER, "MODE", "auto required off",
	  "auto (default): the BPF meter where it can be had; required: nothing is run without "
	  "it; off" },
	{ "quiet", 'q', NULL, NULL, "no REPORT line" },
	{ "repeat", OPT_REPEAT, "N", NULL, "N invocations in one reused context" },
	{ "name", OPT_NAME, "NAME", NULL, "what bill and cost call it (letters, digits, - and _)" },
	{ "prices", OPT_PRICES, "NAME", "lambda lambda-2019 @file",
	  "lambda (default), lambda-2019, or a price file" },

	{ .text = "The ledger, one record for each invocation" },
	{ "ledger", OPT_LEDGER, "DIR", "@dir",
	  "where (default: $CLOCHE_LEDGER, else " LEDGER_DIR ")" },
	{ "no-ledger", OPT_NO_LEDGER, NULL, NULL, "no record" },
	{ "ledger-full", OPT_LEDGER_FULL, "MODE", "refuse continue",
	  "when it cannot take a record, as on a full disk: refuse (default) runs nothing; "
	  "continue runs, and says so" },
	{ "ledger-sync", OPT_LEDGER_SYNC, NULL, NULL,
	  "records survive power loss, at the cost of a disk write" },

	{ .text = "Other" },
	{ "help", 'h', NULL, NULL, "this text" },
	{ 0 },
};

const struct verb verb_run = {
	.name = "run",
	.run = cmd_run,
	.text = "run one command as an isolated function",
	.usage = "Usage: cloche run [OPTIONS] [--] COMMAND [ARG…]\n"
		 "       cloche run [OPTIONS] --rootfs NAME [[--] ARG…]\n\n"
		 "Runs one command as an isolated function: its own namespaces, user, root file\n"
		 "system and cgroups, under a seccomp policy, with a report at the end.\n",
	.options = options,
	.tail = "Sizes: 64, 64M, 1G, 512K (MiB when bare). Times: 250ms, 3s, 2m (seconds when\n"
		"bare). Exit status: the command's own; 128+N when signal N ended it, or came\n"
		"to cloche and cancelled it; 124 timeout; 125 it could not be run; 126 not\n"
		"executable; 127 not found; 137 out of memory; 153 output limit; 159 killed by\n"
		"the policy; 2 usage.\n\n"
		"Examples:\n"
		"  cloche run -- python3 -c 'print(6 * 7)'\n"
		"  cloche run -m 128M -t 500ms -- sort <words.txt\n"
		"  cloche run -b $PWD:/var/task -w /var/task --report - -- ./handler\n",
	.values = "@command",
};

void run_options_free(struct run_options *o)
{
	for (size_t i = 0; i < o->n_copies; i++)
		free(o->copies[i]);
	free(o->copies);
	free(o->env);
	free(o->binds);
	free(o->command);
	free(o->environment);
	image_config_free(&o->image);
	o->copies = o->env = o->command = o->environment = NULL;
	o->binds = NULL;
}

/* Room for one more element and a zero behind it. */
static int grow(void **array, size_t n, size_t *size, size_t element)
{
	void *more;

	if (n + 2 <= *size)
		return 0;
	more = reallocarray(*array, *size * 2 + 8, element);
	if (!more)
		return -ENOMEM;
	*array = more;
	*size = *size * 2 + 8;
	return 0;
}

static char *keep(struct run_options *o, const char *text)
{
	if (grow((void **)&o->copies, o->n_copies, &o->copies_size, sizeof(char *)) < 0)
		return NULL;
	o->copies[o->n_copies] = strdup(text);
	return o->copies[o->n_copies] ? o->copies[o->n_copies++] : NULL;
}

static int add_env(struct run_options *o, const char *pair, struct cloche_err *err)
{
	char shown[QUOTE_LEN];
	char *copy;

	if (pair[0] == '=' || !strchr(pair, '='))
		return cloche_err_set(err, EINVAL, "--env %s: expected NAME=VALUE",
				      quote(shown, pair));
	copy = keep(o, pair);
	if (!copy || grow((void **)&o->env, o->n_env, &o->env_size, sizeof(char *)) < 0)
		return cloche_err_sys(err, ENOMEM, "--env");
	o->env[o->n_env++] = copy;
	o->env[o->n_env] = NULL;
	return 0;
}

/* Whom root acts for is asked once, and before the first file is opened for them. */
static int find_caller(struct run_options *o, struct cloche_err *err)
{
	int r = o->caller_read ? 0 : run_caller_read(&o->caller, err);

	if (r < 0)
		return r;
	o->caller_read = true;
	o->spec.caller = o->caller.is_there ? &o->caller.rights : NULL;
	return 0;
}

static int add_env_file(struct run_options *o, const char *path, struct cloche_err *err)
{
	struct envfile file = { 0 };
	int r = find_caller(o, err);

	if (r == 0)
		r = run_envfile_load(path, o->spec.caller, &file, err);
	for (size_t i = 0; r == 0 && i < file.count; i++)
		r = add_env(o, file.vars[i], err);
	envfile_free(&file);
	return r < 0 ? cloche_err_wrap(err, "--env-file") : 0;
}

struct resolving {
	const char *path;
	char real[PATH_MAX];
};

static int resolve(void *arg)
{
	struct resolving *r = arg;

	return realpath(r->path, r->real) ? 0 : -errno;
}

/* SRC[:DST[:ro|rw]]; without DST the path is the same inside, made absolute. */
static int add_bind(struct run_options *o, const char *text, struct cloche_err *err)
{
	struct bind_spec b = { 0 };
	struct resolving way;
	char shown[QUOTE_LEN];
	int r = find_caller(o, err);
	char *src = keep(o, text), *dst, *mode = NULL;

	if (r < 0)
		return r;
	if (!src || grow((void **)&o->binds, o->n_binds, &o->binds_size, sizeof(b)) < 0)
		return cloche_err_sys(err, ENOMEM, "--bind");
	dst = strchr(src, ':');
	if (dst) {
		*dst++ = '\0';
		mode = strchr(dst, ':');
	}
	if (mode) {
		*mode++ = '\0';
		if (strcmp(mode, "rw") != 0 && strcmp(mode, "ro") != 0)
			return cloche_err_set(err, EINVAL, "--bind %s: expected SRC[:DST[:ro|rw]]",
					      quote(shown, text));
		b.rw = mode[1] == 'w';
	}
	if (src[0] == '\0' || (dst && dst[0] == '\0'))
		return cloche_err_set(err, EINVAL, "--bind %s: expected SRC[:DST[:ro|rw]]",
				      quote(shown, text));
	if (!dst) {
		way.path = src;
		r = rights_do(o->spec.caller, resolve, &way);
		if (r < 0)
			return cloche_err_sys(err, -r, "--bind %s", quote(shown, text));
		dst = keep(o, way.real);
		if (!dst)
			return cloche_err_sys(err, ENOMEM, "--bind");
	}
	b.src = src;
	b.dst = dst;
	o->binds[o->n_binds++] = b;
	return 0;
}

/* Binds /etc/NAME where it is. ".." would climb out, and what is left of "/" is no name. */
static int add_etc(struct run_options *o, const char *name, struct cloche_err *err)
{
	struct bind_spec b = { .etc = true };
	cleanup_free char *path = NULL;
	char shown[QUOTE_LEN];

	if (strncmp(name, "/etc/", 5) == 0)
		name += 5;
	if (asprintf(&path, "/etc/%s", name) < 0)
		return cloche_err_sys(err, ENOMEM, "--etc");
	if (*name == '/' || name[strspn(name, "./")] == '\0' || strstr(path, "/../") ||
	    (strlen(path) > 3 && strcmp(path + strlen(path) - 3, "/..") == 0))
		return cloche_err_set(err, EINVAL,
				      "--etc %s: expected the name of a file or directory in "
				      "/etc; for all of it or for others use --bind",
				      quote(shown, name));
	if (strlen(path) >= 4096)
		return cloche_err_set(err, ENAMETOOLONG, "--etc: a path may have 4095 bytes");
	b.src = b.dst = keep(o, path);
	if (!b.src || grow((void **)&o->binds, o->n_binds, &o->binds_size, sizeof(b)) < 0)
		return cloche_err_sys(err, ENOMEM, "--etc");
	o->binds[o->n_binds++] = b;
	return 0;
}

static int set_cpu(struct spec *s, const char *text, struct cloche_err *err)
{
	if (strcmp(text, "capped") == 0) {
		s->cpu_mode = CPU_CAPPED;
		return 0;
	}
	if (strcmp(text, "shared") == 0) {
		s->cpu_mode = CPU_SHARED;
		return 0;
	}
	s->cpu_mode = CPU_FIXED;
	return parse_milli(text, &s->cpu_milli, err) < 0
		       ? cloche_err_wrap(err, "'capped', 'shared' or a number of vCPUs")
		       : 0;
}

static int set_net(struct spec *s, const char *text, struct cloche_err *err)
{
	char shown[QUOTE_LEN];

	if (strcmp(text, "none") == 0)
		s->net = NET_NONE;
	else if (strcmp(text, "loopback") == 0)
		s->net = NET_LOOPBACK;
	else
		return cloche_err_set(err, EINVAL, "%s: expected 'none' or 'loopback'",
				      quote(shown, text));
	return 0;
}

static int parse_scratch(const char *arg, uint64_t *ret, struct cloche_err *err)
{
	int r = parse_size(arg, ret, err);

	if (r == 0 && *ret < 4096)
		return cloche_err_set(err, ERANGE, "'%.32s': at least 4K", arg);
	return r;
}

static int set_number(struct run_options *o, int opt, const char *arg, struct cloche_err *err)
{
	struct spec *s = &o->spec;
	uint64_t n = 1;
	int r;

	switch (opt) {
	case 'm':
		return parse_size(arg, &s->memory_bytes, err);
	case 't':
		return parse_duration(arg, &s->timeout_ns, err);
	case OPT_CPU_TIME:
		r = parse_duration(arg, &s->cpu_time_ns, err);
		if (r == 0 && s->cpu_time_ns == 0)
			return cloche_err_set(err, ERANGE, "'%.32s': from 1ms to 57600s", arg);
		return r;
	case OPT_PIDS:
		return parse_count(arg, 1, 4194304, &s->pids, err);
	case OPT_NOFILE:
		return parse_count(arg, 3, 1048576, &s->nofile, err);
	case OPT_FSIZE:
		return parse_size(arg, &s->fsize_bytes, err);
	case OPT_TMP_SIZE:
		return parse_scratch(arg, &s->tmp_bytes, err);
	case OPT_SHM_SIZE:
		return parse_scratch(arg, &s->shm_bytes, err);
	case OPT_OUTPUT_LIMIT:
		r = parse_size(arg, &s->output_bytes, err);
		if (r == 0 && s->output_bytes == 0)
			return cloche_err_set(err, ERANGE, "'%.32s': at least 1K", arg);
		return r;
	default:
		r = parse_count(arg, 1, 1000000, &n, err);
		o->repeat = (unsigned)n;
		return r;
	}
}

static const char *option_name(int opt)
{
	const struct verb_option *o = verb_option_of(&verb_run, opt);

	return o ? o->name : "?";
}

/* As Lambda names functions. */
static int set_name(struct run_options *o, const char *text, struct cloche_err *err)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
	char shown[QUOTE_LEN];
	size_t len = strlen(text);

	if (len == 0 || len > 64 || strspn(text, allowed) != len)
		return cloche_err_set(err, EINVAL, "%s: 1 to 64 letters, digits, '-' or '_'",
				      quote(shown, text));
	if (strcmp(text, "-") == 0)
		return cloche_err_set(err, EINVAL, "'-' is what runs without a name are called");
	o->name = text;
	return 0;
}

static int set_meter(struct run_options *o, const char *arg, struct cloche_err *err)
{
	static const char *const modes[] = {
		[METERING_AUTO] = "auto", [METERING_REQUIRED] = "required", [METERING_OFF] = "off"
	};
	char shown[QUOTE_LEN];

	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(arg, modes[i]) == 0) {
			o->meter = (enum metering_mode)i;
			return 0;
		}
	return cloche_err_set(err, EINVAL, "%s: expected 'auto', 'required' or 'off'",
			      quote(shown, arg));
}

static int set_ledger(struct run_options *o, int opt, const char *arg, struct cloche_err *err)
{
	char shown[QUOTE_LEN];

	if (opt == OPT_LEDGER_SYNC) {
		o->ledger_sync = true;
		return 0;
	}
	if (opt != OPT_LEDGER_FULL) {
		if (arg && !*arg)
			return cloche_err_set(err, EINVAL, "'': expected a directory");
		o->ledger = arg; /* none with --no-ledger */
		o->ledger_named = arg && strcmp(arg, args_ledger()) != 0;
		o->ledger_own = arg != NULL;
		return 0;
	}
	o->ledger_continue = strcmp(arg, "continue") == 0;
	if (!o->ledger_continue && strcmp(arg, "refuse") != 0)
		return cloche_err_set(err, EINVAL, "%s: expected 'refuse' or 'continue'",
				      quote(shown, arg));
	return 0;
}

/* Those that take any word, or none. False: it is none of them. */
static bool set_word(struct run_options *o, int opt, const char *arg)
{
	switch (opt) {
	case OPT_READ_LOCKS:
		o->spec.read_locks = true;
		return true;
	case OPT_BIND_PRIVATE:
		o->spec.bind_private = true;
		return true;
	case 'w':
		o->spec.workdir = arg;
		o->workdir_said = true;
		return true;
	case OPT_ROOTFS:
		o->spec.rootfs = arg;
		return true;
	case OPT_ENTRYPOINT:
		o->entrypoint = arg;
		return true;
	case OPT_POLICY:
		o->spec.policy = arg;
		return true;
	case OPT_KEEP_TRACE:
		o->keep_trace = true;
		return true;
	case 'q':
		o->quiet = true;
		return true;
	case OPT_PRICES:
		o->price_list = arg;
		o->prices_said = true;
		return true;
	default:
		return false;
	}
}

int run_options_set(struct run_options *o, int opt, const char *arg, struct cloche_err *err)
{
	int r = 0;

	if (set_word(o, opt, arg))
		return 0;
	switch (opt) {
	case 'e':
		return add_env(o, arg, err);
	case OPT_ENV_FILE:
		return add_env_file(o, arg, err);
	case 'b':
		return add_bind(o, arg, err);
	case OPT_ETC:
		return add_etc(o, arg, err);
	case OPT_REPORT:
		if (!*arg)
			return cloche_err_set(err, EINVAL, "--report '': expected a file, or '-'");
		o->report = arg;
		return 0;
	case OPT_TRACE:
		if (!*arg || strcmp(arg, "-") == 0)
			return cloche_err_set(err, EINVAL, "--trace '%s': expected a file", arg);
		o->trace = arg;
		return 0;
	case OPT_METER:
		r = set_meter(o, arg, err);
		break;
	case OPT_NAME:
		r = set_name(o, arg, err);
		break;
	case OPT_LEDGER:
	case OPT_NO_LEDGER:
	case OPT_LEDGER_FULL:
	case OPT_LEDGER_SYNC:
		r = set_ledger(o, opt, arg, err);
		break;
	case OPT_CPU:
		r = set_cpu(&o->spec, arg, err);
		break;
	case OPT_NET:
		r = set_net(&o->spec, arg, err);
		break;
	default:
		r = set_number(o, opt, arg, err);
	}
	return r < 0 ? cloche_err_wrap(err, "--%s", option_name(opt)) : 0;
}

void run_options_init(struct run_options *ret)
{
	*ret = (struct run_options){ .verb = "run",
				     .repeat = 1,
				     .price_list = "lambda",
				     .out_fd = -1,
				     .err_fd = -1,
				     .ledger = args_ledger(),
				     .ledger_own = args_ledger_named() };
	spec_defaults(&ret->spec);
}

int run_options_command(struct run_options *o, int argc, char **argv, struct cloche_err *err)
{
	/* Whose name is a path it is a directory. */
	bool in_image = o->spec.rootfs && !strchr(o->spec.rootfs, '/');
	int r;

	if (o->entrypoint && !in_image)
		return cloche_err_set(err, EINVAL,
				      "--entrypoint: needs --rootfs with an image; else say the "
				      "command itself");
	if (optind >= argc && !in_image && !o->no_command)
		return cloche_err_set(err, EINVAL, "a command is missing");
	o->spec.argv = argv + optind;
	o->spec.env = o->env;
	o->spec.binds = o->binds;
	o->spec.n_binds = o->n_binds;
	r = find_caller(o, err);
	if (r < 0)
		return r;
	return in_image ? run_image_apply(o, err) : 0;
}

static int take(void *arg, int opt, struct cloche_err *err)
{
	return run_options_set(arg, opt, optarg, err);
}

int run_options_parse(int argc, char **argv, struct run_options *ret, struct cloche_err *err)
{
	run_options_init(ret);
	/* Whoever is not root asks the daemon; root does it without, unless it says where one is.
	 */
	ret->control = getenv("CLOCHE_CONTROL");
	if (!ret->control && geteuid() != 0)
		ret->control = CONTROL_PATH;
	return verb_options_parse(&verb_run, take, ret, argc, argv, ret, err);
}

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool stat_folder(const char *path, struct stat *ret)
{
	cleanup_free char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;

	if (!dir)
		return false;
	if (slash)
		slash[1] = '\0';
	return stat(slash ? dir : ".", ret) == 0;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool is_one_file(const char *report, const char *trace)
{
	struct stat a, b;

	if (!report || !trace)
		return false;
	if (strcmp(report, trace) == 0)
		return true;
	if (stat(report, &a) == 0)
		return stat(trace, &b) == 0 && S_ISREG(a.st_mode) && is_same(&a, &b);
	/* Not there yet: the same name in the same folder. */
	return strcmp(base_of(report), base_of(trace)) == 0 && stat_folder(report, &a) &&
	       stat_folder(trace, &b) && is_same(&a, &b);
}

int run_options_check_files(const char *report, const char *trace, struct cloche_err *err)
{
	if (is_one_file(report, trace))
		return cloche_err_set(err, EINVAL,
				      "--report and --trace name one file, '%.200s': give each "
				      "its own",
				      report);
	return 0;
}

int run_options_check(struct run_options *o, struct cloche_err *err)
{
	struct spec_host host;
	/* --repeat numbers the traces. */
	int r = o->repeat > 1 ? 0 : run_options_check_files(o->report, o->trace, err);

	if (r < 0)
		return r;
	r = run_prices_find(o->price_list, o->spec.caller, &o->prices, err);

	if (r == 0)
		r = prices_check_memory(&o->prices, o->spec.memory_bytes, err);
	if (r < 0)
		return cloche_err_wrap(err, "--prices");
	spec_host_read(&host);
	r = spec_check(&o->spec, &host, err);
	if (r < 0)
		show_as_options(err);
	return r;
}
