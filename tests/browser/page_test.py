# SPDX-License-Identifier: MIT
"""The page of `cloche report` as a person sees it: that it loads and asks for nothing, that the
picture and the figures are those of the report, that it can be read at any width, in the dark and on
paper, and that what a function wrote stays text."""
import itertools
import json
import pathlib
import re
import unittest
import zlib

import png

browser = folder = out = None
LOOK = (pathlib.Path(__file__).parent / "look.js").read_text(encoding="utf-8")
WIDTHS = (1280, 400)
PAPER = 717  # what is left of A4 between its margins
PARTS = ("busy", "held by its quota", "waiting for others", "idle")
EVIL = "</h2></td></svg><img src=x onerror=alert(1)><script>alert(1)</script>\"'&amp;"
# Every element that the page is made of. Whatever else there is was let in.
ELEMENTS = set("html head meta title style body h1 h2 h3 section span small p svg rect path ul li i b "
               "div table tbody tr th td code".split())


# ---- what is expected, from the report alone ------------------------------------------------

def load(name):
    with open(f"{folder}/{name}", encoding="utf-8") as f:
        return json.load(f)


def hostile_report(source, target):
    """A report that is hostile wherever it holds text, and of which nothing else was measured."""
    def spoil(value, key=None):
        if isinstance(value, dict):
            return {k: spoil(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [spoil(v) for v in value]
        if isinstance(value, str) and key != "schema":
            return EVIL
        return None if isinstance(value, (int, float)) else value

    with open(source, encoding="utf-8") as f:
        report = spoil(json.load(f))
    report["message"] = EVIL
    report["degraded"] = [{"what": EVIL, "reason": EVIL}]
    with open(target, "w", encoding="utf-8") as f:
        json.dump(report, f)


def time_text(ns):
    for limit, divisor, unit in ((10**6, 10**3, "µs"), (10**9, 10**6, "ms"), (None, 10**9, "s")):
        if ns < 1000:
            return f"{ns} ns"
        if limit is None or ns < limit:
            return f"{ns / divisor:.3f} {unit}"


def mib(n):
    return f"{n / 1048576:.2f} MiB"


def parts_ns(report):
    time, others = report["time"], report["bill"]["contention_ns"]
    return dict(zip(PARTS, (time["busy_ns"], time["waiting_ns"] - others, others, time["idle_ns"])))


def used(r):
    return {"on CPU, all threads": time_text(r["cpu"]["on_cpu_ns"]),
            "on a run queue": time_text(r["cpu"]["runnable_ns"]),
            "throttled": time_text(r["cpu"]["throttled_ns"]),
            "launch (not billed)": time_text(r["time"]["launch_ns"]),
            "switches, voluntary": str(r["cpu"]["switches_voluntary"]),
            "switches, forced": str(r["cpu"]["switches_forced"]),
            "memory, peak": mib(r["memory"]["peak_bytes"]),
            "page cache beside it": mib(r["memory"]["cache_bytes"]),
            "memory, limit": mib(r["memory"]["limit_bytes"]),
            "page faults, minor": str(r["memory"]["faults_minor"]),
            "page faults, major": str(r["memory"]["faults_major"]),
            "OOM kills": str(r["memory"]["oom_kills"]),
            "read": mib(r["io"]["read_bytes"]),
            "written": mib(r["io"]["write_bytes"]),
            "received": mib(r["network"]["rx_bytes"]),
            "sent": mib(r["network"]["tx_bytes"]),
            "processes started": str(r["processes"]["started"]),
            "processes, peak": str(r["processes"]["peak"])}


def costs(r):
    return {"duration": time_text(r["bill"]["duration_ns"]),
            "billed, ms": str(r["bill"]["billed_ms"]),
            "GB-seconds": r["bill"]["gb_seconds"],
            "US dollars": r["bill"]["usd"],
            "price list": r["bill"]["prices"],
            "of it, waiting for others": time_text(r["bill"]["contention_ns"]),
            "vCPUs": f"{r['limits']['vcpus']:.6g}"}


# ---- what is seen ---------------------------------------------------------------------------

def rgb(css):
    return tuple(int(float(n)) for n in re.findall(r"[\d.]+", css)[:3])


def luminance(colour):
    part = [c / 255 for c in colour]
    part = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in part]
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2]


