/* SPDX-License-Identifier: MIT */
/* Between `cloche run` and price lists, which are somebody's YAML: see run_prices.h. */
#include "cli/run_prices.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/quote.h"
#include "host/confined.h"
#include "launch/rights.h"
#include "ledger/prices.h"
#include "ledger/prices_file.h"

#include <errno.h>

struct text {
	const char *path;
	char *text;
	size_t len;
};

static int parse(void *arg, void *buf, size_t size, size_t *len, struct cloche_err *err)
{
	const struct text *t = arg;

	if (size < sizeof(struct prices))
		return -EMSGSIZE;
	*len = sizeof(struct prices);
	return prices_file_parse(t->text, t->len, t->path, buf, err);
}

static int parse_confined(struct text *t, struct prices *ret, struct cloche_err *err)
{
	char shown[QUOTE_LEN], what[QUOTE_LEN + 16];
	const struct confined confined = { .what = what,
					   .fd = -1,
					   .job = parse,
					   .arg = t,
					   .mem_bytes = 64ULL << 20,
					   .cpu_s = 10,
					   .wall_s = 60 };
	struct prices answer = { 0 };
	size_t len = 0;
	int r;

	(void)snprintf(what, sizeof(what), "price list %s", quote(shown, t->path));
	r = confined_run(&confined, &answer, sizeof(answer), &len, err);
	return r < 0 ? r : prices_file_take(&answer, len, ret, err);
}

static int load(const char *path, const void *arg, struct prices *ret, struct cloche_err *err)
{
	cleanup_fd int fd = rights_call(arg, prices_file_open, path);
	struct text t = { .path = path };
	int r = prices_file_read(fd, path, &t.text, &t.len, err);

	if (r == 0)
		r = parse_confined(&t, ret, err);
	free(t.text);
	return r;
}

int run_prices_find(const char *name_or_file, const struct rights *caller, struct prices *ret,
		    struct cloche_err *err)
{
	return prices_find_by(name_or_file, load, prices_is_path(name_or_file) ? caller : NULL, ret,
			      err);
}
