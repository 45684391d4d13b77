/* SPDX-License-Identifier: MIT */
/*
 * The report of one invocation, as JSON and as Lambda's REPORT line. A figure that was not measured
 * is null and named in "degraded" with the reason.
 */
#include "run/report.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/quote.h"
#include "launch/plan.h"
#include "policy/policy_words.h"
#include "run/log_lines.h"
#include "run/outcome.h"

#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* A figure that was not measured. */
#define NONE UINT64_MAX

static json_t *number(uint64_t v)
{
	return v == UINT64_MAX ? json_null() : json_integer((json_int_t)v);
}

static json_t *text_or_null(const char *text)
{
	return *text ? json_string(text) : json_null();
}

static json_t *owner(const struct outcome *out)
{
	return json_pack("{s:i, s:o}", "uid", (int)out->owner.uid, "name",
			 out->owner.name[0] ? json_string(out->owner.name) : json_null());
}

/* The meter has seen which call it was. */
static json_t *killed_for(const struct outcome *out)
{
	uint32_t arch = !out->metered.known ? 0 : out->metered.usage.killed_arch;
	uint32_t nr = out->metered.usage.killed_call;
	cleanup_free char *name = arch ? policy_abi_call_name(arch, nr) : NULL;

	if (!arch)
		return json_string("the policy killed it for a denied system call");
	if (out->metered.usage.killed_foreign)
		return json_sprintf(
			"the policy killed it for calling %s of %s: it is a 32-bit program "
			"or makes such a program's calls, and only those of x86_64 reach "
			"the kernel",
			name ? name : "a number", policy_abi(arch, nr));
	if (!name)
		return json_sprintf("the policy killed it for system call %u", nr);
	return json_sprintf("the policy killed it for calling %s", name);
}

/* Without the meter one SIGSYS looks like another, unless the policy guards it. */
static json_t *died_of_sigsys(const struct outcome *out)
{
	if (out->metered.known || !WIFSIGNALED(out->status) || WTERMSIG(out->status) != SIGSYS)
		return NULL;
	return json_string(
		"it sent itself SIGSYS, or made a call of i386 or x32, as 32-bit programs "
		"do, for which every policy kills; the BPF meter would tell");
}

/* What it met on its way to an end of its own. */
static json_t *met_limits(const struct outcome *out)
{
	if (out->usage.oom_kills != NONE && out->usage.oom_kills > 0)
		return json_sprintf("it ended by itself; the kernel had killed %" PRIu64
				    " of its processes at the memory limit",
				    out->usage.oom_kills);
	if (out->usage.pids_denied != NONE && out->usage.pids_denied > 0)
		return json_sprintf("it ended by itself; %" PRIu64
				    " processes had been refused at the process limit",
				    out->usage.pids_denied);
	return json_null();
}

static json_t *message(const struct outcome *out)
{
	char buf[160];
	json_t *sigsys;

	switch (out->verdict) {
	case VERDICT_LAUNCH_ERROR:
		return json_string(out->err.text);
	case VERDICT_TIMEOUT:
		(void)snprintf(buf, sizeof(buf), "Task timed out after %.2f seconds",
			       (double)out->limits.timeout_ns / 1e9);
		return json_string(buf);
	case VERDICT_CPU_TIMEOUT:
		return json_string("the CPU time limit was reached");
	case VERDICT_OOM:
		return json_string("the memory limit was reached and the kernel killed it");
	case VERDICT_PIDS:
		return json_string("a process was refused at the process limit, and it aborted");
	case VERDICT_OUTPUT_LIMIT:
		return json_string("the output limit was reached");
	case VERDICT_DENIED:
		if (denials_all(&out->denials) > DENIALS_MAX)
			return json_sprintf("more than %d system calls were denied", DENIALS_MAX);
		if (out->refused.locks)
			return json_sprintf("it held more than %d file locks", LOCKS_MAX);
		if (out->refused.read_only)
			return json_string(
				"it locked a file of a read-only mount, which others would have "
				"to wait for; --read-locks allows what fcntl locks for reading");
		if (out->refused.connections)
			return json_sprintf("it held more than %d TCP connections",
					    (int)bounds_connections(out->limits.memory_bytes));
		return killed_for(out);
	case VERDICT_INIT_ERROR:
		return json_string("it ended, or failed, before its first event");
	case VERDICT_INIT_TIMEOUT:
		return json_string("it did not ask for its first event in time");
	case VERDICT_CANCELLED:
		return json_string("the caller asked for the end");
	case VERDICT_SIGNAL:
		sigsys = died_of_sigsys(out);
		return sigsys ? sigsys : met_limits(out);
	case VERDICT_ERROR:
		return met_limits(out);
	default:
		return json_null();
	}
}

