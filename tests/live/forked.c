/* SPDX-License-Identifier: MIT */
/* Functions with reuse: fork. Each event finds what init has left and nothing of the event before,
 * wherever that has left traces; and what cannot be forked is refused at init. Needs root. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/functions.h"

/* What a handler can see, as text; and what it can leave behind. */
static const char app[] =
	"import ctypes, fcntl, json, os, resource, signal, sys, threading, time\n"
	"n = 0\n"
	"def count(*_):\n"
	"    global n\n"
	"    n += 1\n"
	"for number in signal.SIGUSR1, signal.SIGTERM, signal.SIGRTMIN:\n"
	"    signal.signal(number, count)\n"
	"ended = []\n"
	"signal.signal(signal.SIGCHLD, lambda *_: ended.append(1))\n"
	"libc = ctypes.CDLL(None, use_errno=True)\n"
	"def open_files():\n"
	"    files = {}\n"
	"    for fd in range(64):\n"
	"        try:\n"
	"            files[fd] = os.readlink(f'/proc/self/fd/{fd}').split(':')[0]\n"
	"        except OSError:\n"
	"            pass\n"
	"    return files\n"
	"def pristine():\n"
	"    return {'n': n, 'ended': len(ended), 'names': sorted(globals()), 'traces': "
	"hasattr(os, 'trace'),\n"
	"        'env': {k: v for k, v in os.environ.items() if not "
	"k.startswith('AWS_LAMBDA_LOG')},"
	"\n"
	"        'tmp': os.listdir('/tmp') + os.listdir('/dev/shm'), 'files': open_files(),\n"
	"        'processes': [p for p in os.listdir('/proc') if p.isdigit()], 'pid': "
	"os.getpid(),\n"
	"        'cwd': os.getcwd(), 'nice': os.getpriority(os.PRIO_PROCESS, 0),\n"
	"        'cpus': len(os.sched_getaffinity(0)), 'parent': os.getppid(),\n"
	"        'limits': [resource.getrlimit(number) for number in range(16)],\n"
	"        'umask': [os.umask(0o22), os.umask(0o22)],\n"
	"        'timers': [signal.getitimer(number) for number in range(3)],\n"
	"        'signals': [str(signal.getsignal(number)).split(' at ')[0]\n"
	"                    for number in sorted(signal.valid_signals())],\n"
	"        'blocked': len(signal.pthread_sigmask(signal.SIG_BLOCK, []) | "
	"signal.sigpending()),\n"
	"        'flags': [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in range(3)],\n"
	"        'sizes': [fcntl.fcntl(fd, 1032) for fd in (1, 2)], 'cgroup': os.listdir("
	"'/sys/fs/cgroup'),\n"
	"        'net': [l.split()[3] for l in open('/proc/net/tcp').readlines()[1:]],\n"
	"        'locks': list(locks()), 'threads': threading.active_count()}\n"
	"def globals_(context):\n"
	"    global n, trace\n"
	"    n += 1\n"
	"    os.trace = trace = 1\n"
	"    os.environ['TRACE'] = 'x'\n"
	"def files(context):\n"
	"    for path in ('/tmp/x', '/dev/shm/x'):\n"
	"        with open(path, 'w') as f:\n"
	"            f.write('x' * 100000)\n"
	"    os.mkdir('/tmp/d')\n"
	"    globals()['held'] = open('/tmp/d/x', 'w')\n"
	"    os.chdir('/tmp/d')\n"
	"def full(context):\n"
	"    try:\n"
	"        with open('/tmp/x', 'wb', buffering=0) as f:\n"
	"            while f.write(bytes(1 << 20)):\n"
	"                pass\n"
	"    except OSError:\n"
	"        pass\n"
	"def itself(context):\n"
	"    os.nice(5)\n"
	"    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
	"    for number in resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, "
	"resource.RLIMIT_MSGQUEUE:\n"
	"        resource.setrlimit(number, (64, 64))\n"
	"    os.umask(0)\n"
	"def timers(context):\n"
	"    for number in signal.SIGALRM, signal.SIGPROF:\n"
	"        signal.signal(number, count)\n"
	"    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)\n"
	"    signal.setitimer(signal.ITIMER_PROF, 0.01, 0.01)\n"
	"    signal.signal(signal.SIGUSR2, signal.SIG_IGN)\n"
	"    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])\n"
	"    os.kill(os.getpid(), signal.SIGHUP)\n"
	"def signals(context):\n"
	"    for number in signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP:\n"
	"        os.kill(os.getppid(), number)\n"
	"    for i in range(20):\n"
	"        os.kill(os.getppid(), signal.SIGRTMIN)\n"
	"def streams(context):\n"
	"    os.set_blocking(1, False)\n"
	"    fcntl.fcntl(2, 1031, 16384)\n"
	"    fcntl.flock(1, fcntl.LOCK_EX)\n"
	"    fcntl.fcntl(2, 37, b'\\1' + bytes(31))\n"
	"def locks():\n"
	"    for fd, what in (1, 'flock'), (2, 'ofd'):\n"
	"        with open(f'/proc/self/fd/{fd}', 'wb', buffering=0) as f:\n"
	"            try:\n"
	"                if fd == 1:\n"
	"                    fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
	"                else:\n"
	"                    fcntl.fcntl(f, 37, b'\\1' + bytes(31))\n"
	"            except OSError:\n"
	"                yield what\n"
	"def thread(context):\n"
	"    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
	"def process(context):\n"
	"    import subprocess\n"
	"    subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
	"def sibling(context):\n"
	"    if libc.syscall(56, 0x8000 | 17, 0, 0, 0, 0) == 0:\n"
	"        time.sleep(60)\n"
	"        os._exit(0)\n"
	"def memory(context):\n"
	"    libc.shmget(0, 4096, 0o1600)\n"
	"def semaphore(context):\n"
	"    libc.semget(0, 1, 0o1600)\n"
	"def messages(context):\n"
	"    libc.msgget(0, 0o1600)\n"
	"def io(context):\n"
	"    libc.syscall(251, 1, os.getppid(), (2 << 13) | 7)\n"
	"def parent(context):\n"
	"    os.setpriority(os.PRIO_PROCESS, os.getppid(), 7)\n"
	"def parents_limit(context):\n"
	"    resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (32, 32))\n"
	"def call(context, method, path, body=b''):\n"
	"    import socket\n"
	"    s = socket.create_connection(os.environ['AWS_LAMBDA_RUNTIME_API'].split(':'))\n"
	"    s.sendall(f'{method} /2018-06-01/runtime/invocation/{path} HTTP/1.1\\r\\nHost: x\\r\\n"
	"Content-Length: {len(body)}\\r\\n\\r\\n'.encode() + body)\n"
	"    return s.recv(65536)\n"
	"def connection(context):\n"
	"    call(context, 'GET', 'nothing')\n"
	"def go_on(context):\n"
	"    call(context, 'POST', context.aws_request_id + '/response', found)\n"
	"    got = call(context, 'GET', 'next')\n"
	"    print('GOT', got)\n"
	"    time.sleep(60)\n"
	"def handler(event, context):\n"
	"    state = pristine()\n"
	"    if event:\n"
	"        globals()['found'] = json.dumps(state).encode()\n"
	"        globals()[event](context)\n"
	"    return state\n"
	"def tries(event, context):\n"
	"    zygote, got = os.getppid(), []\n"
	"    def may(name, f):\n"
	"        try:\n"
	"            if f() != -1:\n"
	"                got.append(name)\n"
	"        except OSError:\n"
	"            pass\n"
	"    for name in ('mem', 'maps', 'fd', 'stat', 'environ', 'task'):\n"
	"        may(name, lambda: os.listdir(f'/proc/{zygote}/{name}') if name in ('fd', 'task') "
	"else open(f'/proc/{zygote}/{name}', 'rb'))\n"
	"    may('ptrace', lambda: libc.ptrace(16, zygote, 0, 0))\n"
	"    buf = ctypes.create_string_buffer(8)\n"
	"    iov = (ctypes.c_void_p * 2)(ctypes.addressof(buf), 8)\n"
	"    may('read', lambda: libc.process_vm_readv(zygote, iov, 1, iov, 1, 0))\n"
	"    may('write', lambda: libc.process_vm_writev(zygote, iov, 1, iov, 1, 0))\n"
	"    fd = os.pidfd_open(zygote) if hasattr(os, 'pidfd_open') else -1\n"
	"    may('descriptor', lambda: libc.syscall(438, fd, 1, 0))\n"
	"    return got\n"
	"def leave(event, context):\n"
	"    if event == 'sys':\n"
	"        sys.exit(4)\n"
	"    if event == 'kill':\n"
	"        os.kill(os.getppid(), 9)\n"
	"        time.sleep(60)\n"
	"    if event == 'stop':\n"
	"        os.kill(os.getppid(), signal.SIGSTOP)\n"
	"        return 1\n"
	"    if event == 'fault':\n"
	"        ctypes.string_at(0)\n"
	"    if event == 'eat':\n"
	"        return len(bytearray(1 << 30))\n"
	"    if event == 'hang':\n"
	"        time.sleep(60)\n"
	"    if event is not None and event != {}:\n"
	"        os._exit(event)\n"
	"    return pristine()\n";

