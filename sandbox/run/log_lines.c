/* SPDX-License-Identifier: MIT */
/* START and END lines, and what stands for an answer that never came: see log_lines.h. */
#include "run/log_lines.h"

#include "base/clock.h"
#include "run/outcome.h"

#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

void log_line_start(const struct outcome *out, uint32_t version, FILE *to)
{
	fprintf(to, "START RequestId: %s Version: ", out->request_id);
	if (version)
		fprintf(to, "%" PRIu32 "\n", version);
	else
		fputs("$LATEST\n", to);
}

static double seconds(int64_t ns)
{
	return (double)ns / 1e9;
}

void log_line_timed_out(const struct outcome *out, int64_t real_ns, FILE *to)
{
	char when[CLOCK_ISO_LEN];
	size_t seconds_end = strlen("2026-01-02T03:04:05.678");

	clock_format_iso(real_ns, when);
	fprintf(to, "%.*sZ %s Task timed out after %.2f seconds\n", (int)seconds_end, when,
		out->request_id, seconds(out->limits.timeout_ns));
}

void log_line_not_started(const struct outcome *out, FILE *to)
{
	const char *type = outcome_entrypoint_error(out);

	fprintf(to, "RequestId: %s Error: %s\n%s\n", out->request_id, out->err.text,
		type ? type : FAILURE_LAUNCH);
}

void log_line_end(const struct outcome *out, FILE *to)
{
	fprintf(to, "END RequestId: %s\n", out->request_id);
}

/* ---- answers that never came ----------------------------------------------------------------- */

/* As Go's os/exec has it, in which Lambda's own words for an end are written. */
static void text_of_end(const struct outcome *out, char *ret, size_t size)
{
	if (WIFSIGNALED(out->status))
		(void)snprintf(ret, size, "Runtime exited with error: signal: %s",
			       WTERMSIG(out->status) == SIGKILL ? "killed"
			       : WTERMSIG(out->status) == SIGSEGV
				       ? "segmentation fault"
				       : sigdescr_np(WTERMSIG(out->status)));
	else if (WEXITSTATUS(out->status) != 0)
		(void)snprintf(ret, size, "Runtime exited with error: exit status %d",
			       WEXITSTATUS(out->status));
	else
		(void)snprintf(ret, size, "Runtime exited without providing a reason");
}

static const char *text_of(const struct outcome *out, char *buf, size_t size, const char **ret_type)
{
	switch (out->verdict) {
	case VERDICT_TIMEOUT:
	case VERDICT_INIT_TIMEOUT:
		*ret_type = "Sandbox.Timedout";
		(void)snprintf(buf, size, "Task timed out after %.2f seconds",
			       seconds(out->limits.timeout_ns));
		return buf;
	case VERDICT_OOM:
		*ret_type = "Runtime.OutOfMemory";
		return "Runtime exited with error: signal: killed";
	case VERDICT_CPU_TIMEOUT:
		*ret_type = "Cloche.CpuTimeout";
		return "its limit of CPU time was reached";
	case VERDICT_PIDS:
		*ret_type = "Cloche.ProcessLimit";
		return "it gave up where its limit of processes was reached";
	case VERDICT_OUTPUT_LIMIT:
		*ret_type = "Cloche.OutputLimit";
		return "its output limit was reached";
	case VERDICT_DENIED:
		*ret_type = "Cloche.PolicyDenied";
		return "it was killed by its policy";
	case VERDICT_CANCELLED:
		*ret_type = "Cloche.Cancelled";
		return "it was cancelled";
	case VERDICT_LAUNCH_ERROR:
		*ret_type = outcome_entrypoint_error(out);
		if (!*ret_type)
			*ret_type = FAILURE_LAUNCH;
		return out->err.text;
	default:
		if (out->error_type[0]) {
			*ret_type = out->error_type;
			if (out->err.code)
				return out->err.text;
			return "it was ended: it went on with what its runtime interface refuses";
		}
		*ret_type = "Runtime.ExitError";
		text_of_end(out, buf, size);
		return buf;
	}
}

/* Of an answer that is not handed on; these have no request id. */
static json_t *text_of_refused(const struct outcome *out)
{
	static const char *const refused[][2] = {
		{ FAILURE_TOO_LARGE, "Response payload size exceeded maximum allowed payload size "
				     "(6291556 bytes)." },
		{ FAILURE_CUT, "Response payload ended before all of it was sent." },
		{ FAILURE_MODE, "Lambda-Runtime-Function-Response-Mode has a value that there is "
				"not." },
	};

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (out->answered && strcmp(out->error_type, refused[i][0]) == 0)
			return json_string(refused[i][1]);
	return NULL;
}

char *failure_object(const struct outcome *out)
{
	const char *type = out->error_type, *text;
	char buf[128], *object;
	json_t *message, *j;

	if (out->verdict == VERDICT_OK)
		return NULL;
	message = text_of_refused(out);
	if (!message) {
		text = text_of(out, buf, sizeof(buf), &type);
		message = json_sprintf("RequestId: %s Error: %s", out->request_id, text);
	}
	j = json_pack("{s:s, s:o}", "errorType", type, "errorMessage", message);
	object = j ? json_dumps(j, JSON_COMPACT) : NULL;
	json_decref(j);
	return object;
}