static json_t *signal_name(const struct outcome *out)
{
	const char *name = NULL;

	if (out->ran && WIFSIGNALED(out->status))
		name = sigabbrev_np(WTERMSIG(out->status));
	return name ? json_sprintf("SIG%s", name) : json_null();
}

static void add_ending(json_t *j, const struct outcome *out)
{
	bool exited = out->ran && WIFEXITED(out->status);

	json_object_set_new(j, "verdict", json_string(verdict_text(out->verdict)));
	json_object_set_new(j, "exit_code",
			    exited ? json_integer(WEXITSTATUS(out->status)) : json_null());
	json_object_set_new(j, "signal", signal_name(out));
	json_object_set_new(j, "message", message(out));
}

static bool lacks(const struct outcome *out, enum lack what)
{
	return out->context.made && (out->context.lacks & what);
}

static bool reports_denied(const struct outcome *out)
{
	return out->ran && out->policy.reports && !lacks(out, LACK_LISTENER);
}

static json_t *denied_one(uint32_t arch, uint32_t nr, const uint64_t args[6], uint64_t count,
			  const char *answer)
{
	cleanup_free char *name = policy_abi_call_name(arch, nr);
	json_t *list = json_array();

	for (int a = 0; a < 6; a++)
		json_array_append_new(list, json_sprintf("0x%" PRIx64, args[a]));
	return json_pack("{s:o, s:s, s:o, s:I, s:s}", "syscall",
			 name ? json_string(name) : json_sprintf("%u", nr), "arch",
			 policy_abi(arch, nr), "args", list, "count", (json_int_t)count, "errno",
			 answer);
}

/* Where the policy has answered a call with SIGSYS. Under one that never does to native calls,
 * whoever sends itself such a signal has only sent itself a signal. */
static const struct meter_usage *policy_kills(const struct outcome *out)
{
	const struct meter_usage *m = outcome_metered(out);

	if (!m || !m->policy_kills || !m->killed_arch || !out->context.made)
		return NULL;
	return out->policy.kills || m->killed_foreign ? m : NULL;
}

static json_t *denied(const struct outcome *out)
{
	const struct meter_usage *m = policy_kills(out);
	json_t *list;

	if (!reports_denied(out) && !m)
		return json_null();
	list = json_array();
	for (size_t i = 0; i < out->denials.n; i++) {
		const struct denial *d = &out->denials.kinds[i];

		json_array_append_new(
			list, denied_one(d->arch, (uint32_t)d->nr, d->args, d->count, "EPERM"));
	}
	/* The signal in the errno's place: there was no answer. */
	if (m)
		json_array_append_new(list, denied_one(m->killed_arch, m->killed_call,
						       m->killed_args, 1, "SIGSYS"));
	return list;
}

/* Between two that were taken it shows by their numbers; of the first and the last ones only the
 * meter knows. */
static bool counts_overtaken(const struct outcome *out)
{
	const struct meter_usage *m = outcome_metered(out);

	return reports_denied(out) && m && m->listened;
}

static uint64_t processes_peak(const struct outcome *out)
{
	return out->ran && out->context.invocation == 1 ? out->usage.pids_peak : NONE;
}

static void add_time(json_t *j, const struct outcome *out)
{
	const struct meter_usage *m = outcome_metered(out);

	json_object_set_new(
		j, "time",
		json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "launch_ns",
			  (json_int_t)out->launch_ns, "init_ns",
			  number(out->ran ? (uint64_t)out->init_ns : NONE), "wall_ns",
			  number(out->ran ? (uint64_t)out->wall_ns : NONE), "busy_ns",
			  number(m ? m->busy_ns : NONE), "waiting_ns",
			  number(m ? m->waiting_ns : NONE), "idle_ns",
			  number(m ? m->idle_ns : NONE), "timeout_overshoot_ns",
			  number(out->overshoot_ns < 0 ? NONE : (uint64_t)out->overshoot_ns)));
}

