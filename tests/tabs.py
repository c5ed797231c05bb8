"""A tab of a real browser as a person uses it: keys, pointer, finger; what is seen, and what the browser logs."""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.browser import FLAGS, stop

LIMIT = 30.0  # seconds until something must have happened
# Chromium reads commands from its file 3 and writes what happens to its file 4: no port, and no library.
LAUNCH = (
    "import fcntl, os, sys\n"
    "pair = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]\n"
    "[os.dup2(file, place) for place, file in enumerate(pair, start=3)]\n"
    "os.execv(sys.argv[3], sys.argv[3:])\n"
)
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
KEYS |= {"End": 35, "Home": 36, "Backspace": 8, "Delete": 46}
TEXTS = {"Enter": "\r", " ": " "}
SHIFT = 8
FOCUS = "(({ id, name, textContent }) => [id, name || '', textContent.trim()])(document.activeElement)"


class Tab:
    """One page of a browser."""

    def __init__(self, commands: int, events: int) -> None:
        self.commands, self.events, self.buffer, self.number = commands, events, b"", 0
        self.session = ""
        self.seen = list[dict[str, Any]]()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Tell the browser something, and wait for what it says to that."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        message |= {"sessionId": self.session} if self.session else {}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.commands, data) :]
        while True:
            answer = self.read(LIMIT)
            assert answer, f"{method}: the browser says nothing"
            if answer.get("id") == self.number:
                assert "error" not in answer, f"{method}: {answer.get('error')}"
                return dict(answer["result"])
            self.seen.append(answer)

    def read(self, seconds: float) -> dict[str, Any]:
        """Return the next thing that the browser says, or nothing within that time."""
        until = time.monotonic() + seconds
        while b"\0" not in self.buffer:
            if not select.select([self.events], [], [], max(0.0, until - time.monotonic()))[0]:
                return {}
            part = os.read(self.events, 1 << 20)
            assert part, "the browser has ended"
            self.buffer += part
        line, _, self.buffer = self.buffer.partition(b"\0")
        return dict(json.loads(line))

    def open(self, url: str) -> None:
        """Go to a page, and wait until it is there."""
        self.seen.clear()
        answer = self.call("Page.navigate", url=url)
        assert "errorText" not in answer, f"{url}: {answer.get('errorText')}"
        until = time.monotonic() + LIMIT
        while not any(event.get("method") == "Page.loadEventFired" for event in self.seen):
            assert time.monotonic() < until, f"{url} does not load"
            self.seen.append(self.read(1.0))

    def run(self, script: str) -> Any:
        """Return what an expression of the page's language gives."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, f"{script}: {answer.get('exceptionDetails')}"
        return answer["result"].get("value")

    def until(self, script: str) -> Any:
        """Wait until an expression is true, and return it."""
        end = time.monotonic() + LIMIT
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"never true: {script}; the page says {self.text()[:500]!r}"
            time.sleep(0.03)
        return value

    def text(self) -> str:
        """Return what a person reads on the page."""
        return str(self.run("document.body.innerText"))

    def press(self, key: str, times: int = 1, *, shift: bool = False) -> None:
        """Press and release a key."""
        text = TEXTS.get(key, key if len(key) == 1 else "")
        about: dict[str, Any] = {"key": key, "code": f"Key{key.upper()}" if key.isalpha() and len(key) == 1 else key}
        about |= {"windowsVirtualKeyCode": KEYS.get(key, ord(key.upper()[0])), "modifiers": SHIFT * shift}
        for _ in range(times):
            self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
            self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def type(self, text: str) -> None:
        """Type a text, key by key."""
        for letter in text:
            self.press("Enter" if letter == "\n" else letter)

    def tab_to(self, name: str) -> None:
        """Go on with Tab until the control with this id, or of this name, has the focus."""
        for _ in range(100):
            self.press("Tab")
            if name in self.run(FOCUS):
                return
        raise AssertionError(f"Tab never comes to {name}")

    def size(self, width: int, height: int, *, phone: bool = False) -> None:
        """Show the page in a window, or on a telephone, of that size."""
        screen = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self.call("Emulation.setDeviceMetricsOverride", **screen)
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)

    def scheme(self, name: str) -> None:
        """Ask for light or dark pages."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def picture(self, *, whole: bool = False) -> bytes:
        """Return a PNG of what is in the window, or of all of the page."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        return base64.b64decode(data)

    def drag(self, points: list[tuple[float, float]], *, finger: bool = False) -> None:
        """Draw a line through points of the window, with the mouse or a finger."""
        if finger:
            for number, (x, y) in enumerate(points):
                kind = "touchMove" if number else "touchStart"
                self.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y}])
            self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
            return
        for number, (x, y) in enumerate(points):
            kind = "mouseMoved" if number else "mousePressed"
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=points[-1][0], y=points[-1][1], button="left")

    def nameless(self) -> list[str]:
        """Return what takes the focus and has no name for those who do not see it."""
        found = list[str]()
        for node in self.call("Accessibility.getFullAXTree")["nodes"]:
            states = {one["name"]: one["value"].get("value") for one in node.get("properties", ())}
            role = str(node["role"]["value"])
            if states.get("focusable") and not node.get("name", {}).get("value") and role != "RootWebArea":
                found.append(role)
        return found

    def complaints(self) -> list[str]:
        """Return the errors that the browser has logged since the page was opened."""
        self.run("1")  # whatever was still on its way
        found = list[str]()
        for event in self.seen:
            about = event.get("params", {})
            match event.get("method"):
                case "Runtime.exceptionThrown":
                    found.append(str(about["exceptionDetails"]))
                case "Log.entryAdded" if about["entry"]["level"] in {"error", "warning"}:
                    found.append(about["entry"]["text"])
                case "Runtime.consoleAPICalled" if about["type"] in {"error", "warning", "assert"}:
                    found.append(str(about["args"]))
        return found


@contextmanager
def tab_of(browser: str) -> Iterator[Tab]:
    """Start a browser without a window, and end it."""
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        argv = [sys.executable, "-c", LAUNCH, str(theirs_in), str(theirs_out), browser, *FLAGS]
        process = subprocess.Popen(
            [*argv, "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            yield Tab(ours_out, ours_in)
        finally:
            stop(process)
            os.close(ours_out)
            os.close(ours_in)
