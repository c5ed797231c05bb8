"""Three audits of a project, each with its findings: of the code, of what the commands do, of the style."""

import ast
import json
import os
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import PACKAGE
from .outcome import project_root
from .reviews import finding, functions, length
from .scripts import source

HELP = "audit the project; exit 1 where something is found"
MOST_BRANCHES, LONGEST_BODY, LONGEST_FILE = 10, 30, 250
STYLES = {"D": "docstring", "E501": "line"}  # how the rules of ruff begin that are about style
SHOWN = 5  # of the longest functions
BRANCHES = (ast.If, ast.For, ast.While, ast.ExceptHandler, ast.match_case)
FOLDERS = ("src", "tests", "examples")


def add_arguments(parser: ArgumentParser) -> None:
    """Say what the script takes."""
    parser.add_argument("what", choices=("code", "functionality", "style"), help="what is audited")


def main(what: str) -> dict[str, Any]:
    """Audit the project that this is called in."""
    audits = {"code": code, "functionality": functionality, "style": style}
    return audits[what](project_root())


def result(audit: str, findings: list[dict[str, str]], **more: Any) -> dict[str, Any]:
    """Return what an audit found."""
    return {"ok": not findings, "audit": audit, "findings": findings, **more}


def run(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a Python module in a project, with its own sources first."""
    paths = os.pathsep.join(filter(None, [str((root / "src").resolve()), os.environ.get("PYTHONPATH")]))
    command, environment = [sys.executable, "-m", *words], {**os.environ, "PYTHONPATH": paths}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)  # noqa: S603


def modules(root: Path) -> Iterator[tuple[str, str]]:
    """Yield name and text of each Python file under src."""
    source(root)
    for path in sorted((root / "src").rglob("*.py")):
        yield str(path.relative_to(root)), path.read_text("utf-8")


def code(root: Path) -> dict[str, Any]:
    """Audit rules, types, length and complexity; the longest and the most branched functions are listed anyway."""
    sizes = {f"{n}:{key}": (length(f), branches(f)) for n, text in modules(root) for key, f in functions(text).items()}
    ruff = run(root, "ruff", "check", "--no-cache", "--output-format=json", *there(root))
    problems = [finding(each["code"] or "syntax", place(root, each), each["message"]) for each in read(ruff)]
    types = run(root, "mypy", "--no-error-summary", "--hide-error-context", "--no-pretty")
    problems += [finding("mypy", *line.split(": ", 1)) for line in types.stdout.splitlines() if ": error: " in line]
    if types.returncode and not types.stdout.strip():
        problems.append(finding("mypy", "mypy", types.stderr.strip()[-200:]))
    for where, (lines, paths) in sizes.items():
        problems += [finding("long function", where, f"{lines} lines")] if lines > LONGEST_BODY else []
        problems += [finding("complex function", where, f"{paths} paths")] if paths > MOST_BRANCHES else []
    tables = {name: largest(sizes, number) for number, name in enumerate(("longest", "most_complex"))}
    return result("code", problems, functions=len(sizes), **tables)


def largest(sizes: dict[str, tuple[int, int]], number: int) -> list[dict[str, Any]]:
    """Return the functions with the largest values of one of their sizes."""
    ranked = sorted(sizes, key=lambda where: (-sizes[where][number], where))[:SHOWN]
    return [{"function": where, "value": sizes[where][number]} for where in ranked]


def branches(function: ast.AST) -> int:
    """Return the number of paths through a function (McCabe 1976): 1, and 1 for each place that branches."""
    return 1 + sum(isinstance(node, BRANCHES) for node in ast.walk(function))


def there(root: Path) -> list[str]:
    """Return which folders of code a project has."""
    return [name for name in FOLDERS if (root / name).is_dir()]


def read(done: subprocess.CompletedProcess[str]) -> list[Any]:
    """Return what ruff reports; OSError where it does not run."""
    try:
        return list(json.loads(done.stdout))
    except ValueError:
        raise OSError(f"ruff does not run: {done.stderr.strip()[-200:]}") from None


def place(root: Path, each: dict[str, Any]) -> str:
    """Return file and line of one of ruff's lines."""
    path = Path(each["filename"])
    name = path.relative_to(root.resolve()) if path.is_relative_to(root.resolve()) else path
    return f"{name}:{each['location']['row']}"


def functionality(root: Path) -> dict[str, Any]:
    """Audit what the commands do: train two steps, evaluate, predict, report, end to end in a temporary folder."""
    steps, findings = list[dict[str, Any]](), list[dict[str, str]]()
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/run"
        example = example_input(root)
        commands = {
            "data verify": ("data", "verify"),
            "train": ("train", "--fast-dev-run", "--train.out", out, "--train.device", "cpu"),
            "evaluate": ("evaluate", out),
            **({"predict": ("predict", out, str(example))} if example else {}),
            "report": ("report", out),
        }
        for name, words in commands.items():
            done = run(root, PACKAGE, *words)
            wrong = shortcoming(name, done, Path(out))
            steps.append({"command": name, "status": done.returncode, "ok": not wrong})
            findings += [finding("command", name, wrong)] if wrong else []
            if wrong and name == "train":
                break
    if not example:
        findings.append(finding("command", "predict", "the README names no file of examples to predict"))
    return result("functionality", findings, steps=steps)


def example_input(root: Path) -> Path | None:
    """Return the file that the example of a notebook predicts for."""
    notebook = root / "examples" / "notebook.py"
    text = notebook.read_text("utf-8") if notebook.is_file() else ""
    names = [part.value for part in ast.walk(ast.parse(text)) if isinstance(part, ast.Constant)]
    found = (root / name for name in names if isinstance(name, str) and name.startswith("examples/"))
    return next((path.resolve() for path in found if path.is_file()), None)


def shortcoming(name: str, done: subprocess.CompletedProcess[str], out: Path) -> str:
    """Return what is wrong with a command that has ended: its status, its JSON, or the file that it writes."""
    if done.returncode:
        return f"status {done.returncode}: {' '.join(done.stderr.split())[-300:]}"
    try:
        json.loads(done.stdout)
    except ValueError:
        return f"it prints no JSON: {done.stdout[:80]!r}"
    file = {"train": "best.pt", "evaluate": "evaluation.json", "report": "report.html"}.get(name)
    return f"it writes no {file}" if file and not (out / file).is_file() else ""


def style(root: Path) -> dict[str, Any]:
    """Audit formatting, docstrings, and the length of lines and files."""
    done = run(root, "ruff", "format", "--no-cache", "--check", "--output-format=json", *there(root))
    findings = [finding("format", place(root, each), each["message"]) for each in read(done)]
    for each in read(run(root, "ruff", "check", "--no-cache", "--output-format=json", *there(root))):
        rules = [name for code, name in STYLES.items() if str(each["code"]).startswith(code)]
        findings += [finding(rule, place(root, each), each["message"]) for rule in rules]
    sizes = {name: len(text.splitlines()) for name, text in modules(root)}
    long = {name: size for name, size in sizes.items() if size > LONGEST_FILE}
    findings += [finding("file", name, f"{size} lines, want at most {LONGEST_FILE}") for name, size in long.items()]
    return result("style", findings, files=len(sizes))
