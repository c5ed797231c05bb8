"""A real browser without a window: what stands on a page once its scripts have run, and a picture of it."""

from __future__ import annotations

import fcntl
import html
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
INSTALL = "apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"),
    "--window-size=1300,1600",  # pages draw only what is in sight
)
LIMIT = 120  # seconds for a page


def find_browser() -> str:
    """Return the path of a browser; installs one where this is root on a Debian without one, else skips the test."""
    with Path(tempfile.gettempdir(), "copier-torch-browser.lock").open("w") as lock:  # one of several workers installs
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (found := on_path()) and os.geteuid() == 0 and shutil.which("apt-get"):
            subprocess.run(["/bin/sh", "-c", INSTALL], check=False, capture_output=True)
            found = on_path()
    if not found:
        pytest.skip(f"no browser on the PATH, and none can be installed here: want one of {', '.join(BROWSERS)}")
    return found


def on_path() -> str:
    """Return the path of a browser that is there, or nothing."""
    return next((path for path in map(shutil.which, BROWSERS) if path), "")


def browse(browser: str, url: str, *flags: str, seconds: int = 30) -> str:
    """Open a page, let its scripts have their time, and return what the browser prints."""
    with tempfile.TemporaryDirectory() as profile:
        argv = [browser, *FLAGS, f"--user-data-dir={profile}", f"--virtual-time-budget={1000 * seconds}", *flags, url]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def text_of(browser: str, url: str, seconds: int = 30) -> str:
    """Return the words that a reader of a page finds, scripts and styles left out."""
    page = browse(browser, url, "--dump-dom", seconds=seconds)
    page = re.sub(r"<(script|style|template)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def picture_of(browser: str, url: str, path: Path, size: tuple[int, int], *flags: str) -> None:
    """Take the picture of the upper left part of a page."""
    path.unlink(missing_ok=True)
    browse(browser, url, f"--screenshot={path}", f"--window-size={size[0]},{size[1]}", *flags)
    assert path.is_file(), f"{browser} made no picture of {url}"


def free_port() -> int:
    """Return a port on the loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(
    argv: Sequence[str | Path], folder: Path, port: int, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Start a program that serves pages at a port, wait until it answers, and end it and what it has started."""
    url = f"http://127.0.0.1:{port}/"
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [str(word) for word in argv],
            cwd=folder,
            env=os.environ | dict(environment or {}),
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            until = time.monotonic() + LIMIT
            while not answers(url):
                if process.poll() is not None or time.monotonic() > until:
                    said.seek(0)
                    raise AssertionError(f"{argv} does not answer: {said.read().decode()[-2000:]}")
                time.sleep(0.2)
            yield url
        finally:
            stop(process)


def answers(url: str) -> bool:
    """Whether somebody answers there."""
    try:
        urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 (the loopback)
    except (urllib.error.URLError, OSError):
        return False
    return True


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and its own, which are in its group."""
    for number in (15, 9):
        try:
            os.killpg(process.pid, number)
            process.wait(10)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
