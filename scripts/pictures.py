"""Make the pictures of the docs from a real project: its tree, what the terminal shows, and the report.

Needs Linux or macOS and a Chromium or Chrome on the PATH; `tree` makes the first alone, without a training:

    uv run python scripts/pictures.py [tree]
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from copier import run_copy
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
COLUMNS = 96
WHOLE = {"src", "src/my_project"}  # folders whose contents a tree shows; of the others their number of files
REPORT_SIZE = (1060, 1310)  # title, figures, learning curves, confusion matrix
BLACK, WHITE, GREEN, CYAN = (24, 25, 27), (220, 222, 226), (99, 180, 110), (90, 170, 190)
THEME = TerminalTheme(BLACK, WHITE, [BLACK, WHITE, GREEN, WHITE, CYAN, WHITE, CYAN, WHITE])
CONTROL = re.compile(r"\x1b\[(?P<values>[?0-9;]*)(?P<letter>[A-Za-z])|(?P<plain>[^\x1b])")
WINDOW = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #18191b; color: {foreground}; }}
header {{ padding: 10px 14px; background: #2a2c30; }}
header i {{ display: inline-block; width: 11px; height: 11px; border-radius: 50%;
  margin-right: 6px; background: #5b5f66; }}
pre {{ margin: 0; padding: 14px; font: 14px/20px "DejaVu Sans Mono", monospace; }}
</style><header><i></i><i></i><i></i></header><pre>{code}</pre>"""


def find_browser() -> str:
    """Return the path of a browser that can take pictures."""
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found is None:
        sys.exit(f"error: no browser on the PATH; install one of {', '.join(BROWSERS)}")
    return found


def render(folder: Path) -> Path:
    """Render a default project from the working tree, committed or not."""
    source, project = folder / "template", folder / "my-project"
    shutil.copytree(ROOT / "template", source / "template", symlinks=True)
    shutil.copy(ROOT / "copier.yml", source)
    run_copy(str(source), project, defaults=True, unsafe=False, quiet=True)
    return project


def run_in_terminal(command: list[str], folder: Path, columns: int, rows: int = 40) -> str:
    """Run a command in a terminal of its own and return all that it wrote there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "TERM": "xterm-256color"}
    with subprocess.Popen(  # noqa: S603
        command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        written = bytearray()
        while chunk := read_terminal(ours):
            written += chunk
    os.close(ours)
    text = written.decode()
    if process.returncode:
        sys.exit(f"error: {' '.join(command)} ended with status {process.returncode}:\n{text}")
    return text


def read_terminal(descriptor: int) -> bytes:
    """Return what is new on a terminal; nothing once its last writer is gone."""
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how Linux says so
        return b""


def last_screen(written: str, columns: int) -> list[str]:
    """Play what was written to a terminal and return the lines that stand there at the end."""
    lines: list[list[str]] = [[]]
    row = column = 0
    style = ""
    for match in CONTROL.finditer(written):
        letter, values, plain = match["letter"], match["values"], match["plain"]
        if letter == "m":
            style = "" if values in {"", "0"} else f"{style}\x1b[{values}m"
        elif letter == "A":
            row = max(0, row - int(values or 1))
        elif letter == "K":
            lines[row][0 if values == "2" else column :] = []
        elif plain == "\r":
            column = 0
        elif plain == "\n" or (plain and column == columns):
            row, column = row + 1, column if plain == "\n" else 0
            lines += [[] for _ in range(row + 1 - len(lines))]
        if plain and plain not in "\r\n":
            lines[row] += [" "] * (column - len(lines[row]))
            lines[row][column : column + 1] = [f"{style}{plain}\x1b[0m" if style else plain]
            column += 1
    return ["".join(line) for line in lines]


def terminal_page(lines: list[str]) -> str:
    """Return an HTML page that shows lines with their colours in a window."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), color_system="256")
    for line in lines:
        console.print(Text.from_ansi(line), soft_wrap=True)
    return console.export_html(theme=THEME, code_format=WINDOW, inline_styles=True)


def screenshot(browser: str, page: Path, size: tuple[int, int], picture: Path) -> None:
    """Let a browser open a page and write the picture of its upper left part."""
    with tempfile.TemporaryDirectory() as profile:
        flags = [
            *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--disable-quic", "--force-device-scale-factor=1.5", f"--user-data-dir={profile}"),
            *(f"--window-size={size[0]},{size[1]}", f"--screenshot={picture}"),
        ]
        done = subprocess.run(  # noqa: S603
            [browser, *flags, page.as_uri()], capture_output=True, text=True, check=False
        )
    if not picture.is_file():
        sys.exit(f"error: {browser} made no picture: {done.stderr.strip()[-500:]}")


def tree(folder: Path, name: str = "", before: str = "") -> list[str]:
    """Return the lines that show what a folder holds, folders first."""
    entries = sorted((folder / name).iterdir(), key=lambda path: (path.is_file(), path.name))
    lines = []
    for entry in entries:
        path, last = entry.relative_to(folder).as_posix(), entry == entries[-1]
        count = sum(inner.is_file() for inner in entry.rglob("*"))
        about = f"  \x1b[36m{count} file{'s' * (count > 1)}\x1b[0m"
        shown = f"{entry.name}/{about}" if entry.is_dir() and path not in WHOLE else entry.name
        lines.append(f"{before}{'└── ' if last else '├── '}{shown}{'/' if path in WHOLE else ''}")
        if path in WHOLE:
            lines += tree(folder, path, before + ("    " if last else "│   "))
    return lines


def picture_of_lines(browser: str, lines: list[str], page: Path, target: str) -> None:
    """Take the picture of a terminal that shows these lines."""
    page.write_text(terminal_page(lines), encoding="utf-8")
    (PICTURES / target).unlink(missing_ok=True)
    screenshot(browser, page, (870, 31 + 36 + 20 * len([*filter(None, lines)])), PICTURES / target)
    sys.stdout.write(f"{PICTURES / target}\n")


def main() -> None:
    """Render, take the picture of the tree, train, take the others."""
    browser = find_browser()
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        project, page = render(Path(name)), Path(name, "terminal.html")
        picture_of_lines(browser, ["my-project/", *tree(project)], page, "tree.png")
        if sys.argv[1:] == ["tree"]:
            return
        command = [sys.executable, "-m", "my_project", "train"]
        written = run_in_terminal(command, project, COLUMNS)
        lines = last_screen("$ python -m my_project train\r\n" + written, COLUMNS)
        picture_of_lines(browser, lines, page, "terminal.png")
        (PICTURES / "report.png").unlink(missing_ok=True)
        screenshot(browser, project / "runs/cnn-1/report.html", REPORT_SIZE, PICTURES / "report.png")
        sys.stdout.write(f"{PICTURES / 'report.png'}\n")


if __name__ == "__main__":
    main()
