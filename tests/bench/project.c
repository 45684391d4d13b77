/* SPDX-License-Identifier: MIT */
/* Functions, and how they are deployed: see project.h. All have a whole CPU: what their quota takes
 * from them is none of ours. */
#include "project.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/file.h"
#include "daemon.h"
#include "run.h"
#include "serve/request.h"
#include "subject.h"

/* As many contexts of one as two CPUs can use; who comes meanwhile waits. */
#define ONE "memory: 1769, timeout: 60s, concurrency: {reserved: 8, wait: 60s}"

const char project_functions[] =
	"functions:\n"
	"  native: {runtime: native, code: native, handler: native, " ONE "}\n"
	"  loop: {runtime: provided, code: loop, " ONE "}\n";

const char project_python[] =
	"functions:\n"
	"  python: {runtime: python3, code: python, handler: app.work, " ONE "}\n"
	"  python-cold: {runtime: python3, code: python, handler: app.hello, reuse: none, " ONE
	"}\n"
	"  heavy-cold: {runtime: python3, code: python, handler: heavy.handler, reuse: none, " ONE
	"}\n";

const char project_node[] =
	"functions:\n"
	"  node: {runtime: nodejs, code: node, handler: app.work, " ONE "}\n"
	"  node-cold: {runtime: nodejs, code: node, handler: app.hello, reuse: none, " ONE "}\n";

const char project_forked[] =
	"functions:\n"
	"  fork: {runtime: python3, code: python, handler: heavy.handler, reuse: fork, " ONE "}\n";

static const char app_py[] = "import time\n"
			     "def work(event, context):\n"
			     "    start = time.perf_counter_ns()\n"
			     "    sum(range(1000))\n"
			     "    return time.perf_counter_ns() - start\n"
			     "def hello(event, context):\n"
			     "    return 'hello'\n";

#define HEAVY "import decimal, email, http.client, json, os, re, sys, time\n"

static const char heavy_py[] = HEAVY "def handler(event, context):\n"
				     "    return len(json.dumps(event))\n";

static const char bare_py[] = HEAVY "times = []\n"
				    "for i in range(int(sys.argv[1])):\n"
				    "    start = time.perf_counter_ns()\n"
				    "    pid = os.fork()\n"
				    "    if pid == 0:\n"
				    "        os._exit(0)\n"
				    "    os.waitpid(pid, 0)\n"
				    "    times.append(time.perf_counter_ns() - start)\n"
				    "print(sorted(times)[len(times) // 2])\n";

static const char app_js[] = "exports.work = async () => {\n"
			     "\tconst start = process.hrtime.bigint();\n"
			     "\tlet n = 0;\n"
			     "\tfor (let i = 0; i < 1000; i++)\n"
			     "\t\tn += i;\n"
			     "\treturn n ? Number(process.hrtime.bigint() - start) : 0;\n"
			     "};\n"
			     "exports.hello = async () => 'hello';\n";

static int put(const char *path, const char *text, struct cloche_err *err)
{
	FILE *f = fopen(path, "we");

	if (!f || fputs(text, f) < 0 || fclose(f) || chmod(path, 0644) < 0)
		return cloche_err_sys(err, errno, "write '%s'", path);
	return 0;
}

int project_make(const struct stage *stage, char *client, struct project *ret,
		 struct cloche_err *err)
{
	static const struct {
		const char *dir, *name, *text, *helper;
	} files[] = {
		{ "native", "native", NULL, "native" }, { "loop", "bootstrap", NULL, "runtime" },
		{ "python", "app.py", app_py, NULL },	{ "python", "heavy.py", heavy_py, NULL },
		{ "python", "bare.py", bare_py, NULL }, { "node", "app.js", app_js, NULL },
	};
	int r;

	*ret = (struct project){ .stage = stage, .client = client };
	(void)snprintf(ret->dir, sizeof(ret->dir), "%s/functions", stage->dir);
	(void)snprintf(ret->bare, sizeof(ret->bare), "%s/python/bare.py", ret->dir);
	r = stage_mkdir(ret->dir, err);
	for (size_t i = 0; r == 0 && i < sizeof(files) / sizeof(files[0]); i++) {
		char path[200], helper[PATH_MAX + 16];

		(void)snprintf(path, sizeof(path), "%s/%s", ret->dir, files[i].dir);
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return cloche_err_sys(err, errno, "make '%s'", path);
		(void)chmod(path, 0755);
		(void)snprintf(path, sizeof(path), "%s/%s/%s", ret->dir, files[i].dir,
			       files[i].name);
		if (files[i].helper)
			(void)snprintf(helper, sizeof(helper), "%s/%s", stage->helpers,
				       files[i].helper);
		r = files[i].helper ? stage_copy(helper, path, err) : put(path, files[i].text, err);
		if (r == 0 && files[i].helper && chmod(path, 0755) < 0)
			r = cloche_err_sys(err, errno, "let a user execute '%s'", path);
	}
	if (r == 0 && (chmod(ret->dir, 0755) < 0 || chown(ret->dir, DAEMON_USER, DAEMON_USER) < 0))
		r = cloche_err_sys(err, errno, "have a user deploy from '%s'", ret->dir);
	return r;
}

int project_deploy(struct project *p, const char *yaml, struct cloche_err *err)
{
	char path[128];
	struct command deploy = { .name = "cloche deploy",
				  .id_at = -1,
				  .argv = { p->client, (char *)"deploy", path } };
	int64_t ns;
	int r;

	(void)snprintf(path, sizeof(path), "%s/cloche.yaml", p->dir);
	r = put(path, yaml, err);
	return r == 0 ? run_once(&deploy, p->stage, &ns, err) : r;
}

/* No more at once than may be. */
int project_deploy_many(struct project *p, unsigned from, unsigned to, struct cloche_err *err)
{
	int r = 0;

	while (r == 0 && from < to) {
		unsigned end = to - from > REQUEST_DEPLOY_N ? from + REQUEST_DEPLOY_N : to;
		cleanup_free char *text = NULL;
		size_t len = 0;
		FILE *f = open_memstream(&text, &len);

		if (!f)
			return cloche_err_sys(err, ENOMEM, "deploy");
		(void)fputs("functions:\n", f);
		for (; from < end; from++)
			(void)fprintf(f,
				      "  n%u: {runtime: native, code: native, handler: native, "
				      "memory: 4M, tmp: 1M, timeout: 60s}\n",
				      from);
		r = fclose(f) ? cloche_err_sys(err, ENOMEM, "deploy")
			      : project_deploy(p, text, err);
	}
	return r;
}