static const char drawn[] = "import os, random, ssl, uuid\n"
			    "random.seed(1)\n"
			    "ssl.RAND_bytes(8)\n"
			    "def handler(event, context):\n"
			    "    return [random.random(), str(uuid.uuid4()), os.urandom(8).hex(), "
			    "ssl.RAND_bytes(8).hex()]\n";

#define FUNCTION(name, handler, more)                                                    \
	"  " name ": {runtime: python3, code: ./code, handler: " handler ", reuse: fork" \
	", timeout: 60s" more "}\n"

static void begin(struct project *s, const char *yaml)
{
	project_begin(s, "");
	project_put(s, "code/app.py", app);
	project_deploy(s, yaml);
	cr_assert_eq(s->run.status, 0, "%s", s->run.err);
}

/* Invoked once; what comes is in s->run. */
static void invoke(struct project *s, const char *function, const char *event)
{
	project_by(s, DAEMON_USER,
		   (const char *const[]){ "invoke", "--report", "-", function, event, NULL });
}

static void expect_start(const struct project *s, const char *start, const char *what)
{
	char want[64];

	(void)snprintf(want, sizeof(want), "\"start\":\"%s\",\"reuse\":\"fork\"", start);
	cr_expect(strstr(s->run.err, want), "%s: %s", what, s->run.err);
}

