/* SPDX-License-Identifier: MIT */
/* What follows from an outcome alone: see outcome.h. */
#include "run/outcome.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

const struct meter_usage *outcome_metered(const struct outcome *out)
{
	return out->ran && out->metered.known ? &out->metered.usage : NULL;
}

const char *outcome_reuse(const struct outcome *out)
{
	if (out->context.kept)
		return out->context.forked ? "fork" : "process";
	return out->context.reused ? "context" : "none";
}

/* By the steps of launch/child.c. */
const char *outcome_entrypoint_error(const struct outcome *out)
{
	if (out->verdict != VERDICT_LAUNCH_ERROR)
		return NULL;
	if (strcmp(out->err.stage, "exec") == 0)
		return "Runtime.InvalidEntrypoint";
	return strcmp(out->err.stage, "workdir") == 0 ? "Runtime.InvalidWorkingDir" : NULL;
}

bool outcome_memory_peak(const struct outcome *out, uint64_t *ret)
{
	const struct meter_usage *m = outcome_metered(out);

	if (!m || !m->memory_known)
		return false;
	*ret = m->memory_peak_bytes;
	return true;
}

int outcome_exit_status(const struct outcome *out)
{
	switch (out->verdict) {
	case VERDICT_TIMEOUT:
	case VERDICT_CPU_TIMEOUT:
	case VERDICT_INIT_TIMEOUT:
		return 124;
	case VERDICT_LAUNCH_ERROR:
		if (strcmp(out->err.stage, "exec") != 0)
			return 125;
		return out->err.code == ENOENT || out->err.code == ENOTDIR ? 127 : 126;
	case VERDICT_OOM:
		return 128 + SIGKILL;
	case VERDICT_DENIED:
		return 128 + SIGSYS;
	case VERDICT_OUTPUT_LIMIT:
		return 128 + SIGXFSZ;
	case VERDICT_CANCELLED:
		return 128 + SIGINT;
	case VERDICT_OK:
		return 0;
	default:
		/* Whatever became of its process then. */
		if (out->verdict == VERDICT_ERROR && out->answered)
			return 1;
		if (WIFSIGNALED(out->status))
			return 128 + WTERMSIG(out->status);
		/* It went on, or ended as if all were well. */
		return WEXITSTATUS(out->status) ? WEXITSTATUS(out->status) : 1;
	}
}
