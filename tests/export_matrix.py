"""What `export` makes of every preset of the template: files, their sizes, and how far they are from the model.

    uv run python tests/export_matrix.py
    uv run python tests/export_matrix.py gpt trm

It prints the table of docs/export.md, or the rows of the presets that are named; the exit status is 1 where a file
answers otherwise than the model. Each preset is trained for two updates, those with a file in template/tests/small as
small as it says, in a process of its own with one thread, and is given MOST seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PRESETS = ROOT / "template/src/{{ package_name }}/presets"
MOST, ONE = 1800, "--one"
OPTIONS = {"train.steps": 2, "train.log_every": 1, "train.eval_every": 2, "train.device": "cpu"}
LIBRARIES = {"timm": "timm", "transformers": "transformers"}  # what a preset needs besides the project
HEAD = """| preset | inputs | program, MB | ONNX, MB | largest difference | p50 of one row, ms: model, program, ONNX |
|---|---|---|---|---|---|"""


def main(words: list[str]) -> int:
    """Print the table; each preset in a process of its own."""
    if words[:1] == [ONE]:
        return measure(words[1])
    known = sorted(path.stem for path in PRESETS.glob("*.yaml"))
    if strange := [word for word in words if word not in known]:
        raise SystemExit(f"got {strange[0]}, want presets: {', '.join(known)}")
    say(HEAD)
    return max([begun(name) for name in words or known])


def begun(preset: str) -> int:
    """Print the row of a preset, whatever becomes of it; return 1 where it is wrong."""
    if not find_spec(LIBRARIES.get(preset, "yaml")):
        say(f"| `{preset}` | not run: {LIBRARIES[preset]} is not installed here | | | | |")
        return 0
    paths = [str(ROOT / "working"), os.environ.get("PYTHONPATH", "")]
    values = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    argv = [sys.executable, str(Path(__file__).resolve()), ONE, preset]
    with tempfile.TemporaryDirectory() as folder:
        try:
            status = subprocess.run(argv, cwd=folder, env=values, timeout=MOST, check=False).returncode
            if status < 0:
                say(f"| `{preset}` | not known: ended by signal {-status} | | | | |")
            return int(status != 0)
        except subprocess.TimeoutExpired:
            say(f"| `{preset}` | not known: took more than {MOST} s | | | | |")
            return 0


def measure(preset: str) -> int:
    """Train and export a preset, and print its row; return 1 where a file answers otherwise than the model."""
    from my_project import config, run  # noqa: PLC0415 (takes seconds, and only what measures needs it)
    from my_project.evaluation.budgets import Budgets  # noqa: PLC0415
    from my_project.serving.export import export  # noqa: PLC0415

    record = export(run.fit(config.load(preset, smaller(preset) | OPTIONS)), Budgets())
    say(row(preset, record))
    for failure in record["failures"]:
        sys.stderr.write(f"{preset}: {failure}\n")
    return int(any("differs" in failure for failure in record["failures"]))


def smaller(preset: str) -> dict[str, Any]:
    """Return the options that make a preset small enough for tests."""
    path = ROOT / f"template/tests/small/{preset}.yaml"
    return dict(yaml.safe_load(path.read_text("utf-8"))) if path.is_file() else {}


def row(preset: str, record: dict[str, Any]) -> str:
    """Return a row of the table; where a form is not there it has the reason."""
    forms = record["forms"].values()
    shapes = (f"{name} [{', '.join(map(str, one['shape']))}]" for name, one in record["inputs"].items())
    sizes = [f"{form['size_mb']:.2f}" if "size_mb" in form else form["reason"].replace("|", "/") for form in forms]
    apart = [form["difference"]["absolute"] for form in forms if "difference" in form]
    times = [form.get("latency_ms", {}).get("p50") for form in (record["eager"], *forms)]
    shown = ", ".join("-" if time is None else f"{time:.2g}" for time in times)
    most = f"{max(apart):.1e}" if apart else "-"
    return f"| `{preset}` | {'; '.join(shapes)} | {' | '.join(sizes)} | {most} | {shown} |"


def say(line: str) -> None:
    """Print a line of the table at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