def contrast(text):
    """As WCAG 2 has it, of the colour that is left after opacity."""
    front, back = rgb(text["color"]), rgb(text["back"])
    front = [f * text["opacity"] + b * (1 - text["opacity"]) for f, b in zip(front, back)]
    high, low = sorted((luminance(front), luminance(back)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def pdf_colours(pdf):
    """Every fill colour that the pages set, in 255ths."""
    found = set()
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.S):
        try:
            text = zlib.decompressobj().decompress(stream)
        except zlib.error:
            continue  # not a compressed one: a picture or a font
        for numbers in re.findall(rb"([\d.]+) ([\d.]+) ([\d.]+) rg\b", text):
            found.add(tuple(round(float(n) * 255) for n in numbers))
    return found


class PageTest(unittest.TestCase):
    name = "one"

    def setUp(self):
        browser.width(WIDTHS[0])
        browser.scheme("light")
        browser.log("browser")
        browser.log("performance")
        self.url = f"file://{folder}/{self.name}.html"
        browser.open(self.url)

    def look(self):
        return browser.run(LOOK)

    def keep(self, what):
        with open(f"{out}/{what}", "wb") as f:
            f.write(browser.picture() if what.endswith("png") else browser.pdf())


class Both:
    """What holds for whatever was reported."""

    def test_loads_and_asks_for_nothing(self):
        self.assertEqual(browser.run("return document.title"), "Cloche report")
        self.assertEqual(browser.run("return document.readyState"), "complete")
        self.assertEqual(browser.log("browser"), [])
        asked = [json.loads(e["message"])["message"] for e in browser.log("performance")]
        self.assertEqual([e["params"]["request"]["url"] for e in asked
                          if e["method"] == "Network.requestWillBeSent"], [self.url])
        self.assertEqual(browser.run(
            "return performance.getEntriesByType('resource').map(e => e.name)"), [])

    def test_hostile_text_is_text(self):
        self.assertIsNone(browser.dialog())
        found = browser.run("return [...document.querySelectorAll('*')].map(e => e.localName)")
        self.assertLessEqual(set(found), ELEMENTS)
        self.assertEqual(browser.run(
            "return [...document.querySelectorAll('*')].flatMap(e => [...e.attributes])"
            ".map(a => a.name).filter(n => n.startsWith('on') || n == 'src' || n == 'href')"), [])

    def test_nothing_runs_over_the_edge(self):
        for width in WIDTHS:
            browser.width(width)
            seen = self.look()
            self.keep(f"{self.name}-{width}.png")
            with self.subTest(width=width):
                self.assertLessEqual(seen["wide"], seen["view"])
                self.assertLessEqual(seen["view"], width)
                for text in seen["texts"]:
                    for place in text["boxes"]:
                        self.assertGreaterEqual(place["left"], 0, text)
                        self.assertLessEqual(place["right"], seen["view"], text)

    def test_text_can_be_read(self):
        for width, scheme in itertools.product(WIDTHS, ("light", "dark")):
            browser.width(width)
            browser.scheme(scheme)
            seen = self.look()
            if scheme == "dark":
                self.keep(f"{self.name}-{width}-dark.png")
            with self.subTest(width=width, scheme=scheme):
                back = luminance(rgb(seen["texts"][0]["back"]))
                self.assertTrue(back < 0.1 if scheme == "dark" else back > 0.9)
                for text in seen["texts"]:
                    self.assertGreaterEqual(contrast(text), 4.5, text)
                    self.assertGreaterEqual(text["size"], 11, text)
                for sample in itertools.chain(*seen["legends"]):
                    self.assertGreaterEqual(
                        contrast({**sample, "back": seen["texts"][0]["back"], "opacity": 1}), 3, sample)

    def test_no_text_lies_on_another(self):
        for width in WIDTHS:
            browser.width(width)
            lines = [(t["text"], b) for t in self.look()["texts"] for b in t["boxes"]]
            with self.subTest(width=width):
                for (one, a), (other, b) in itertools.combinations(lines, 2):
                    self.assertFalse(
                        min(a["right"], b["right"]) - max(a["left"], b["left"]) > 1 and
                        min(a["bottom"], b["bottom"]) - max(a["top"], b["top"]) > 4,
                        f"{one!r} and {other!r}")


class OneTest(Both, PageTest):
    """A busy function with threads, and its trace."""

    def test_bar_is_the_wall_time(self):
        part = parts_ns(load("busy.json"))
        for width in WIDTHS:
            browser.width(width)
            seen = self.look()
            bar, legend = seen["bars"][0], seen["legends"][0]
            image = png.pixels(browser.picture())
            with self.subTest(width=width):
                whole = bar["right"] - bar["left"]
                self.assertGreater(whole, width * 0.8)
                self.assertGreaterEqual(bar["bottom"] - bar["top"], 20)
                self.assertEqual(len(bar["shapes"]), len(PARTS))
                at, drawn = bar["left"], 0
                for shape, sample, name in zip(bar["shapes"], legend, PARTS):
                    self.assertAlmostEqual(shape["left"], at, delta=1, msg=name)
                    at += part[name] / sum(part.values()) * whole
                    self.assertAlmostEqual(shape["right"], at, delta=1, msg=name)
                    self.assertEqual(shape["fill"], sample["color"], name)
                    self.assertGreater(sample["width"], 8)
                    if shape["right"] - shape["left"] < 3:
                        continue  # its pixels are its neighbours', too
                    drawn += 1
                    self.assertTrue(shape["seen"], name)
                    middle = image[int((bar["top"] + bar["bottom"]) / 2)][
                        int((shape["left"] + shape["right"]) / 2)]
                    self.assertEqual(middle, rgb(sample["color"]), name)
                self.assertAlmostEqual(at, bar["right"], delta=1)
                self.assertGreaterEqual(drawn, 3)
                self.assertEqual(len({s["color"] for s in legend}), len(PARTS))

    def test_timeline_has_a_row_for_each_thread(self):
        names, part = {}, parts_ns(load("busy.json"))
        with open(f"{folder}/busy.jsonl", encoding="utf-8") as f:
            for event in map(json.loads, f):
                if event.get("tid"):
                    names[event["tid"]] = event["comm"]
        self.assertEqual(len(names), 4)
        for width in WIDTHS:
            browser.width(width)
            seen = self.look()
            wall, *threads = seen["rows"]
            colours = {s["text"]: s["color"] for legend in seen["legends"] for s in legend}
            with self.subTest(width=width):
                self.assertEqual(wall["name"], "wall time")
                self.assertEqual({t["name"] for t in threads},
                                 {f"{tid} {name}" for tid, name in names.items()})
                self.assertEqual({s["fill"] for t in threads for s in t["shapes"]},
                                 {colours[s] for s in ("on CPU", "waiting", "throttled")})
                for row in seen["rows"]:
                    self.assertGreater(row["right"] - row["left"], width * 0.6, row["name"])
                    self.assertGreaterEqual(row["bottom"] - row["top"], 10)
                    self.assertEqual((row["left"], row["right"]), (wall["left"], wall["right"]))
                    for a, b in itertools.pairwise(row["shapes"]):
                        self.assertLessEqual(a["right"], b["left"] + 0.5, row["name"])
                whole, sums = wall["right"] - wall["left"], [0] * len(PARTS)
                for shape in wall["shapes"]:
                    sums[int(shape["kind"][1])] += shape["right"] - shape["left"]
                self.assertAlmostEqual(sum(sums), whole, delta=1)
                # Stretches too thin to be seen go with their neighbours.
                for drawn, name in zip(sums, PARTS):
                    self.assertAlmostEqual(drawn / whole, part[name] / sum(part.values()),
                                           delta=0.03, msg=name)

    def test_figures_are_the_report_s(self):
        report = load("busy.json")
        seen = self.look()
        section, part = seen["sections"][0], parts_ns(report)
        self.assertEqual(len(seen["sections"]), 1)
        self.assertEqual(report["time"]["wall_ns"], sum(part.values()))
        self.assertEqual(section["heading"],
                         f"ok hostile {report['request_id']}, {report['started_at']}")
        self.assertEqual(section["wall"], "Where the wall time went: " +
                         time_text(report["time"]["wall_ns"]))
        self.assertEqual([s["text"] for s in seen["legends"][0]],
                         [f"{name} {time_text(ns)} {ns / sum(part.values()) * 100:.1f} %"
                          for name, ns in part.items()])
        self.assertEqual(dict(section["tables"]["What it used"]), used(report))
        self.assertEqual(dict(section["tables"]["What it costs"]), costs(report))
        self.assertEqual(section["tables"]["What was denied"][1:],
                         [[f"{d['syscall']}({', '.join(d['args'])})", d["errno"], str(d["count"])]
                          for d in report["denied"]])
        self.assertIn("unshare", [d["syscall"] for d in report["denied"]])
        self.assertNotIn("incomplete", section["text"])

    def test_figures_stay_in_one_line(self):
        report = load("busy.json")
        figures = {*used(report).values(), *costs(report).values()}
        for width in (*WIDTHS, PAPER):
            browser.width(width)
            with self.subTest(width=width):
                lines = {t["text"]: len(t["boxes"]) for t in self.look()["texts"]}
                self.assertEqual({f for f in figures if lines[f] > 1}, set())

    def test_it_tells_what_the_function_did(self):
        did = [row[3] for row in self.look()["sections"][0]["tables"]["What it did"]]
        self.assertIn("exec /usr/bin/python3 /var/task/function.py '<script>alert(1)</script>'", did)
        self.assertIn("open '/tmp/<img src=x onerror=alert(2)>' to create or write", did)
        self.assertEqual(len([d for d in did if d.startswith("new thread ")]), 3)
        self.assertEqual(len([d for d in did if re.match(r"denied unshare\(.*: EPERM$", d)]), 1)
        self.assertEqual(did[-1], "exit 0")

    def test_it_prints(self):
        legend = self.look()["legends"][0]
        browser.scheme("dark")
        dark = {rgb(t[c]) for t in self.look()["texts"] for c in ("color", "back")}
        self.keep("one.pdf")
        pdf = browser.pdf()
        self.assertEqual(pdf[:5], b"%PDF-")
        self.assertIn(len(re.findall(rb"/Type /Page\b", pdf)), range(1, 6))
        colours = pdf_colours(pdf)
        for sample in legend:
            self.assertIn(rgb(sample["color"]), colours, sample["text"])
        # Paper is white, whatever the screen is, and the legend's samples are printed too.
        self.assertEqual(colours & dark, set())
        browser.run("document.querySelectorAll('svg').forEach(s => s.remove())")
        colours = pdf_colours(browser.pdf())
        for sample in legend:
            self.assertIn(rgb(sample["color"]), colours, sample["text"])


class SeveralTest(Both, PageTest):
    """A timeout with its trace, and a report that is hostile and has no figures."""
    name = "several"

    def test_each_has_its_section(self):
        late = load("late.json")
        first, second = self.look()["sections"]
        self.assertTrue(first["heading"].startswith(f"timeout one run {late['request_id']}, "))
        self.assertEqual(dict(first["tables"]["What it used"]), used(late))
        self.assertEqual(dict(first["tables"]["What it costs"]), costs(late))
        self.assertIn("\nSIGKILL. Task timed out after 0.30 seconds\n", first["text"])
        self.assertEqual(second["heading"], f"{EVIL} {EVIL} {EVIL}, {EVIL}")

    def test_null_is_not_zero(self):
        section = self.look()["sections"][1]
        self.assertIn("Not measured", section["text"])
        self.assertEqual({v for _, v in section["tables"]["What it used"]}, {"not measured"})
        self.assertEqual({v for _, v in section["tables"]["What it costs"]}, {"not measured", EVIL})
        self.assertEqual(section["tables"]["Degraded"], [[EVIL, EVIL]])
        self.assertEqual(section["tables"]["What was denied"][1][1:], [EVIL, "not measured"])
