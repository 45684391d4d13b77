/* SPDX-License-Identifier: MIT */
/* From the daemon's pipe into the caller's file: see remote_trace.h. */
#include "serve/remote_trace.h"

#include "base/fd.h"
#include "run/outcome.h"
#include "run/session.h"
#include "serve/request.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void remote_trace_wait(const struct remote_trace *t, struct pollfd *ret)
{
	*ret = (struct pollfd){ .fd = t->pipe, .events = POLLIN };
}

/* What cannot be written shows when the file is closed. */
void remote_trace_step(struct remote_trace *t)
{
	char bytes[1 << 16];
	ssize_t n = read(t->pipe, bytes, sizeof(bytes));

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0) {
		t->code = n < 0 ? errno : 0;
		fd_close(&t->pipe);
		return;
	}
	t->bytes += (uint64_t)n;
	if (t->file)
		(void)fwrite(bytes, 1, (size_t)n, t->file);
	if (t->copy)
		(void)fwrite(bytes, 1, (size_t)n, t->copy);
}

/* 0, or for what errno it is not as it came. */
static int close_file(struct remote_trace *t)
{
	int code = ferror(t->file) ? EIO : 0;

	errno = 0;
	if (fclose(t->file) != 0)
		code = errno ? errno : EIO;
	t->file = NULL;
	return code;
}

/* 0, or for what errno less came than there is. */
static int look_whether_whole(const struct remote_trace *t, const struct answer *answer)
{
	if (t->code)
		return t->code;
	return answer && t->bytes != answer->trace.bytes ? EPIPE : 0;
}

static void tell(const struct remote_trace *t, const struct answer *answer, bool filed, int code,
		 struct outcome *out, struct session_notes *notes)
{
	bool is = answer && out->metered.traced && answer->trace.bytes + t->kept > 0;

	notes->trace_filed = filed && is && code == 0 && answer->trace.bytes > 0;
	notes->trace_whole = is && answer->trace.bytes > 0 && look_whether_whole(t, answer) == 0;
	notes->untraced = answer ? answer->trace.why : (struct cloche_err){ 0 };
	if (t->kept && answer && out->ran)
		notes->unkept = answer->trace.why.code ? answer->trace.why : answer->trace.unkept;
	if (out->metered.trace_code == 0)
		out->metered.trace_code = code;
	out->metered.traced = notes->trace_filed || (t->kept && is && notes->unkept.code == 0);
	out->metered.trace_lost = (t->wanted || t->kept) && !out->metered.traced;
}

void remote_trace_end(struct remote_trace *t, const struct answer *answer, struct outcome *out,
		      struct session_notes *notes)
{
	bool filed = t->file != NULL;
	int code = 0;

	while (t->pipe >= 0)
		remote_trace_step(t);
	if (filed)
		code = close_file(t);
	if (code == 0)
		code = look_whether_whole(t, answer);
	tell(t, answer, filed, code, out, notes);
}
