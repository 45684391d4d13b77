/* SPDX-License-Identifier: MIT */
/* Packs and reads what an invocation is asked for: see order.h. */
#include "launch/order.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/quote.h"
#include "launch/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARGV, ENV, CANDIDATES, LISTS };

struct head {
	uint32_t n[LISTS];
	uint32_t own_terminals;
	uint32_t init_invoked, reserved; /* 0 or 1; 0 */
	int64_t timeout_ns, cpu_time_ns;
	uint64_t fsize_bytes, output_bytes;
};

_Static_assert(sizeof(struct head) % sizeof(char *) == 0, "pointers come behind it");

/* Nothing of the caller's environment gets in. */
static const char *const standard_env[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp",
	"LANG=C.UTF-8", "TZ=UTC"
};
#define N_ENV (sizeof(standard_env) / sizeof(standard_env[0]))

/* ---- to pack -------------------------------------------------------------------------------- */

static bool same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return strncmp(a, b, n) == 0 && b[n] == '=';
}

/* The last of several with one name wins, as in a shell; standard ones give way to the user's. The
 * strings are borrowed; to be freed, NULL-terminated. */
static const char **choose_env(char *const *user)
{
	size_t n = 0, out = 0;
	const char **env;

	while (user && user[n])
		n++;
	env = calloc(n + N_ENV + 1, sizeof(*env));
	for (size_t i = 0; env && i < N_ENV + n; i++) {
		const char *e = i < N_ENV ? standard_env[i] : user[i - N_ENV];
		size_t at = 0;

		while (at < out && !same_name(env[at], e))
			at++;
		env[at] = e;
		out += at == out;
	}
	return env;
}

/* Of which only the length is counted where there is no room. */
struct writer {
	char *to; /* NULL: none */
	size_t len;
};

static void put(struct writer *w, const char *text, size_t len)
{
	if (w->to)
		memcpy(w->to + w->len, text, len);
	w->len += len;
}

static uint32_t put_list(struct writer *w, const char *const *list)
{
	uint32_t n = 0;

	for (; list[n]; n++)
		put(w, list[n], strlen(list[n]) + 1);
	return n;
}

/* Along the PATH that the function gets, as env(1) does; an empty element is the working directory.
 */
static uint32_t put_candidates(struct writer *w, const char *name, const char *const *env)
{
	const char *path = "";
	uint32_t n = 0;

	/* An empty name is no file; along the search path it would name the directories. */
	if (strchr(name, '/') || !*name)
		return put_list(w, (const char *const[]){ name, NULL });
	for (; *env; env++)
		if (strncmp(*env, "PATH=", 5) == 0)
			path = *env + 5;
	do {
		size_t len = strcspn(path, ":");

		if (len)
			put(w, path, len);
		else
			put(w, ".", 1);
		put(w, "/", 1);
		put(w, name, strlen(name) + 1);
		path += len;
		n++;
	} while (*path++ == ':');
	return n;
}

static void put_all(struct writer *w, const struct spec *spec, const char *const *env,
		    struct head *ret)
{
	*ret = (struct head){ .own_terminals = spec->own_terminals,
			      .init_invoked = spec->init_invoked,
			      .timeout_ns = spec->timeout_ns,
			      .cpu_time_ns = spec->cpu_time_ns,
			      .fsize_bytes = spec->fsize_bytes,
			      .output_bytes =
				      spec->output_bytes ? spec->output_bytes : UINT64_MAX };
	ret->n[ARGV] = put_list(w, (const char *const *)spec->argv);
	ret->n[ENV] = put_list(w, env);
	ret->n[CANDIDATES] = spec->candidates ? put_list(w, spec->candidates)
					      : put_candidates(w, spec->argv[0], env);
	put(w, spec->workdir, strlen(spec->workdir) + 1);
}

static size_t table_size(const struct head *h)
{
	size_t n = LISTS;

	for (int i = 0; i < LISTS; i++)
		n += h->n[i];
	return n * sizeof(char *);
}

