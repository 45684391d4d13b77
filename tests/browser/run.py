# SPDX-License-Identifier: MIT
"""Runs the browser tests: run.py CLOCHE DIR OUT. DIR holds the reports and traces that check.sh
recorded; "passed failed skipped" goes to DIR/counts, what the browser showed to OUT."""
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import unittest

import page_test
import trace_test
import webdriver

SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1


class Result(unittest.TestResult):
    passed = 0

    def _say(self, test, what):
        print(f"  {'browser/' + test.id().split('.', 1)[-1]:<40} {what}", flush=True)

    def addSuccess(self, test):
        self.passed += 1

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._say(test, f"skipped: {reason}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._say(test, "failed:\n" + self.failures[-1][1].replace("\n", "\n    "))

    def addError(self, test, err):
        super().addError(test, err)
        self._say(test, "failed:\n" + self.errors[-1][1].replace("\n", "\n    "))

    def addSubTest(self, test, subtest, err):
        if err:
            self.addFailure(subtest, err)


def loopback_up():
    """This network namespace is new: not even chromedriver could be reached in it."""
    with socket.socket() as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))


def main():
    cloche, folder, out = sys.argv[1:]
    # The first process of its pid namespace: the browser ends with it.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(130))
    loopback_up()
    page_test.hostile_report(f"{folder}/busy.json", f"{folder}/hostile.json")
    for name, sources in {"one": ("busy.json", "busy.jsonl"),
                          "several": ("late.json", "hostile.json", "late.jsonl")}.items():
        subprocess.run([cloche, "report", *(f"{folder}/{s}" for s in sources),
                        "--html", f"{folder}/{name}.html"], check=True)
    for name in ("busy", "late"):
        subprocess.run([cloche, "trace", f"{folder}/{name}.jsonl", "--format", "perfetto",
                        "-o", f"{folder}/{name}.perfetto.json"], check=True)

    os.mkdir(f"{folder}/profile")
    browser = webdriver.Browser(f"{folder}/profile")
    result = Result()
    try:
        for module in (page_test, trace_test):
            module.browser, module.folder, module.out = browser, folder, out
            unittest.defaultTestLoader.loadTestsFromModule(module).run(result)
    finally:
        browser.close()
    failed, skipped = len(result.failures) + len(result.errors), len(result.skipped)
    if os.environ.get("CLOCHE_MUST_RUN") == "1":
        failed, skipped = failed + skipped, 0
    with open(f"{folder}/counts", "w", encoding="ascii") as f:
        print(result.passed, failed, skipped, file=f)


main()
