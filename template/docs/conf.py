# copier: filter replace("my_project", package_name)
"""The site: its settings, and the pages that are made of the code and the README each time it is built."""

import contextlib
import inspect
import io
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import my_project
from my_project import __main__ as command_line
from my_project import config as configs

HERE = Path(__file__).parent
PACKAGE = Path(next(iter(my_project.__path__)))
NAME = my_project.__name__
README = (HERE.parent / "README.md").read_text("utf-8")
LISTED = re.compile(r"^    ([a-z][a-z-]*)(?: {2,}|$)", re.MULTILINE)  # a command, as --help lists them
FIELD = re.compile(r"^    (\w+): (.*?)(?: = .*?)?(?:  # (.+))?$", re.MULTILINE)
CODE = re.compile(r"(`[^`]*`)")

project = README.partition("\n")[0].removeprefix("# ")
release = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]["version"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["designs", "handoffs"]  # forms that people fill in
myst_heading_anchors = 4
html_theme = "furo"
html_title = project
html_show_copyright = False
python_maximum_signature_line_length = 100
autodoc_inherit_docstrings = False
autodoc_default_options = {"members": True, "member-order": "bysource"}


def printed_help(*words: str) -> str:
    """Return what a command prints for `--help`."""
    os.environ["COLUMNS"], sys.argv = "100", [NAME.replace("_", "-")]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        command_line.main([*words, "--help"])
    return out.getvalue()


def commands(*words: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every command below these words, with its help."""
    text = printed_help(*words)
    yield words, text
    for name in LISTED.findall(text) if not words or "ACTION" in text else ():
        yield from commands(*words, name)


def commands_page() -> str:
    """Return the page that shows the help of every command."""
    parts = [f"## {' '.join(words) or 'All'}\n\n```text\n{text.strip()}\n```\n" for words, text in commands()]
    return "\n".join(["# Commands\n", *parts])


def table(*rows: tuple[str, ...]) -> str:
    """Return a Markdown table; the first row is its head."""
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in [lines[0], " | ".join("---" for _ in rows[0]), *lines[1:]]) + "\n"


def options(section: str, kind: type[Any]) -> str:
    """Return a table of the options of a section of one kind: type, default, and the comment behind the field."""
    ours = [cls for cls in reversed(kind.__mro__) if cls.__module__.startswith(f"{NAME}.")]
    written = [row for cls in ours for row in FIELD.findall(inspect.getsource(cls))]
    about = {name: (declared, comment) for name, declared, comment in written}
    rows = [("option", "type", "default", "what it does")]
    for name, info in kind.__pydantic_fields__.items():
        declared, comment = about.get(name, (str(info.annotation), ""))
        default = "" if info.is_required() else f"`{info.get_default(call_default_factory=True)!r}`"
        rows.append((f"`--{section}.{name.replace('_', '-')}`", f"`{declared}`", default, comment))
    return table(*rows)


def presets() -> str:
    """Return a table of the presets, each with the comment in its first line."""
    files = sorted(configs.PRESETS.glob("*.yaml"))
    heads = [(path.stem, path.read_text("utf-8").partition("\n")[0].removeprefix("# ")) for path in files]
    return table(("preset", "what it is"), *[(f"`{name}`", head) for name, head in heads])


def configuration_page() -> str:
    """Return the page on every option of a run."""
    default, parts = configs.load(), ["# Configuration\n\n## Presets\n", presets()]
    for section in configs.SECTIONS:
        parts.append(f"## {section}\n")
        if section in configs.ROOMS:
            for kind, cls in configs.kinds(section).items():
                parts += [f"### {section}.kind: {kind}\n", f"{inspect.getdoc(cls)}\n", options(section, cls)]
        else:
            parts.append(options(section, type(getattr(default, section))))
    return "\n".join(parts)


def api_pages() -> Iterator[tuple[str, str]]:
    """Yield a page for each room of the package, with its modules, and the page that lists them."""
    rooms: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts != ("__init__",):
            rooms.setdefault(parts[0], []).append(".".join(parts))
    for room, modules in rooms.items():
        text = [f"{room}\n{'=' * len(room)}\n"]
        for name in modules:
            text += [f"{name}\n{'-' * len(name)}\n"] if name != room else []
            text += [f".. automodule:: {NAME}.{name}\n"]
        yield f"api/{room}.rst", "\n".join(text)
    entries = "\n   ".join(rooms)
    yield "api/index.rst", f"API\n===\n\nThe modules of ``{NAME}``.\n\n.. toctree::\n\n   {entries}\n"


def data_page() -> str:
    """Return the README's section on the task's data; its links lead on from this page."""
    section = re.split(r"^## ", README, flags=re.MULTILINE)
    text = next((part for part in section if part.startswith("Data\n")), "Data\n\nSee the README.\n")
    text = re.sub(r"^#(?=##+ )", "", text.removeprefix("Data\n"), flags=re.MULTILINE)  # a level higher
    return "# Task and data\n" + re.sub(r"\]\((?![a-z]+:|#)", "](../../", text)


def write_pages(_: Sphinx) -> None:
    """Write what is made of the code, and touch nothing that is as it was."""
    pages = {"data.md": data_page(), "commands.md": commands_page(), "configuration.md": configuration_page()}
    pages |= dict(api_pages())
    folder = HERE / "generated"
    for path in [*folder.rglob("*.md"), *folder.rglob("*.rst")]:
        if path.relative_to(folder).as_posix() not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, encoding="utf-8")


def to_rst(*event: Any) -> None:
    """Turn a docstring's code spans into those of reStructuredText, and let nothing else in it be markup."""
    lines: list[str] = event[-1]
    parts = CODE.split("\n".join(lines))
    parts[::2] = [re.sub(r"([*|\\]|_\b)", r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [f"`{part}`" for part in parts[1::2]]
    lines[:] = re.sub(r"(``)(?=\w)", r"\1\\ ", "".join(parts)).split("\n") if len(parts) > 1 else parts[0].split("\n")


def without_fields(*event: Any) -> tuple[str, str] | None:
    """Leave out what a config is made with: its fields stand on the page on the configuration."""
    return ("", "") if hasattr(event[3], "__pydantic_fields__") else None


def setup(app: Sphinx) -> None:
    """Let Sphinx call what is above."""
    app.connect("autodoc-process-signature", without_fields)
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-docstring", to_rst, priority=400)
    # copier: endfilter
