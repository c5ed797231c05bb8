#!/usr/bin/env python3
"""Finds agents (.claude/agents/*.md) and skills (.claude/skills/*/SKILL.md) whose front matter will not be taken."""

from __future__ import annotations

import argparse
import re
import sys
from io import TextIOWrapper
from pathlib import Path

FENCE = re.compile(r"---\r?\n(.*?)^---\s*$", re.DOTALL | re.MULTILINE)
ENTRY = re.compile(r"([A-Za-z][\w-]*):(?:\s+(.*))?$")
CLOSED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'", re.DOTALL)  # a text between quotes
OPENED = re.compile(r"(?:\A(?:[\[{](?:.*,)?\s*)?|^- +)[\"']", re.DOTALL | re.MULTILINE)  # a text, or one of a list
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
TOOLS = {
    *("Agent", "AskUserQuestion", "Bash", "Edit", "Glob", "Grep", "LSP", "NotebookEdit", "Read", "Skill"),
    *("TaskCreate", "TaskGet", "TaskList", "TaskStop", "TaskUpdate", "WebFetch", "WebSearch", "Write"),
}
KEYS = {
    "agent": {
        *("name", "description", "tools", "disallowedTools", "model", "permissionMode", "maxTurns", "skills"),
        *("mcpServers", "hooks", "memory", "background", "effort", "isolation", "color", "initialPrompt"),
    },
    "skill": {"name", "description", "license", "compatibility", "metadata", "allowed-tools"},
}
TOOL_KEYS = ("tools", "disallowedTools", "allowed-tools")
Entries = dict[str, tuple[int, str]]  # by key: the number of the line, and the value


def check(path: Path, longest: int) -> list[str]:
    """Return a line for each thing that is wrong with the front matter of a file."""
    if not path.is_file():
        return [f"{path.as_posix()}:1: cannot be read (no such file); want a text in UTF-8"]
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return [f"{path.as_posix()}:1: cannot be read ({error}); want a text in UTF-8"]
    kind = "skill" if path.name == "SKILL.md" else "agent"
    fence = FENCE.match(text)
    if text.startswith("\ufeff"):
        found = [(1, "mark of the order of bytes before the front matter; save it as UTF-8 without one")]
    elif not fence:
        found = [(1, "no front matter; begin with two lines of --- and name and description between them")]
    else:
        entries, found = read(fence[1].splitlines())
        found += judge(entries, kind, path.parent.name if kind == "skill" else path.stem, longest)
    return [f"{path.as_posix()}:{line}: {what}" for line, what in sorted(found)]


def read(lines: list[str]) -> tuple[Entries, list[tuple[int, str]]]:
    """Return the entries of a front matter, and what is wrong with its lines: as much of YAML as these files need."""
    entries: dict[str, tuple[int, str]] = {}
    found, key = [], ""
    for number, line in enumerate(lines, 2):
        match = ENTRY.match(line)
        if "\t" in line:
            found.append((number, "tab in the front matter; use spaces"))
        elif match and match[1] in entries:
            found.append((number, f"key '{match[1]}' is there twice; keep one"))
        elif match:
            key, value = match[1], match[2] or ""
            entries[key] = (number, value)
            if re.search(r": |:$", value) and value[0] not in "\"'|>[{":
                found.append((number, f"colon in {key}; put the text between quotes"))
        elif key and line.strip() and line[0] in " -":
            entries[key] = (entries[key][0], f"{entries[key][1]}\n{line.strip()}")
        elif line.strip() and not line.startswith("#"):
            found.append((number, f"'{line[:40]}' is no entry; write `key: value`"))
    return entries, found


def judge(entries: Entries, kind: str, name: str, longest: int) -> list[tuple[int, str]]:
    """Return what is wrong with the entries of an agent or a skill that its place gives this name."""
    wanted = ", ".join(sorted(KEYS[kind]))
    found = [
        (n, f"unknown key '{key}'; want one of {wanted}") for key, (n, _) in entries.items() if key not in KEYS[kind]
    ]
    found += [(n, f"quote in {key} has no end; close it") for key, (n, value) in entries.items() if opened(value)]
    given, said = (entries.get(key, (1, "")) for key in ("name", "description"))
    if plain(given[1]) != name or not NAME.fullmatch(name):
        found.append((given[0], f"name is '{plain(given[1])}'; want '{name}', in small letters, digits and hyphens"))
    if not plain(said[1]):
        found.append((said[0], "no description; say in a sentence what it does and when to use it"))
    elif (count := len(plain(said[1]))) > longest:
        found.append((said[0], f"description has {count} letters; want {longest} at most"))
    for line, value in (entries[key] for key in TOOL_KEYS if key in entries):
        found += [(line, f"unknown tool '{tool}'; want one of {', '.join(sorted(TOOLS))}") for tool in unknown(value)]
    return found


def opened(value: str) -> bool:
    """Whether a text, or one in a list, begins with a quote that nothing closes."""
    return value[:1] not in {"|", ">"} and bool(OPENED.search(CLOSED.sub("", value)))


def plain(value: str) -> str:
    """Return a text without its quotes, the mark of a block, or a comment."""
    first, *rest = value.splitlines() or [""]
    if re.fullmatch(r"[|>][+-]?\d?", first):
        return " ".join(rest)
    whole = " ".join([first, *rest]).strip()
    return whole[1:-1] if whole[:1] in {'"', "'"} and whole[-1] == whole[0] else re.sub(r"\s#.*", "", whole)


def unknown(value: str) -> list[str]:
    """Return the tools of a list that do not exist, however YAML writes it; those of a server are its own matter."""
    names = re.sub(r"(^|\s)#.*", "", re.sub(r"\([^)]*\)", "", value), flags=re.MULTILINE)
    words = re.findall(r"[^\s,()\[\]\"'-][^\s,()\[\]\"']*(?=\(|[\s,\]\"']|$)", names)
    return [word for word in words if word not in TOOLS and not word.startswith("mcp__") and word != "*"]


def near() -> Path:
    """Return the nearest .claude: here or above, but no higher than the repository's root."""
    here = Path.cwd()
    above = [here, *here.parents]
    root = next((folder for folder in above if (folder / ".git").exists()), here)
    inside = above[: above.index(root) + 1]
    steps = next((count for count, folder in enumerate(inside) if (folder / ".claude").is_dir()), 0)
    return Path(*[".."] * steps, ".claude")


def main() -> int:
    """Print a line for each finding; return 1 where there are any."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Exit status: 0 nothing found, 1 findings, 2 wrong use."
    )
    parser.add_argument("names", nargs="*", type=Path, metavar="FILE", help="files (all in .claude)")
    parser.add_argument("--max-description", type=int, default=1024, metavar="N", help="letters (1024)")
    options = parser.parse_args()
    if options.max_description < 1:
        parser.error(f"--max-description {options.max_description}: want a whole number above 0")
    home = near()
    names = options.names or sorted([*home.glob("agents/*.md"), *home.glob("skills/*/SKILL.md")])
    found = [line for path in names for line in check(path, options.max_description)]
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no text at all
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