Test(forked, nothing_is_found_of_the_event_before)
{
	/* What can be set back is; else the context is replaced. */
	static const struct {
		const char *trace, *replaced; /* NULL: it is not */
	} traces[] = {
		{ "{}", NULL },
		{ "\"globals_\"", NULL },
		{ "\"files\"", NULL },
		{ "\"full\"", NULL },
		{ "\"itself\"", NULL },
		{ "\"streams\"", NULL },
		{ "\"timers\"", NULL },
		{ "\"signals\"", NULL },
		{ "\"thread\"", NULL },
		{ "\"connection\"", NULL },
		{ "\"process\"", "a process was left" },
		{ "\"sibling\"", "a process was left" },
		{ "\"memory\"", "a System V IPC object was left" },
		{ "\"semaphore\"", "a System V IPC object was left" },
		{ "\"messages\"", "a System V IPC object was left" },
		{ "\"parent\"", "its scheduling was changed" },
		{ "\"io\"", "its scheduling was changed" },
		{ "\"parents_limit\"", "a process was left" },
		{ "\"go_on\"", "a process was left" },
	};
	char *pristine;
	struct project s;

	begin(&s, "functions:\n" FUNCTION("f", "app.handler", ""));
	invoke(&s, "f", "{}");
	cr_assert_eq(s.run.status, 0, "%s%s", s.run.out, s.run.err);
	expect_start(&s, "cold", "first");
	cr_expect(strstr(s.run.err, "\tInit Duration: "), "%s", s.run.err);
	pristine = strdup(s.run.out);
	cr_assert(pristine && strstr(pristine, "\"n\": 0"), "%s", pristine);
	for (size_t i = 0; i < sizeof(traces) / sizeof(traces[0]); i++) {
		invoke(&s, "f", traces[i].trace);
		cr_expect_eq(s.run.status, 0, "%s: %s", traces[i].trace, s.run.err);
		cr_expect_str_eq(s.run.out, pristine, "%s: %s", traces[i].trace, s.run.out);
		invoke(&s, "f", "{}");
		cr_expect_str_eq(s.run.out, pristine, "%s: %s", traces[i].trace, s.run.out);
		expect_start(&s, traces[i].replaced ? "cold" : "warm", traces[i].trace);
		if (traces[i].replaced)
			cr_expect(strstr(s.run.err, traces[i].replaced), "%s", s.run.err);
	}
	free(pristine);
	OWN("logs", "f");
	cr_expect_null(strstr(s.run.out, "GOT"), "%s", s.run.out);
	project_end(&s);
}

