"""Acceptance criteria are run, not believed: each command with a time limit, its output kept."""

import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from . import PACKAGE
from .task_book import Criterion

KEPT = Path("build/tasks")  # where the outputs lie
MODULES = {"pytest", "ruff", "mypy", "coverage"}  # tools that are run by this Python, in its environment
NUM_LINES = 8  # of an output that are shown

logger = logging.getLogger(__name__)


def words_of(criterion: Criterion, run: str = "") -> list[str]:
    """Return the words of a criterion's command, for this Python; `{run}` becomes the run that was named."""
    if criterion.test:
        return [sys.executable, "-m", "pytest", "-q", "--no-cov", criterion.test]
    if "{run}" in criterion.command and not run:
        raise ValueError(f"'{criterion.text}' is shown with a run: name it with --metrics RUN")
    words = shlex.split(criterion.command.replace("{run}", shlex.quote(run)))
    words = words[2:] if words[:2] == ["uv", "run"] else words
    if words[0] == PACKAGE.replace("_", "-"):
        return [sys.executable, "-m", PACKAGE, *words[1:]]
    if words[0] in MODULES:
        return [sys.executable, "-m", *words]
    return [sys.executable, *words[1:]] if words[0] in {"python", "python3"} else words


def run_criterion(criterion: Criterion, root: Path, log: Path, run: str = "") -> dict[str, Any]:
    """Run one criterion in a project's root, to its end or its time limit; its output goes to a file."""
    words, started = words_of(criterion, run), time.monotonic()
    status: int | None = 127
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(  # noqa: S603 (the project's own commands, from its own tasks.json)
                words, cwd=root, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        except OSError as error:
            output.write(f"{words[0]}: {error.strerror}\n".encode())
        else:
            status = wait(process, criterion.limit_s)
    lines = log.read_text("utf-8", errors="replace").splitlines()
    ended = f"not ended after {criterion.limit_s:g} s" if status is None else f"status {status}"
    found = {"text": criterion.text, "ok": status == 0, "ended": ended, "seconds": round(time.monotonic() - started, 1)}
    return {
        **found,
        "command": shlex.join(words),
        "output": str(log.relative_to(root)),
        "last_lines": lines[-NUM_LINES:],
    }


def wait(process: "subprocess.Popen[bytes]", limit_s: float) -> int | None:
    """Return a process's exit status; after the limit it and all that it started are ended, and there is none."""
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        end(process)  # also where a person interrupts the wait


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process that still runs, and on POSIX all that it started."""
    if process.poll() is None:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()


def run_all(criteria: tuple[Criterion, ...], root: Path, name: str, run: str = "") -> list[dict[str, Any]]:
    """Run criteria one after the other and say how each ended."""
    for criterion in criteria:
        words_of(criterion, run)  # a run that nobody named is missed before the first command
    results = []
    for number, criterion in enumerate(criteria, start=1):
        result = run_criterion(criterion, root, root / KEPT / f"{name}-{number}.log", run)
        logger.info("%s: %s (%s)", "holds" if result["ok"] else "does not hold", criterion.text, result["ended"])
        results.append(result)
    return results


def red(results: list[dict[str, Any]]) -> list[str]:
    """Return a line for each criterion that does not hold."""
    return [f"'{r['text']}' does not hold ({r['ended']}); see {r['output']}" for r in results if not r["ok"]]
