"""A headless Chromium, driven through a pair of pipes by the Chrome DevTools Protocol."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time

MACOS = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"  # where it is on no path
NAMES = ("chromium", "chromium-browser", "google-chrome", MACOS)
PROGRAM = next(filter(None, map(shutil.which, NAMES)), None)
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
)
LIMIT = 60


class Browser:
    """One page. `said`: what its console was told, and what it threw; `errors`: what of it are no mere words;
    `requests`: every address that it asked for.
    """

    def __init__(self, *options):
        self.said, self.errors, self.requests = [], [], []
        self._numbers = itertools.count(1)
        self._folder = tempfile.TemporaryDirectory(prefix="browser-")
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        # Chromium reads commands from descriptor 3 and answers on 4.
        shell = f'exec 3<&{commands} 4>&{answers}; exec "$@"'
        arguments = [
            PROGRAM,
            *OPTIONS,
            *options,
            "--remote-debugging-pipe",
            f"--user-data-dir={self._folder.name}",
            "about:blank",
        ]
        self._process = subprocess.Popen(
            ["bash", "-c", shell, "bash", *arguments],
            pass_fds=(commands, answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"HOME": self._folder.name},
        )
        os.close(commands)
        os.close(answers)
        self._buffer = b""
        self._session = None
        page = next(each for each in self.ask("Target.getTargets")["targetInfos"] if each["type"] == "page")
        self._session = self.ask("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def open(self, place, *, width=1200, height=900, dark=False):
        """Open a file, or an address, and wait until it is loaded."""
        self.said.clear()
        self.errors.clear()
        self.requests.clear()
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask("Page.navigate", url=place if isinstance(place, str) else place.resolve().as_uri())
        self.wait("document.readyState === 'complete'")

    def run(self, script):
        """The value of an expression in the page; a promise is waited for."""
        answer = self.ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition):
        """Wait until an expression is true."""
        end = time.monotonic() + LIMIT
        while not self.run(condition):
            assert time.monotonic() < end, f"{condition} did not become true; the page said {self.said}"
            time.sleep(0.05)

    def click(self, selector):
        """Click the middle of an element, as a mouse does."""
        x, y = self.run(
            f"(() => {{ const element = document.querySelector({json.dumps(selector)});"
            "element.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const box = element.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2] })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def pick(self, selector, *paths):
        """Pick files for an input, as a person does in the system's window."""
        document = self.ask("DOM.getDocument")["root"]["nodeId"]
        node = self.ask("DOM.querySelector", nodeId=document, selector=selector)["nodeId"]
        self.ask("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def picture(self, *, whole=True):
        """A PNG of the page."""
        return base64.b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def pdf(self):
        """The page as it is printed."""
        return base64.b64decode(self.ask("Page.printToPDF", preferCSSPageSize=True)["data"])

    def ask(self, method, **parameters):
        """A command and its result; events that come meanwhile are kept."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self._keep(answer)

    def _read(self):
        while b"\0" not in self._buffer:
            chunk = os.read(self._answers, 1 << 16)
            assert chunk, "the browser ended"
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _keep(self, event):
        method, parameters = event["method"], event["params"]
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self._hear(parameters["exceptionDetails"]["exception"].get("description"), "error")
        elif method == "Runtime.consoleAPICalled":
            self._hear(" ".join(str(each.get("value")) for each in parameters["args"]), parameters["type"])
        elif method == "Log.entryAdded":
            self._hear(parameters["entry"]["text"], parameters["entry"]["level"])

    def _hear(self, text, level):
        self.said.append(text)
        if level in ("error", "assert"):
            self.errors.append(text)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._process.terminate()
        self._process.wait(LIMIT)
        os.close(self._commands)
        os.close(self._answers)
        self._folder.cleanup()