/* Ready before anybody asks, and as pristine. */
Test(forked, zygotes_are_provisioned)
{
	struct project s;

	begin(&s, "functions:\n" FUNCTION("f", "app.handler", ", concurrency: {provisioned: 1}"));
	do
		OWN("functions", "--json");
	while (!strstr(s.run.out, "\"warm\":1"));
	for (int i = 0; i < 2; i++) {
		invoke(&s, "f", "\"globals_\"");
		cr_expect(strstr(s.run.out, "\"n\": 0"), "%s%s", s.run.out, s.run.err);
		expect_start(&s, "warm", "provisioned");
	}
	project_end(&s);
}

/* Of what a fork has in common with its zygote the cgroup has one. */
Test(forked, shared_memory_counts_once)
{
	const uint64_t mib = 1 << 20;
	struct project s;

	project_begin(&s, "");
	project_put(&s, "code/app.py",
		    "kept = b'x' * (48 << 20)\n"
		    "def handler(event, context):\n"
		    "    return len(kept) + len(b'y' * (8 << 20))\n");
	project_deploy(&s, "functions:\n" FUNCTION("f", "app.handler", ""));
	for (int i = 0; i < 3; i++) {
		const char *at;
		uint64_t peak;

		invoke(&s, "f", "{}");
		cr_expect_str_eq(s.run.out, "58720256", "%s%s", s.run.out, s.run.err);
		at = strstr(s.run.err, "\"peak_bytes\":");
		cr_assert(at, "%s", s.run.err);
		peak = strtoull(at + strlen("\"peak_bytes\":"), NULL, 10);
		cr_expect(peak > 56 * mib && peak < 88 * mib, "%" PRIu64, peak);
		expect_start(&s, i ? "warm" : "cold", "memory");
	}
	project_end(&s);
}

Test(forked, random_generators_begin_anew)
{
	struct project s;
	char *first;

	project_begin(&s, "");
	project_put(&s, "code/app.py", drawn);
	project_deploy(&s, "functions:\n" FUNCTION("f", "app.handler", ""));
	invoke(&s, "f", "{}");
	first = strdup(s.run.out);
	cr_assert(first && strlen(first) > 40, "%s", s.run.err);
	invoke(&s, "f", "{}");
	expect_start(&s, "warm", "second");
	cr_expect_neq(strncmp(s.run.out, first, 12), 0, "%s%s", s.run.out, first);
	cr_expect_neq(strcmp(strrchr(s.run.out, ','), strrchr(first, ',')), 0, "%s", s.run.out);
	free(first);
	project_end(&s);
}

/* numpy's is asked for a new seed where it is loaded: what stands in for it counts. */
Test(forked, numpys_generator_begins_anew)
{
	struct project s;

	project_begin(&s, "");
	project_dir(&s, "code/numpy");
	project_put(&s, "code/numpy/__init__.py", "");
	project_put(&s, "code/numpy/random.py",
		    "seeds = 0\ndef seed():\n    global seeds\n    seeds += 1\n");
	project_put(&s, "code/app.py",
		    "import numpy.random\ndef handler(event, context):\n"
		    "    return numpy.random.seeds\n");
	project_deploy(&s, "functions:\n" FUNCTION("f", "app.handler", ""));
	for (int i = 0; i < 2; i++) {
		invoke(&s, "f", "{}");
		cr_expect_str_eq(s.run.out, "1", "%s%s", s.run.out, s.run.err);
	}
	project_end(&s);
}

Test(forked, what_it_is_a_fork_of_is_out_of_its_reach)
{
	struct project s;

	begin(&s, "functions:\n" FUNCTION("f", "app.tries", ""));
	for (int i = 0; i < 2; i++) {
		invoke(&s, "f", "{}");
		cr_expect_eq(s.run.status, 0, "%s%s", s.run.out, s.run.err);
		cr_expect_str_eq(s.run.out, "[]");
		expect_start(&s, i ? "warm" : "cold", "tries");
	}
	project_end(&s);
}

