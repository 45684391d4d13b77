/* SPDX-License-Identifier: MIT */
/* What is handed to a function, as a command line says it: see event.h. */
#include "cli/event.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "launch/rights.h"
#include "serve/request.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static int load(int fd, const char *what, char **ret, size_t *ret_len, struct cloche_err *err)
{
	int r = file_load_fd(fd, what, REQUEST_EVENT_MAX, ret, ret_len, err);

	return r == -EFBIG ? cloche_err_set(err, EFBIG,
					    "the payload '%.200s' is too long; at most 6 MiB and "
					    "100 bytes can be given to a function",
					    what)
			   : r;
}

int event_read(const char *payload, const struct rights *as, char **ret, size_t *ret_len,
	       struct cloche_err *err)
{
	const char *text = payload ? payload : "{}";
	cleanup_fd int fd = -1;

	if (strcmp(text, "-") == 0)
		return load(STDIN_FILENO, "standard input", ret, ret_len, err);
	if (*text != '@') {
		*ret = strdup(text);
		*ret_len = strlen(text);
		return *ret ? 0 : cloche_err_sys(err, ENOMEM, "payload");
	}
	fd = rights_call(as, file_open_input, text + 1);
	if (fd < 0)
		return cloche_err_sys(err, -fd, "payload '%.200s'", text);
	return load(fd, text + 1, ret, ret_len, err);
}