/* Processes that nobody waited for: they were killed at the end, and what they used is in no
 * rusage. */
static bool unwaited(const struct outcome *out)
{
	const struct meter_usage *m = outcome_metered(out);

	return out->left_processes || (out->killed && m && m->started > 1);
}

static void add_cpu(json_t *j, const struct outcome *out)
{
	const struct meter_usage *m = outcome_metered(out);
	const struct cgroup_usage *u = &out->usage;
	const struct rusage *ru = &out->rusage;
	bool ran = out->ran, told = ran && out->told;
	json_t *cpu = json_object(), *clocks = json_object();

	json_object_set_new(cpu, "on_cpu_ns", number(ran ? out->on_cpu_ns : NONE));
	json_object_set_new(cpu, "user_ns", number(ran ? u->user_ns : NONE));
	json_object_set_new(cpu, "system_ns", number(ran ? u->system_ns : NONE));
	json_object_set_new(cpu, "throttled_ns", number(ran ? u->throttled_ns : NONE));
	json_object_set_new(cpu, "throttled_periods", number(ran ? u->throttled_periods : NONE));
	json_object_set_new(cpu, "runnable_ns", number(m ? m->runnable_ns : NONE));
	json_object_set_new(cpu, "switches_voluntary",
			    number(m	  ? m->switches_voluntary
				   : told ? (uint64_t)ru->ru_nvcsw
					  : NONE));
	json_object_set_new(cpu, "switches_forced",
			    number(m	  ? m->switches_forced
				   : told ? (uint64_t)ru->ru_nivcsw
					  : NONE));
	json_object_set_new(clocks, "bpf_ns", number(m ? m->on_cpu_ns : NONE));
	json_object_set_new(clocks, "cgroup_ns", number(ran ? u->cpu_ns : NONE));
	json_object_set_new(clocks, "rusage_ns",
			    number(told && !unwaited(out) ? out->rusage_ns : NONE));
	json_object_set_new(cpu, "clocks", clocks);
	json_object_set_new(j, "cpu", cpu);
}

static void add_memory(json_t *j, const struct outcome *out)
{
	const struct meter_usage *m = outcome_metered(out);
	bool ran = out->ran, told = ran && out->told;
	uint64_t peak = NONE, cache = m && m->memory_known ? m->cache_peak_bytes : NONE;

	(void)outcome_memory_peak(out, &peak);
	json_object_set_new(
		j, "memory",
		json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "limit_bytes",
			  (json_int_t)out->limits.memory_bytes, "peak_bytes", number(peak),
			  "cache_bytes", number(ran ? cache : NONE), "charged_peak_bytes",
			  number(ran && out->charged_known ? out->usage.memory_peak : NONE),
			  "rss_peak_bytes", number(m ? m->rss_peak_bytes : NONE), "oom_kills",
			  number(ran ? out->usage.oom_kills : NONE), "faults_minor",
			  number(m	? m->faults_minor
				 : told ? (uint64_t)out->rusage.ru_minflt
					: NONE),
			  "faults_major",
			  number(m	? m->faults_major
				 : told ? (uint64_t)out->rusage.ru_majflt
					: NONE)));
}

static void add_figures(json_t *j, const struct outcome *out)
{
	const struct meter_usage *m = outcome_metered(out);
	bool ran = out->ran;

	add_time(j, out);
	add_cpu(j, out);
	add_memory(j, out);
	json_object_set_new(j, "io",
			    json_pack("{s:o, s:o}", "read_bytes", number(m ? m->read_bytes : NONE),
				      "write_bytes", number(m ? m->write_bytes : NONE)));
	json_object_set_new(j, "network",
			    json_pack("{s:o, s:o, s:o}", "rx_bytes", number(m ? m->rx_bytes : NONE),
				      "tx_bytes", number(m ? m->tx_bytes : NONE), "loopback_bytes",
				      number(m ? m->lo_bytes : NONE)));
	json_object_set_new(j, "processes",
			    json_pack("{s:o, s:o, s:o}", "started", number(m ? m->started : NONE),
				      "peak", number(m ? m->peak : processes_peak(out)), "denied",
				      number(ran ? out->usage.pids_denied : NONE)));
	json_object_set_new(j, "denied", denied(out));
	json_object_set_new(j, "denied_overtaken",
			    number(counts_overtaken(out) ? out->denials.overtaken : NONE));
	json_object_set_new(j, "trace",
			    out->metered.traced
				    ? json_pack("{s:I, s:I, s:b}", "events",
						(json_int_t)out->metered.events, "lost",
						m ? (json_int_t)m->lost : 0, "complete",
						m && m->complete && m->lost == 0 && m->missed == 0)
				    : json_null());
}