/* As of a process that stays; then it is replaced. */
Test(forked, each_end_is_told_apart)
{
	static const struct {
		const char *event;
		int status;
		const char *verdict;
	} ends[] = {
		{ "3", 3, "error" },
		{ "0", 1, "error" },
		{ "\"sys\"", 4, "error" },
		{ "\"kill\"", 137, "signal" },
		{ "\"fault\"", 139, "signal" },
		{ "\"eat\"", 137, "oom" },
		{ "\"hang\"", 124, "timeout" },
		{ "\"stop\"", 124, "timeout" },
	};
	struct project s;

	begin(&s, "functions:\n" FUNCTION(
			  "f", "app.leave",
			  "") "  h: {runtime: python3, code: "
			      "./code, handler: app.leave, reuse: fork, timeout: 300ms}\n");
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		const char *name = strcmp(ends[i].verdict, "timeout") == 0 ? "h" : "f";
		char want[64];

		(void)snprintf(want, sizeof(want), "\"verdict\":\"%s\"", ends[i].verdict);
		invoke(&s, name, ends[i].event);
		cr_expect_eq(s.run.status, ends[i].status, "%s: %d %s%s", ends[i].event,
			     s.run.status, s.run.out, s.run.err);
		cr_expect(strstr(s.run.err, want), "%s: %s", ends[i].event, s.run.err);
		invoke(&s, "f", "{}");
		cr_expect(strstr(s.run.out, "\"n\": 0"), "%s: %s%s", ends[i].event, s.run.out,
			  s.run.err);
		if (name[0] == 'f')
			expect_start(&s, "cold", ends[i].event);
	}
	project_end(&s);
}

/* ---- init ------------------------------------------------------------------------------------ */

/* As many at a time as an error names: an init takes its time. */
#define SAID_MOST 4
static const struct {
	const char *code, *says[SAID_MOST];
} refused[] = {
	{ "import os, _socket, mmap, _thread, time\n"
	  "host, port = os.environ['AWS_LAMBDA_RUNTIME_API'].split(':')\n"
	  "s = _socket.socket()\n"
	  "s.connect((host, int(port)))\n"
	  "m = mmap.mmap(-1, 4096)\n"
	  "f = open('/var/task/app.py')\n"
	  "_thread.start_new_thread(time.sleep, (60,))\n",
	  { "a thread runs", "(a connection to 127.0.0.1:", "(/var/task/app.py)",
	    "memory is shared (/dev/zero" } },
	{ "import os, signal\n"
	  "open('/tmp/x', 'w').close()\n"
	  "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
	  "if os.fork() == 0:\n"
	  "    while True:\n"
	  "        signal.pause()\n",
	  { "/tmp/x is there", "SIGCHLD is ignored", " runs" } },
};

Test(forked, what_cannot_be_forked_is_refused_at_init)
{
	struct project s;

	project_begin(&s, "");
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		char code[800];

		(void)snprintf(code, sizeof(code), "%sdef handler(event, context):\n    return 1\n",
			       refused[i].code);
		project_put(&s, "code/app.py", code);
		project_deploy(&s, "functions:\n" FUNCTION("f", "app.handler", ""));
		cr_assert_eq(s.run.status, 0, "%s", s.run.err);
		invoke(&s, "f", "{}");
		cr_expect_eq(s.run.status, 1, "%s%s", s.run.out, s.run.err);
		cr_expect(strstr(s.run.err, "\"verdict\":\"init_error\""), "%s", s.run.err);
		for (int k = 0; k < SAID_MOST && refused[i].says[k]; k++)
			cr_expect(strstr(s.run.out, refused[i].says[k]), "%s: %s",
				  refused[i].says[k], s.run.out);
		cr_expect(strstr(s.run.out, "register_before_snapshot"), "%s", s.run.out);
	}
	project_end(&s);
}

/* Closed before, open again for each event: in both ways that there are. */
static const char hooked[] =
	"import os, socket\n"
	"from snapshot_restore_py import register_after_restore, register_before_snapshot\n"
	"address = os.environ['AWS_LAMBDA_RUNTIME_API'].split(':')\n"
	"open_ones = {}\n"
	"def connect(name):\n"
	"    open_ones[name] = socket.create_connection(address)\n"
	"def close(name):\n"
	"    if name in open_ones:\n"
	"        open_ones.pop(name).close()\n"
	"register_before_snapshot(close, 'a')\n"
	"register_after_restore(connect, 'a')\n"
	"os.register_at_fork(before=lambda: close('b'), after_in_child=lambda: connect('b'))\n"
	"def handler(event, context):\n"
	"    return sorted((name, s.getpeername()[0]) for name, s in open_ones.items())\n";

