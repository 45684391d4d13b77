/* SPDX-License-Identifier: MIT */
/* What a kept process does behind its answer: nothing, as it is frozen; and what its clocks show
 * then. Needs root. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <unistd.h>

#include "tests/lib/functions.h"

/* A thread that is there from init on notes the longest time between two of its turns; a timer is
 * set that comes due while nobody asks. */
static const char app[] =
	"import signal, threading, time\n"
	"CLOCKS = {'monotonic': time.CLOCK_MONOTONIC, 'boot': time.CLOCK_BOOTTIME,\n"
	"          'real': time.CLOCK_REALTIME, 'cpu': time.CLOCK_PROCESS_CPUTIME_ID}\n"
	"longest, went_off, began = 0, None, {}\n"
	"def turns():\n"
	"    global longest\n"
	"    last = time.monotonic()\n"
	"    while True:\n"
	"        time.sleep(0.001)\n"
	"        now = time.monotonic()\n"
	"        longest, last = max(longest, now - last), now\n"
	"threading.Thread(target=turns, daemon=True).start()\n"
	"def go_off(*_):\n"
	"    global went_off\n"
	"    went_off = time.monotonic()\n"
	"signal.signal(signal.SIGALRM, go_off)\n"
	"def read():\n"
	"    return {name: time.clock_gettime(clock) for name, clock in CLOCKS.items()}\n"
	"def handler(event, context):\n"
	"    global began\n"
	"    if event == 'begin':\n"
	"        began = read()\n"
	"        signal.setitimer(signal.ITIMER_REAL, 0.9)\n"
	"        return None\n"
	"    time.sleep(0.02)\n"
	"    return {'longest': longest, 'due': went_off - began['monotonic'],\n"
	"            **{name: value - began[name] for name, value in read().items()}}\n";

#define PAUSE_S 1.0

static double number(const json_t *j, const char *name)
{
	const json_t *value = json_object_get(j, name);

	cr_assert(json_is_number(value), "%s", name);
	return json_number_value(value);
}

Test(frozen, what_is_behind_an_answer_waits_for_the_next_event)
{
	static const char *const all[] = { "longest", "due", "monotonic", "boot", "real" };
	struct project s;
	json_t *j;

	project_begin(&s, "");
	project_put(&s, "code/app.py", app);
	project_deploy(&s, "functions:\n  f: {runtime: python3, code: code, handler: app.handler, "
			   "timeout: 60s, memory: 1769}\n");
	OWN("invoke", "-q", "f", "\"begin\"");
	project_expect(&s, "null");
	(void)usleep((useconds_t)(PAUSE_S * 1e6));
	OWN("invoke", "-q", "f", "\"end\"");
	j = json_loads(s.run.out, 0, NULL);
	cr_assert_not_null(j, "%s%s", s.run.out, s.run.err);
	/* Time went on without it: no turn of its thread, no timer's end in all of the pause. */
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		cr_expect_geq(number(j, all[i]), PAUSE_S, "%s: %s", all[i], s.run.out);
	cr_expect_lt(number(j, "cpu"), number(j, "monotonic") - PAUSE_S + 0.1, "%s", s.run.out);
	json_decref(j);
	project_end(&s);
}