static void add_limits(json_t *j, const struct outcome *out)
{
	const struct meter_usage *m = outcome_metered(out);
	double vcpus = (double)out->context.vcpu_micro / 1e6;

	json_object_set_new(j, "limits",
			    json_pack("{s:I, s:o, s:I, s:I}", "memory_bytes",
				      (json_int_t)out->limits.memory_bytes, "vcpus",
				      out->context.made ? json_real(vcpus) : json_null(),
				      "timeout_ns", (json_int_t)out->limits.timeout_ns, "pids",
				      (json_int_t)out->limits.pids));
	if (out->charged)
		json_object_set_new(j, "bill",
				    json_pack("{s:I, s:I, s:s, s:s, s:s, s:o}", "duration_ns",
					      (json_int_t)out->charge.duration_ns, "billed_ms",
					      (json_int_t)out->charge.billed_ms, "gb_seconds",
					      out->charge.gb_seconds, "usd", out->charge.usd,
					      "prices", out->prices, "contention_ns",
					      number(m ? m->contention_ns : NONE)));
	else if (!out->ran) /* it costs nothing, as its record says */
		json_object_set_new(j, "bill",
				    json_pack("{s:n, s:i, s:s, s:s, s:s, s:n}", "duration_ns",
					      "billed_ms", 0, "gb_seconds", "0.000000000", "usd",
					      "0.000000000000", "prices", out->prices,
					      "contention_ns"));
	else
		json_object_set_new(j, "bill", json_null());
	json_object_set_new(j, "policy",
			    out->context.made ? json_pack("{s:s, s:s}", "name", out->policy.name,
							  "sha256", out->policy.sha256)
					      : json_null());
}

static void degrade(json_t *list, const char *what, const char *why)
{
	json_array_append_new(list, json_pack("{s:s, s:s}", "what", what, "reason", why));
}