Test(forked, hooks_close_and_open)
{
	struct project s;

	project_begin(&s, "");
	project_put(&s, "code/app.py", hooked);
	project_deploy(&s, "functions:\n" FUNCTION("f", "app.handler", ""));
	cr_assert_eq(s.run.status, 0, "%s", s.run.err);
	invoke(&s, "f", "{}");
	cr_expect_str_eq(s.run.out, "[[\"a\", \"127.0.0.1\"], [\"b\", \"127.0.0.1\"]]", "%s%s",
			 s.run.out, s.run.err);
	project_end(&s);
}

/* ---- native functions ------------------------------------------------------------------------ */

#define NATIVE(name, how)                                                                       \
	"  " name ": {runtime: native, code: ./native, handler: native, reuse: fork, timeout: " \
	"60s, environment: {NATIVE_INIT: " how "}}\n"

static void begin_native(struct project *s)
{
	cleanup_run struct run run = { 0 };
	char from[700], to[700];

	project_begin(s, "");
	project_dir(s, "native");
	(void)snprintf(from, sizeof(from), "%s/native", env_need("HELPERS"));
	(void)snprintf(to, sizeof(to), "%s/native", s->project);
	RUN(&run, "cp", from, to);
	cr_assert_eq(run.status, 0, "%s", run.err);
	project_deploy(s, "functions:\n" NATIVE("n", "well") NATIVE("file", "file")
				  NATIVE("shared", "shared"));
	cr_assert_eq(s->run.status, 0, "%s", s->run.err);
}

Test(forked, of_a_native_function_too)
{
	static const struct {
		const char *event, *answer, *start;
		int status;
	} events[] = {
		{ "count", "1 ", "cold", 0 },
		{ "count", "1 ", "warm", 0 },
		{ "hooks", "1 1", "warm", 0 },
		{ "trace", "left", "warm", 0 },
		{ "tries", "0 0 0 0 0 0", "warm", 0 },
		{ "signals", "0 signals", "warm", 0 },
		{ "signals", "0 signals", "warm", 0 },
		{ "fail", "{\"errorType\":\"Native.Error\"", "warm", 1 },
		{ "process", "process", "warm", 0 },
		{ "count", "1 ", "cold", 0 },
		{ "leave", "{\"errorType\":\"Runtime.ExitError\"", "warm", 9 },
		{ "count", "1 ", "cold", 0 },
		{ "exit", "{\"errorType\":\"Runtime.ExitError\"", "warm", 1 },
		{ "count", "1 ", "cold", 0 },
	};
	struct project s;

	begin_native(&s);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		invoke(&s, "n", events[i].event);
		cr_expect_eq(s.run.status, events[i].status, "%s: %d %s", events[i].event,
			     s.run.status, s.run.err);
		cr_expect(strncmp(s.run.out, events[i].answer, strlen(events[i].answer)) == 0,
			  "%s: %s", events[i].event, s.run.out);
		expect_start(&s, events[i].start, events[i].event);
	}
	invoke(&s, "file", "count");
	cr_expect(strstr(s.run.out, "\"errorType\":\"Runtime.ForkError\""), "%s", s.run.out);
	cr_expect(strstr(s.run.out, "is open (/etc/passwd)"), "%s", s.run.out);
	invoke(&s, "shared", "count");
	cr_expect(strstr(s.run.out, "memory is shared (/dev/zero"), "%s", s.run.out);
	project_end(&s);
}

Test(forked, what_has_no_fork_is_refused_at_deploy)
{
	static const char *const runtimes[] = { "nodejs", "provided", "exec" };
	struct project s;

	project_begin(&s, "");
	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++) {
		char yaml[200];

		(void)snprintf(
			yaml, sizeof(yaml),
			"functions:\n  f:\n    runtime: %s\n    code: code\n    handler: %s\n"
			"    reuse: fork\n",
			runtimes[i], i == 2 ? "[cat]" : "app.handler");
		project_deploy(&s, yaml);
		cr_expect_eq(s.run.status, 1, "%d", s.run.status);
		cr_expect(strstr(s.run.err, "cloche.yaml:6"), "%s", s.run.err);
		cr_expect(strstr(s.run.err, "cannot be forked"), "%s", s.run.err);
	}
	project_end(&s);
}
