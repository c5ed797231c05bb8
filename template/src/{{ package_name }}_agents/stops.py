"""What a sub-agent leaves behind, looked at when it stops: code without a test, interfaces it broke.

The hook loads this file by its path, so it needs only the standard library (of Python 3.9 on), and no sound package.
"""

import ast
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

WRITERS = re.compile(r'"name":\s*"(?:Edit|Write|MultiEdit|NotebookEdit|Bash|mcp__\w+)"')


def decide(event: dict[str, Any], root: Path) -> str:
    """Return what a sub-agent has to do before it stops, or nothing; it is sent back once only."""
    transcript = Path(event.get("agent_transcript_path") or "")
    told = transcript.read_text("utf-8", "replace") if transcript.is_file() else ""
    if event.get("stop_hook_active") or (told and not WRITERS.search(told)):
        return ""
    return "\n".join([*untested(root, told), *broken(root, told)])


def named(paths: Iterable[str], told: str) -> list[str]:
    """Return the Python files that a transcript names: others are other people's work; all where there is none."""
    return [path for path in paths if path.endswith(".py") and (not told or Path(path).name in told)]


class Parameter(NamedTuple):
    """What a function takes."""

    must: bool  # be given
    place: int | None  # at which it may be given without its name


def git(root: Path, *words: str) -> str:
    """Return what git says, or nothing where there is no repository."""
    command = ["git", "-c", "core.quotepath=off", *words]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False).stdout  # noqa: S603


def touched(root: Path, folder: str) -> dict[str, bool]:
    """Return the Python files of a folder that differ from HEAD and hold more than before; whether each is new."""
    new = git(root, "ls-files", "--others", "--exclude-standard", "--", folder).splitlines()
    lines = [
        line.split("\t") for line in git(root, "diff", "--numstat", "--no-renames", "HEAD", "--", folder).splitlines()
    ]
    added = git(root, "diff", "--name-only", "--no-renames", "--diff-filter=A", "HEAD", "--", folder).splitlines()
    files = {path: path in added for count, _, path in lines if count not in {"0", "-"}} | dict.fromkeys(new, True)
    return {path: is_new for path, is_new in files.items() if path.endswith(".py")}


def untested(root: Path, told: str = "") -> list[str]:
    """Name the code of the package that was added without a test: no test changed, or none names a new file."""
    files, tests = touched(root, "src"), touched(root, "tests")
    code = {path: files[path] for path in named(files, told)}
    if code and not tests:
        return [f"code without a test: {', '.join(code)}; add or change a test in tests/, run it, then stop"]
    texts = [path.read_text("utf-8", "replace") for path in (root / "tests").rglob("*.py")]
    new = [path for path, is_new in code.items() if is_new and not path.endswith("__init__.py")]
    bare = [path for path in new if not any(re.search(rf"\b{Path(path).stem}\b", text) for text in texts)]
    return [f"no test names {path}: write one" for path in bare]


def broken(root: Path, told: str = "") -> list[str]:
    """Name the public functions and classes of HEAD that are gone, or that callers of before can no longer call."""
    changed = git(root, "diff", "--name-only", "--no-renames", "--diff-filter=MD", "HEAD", "--", "src").splitlines()
    found = []
    for path in named(changed, told):
        now = (root / path).read_text("utf-8") if (root / path).exists() else ""
        found += [f"{path}: {one}" for one in differences(git(root, "show", f"HEAD:{path}"), now)]
    return [f"{line}; keep what others call, or ask" for line in found]


def differences(before: str, now: str) -> list[str]:
    """Say which signatures of a source callers of before would miss."""
    old, new = interfaces(before), interfaces(now)
    gone = [f"{name} is gone" for name in old if name not in new]
    return gone + [f"{name}: {why}" for name in old if name in new for why in refused(old[name], new[name])]


def refused(old: dict[str, Parameter], new: dict[str, Parameter]) -> list[str]:
    """Say which parameters are gone, have become necessary, or are no longer where a caller by place gives them."""
    lost = [name for name in old if name not in new and not {"*", "**"} & {*new}]
    needed = [name for name, one in new.items() if one.must and not (name in old and old[name].must)]
    moved = [name for name, one in old.items() if name in new and one.place not in {None, new[name].place}]
    parts = {"takes no {} any more": lost, "now needs {}": needed, "has {} at another place": moved}
    return [what.format(name) for what, names in parts.items() for name in names]


def interfaces(source: str, inside: str = "") -> dict[str, dict[str, Parameter]]:
    """Return the parameters of every public function, method and dataclass of a source; nothing where it is broken."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return {}
    return members(body, inside)


def members(body: list[ast.stmt], inside: str) -> dict[str, dict[str, Parameter]]:
    """Return the interfaces of the statements of a module or class."""
    found = dict[str, dict[str, Parameter]]()
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (
            node.name[0] != "_" or node.name == "__init__"
        ):
            found[inside + node.name] = parameters(node.args)
        elif isinstance(node, ast.ClassDef) and node.name[0] != "_":
            data = any("dataclass" in ast.unparse(one) for one in node.decorator_list)
            fields = [one for one in node.body if data and isinstance(one, ast.AnnAssign)]
            found[inside + node.name] = {ast.unparse(one.target): Parameter(one.value is None, None) for one in fields}
            found |= members(node.body, f"{inside}{node.name}.")
    return found


def parameters(given: ast.arguments) -> dict[str, Parameter]:
    """Return a function's parameters by name; "*" and "**" where it takes any."""
    placed = [*given.posonlyargs, *given.args]
    found = {one.arg: Parameter(n < len(placed) - len(given.defaults), n) for n, one in enumerate(placed)}
    found |= {one.arg: Parameter(given.kw_defaults[n] is None, None) for n, one in enumerate(given.kwonlyargs)}
    return found | {mark: Parameter(False, None) for mark, one in (("*", given.vararg), ("**", given.kwarg)) if one}