int order_pack(const struct spec *spec, struct order_block *ret, struct cloche_err *err)
{
	cleanup_free const char **env = choose_env(spec->env);
	char shown[QUOTE_LEN];
	struct writer w = { .to = NULL };
	size_t before;
	struct head h;

	if (!env)
		return cloche_err_sys(err, ENOMEM, "plan the launch");
	put_all(&w, spec, env, &h);
	before = sizeof(h) + table_size(&h);
	if (before > ORDER_MAX || w.len > ORDER_MAX - before) {
		(void)cloche_err_sys(err, E2BIG, "%s", quote(shown, spec->argv[0]));
		return cloche_err_stage(err, "exec");
	}
	ret->len = before + w.len;
	ret->bytes = calloc(1, ret->len);
	if (!ret->bytes)
		return cloche_err_sys(err, ENOMEM, "plan the launch");
	w = (struct writer){ .to = ret->bytes + before };
	put_all(&w, spec, env, &h);
	memcpy(ret->bytes, &h, sizeof(h));
	return 0;
}

void order_free(struct order_block *block)
{
	free(block->bytes);
	*block = (struct order_block){ .bytes = NULL };
}

/* ---- to read -------------------------------------------------------------------------------- */

/* The strings of a list; *at: where the first begins. NULL: they do not end before the end. */
static char **read_list(char **table, uint32_t n, char **at, const char *end)
{
	for (uint32_t i = 0; i < n; i++) {
		if (*at == end)
			return NULL;
		table[i] = *at;
		*at += strlen(*at) + 1;
	}
	table[n] = NULL;
	return table;
}

int order_read(char *bytes, size_t len, struct order *ret)
{
	struct order o;
	char *at, *end = bytes + len, **table;
	struct head h;

	if (len > ORDER_MAX || len < sizeof(h))
		return -EBADMSG;
	memcpy(&h, bytes, sizeof(h));
	for (int i = 0; i < LISTS; i++)
		if (h.n[i] > len)
			return -EBADMSG; /* and their sum is no number that wraps */
	if (len - sizeof(h) <= table_size(&h) || end[-1] != '\0' || h.n[ARGV] == 0 ||
	    h.n[CANDIDATES] == 0 || h.timeout_ns <= 0 || h.cpu_time_ns < 0 || h.init_invoked > 1 ||
	    h.reserved)
		return -EBADMSG;
	table = (char **)(void *)(bytes + sizeof(h));
	at = bytes + sizeof(h) + table_size(&h);
	o = (struct order){ .timeout_ns = h.timeout_ns,
			    .cpu_time_ns = h.cpu_time_ns,
			    .fsize_bytes = h.fsize_bytes,
			    .output_bytes = h.output_bytes,
			    .own_terminals = h.own_terminals,
			    .init_invoked = h.init_invoked };
	o.argv = read_list(table, h.n[ARGV], &at, end);
	table += h.n[ARGV] + 1;
	o.env = o.argv ? read_list(table, h.n[ENV], &at, end) : NULL;
	table += h.n[ENV] + 1;
	o.candidates = o.env ? read_list(table, h.n[CANDIDATES], &at, end) : NULL;
	if (!o.candidates || at == end)
		return -EBADMSG;
	o.workdir = at;
	if (at + strlen(at) + 1 != end)
		return -EBADMSG;
	*ret = o;
	return 0;
}

char *order_map(int fd, size_t len)
{
	struct stat st;
	char *bytes;
	size_t done = 0;
	ssize_t n = 1;

	if (fcntl(fd, F_GET_SEALS) < 0 || fstat(fd, &st) < 0 || (uint64_t)st.st_size != len)
		return NULL;
	bytes = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bytes == MAP_FAILED)
		return NULL;
	while (done < len && n > 0) {
		n = pread(fd, bytes + done, len - done, (off_t)done);
		done += n > 0 ? (size_t)n : 0;
	}
	if (done < len) {
		(void)munmap(bytes, len);
		return NULL;
	}
	return bytes;
}
