# SPDX-License-Identifier: MIT
"""A headless Chromium, driven by chromedriver over the W3C WebDriver protocol: no more of it than
these tests need, and nothing but the standard library."""
import base64
import json
import re
import subprocess
import urllib.error
import urllib.request

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--hide-scrollbars"]
STARTED = re.compile(r"started successfully on port (\d+)")
LIMIT_S = 60  # of one answer


class Error(Exception):
    """What WebDriver answered instead of a value: its error code and its message."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code


class Browser:
    def __init__(self, profile):
        self.base = self.session = None
        # Port 0: it takes a free one and says which, when it listens.
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], text=True,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT)
        try:
            self._start(profile)
        except BaseException:
            self.close()
            raise

    def _start(self, profile):
        said = []
        for line in self.driver.stdout:
            said.append(line)
            port = STARTED.search(line)
            if port:
                self.base = f"http://127.0.0.1:{port[1]}"
                break
        else:
            raise RuntimeError("chromedriver did not start: " + "".join(said))
        options = {"args": FLAGS + [f"--user-data-dir={profile}"]}
        self.session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "unhandledPromptBehavior": "ignore"}}})["sessionId"]

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as e:
            why = json.load(e)["value"]
            raise Error(why["error"], why["message"]) from None

    def call(self, method, path, body=None):
        return self._call(method, f"/session/{self.session}{path}", body)

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def run(self, script, *args):
        return self.call("POST", "/execute/sync", {"script": script, "args": args})

    def run_async(self, script, *args):
        """The script's last argument is the function that takes its result."""
        return self.call("POST", "/execute/async", {"script": script, "args": args})

    def devtools(self, command, **params):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def log(self, kind):
        """What was logged since it was asked for last."""
        return self.call("POST", "/se/log", {"type": kind})

    def dialog(self):
        """The text of an open alert, or None."""
        try:
            return self.call("GET", "/alert/text")
        except Error as e:
            if e.code == "no such alert":
                return None
            raise

    def width(self, px):
        self.devtools("Emulation.setDeviceMetricsOverride", width=px, height=900,
                      deviceScaleFactor=1, mobile=False)

    def scheme(self, name):
        self.devtools("Emulation.setEmulatedMedia",
                      features=[{"name": "prefers-color-scheme", "value": name}])

    def picture(self):
        """The whole page, as PNG."""
        return base64.b64decode(self.devtools("Page.captureScreenshot", format="png",
                                              captureBeyondViewport=True)["data"])

    def pdf(self):
        return base64.b64decode(self.call("POST", "/print", {"background": False}))

    def close(self):
        try:
            if self.session:
                self._call("DELETE", f"/session/{self.session}")
        finally:
            self.driver.terminate()
            self.driver.communicate()