/* What the launch did without. */
static void degrade_lacks(json_t *list, const struct outcome *out)
{
	static const struct {
		enum lack lack;
		const char *what, *why;
	} rows[] = {
		{ LACK_TIME_NAMESPACE, "launch.time_namespace",
		  "this kernel has none, or no more: the host's is shared" },
		{ LACK_AFFINITY, "launch.affinity",
		  "it could not be set: runtimes count all CPUs of the host" },
		{ LACK_LIMITS, "launch.rlimits",
		  "the caller's hard limits are lower than a function's and cannot be raised" },
		{ LACK_CORE, "launch.core",
		  "the caller's hard limit of core files is 0 and cannot be raised to the 1 that "
		  "keeps a crash from running the host's handler" },
		{ LACK_PRIORITY, "launch.nice",
		  "the caller's nice value stays: lowering it takes CAP_SYS_NICE" },
		{ LACK_OUTLIVE, "launch.oom_score_adj",
		  "the supervisor's stays as its caller's: lowering it takes CAP_SYS_RESOURCE" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (lacks(out, rows[i].lack))
			degrade(list, rows[i].what, rows[i].why);
}

/* What the warden tells; most of it the meter knows as well. */
static void degrade_untold(json_t *list, const struct outcome *out, const struct meter_usage *m)
{
	const char *why = out->context.kept
				  ? "it is known of a process as a whole, when that has ended"
				  : "it was ended together with pid 1 of its context, as kernels "
				    "without cgroup.kill need it";
	static const char *const names[] = { "cpu.clocks.rusage_ns", "cpu.switches_voluntary",
					     "cpu.switches_forced", "memory.faults_minor",
					     "memory.faults_major" };

	for (size_t i = 0; i < (m ? 1 : sizeof(names) / sizeof(names[0])); i++)
		degrade(list, names[i], why);
}

/* Nothing was run: there is nothing to report of it. */
static void degrade_unrun(json_t *list)
{
	static const char *const groups[] = { "time",
					      "cpu",
					      "memory",
					      "io",
					      "network",
					      "bill.duration_ns",
					      "bill.contention_ns",
					      "processes",
					      "denied",
					      "denied_overtaken",
					      "trace" };

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		degrade(list, groups[i], "nothing was run");
}

/* m: what the meter saw, null when it did not see the function. */
static void degrade_metered(json_t *list, const struct outcome *out, const struct meter_usage *m)
{
	static const char *const figures[] = {
		"time.busy_ns",	     "time.waiting_ns",	      "time.idle_ns", "cpu.runnable_ns",
		"cpu.clocks.bpf_ns", "memory.rss_peak_bytes", "io",	      "network",
		"processes.started", "bill.contention_ns"
	};

	static const char *const memory[] = { "memory.peak_bytes", "memory.cache_bytes" };

	for (size_t i = 0; !m && i < sizeof(figures) / sizeof(figures[0]); i++)
		degrade(list, figures[i], out->metered.why);
	for (size_t i = 0; (!m || !m->memory_known) && i < 2; i++)
		degrade(list, memory[i],
			m ? "this kernel does not let page cache be told apart"
			  : "only the meter can tell page cache apart");
	if (m && !m->complete)
		degrade(list, "meter", "a thread went unseen: the figures may be short");
	if (!out->metered.traced)
		degrade(list, "trace",
			out->metered.trace_lost ? "it could not be recorded or written"
						: out->metered.untraced);
	else if (m && (m->lost || m->missed))
		degrade(list, "trace",
			m->lost ? "it is not complete: events found no room"
				: "it is not complete: the kernel did not report a call");
}

static void degrade_denied(json_t *list, const struct outcome *out, const struct meter_usage *m)
{
	if (lacks(out, LACK_LISTENER))
		degrade(list, "denied", "the kernel has no listener for the policy");
	else if (!reports_denied(out))
		degrade(list, "denied",
			"the policy denies no call with EPERM but by its own rules, may "
			"deny the launch itself, or --nofile is below 64");
	if (!counts_overtaken(out))
		degrade(list, "denied_overtaken",
			reports_denied(out) ? "only the meter knows of denied calls that were "
					      "interrupted before they were taken"
					    : "denied calls are not counted");
	if (out->denials.unnamed)
		degrade(list, "denied", "there were more kinds than the list holds");
	if (policy_kills(out) && m->policy_kills > 1)
		degrade(list, "denied",
			"of several calls that the policy answered with SIGSYS it "
			"has the last");
	if (!m && out->policy.kills)
		degrade(list, "denied",
			"calls that the policy answers with SIGSYS are not in it "
			"without the meter");
}

static json_t *degraded(const struct outcome *out)
{
	const struct meter_usage *m = outcome_metered(out);
	json_t *list = json_array();

	if (out->unrecorded)
		degrade(list, "ledger", out->unrecorded_why);
	if (out->stream_err.code)
		degrade(list, "streams", out->stream_err.text);
	if (!out->ran) {
		degrade_unrun(list);
		return list;
	}
	degrade_metered(list, out, m);
	if (out->code_wanted && !*out->code_sha256)
		degrade(list, "code_sha256",
			"the file or the way to it changed while it was started or ran, or "
			"cannot be told by its times, or cannot be read");
	degrade_lacks(list, out);
	if (!out->told)
		degrade_untold(list, out, m);
	else if (unwaited(out))
		degrade(list, "cpu.clocks.rusage_ns",
			"processes that nobody had waited for were killed");
	degrade_denied(list, out, m);
	if (out->usage.memory_peak == UINT64_MAX)
		degrade(list, "memory.charged_peak_bytes", "this kernel does not count it");
	else if (!out->charged_known)
		degrade(list, "memory.charged_peak_bytes",
			"this kernel cannot reset the peak of a reused "
			"cgroup, and this invocation did not exceed it");
	if (!m && processes_peak(out) == NONE)
		degrade(list, "processes.peak", "this kernel does not count it per invocation");
	if (out->context.made && (!out->context.idmapped || lacks(out, LACK_IDMAP)))
		degrade(list, "bind.idmap",
			"the file system of a bind cannot be idmapped: files keep "
			"their owners");
	return list;
}

char *report_json(const struct outcome *out)
{
	char iso[CLOCK_ISO_LEN];
	json_t *j = json_object();
	char *text, *shown, *line;

	clock_format_iso(out->started_real_ns, iso);
	json_object_set_new(j, "schema", json_string("cloche.report/1"));
	json_object_set_new(j, "request_id", json_string(out->request_id));
	json_object_set_new(j, "function", text_or_null(out->function));
	json_object_set_new(j, "owner", owner(out));
	json_object_set_new(
		j, "context",
		json_pack("{s:s, s:s, s:s, s:i, s:o}", "id", out->context.id, "start",
			  out->context.warm ? "warm" : "cold", "reuse", outcome_reuse(out),
			  "invocation", (int)out->context.invocation, "replaced",
			  out->context.replaced ? json_string(residue_text(out->context.replaced))
						: json_null()));
	json_object_set_new(j, "started_at", json_string(iso));
	add_ending(j, out);
	add_figures(j, out);
	add_limits(j, out);
	json_object_set_new(j, "degraded", degraded(out));
	text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(6));
	json_decref(j);
	if (!text)
		return NULL;
	shown = quote_json(text);
	free(text);
	if (!shown || asprintf(&line, "%s\n", shown) < 0)
		line = NULL;
	free(shown);
	return line;
}

/* Of what the function itself caught and answered Lambda says nothing more, unless it ended then.
 */
static const char *error_type(const struct outcome *out)
{
	const char *type;

	if (out->answered && out->verdict != VERDICT_INIT_ERROR)
		return out->status != 0 && !out->killed ? "Runtime.ExitError" : NULL;
	if (out->error_type[0])
		return out->error_type;
	if (out->answered)
		return "Runtime.Unknown";
	switch (out->verdict) {
	case VERDICT_OOM:
		return "Runtime.OutOfMemory";
	case VERDICT_CPU_TIMEOUT:
		return "Cloche.CpuTimeout";
	case VERDICT_PIDS:
		return "Cloche.ProcessLimit";
	case VERDICT_OUTPUT_LIMIT:
		return "Cloche.OutputLimit";
	case VERDICT_DENIED:
		return "Cloche.PolicyDenied";
	case VERDICT_CANCELLED:
		return "Cloche.Cancelled";
	case VERDICT_LAUNCH_ERROR:
		type = outcome_entrypoint_error(out);
		return type ? type : FAILURE_LAUNCH;
	case VERDICT_SIGNAL:
	case VERDICT_ERROR:
	case VERDICT_INIT_ERROR:
		return "Runtime.ExitError";
	default:
		return NULL;
	}
}

static bool is_timeout(const struct outcome *out)
{
	return out->verdict == VERDICT_TIMEOUT || out->verdict == VERDICT_INIT_TIMEOUT;
}

void report_init_line(const struct outcome *init, bool invoked, FILE *to)
{
	const char *type = init->error_type[0] ? init->error_type : error_type(init);

	fprintf(to, "INIT_REPORT Init Duration: %.2f ms\tPhase: %s", (double)init->wall_ns / 1e6,
		invoked ? "invoke" : "init");
	if (is_timeout(init))
		fputs("\tStatus: timeout", to);
	else if (init->verdict != VERDICT_OK)
		fprintf(to, "\tStatus: error\tError Type: %s", type ? type : "Runtime.Unknown");
	fputc('\n', to);
}

void report_line(const struct outcome *out, FILE *to)
{
	const char *type = error_type(out);
	int64_t shown = is_timeout(out) ? out->limits.timeout_ns : out->wall_ns;
	uint64_t peak;

	fprintf(to,
		"REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %" PRIu64
		" ms\tMemory Size: %" PRIu64 " MB\t",
		out->request_id, (double)shown / 1e6, out->charged ? out->charge.billed_ms : 0,
		out->limits.memory_bytes >> 20);
	if (outcome_memory_peak(out, &peak))
		fprintf(to, "Max Memory Used: %" PRIu64 " MB\t", (peak + (1 << 20) - 1) >> 20);
	/* Clients of Lambda count on it. */
	else if (!out->ran)
		fputs("Max Memory Used: 0 MB\t", to);
	if (out->init_ns)
		fprintf(to, "Init Duration: %.2f ms\t", (double)out->init_ns / 1e6);
	if (is_timeout(out))
		fputs("Status: timeout\t", to);
	else if (type && *type)
		fprintf(to, "Status: error\tError Type: %s\t", type);
	fputc('\n', to);
}
