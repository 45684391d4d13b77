# SPDX-License-Identifier: MIT
"""What `cloche trace --format perfetto` writes: the format to the letter, the report's figures to the
nanosecond, and a viewer that opens it. The viewer is the one that Chromium brings along: DevTools'
performance panel, whose trace model reads the file and builds the tracks."""
import itertools
import json
import unittest

import trace_format

browser = folder = out = None
WHOLE = (0, 0)  # the track of the invocation itself
STATES = {"on CPU": "good", "waiting": "bad", "throttled": "terrible"}
PARTS = {"busy": "good", "held by its quota": "terrible", "waiting for others": "bad", "idle": "grey"}
PANEL = "devtools://devtools/bundled/devtools_app.html?panel=timeline"
MODEL = "devtools://devtools/bundled/models/trace/trace.js"
READ = """
const [model, text, done] = arguments;
(async () => {
	const file = JSON.parse(text);
	const {TraceModel} = await import(model);
	if (!TraceModel?.Model?.createWithAllHandlers)
		return {missing: true};
	const reader = TraceModel.Model.createWithAllHandlers();
	await reader.parse(file.traceEvents, {metadata: {}});
	const {data} = reader.parsedTrace();
	const threads = [];
	for (const [pid, process] of data.Renderer.processes)
		for (const [tid, thread] of process.threads)
			threads.push({pid, tid, name: thread.name,
				entries: thread.entries.map(e =>
					[e.name, e.ts, e.dur || 0, data.Renderer.entryToNode.get(e)?.depth, e.ph])});
	return {generic: data.Meta.traceIsGeneric, threads};
})().then(done, e => done({error: `${e}\\n${e.stack}`}));
"""


def text_of(name):
    with open(f"{folder}/{name}", encoding="utf-8") as f:
        return f.read()


def lines_of(name):
    return [json.loads(line) for line in text_of(name).splitlines()]


def total(stretches, name=None):
    return sum(end - start for start, end, e in stretches if name in (None, e["name"]))


def union(stretches):
    """How long at least one of them lasted."""
    covered, until = 0, 0
    for start, end, _ in sorted(stretches, key=lambda s: s[:2]):
        covered += max(0, end - max(start, until))
        until = max(until, end)
    return covered


class TraceTest(unittest.TestCase):
    def setUp(self):
        self.text = text_of("busy.perfetto.json")
        self.trace = trace_format.Trace(self.text)
        self.report = json.loads(text_of("busy.json"))
        self.events = lines_of("busy.jsonl")[1:]

    def threads(self):
        return {t: s for t, s in self.trace.tracks.items() if t != WHOLE}

    def test_format_of_a_short_one(self):
        trace = trace_format.Trace(text_of("late.perfetto.json"))
        self.assertEqual(total(trace.tracks[WHOLE]), json.loads(text_of("late.json"))["time"]["wall_ns"])

    def test_it_says_which_run_it_is(self):
        self.assertEqual(self.trace.root["otherData"]["request_id"], self.report["request_id"])
        self.assertIs(self.trace.root["otherData"]["complete"], True)

    def test_processes_and_threads_have_their_names(self):
        pid = self.events[0]["pid"]
        last = {e["tid"]: e["comm"] for e in self.events if e.get("tid")}
        self.assertEqual(self.trace.processes, {0: "invocation", pid: "python3"})
        self.assertEqual(self.trace.threads,
                         {WHOLE: "wall time", **{(pid, tid): name for tid, name in last.items()}})
        self.assertEqual(set(self.trace.tracks), set(self.trace.threads))

    def test_wall_time_is_covered_and_is_the_report_s(self):
        wall, time, bill = self.trace.tracks[WHOLE], self.report["time"], self.report["bill"]
        self.assertEqual(wall[0][0], 0)
        self.assertEqual(wall[-1][1], time["wall_ns"])
        for a, b in itertools.pairwise(wall):
            self.assertEqual(a[1], b[0])
            self.assertNotEqual(a[2]["name"], b[2]["name"])
        self.assertEqual({e["name"]: e["cname"] for _, _, e in wall}, PARTS)
        self.assertEqual(total(wall, "busy"), time["busy_ns"])
        self.assertEqual(total(wall, "idle"), time["idle_ns"])
        self.assertEqual(total(wall, "waiting for others"), bill["contention_ns"])
        self.assertEqual(total(wall, "held by its quota"), time["waiting_ns"] - bill["contention_ns"])

    def test_threads_show_cpu_waiting_and_throttling(self):
        spans = [s for track in self.threads().values() for s in track]
        self.assertEqual({e["name"]: e["cname"] for _, _, e in spans}, STATES)
        running = [s for s in spans if s[2]["name"] == "on CPU"]
        self.assertEqual(union(running), self.report["time"]["busy_ns"])
        for _, _, e in running:
            self.assertIsInstance(e["args"]["cpu"], int)
        for track, stretches in self.threads().items():
            self.assertGreater(total(stretches, "on CPU"), 0, track)

    def test_what_happened_is_there_at_its_time(self):
        begin = self.events[-1]["begin_ns"]
        names = ("exec", "open", "denied", "exit", "fork")
        want = sorted((e["at_ns"] - begin, e["tid"], e["event"]) for e in self.events
                      if e["event"] in names)
        self.assertEqual(sorted((trace_format.ns(e["ts"]), e["tid"], e["name"])
                                for e in self.trace.instants if e["name"] in names), want)
        self.assertLess({"exec", "open", "denied", "exit"}, {w[2] for w in want})
        said = [e["args"]["what"] for e in self.trace.instants]
        self.assertIn("exec /usr/bin/python3 /var/task/function.py '<script>alert(1)</script>'", said)

    def test_counter_is_the_sum_of_the_threads(self):
        (key, values), = self.trace.counters.items()
        self.assertEqual(key, (0, "threads"))
        self.assertEqual(set(values[-1]["args"].values()), {0})
        at = {trace_format.ns(c["ts"]): c["args"] for c in values}
        self.assertEqual(set(at), {edge for track in self.threads().values()
                                   for start, end, _ in track for edge in (start, end)})
        for when, counts in at.items():
            for state in STATES:
                self.assertEqual(counts[state], sum(
                    start <= when < end and e["name"] == state
                    for track in self.threads().values() for start, end, e in track))

    def test_a_viewer_opens_it(self):
        browser.open(PANEL)
        read = browser.run_async(READ, MODEL, self.text)
        if read.get("missing") or "module" in read.get("error", "").splitlines()[:1]:
            self.skipTest(f"the DevTools of this Chromium have no trace model at {MODEL}")
        self.assertNotIn("error", read, read.get("error"))
        self.assertTrue(read["generic"])
        shown = {(t["pid"], t["tid"]): t for t in read["threads"]}
        self.assertEqual({key: t["name"] for key, t in shown.items()}, self.trace.threads)
        for track, stretches in self.trace.tracks.items():
            self.assertEqual(
                [(name, trace_format.ns(ts), trace_format.ns(ts) + trace_format.ns(dur), depth)
                 for name, ts, dur, depth, ph in shown[track]["entries"] if ph == "X"],
                [(e["name"], start, end, 0) for start, end, e in stretches], track)
