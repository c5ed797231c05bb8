"""What changed since a commit, before a person reads it: sizes, missing tests, long bodies, broken signatures."""

import ast
import re
import subprocess
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from . import stops
from .outcome import project_root

HELP = "review the changes since a commit; exit 1 where a test is missing, a body is long or a signature is broken"
LONGEST = 30  # lines of a body


def add_arguments(parser: ArgumentParser) -> None:
    """Say what the script takes."""
    parser.add_argument("--base", default="HEAD", metavar="COMMIT", help="what to compare with (%(default)s)")


def main(base: str) -> dict[str, Any]:
    """Review the project that this is called in."""
    return review(project_root(), base)


def review(root: Path, base: str = "HEAD") -> dict[str, Any]:
    """Compare the working tree with a commit."""
    files = changed(root, base)
    code = [name for name in files if name.startswith("src/") and name.endswith(".py")]
    texts = {name: (before(root, base, name), after(root, name)) for name in code}
    findings = [
        *untested(root, [name for name in code if (root / name).exists()], files),
        *(line for name in code for line in too_long(name, *texts[name])),
        *(finding("breaking change", name, what) for name in code for what in stops.differences(*texts[name])),
    ]
    offered = {name: [stops.interfaces(text) for text in pair] for name, pair in texts.items()}
    added = {name: sorted(now.keys() - old.keys()) for name, (old, now) in offered.items()}
    return {
        "ok": not findings,
        "base": base,
        "files": files,
        "lines": {side: sum(counts[side] for counts in files.values()) for side in ("added", "removed")},
        "new": {name: names for name, names in added.items() if names},
        "findings": findings,
    }


def git(root: Path, *words: str) -> str:
    """Return what git prints; ValueError with its reason where it refuses."""
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        raise ValueError(f"git {words[0]}: {done.stderr.strip().splitlines()[0]}")
    return done.stdout


def changed(root: Path, base: str) -> dict[str, dict[str, int]]:
    """Return the lines added and removed of each file, also of files that git does not know yet."""
    found = dict[str, dict[str, int]]()
    for line in git(root, "diff", "--numstat", "--no-renames", "-z", base, "--").split("\0"):
        if line:
            added, removed, name = line.split("\t")
            found[name] = {"added": int(added) if added != "-" else 0, "removed": int(removed) if removed != "-" else 0}
    for name in filter(None, git(root, "ls-files", "--others", "--exclude-standard", "-z").split("\0")):
        found[name] = {"added": len((root / name).read_bytes().splitlines()), "removed": 0}
    return found


def before(root: Path, base: str, name: str) -> str:
    """Return a file's text at a commit; nothing where it was not there."""
    known = git(root, "ls-tree", "-r", "--name-only", "-z", base, "--", name)
    return git(root, "show", f"{base}:./{name}") if known else ""


def after(root: Path, name: str) -> str:
    """Return a file's text now; nothing where it is gone."""
    return (root / name).read_text("utf-8") if (root / name).is_file() else ""


def finding(rule: str, where: str, what: str) -> dict[str, str]:
    """Return one finding."""
    return {"rule": rule, "where": where, "what": what}


def untested(root: Path, code: list[str], files: dict[str, dict[str, int]]) -> list[dict[str, str]]:
    """Name source files that changed while no test that imports or names them did."""
    tests = [after(root, name) for name in files if re.match(r"tests/.*\.py$", name)]
    missing = [name for name in code if not any(re.search(rf"\b{Path(name).stem}\b", text) for text in tests)]
    return [finding("changed without a test", name, "no changed test names this module") for name in missing]


def functions(text: str) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the functions and methods of a module by name."""
    found = dict[str, ast.FunctionDef | ast.AsyncFunctionDef]()
    for node in ast.parse(text).body:
        for part in [node, *(node.body if isinstance(node, ast.ClassDef) else [])]:
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                found[part.name if part is node else f"{getattr(node, 'name', '')}.{part.name}"] = part
    return found


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the number of lines of a body, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def too_long(name: str, old: str, new: str) -> list[dict[str, str]]:
    """Name functions whose body is too long, and was shorter before."""
    then, now = functions(old), functions(new)
    grown = {key: length(node) for key, node in now.items() if key not in then or length(node) > length(then[key])}
    what = "a body of {} lines, want at most " + str(LONGEST)
    return [finding("long function", f"{name}:{key}", what.format(n)) for key, n in grown.items() if n > LONGEST]
