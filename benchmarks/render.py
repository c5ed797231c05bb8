"""How long a render takes, beside templates of plain files: whole processes, in turn.

    uv run python benchmarks/render.py [RUNS]

"plain" has as many files as the template renders, of the same length, without one line of Jinja
or question; "one file" has a single file. The ratio of the template to "plain" is at most 1.5.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIMIT = 1.5
RUNS = 7


def ours(folder: Path) -> Path:
    """A copy of this template without git, so that none of the three is cloned."""
    skipped = shutil.ignore_patterns(".*_cache", "__pycache__", ".venv", "runs")
    shutil.copytree(ROOT / "template", folder / "template", ignore=skipped)
    shutil.copy2(ROOT / "copier.yml", folder)
    return folder


def plain(folder: Path, lengths: list[int]) -> Path:
    """A template of verbatim files of these lengths."""
    folder.mkdir()
    settings = {"_templates_suffix": ".jinja", "_exclude": ["copier.yml"]}
    (folder / "copier.yml").write_text(json.dumps(settings), encoding="utf-8")
    for number, length in enumerate(lengths):
        (folder / f"{number:03}.txt").write_text("0123456\n" * (length // 8), encoding="utf-8")
    return folder


def render(template: Path, project: Path) -> tuple[float, float]:
    """Render once; return the seconds on the clock and on the processors."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), os.times().elapsed
    argv = ["copier", "copy", "--defaults", "--quiet", str(template), str(project)]
    subprocess.run(argv, check=True)
    clock, after = os.times().elapsed - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(templates: dict[str, Path], folder: Path, runs: int) -> dict[str, list[tuple[float, float]]]:
    """Time every template `runs` times, in turn, after one round to warm up."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in templates}
    for number in range(runs + 1):
        for name, template in templates.items():
            taken = render(template, folder / f"{name}-{number}")
            times[name] += [taken] if number else []
    return times


def main(runs: int = RUNS) -> int:
    """Print the table; 1 where the ratio is beyond its limit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        template = ours(folder / "ours-template")
        render(template, folder / "first")
        lengths = [path.stat().st_size for path in (folder / "first").rglob("*") if path.is_file()]
        files = {"copier-torch": len(lengths), "plain": len(lengths), "one file": 1}
        templates = {
            "copier-torch": template,
            "plain": plain(folder / "plain-template", lengths),
            "one file": plain(folder / "one-template", lengths[:1]),
        }
        times = measure(templates, folder, runs)
    print(f"{'template':14}{'files':>6}{'clock: least':>14}{'median':>9}{'CPU: least':>12}{'median':>9}  s")
    for name, taken in times.items():
        clock, cpu = zip(*taken, strict=True)
        print(f"{name:14}{files[name]:6}{min(clock):14.2f}{statistics.median(clock):9.2f}", end="")
        print(f"{min(cpu):12.2f}{statistics.median(cpu):9.2f}")
    least = {name: min(cpu for _, cpu in taken) for name, taken in times.items()}
    ratio = least["copier-torch"] / least["plain"]
    print(f"copier-torch to plain, least CPU time: {ratio:.2f} (at most {LIMIT})")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
