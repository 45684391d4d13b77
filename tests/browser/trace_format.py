# SPDX-License-Identifier: MIT
"""The Trace Event Format, strictly: what chrome://tracing, Perfetto and DevTools all take. A reader
that is lenient in one of these draws something else than another one, or nothing."""
import json

# catapult's color_scheme.html; any other name is drawn in a colour made from the event's name.
COLOURS = set("""thread_state_uninterruptible thread_state_iowait thread_state_running
    thread_state_runnable thread_state_sleeping thread_state_unknown background_memory_dump
    light_memory_dump detailed_memory_dump vsync_highlight_color generic_work good bad terrible black
    grey white yellow olive rail_response rail_animation rail_idle rail_load startup
    heap_dump_stack_frame heap_dump_object_type heap_dump_child_node_arrow cq_build_running
    cq_build_passed cq_build_failed cq_build_abandoned cq_build_attempt_runnig
    cq_build_attempt_passed cq_build_attempt_failed""".split())
METADATA = {"process_name": "name", "thread_name": "name", "process_labels": "labels",
            "process_sort_index": "sort_index", "thread_sort_index": "sort_index"}
KEYS = {"ph", "pid", "tid", "ts", "name", "cat", "args", "cname"}
MORE = {"X": {"dur"}, "i": {"s"}, "B": set(), "E": set(), "C": set(), "M": set()}


class Broken(Exception):
    pass


def need(what, event, why):
    if not what:
        raise Broken(f"{why}: {json.dumps(event)}")


def ns(us):
    return round(us * 1000)


# How readers come to the end of a stretch: in floating point, or with both times cut off to ns.
ENDS = {"DevTools": (lambda us: us), "Perfetto": (lambda us: int(us * 1000))}


def unique(pairs):
    keys = [k for k, _ in pairs]
    if len(set(keys)) != len(keys):
        raise Broken(f"a key twice in {keys}")
    return dict(pairs)


def number(x):
    return isinstance(x, (int, float)) and not isinstance(x, bool)


class Trace:
    """What a viewer shows: names of processes and threads, stretches by track, instants, counters."""

    def __init__(self, text):
        self.root = json.loads(text, object_pairs_hook=unique)
        self.processes, self.threads, self.tracks, self.open = {}, {}, {}, {}
        self.instants, self.counters, self.last, self.ends = [], {}, {}, {}
        need(set(self.root) <= {"traceEvents", "displayTimeUnit", "otherData"}, self.root.keys(),
             "unknown key")
        # Perfetto has taken "ns" for the unit of the times themselves.
        need(self.root.get("displayTimeUnit") == "ms", None, "displayTimeUnit")
        for event in self.root["traceEvents"]:
            self._event(event)
        for track, stack in self.open.items():
            need(not stack, stack, f"no end on track {track}")
        for track in {*self.tracks, *((i["pid"], i["tid"]) for i in self.instants)}:
            need(track in self.threads, track, "no thread_name")
            need(track[0] in self.processes, track, "no process_name")

    def _event(self, e):
        ph = e.get("ph")
        need(ph in MORE, e, "unknown phase")
        need(set(e) <= KEYS | MORE[ph], e, "key that this phase has not")
        need(isinstance(e.get("name"), str) and e["name"], e, "no name")
        for key in ("pid", "tid"):
            need(isinstance(e.get(key), int) and 0 <= e[key] < 1 << 31, e, f"bad {key}")
        need(number(e.get("ts")) and e["ts"] >= 0, e, "bad ts")
        need("cname" not in e or e["cname"] in COLOURS, e, "colour that is not a reserved one")
        need("cat" not in e or isinstance(e["cat"], str), e, "bad cat")
        need("args" not in e or isinstance(e["args"], dict), e, "args that are no object")
        {"M": self._metadata, "X": self._whole, "B": self._begin, "E": self._end,
         "i": self._instant, "C": self._counter}[ph](e, (e["pid"], e["tid"]))

    def _metadata(self, e, track):
        need(e["name"] in METADATA, e, "unknown metadata")
        value = e.get("args", {}).get(METADATA[e["name"]])
        if e["name"].endswith("_index"):
            need(isinstance(value, int), e, "bad index")
            return
        need(isinstance(value, str) and value, e, "empty name")
        names, key = ((self.threads, track) if e["name"] == "thread_name" else
                      (self.processes, e["pid"]))
        need(names.setdefault(key, value) == value, e, "a second name")

    def _in_order(self, e, kind, key):
        need(e["ts"] >= self.last.get((kind, key), 0), e, "goes back in time")
        self.last[kind, key] = e["ts"]

    def _stretch(self, e, track, ts, dur):
        before = self.tracks.setdefault(track, [])
        need(not before or before[-1][1] <= ns(ts), e, f"overlaps {before[-1:]}")
        for reader, read in ENDS.items():
            need(self.ends.get((reader, track), 0) <= read(ts), e, f"{reader} sees an overlap")
            self.ends[reader, track] = read(ts) + read(dur)
        need(ns(ts) == int(ts * 1000), e, "a time that is another one when it is cut off")
        before.append((ns(ts), ns(ts) + ns(dur), e))

    def _whole(self, e, track):
        self._in_order(e, "span", track)
        need(number(e.get("dur")) and e["dur"] > 0, e, "bad dur")
        need("cname" in e, e, "no colour")
        self._stretch(e, track, e["ts"], e["dur"])

    def _begin(self, e, track):
        self._in_order(e, "span", track)
        self.open.setdefault(track, []).append(e)

    def _end(self, e, track):
        self._in_order(e, "span", track)
        need(self.open.get(track), e, "an end without a begin")
        begin = self.open[track].pop()
        need(begin["name"] == e["name"], e, f"not the end of {begin}")
        self._stretch(begin, track, begin["ts"], e["ts"] - begin["ts"])

    def _instant(self, e, track):
        need(e.get("s") in ("t", "p", "g"), e, "bad scope")
        self._in_order(e, "instant", track)
        self.instants.append(e)

    def _counter(self, e, _track):
        self._in_order(e, "counter", (e["pid"], e["name"]))
        need(e.get("args") and all(number(v) and v >= 0 for v in e["args"].values()), e,
             "bad counter")
        self.counters.setdefault((e["pid"], e["name"]), []).append(e)
