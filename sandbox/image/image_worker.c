/* SPDX-License-Identifier: MIT */
/* The surroundings of who fills a tree: see image_worker.h. */
#include "image/image_worker.h"

#include "base/err.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is built must not depend on who builds it, where and when: the tools see nothing of the
 * caller's environment but the way to the archive. (Python alone has a dozen variables that change
 * what it compiles.) */
int image_worker_environment(const char *dir, struct cloche_err *err)
{
	static const char *const kept[] = { "http_proxy", "https_proxy", "ftp_proxy",	"all_proxy",
					    "no_proxy",	  "HTTP_PROXY",	 "HTTPS_PROXY", "FTP_PROXY",
					    "ALL_PROXY",  "NO_PROXY",	 "APT_CONFIG" };
	const size_t n = sizeof(kept) / sizeof(kept[0]);
	char *values[sizeof(kept) / sizeof(kept[0])] = { 0 };
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		const char *value = getenv(kept[i]);

		values[i] = value ? strdup(value) : NULL;
		r |= value && !values[i];
	}
	r |= clearenv();
	for (size_t i = 0; i < n; i++) {
		if (values[i])
			r |= setenv(kept[i], values[i], 1);
		free(values[i]);
	}
	r |= setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	r |= setenv("SOURCE_DATE_EPOCH", "0", 1);
	r |= setenv("LC_ALL", "C.UTF-8", 1);
	r |= setenv("TZ", "UTC", 1);
	r |= setenv("TMPDIR", dir, 1);
	r |= setenv("HOME", dir, 1);
	return r ? cloche_err_sys(err, ENOMEM, "set the environment of the build") : 0;
}

/* Changes the directory on its way and back: the paths may be longer than any call takes. */
void image_worker_remove(const char *path)
{
	char *const paths[] = { (char *)path, NULL };
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_XDEV, NULL);
	FTSENT *e;

	if (!fts)
		return;
	while ((e = fts_read(fts)))
		if (e->fts_info != FTS_D)
			(void)remove(e->fts_accpath);
	(void)fts_close(fts);
}
