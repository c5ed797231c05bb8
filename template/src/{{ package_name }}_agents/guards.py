"""What an agent must not do, decided from one event of the command-line tool.

The hook loads this file by its path, so it needs only the standard library (of Python 3.9 on), and no sound package.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

SEALED = re.compile(r"_test\.npz|(?:^|[/\s])test_\w+\.npy")
EXAMPLES = ("own_test.npz", "text_test.npz", "digits_test.npz")
WITHHELD = {"terraform", "kubectl", "aws", "gcloud", "az"}
RECORDS = {"lock", "metrics.jsonl", "log.txt", "journal.jsonl", "source.diff"}  # and all JSON of a run or a study
GUARDS = re.compile(r"\.claude/(?:settings[\w.]*\.json$|hooks/)|_agents/(?:guards|stops)\.py$")
OPENS = re.compile(r"""build\(\s*\\?["']test\b""")
WRITES = re.compile(
    r"""\b(?:save|write|unlink|remove|rename|replace|rmtree|truncate|dump)\w*\(|,\s*["'][wax]b?\+?["']"""
)
SERVES = (["models", "promote"], ["models", "rollback"])
PREFIXES = {"sudo", "env", "time", "nohup", "nice", "command", "exec", "xargs", "timeout"}
PREFIXES |= {"then", "do", "else", "if", "!"}  # of the shell itself
UV_OPTIONS = {"--extra", "--group", "--with", "--python", "-p", "--project", "--directory", "--env-file"}  # and a word
READERS = {"ls", "stat", "echo", "printf", "cd", "["}
RUNS_CODE = re.compile(r"\b(python[\d.]*|bash|sh)\b[^|;&]*$")
HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1([^\n]*)\n(.*?\n)?\s*\2\b", re.DOTALL)
SEALED_SPLIT = "the test split is sealed: `evaluate RUN --split test --final` opens it, once a checkpoint"
SERVED = "which version is served is a person's decision: say which one you would take, and why"
KEPT = "runs and `uv lock` write this file, nobody edits it: train again, or ask a person"


def decide(event: dict[str, Any], root: Path) -> str:
    """Return why an event of this project must not happen, or nothing."""
    tool, given, here = event["tool_name"], event["tool_input"], Path(event.get("cwd") or root)
    if tool == "Bash":
        return shell(str(given.get("command", "")), here, root, writes=event.get("agent_type") != "ml-architect")
    path = str(given.get("file_path") or given.get("notebook_path") or given.get("path") or "")
    if tool in {"Edit", "Write", "MultiEdit", "NotebookEdit"}:
        place = os.path.relpath(here / path, root)
        if event.get("agent_type") == "ml-architect" and not re.fullmatch(r"docs/designs/[\w.-]+\.md", place):
            return f"ml-architect writes designs, docs/designs/<name>.md, and nothing else; not {place}"
        return protected(path, here)
    return SEALED_SPLIT if any(is_sealed(word, here) for word in (path, str(given.get("glob", "")))) else ""


def protected(path: str, here: Path) -> str:
    """Return why nobody edits the file, or nothing: the sealed split, checkpoints, locks, results, the guards."""
    place = Path(os.path.realpath(here / path))
    if is_sealed(path, here):
        return SEALED_SPLIT
    if GUARDS.search(place.as_posix()):
        return f"{place.name} guards this project; a person changes it"
    recorded = (place.suffix == ".json" or place.name in RECORDS) and "runs" in place.parts
    served = any((folder / "current.json").is_file() for folder in (place, *place.parents[:3]))
    held = place.parent.name == "runs" and next(place.rglob("*.pt"), None) if place.is_dir() else None
    return (
        KEPT if place.suffix == ".pt" or place.name in {"uv.lock", "final.json"} or recorded or served or held else ""
    )


def is_sealed(word: str, here: Path) -> bool:
    """Say whether a word of a command names a file of the test split, or is a pattern that finds one."""
    if " " in word.strip() and not (here / word).exists():  # a sentence is no path
        return False
    if word and SEALED.search(Path(os.path.realpath(here / word)).as_posix()):
        return True
    patterns = [re.sub(r"\$\{?\w+\}?|\$\(.*?\)|`.*?`", "*", one) for one in braces(word)]
    for pattern in patterns:
        name = pattern.rsplit("/", 1)[-1]
        if SEALED.search(pattern) or (".npz" in name and any(fnmatch(one, name) for one in EXAMPLES)):
            return True
        if re.search(r"[*?\[]", pattern) and any(SEALED.search(path.as_posix()) for path in found(pattern, here)):
            return True
    return False


def found(pattern: str, here: Path) -> Iterator[Path]:
    """Yield the files that a pattern of the shell finds."""
    base = Path(pattern).anchor
    try:
        yield from (Path(base) if base else here).glob(pattern[len(base) :].lstrip("/"))
    except (ValueError, OSError):  # no pattern after all
        return


def braces(word: str) -> list[str]:
    """Return what `{a,b}` in a word stands for."""
    if not (match := re.search(r"\{([^{}]*,[^{}]*)\}", word)):
        return [word]
    return [one for part in match[1].split(",") for one in braces(word[: match.start()] + part + word[match.end() :])]


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each simple command in a text of shell: lists, pipes, $(...), `bash -c`, here documents."""
    while match := HEREDOC.search(text):
        if runs := RUNS_CODE.search(text[: match.start()].rsplit("\n", 1)[-1]):
            yield [runs[1], "-c", match[4] or ""]
        text = text[: match.start()] + match[3] + text[match.end() :]
    text = re.sub(r"`([^`]*)`", r"$(\1)", text.replace("\\\n", " "))
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";|&()<>\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    try:
        tokens = [*lexer, ";"]
    except ValueError:  # a quotation has no end
        tokens = [*text.split(), ";"]
    words = list[str]()
    for token in tokens:
        marks = token if set(token) <= set(";|&()<>\n") else ""
        if marks == "&" or {*marks} & set(";|()\n") or "&&" in marks:
            yield from nested(words)
            words = []
        if not marks or {*marks} & set("<>"):  # of a redirection only its direction counts
            words.append(token if not marks else ">" if ">" in marks else "<")


def nested(words: list[str]) -> Iterator[list[str]]:
    """Yield a simple command without what stands before it, and the commands that its words hold."""
    while words and (words[0] in PREFIXES or re.match(r"\w+=|-|[\d.]+[smh]?$", words[0]) or words[:2] == ["uv", "run"]):
        words = words[2 if words[0] in {"uv", *UV_OPTIONS} else 1 :]
    if not words or words[0].startswith("#"):
        return
    yield words
    for word in words:
        for match in re.finditer(r"\$\((.*)\)", word, re.DOTALL):
            yield from commands(match[1])
    name = Path(words[0]).name
    if name == "eval":
        yield from commands(" ".join(words[1:]))
    if name in {"bash", "sh", "zsh"}:
        for place, word in enumerate(words[:-1]):
            yield from commands(words[place + 1]) if re.fullmatch(r"-\w*c", word) else ()


def shell(text: str, here: Path, root: Path, *, writes: bool) -> str:
    """Return why a command of the shell must not run, or nothing; a commit runs the fast checks here."""
    commits = False
    for words in commands(text):
        name = Path(words[0]).name
        if name in WITHHELD:
            return f"{name} changes infrastructure: write it down in docs/handoffs, a person does it"
        if any(words[n : n + 2] in SERVES for n in range(1, 4)):
            return SERVED
        if name == "git":
            action, options = git(words)
            if action == "push":
                return "git push is a person's to do"
            if action == "commit" and {"--no-verify", "-n"} & {*options}:
                return "a commit is checked: leave --no-verify out"
            commits = commits or action == "commit"
            name = "ls" if action in {"add", "commit", "log", "status", "ls-files"} else name
        if why := opened(words, name, here) or changed(words, here, writes=writes):
            return why
        here = here / words[1] if name == "cd" and len(words) > 1 else here
    return fast_checks(root) if commits else ""


def git(words: list[str]) -> tuple[str, list[str]]:
    """Return the action of a git command, and what follows it."""
    rest = iter(words[1:])
    for word in rest:
        if word in {"-C", "-c", "--git-dir", "--work-tree"}:
            next(rest, "")
        elif not word.startswith("-"):
            return word, [*rest]
    return "", []


def opened(words: list[str], name: str, here: Path) -> str:
    """Return why a simple command must not run that would read the sealed split, or nothing."""
    if name in READERS and "<" not in words:
        return ""
    if name in {"grep", "rg", "egrep"}:  # what is looked for is no file
        pattern = next((word for word in words[1:] if not word.startswith("-")), "")
        words = [word for word in words if word != pattern]
    if name.startswith("python") and any(OPENS.search(text) for text in [*words, *scripts(words[1:], here)]):
        return SEALED_SPLIT
    pieces = [p for word in words for p in (re.split(r"[\s'\"(),]+", word) if name.startswith("python") else [word])]
    return SEALED_SPLIT if any(is_sealed(piece, here) for piece in pieces) else ""


def scripts(words: list[str], here: Path) -> list[str]:
    """Return the texts of the scripts that a command runs; the package and its tests may open the split."""
    paths = [here / word for word in words if word.endswith(".py")]
    own = [path for path in paths if Path(os.path.relpath(path, here)).parts[0] not in {"src", "tests"}]
    return [path.read_text("utf-8", "replace") for path in own if path.is_file()]


def changed(words: list[str], here: Path, *, writes: bool) -> str:
    """Return why a simple command must not run that would change a file which nobody edits, or nothing."""
    name, rest = Path(words[0]).name, [word for word in words[1:] if not word.startswith("-")]
    targets = [words[n] for n in range(1, len(words)) if words[n - 1] == ">" and not words[n].isdigit()]
    if name in {"rm", "mv", "tee", "truncate", "touch", "shred", "unlink", "ln"}:
        targets += rest
    elif name in {"cp", "install", "rsync"} or (name == "dd" and rest):
        targets += [word.removeprefix("of=") for word in rest if name != "dd" or word.startswith("of=")][-1:]
    elif name in {"sed", "perl"} and any(re.match(r"-\w*i|--in-place", word) for word in words):
        targets += rest
    elif name.startswith("python") and WRITES.search(" ".join(words)):
        targets += re.split(r"[\s'\"(),]+", " ".join(rest))
    if not writes and any(not one.startswith("/dev/") for one in targets):
        return "ml-architect reads; what it decides stands in docs/designs, written with the Write tool"
    files = [str(path) for word in targets for one in braces(word) for path in ([one, *found(one, here)])]
    return next((why for file in files if file and (why := protected(file, here))), "")


def fast_checks(root: Path) -> str:
    """Return what is red of the checks that take a moment, or nothing."""
    places = (root / ".venv/bin/python", root / ".venv/Scripts/python.exe")
    python = next((str(path) for path in places if path.exists()), shutil.which("python") or sys.executable)
    own = sorted(path for path in root.glob("src/*_agents/commands/*.py") if path.stem in {"tasks", "agents"})
    checks = [["ruff", "check", "--quiet"], ["ruff", "format", "--check", "--quiet"]]
    checks += [[path.parts[-3].removesuffix("_agents"), path.stem, "check"] for path in own]
    surroundings = os.environ | {"PYTHONPATH": os.pathsep.join([str(root / "src"), os.environ.get("PYTHONPATH", "")])}
    for words in checks:
        try:
            done = subprocess.run(  # noqa: S603 (our own words)
                [python, "-m", *words],
                cwd=root,
                env=surroundings,
                timeout=45,
                capture_output=True,
                text=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"`{' '.join(words)}` took more than 45 seconds: run it, then commit"
        if done.returncode:
            return f"`{' '.join(words)}` is red, repair it and commit then:\n{(done.stdout + done.stderr)[-1500:]}"
    return ""
