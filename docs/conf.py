"""The site of the template; its pages are the Markdown files of this repository as they stand.

uv run sphinx-build -W --keep-going -c docs . site
uv run sphinx-build -b linkcheck -c docs . site/links
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
# The navigation: a page in docs/ that stands nowhere here comes last, under "More".
NAVIGATION = {
    "Start": ["docs/quick-start", "docs/options", "docs/tasks"],
    "Guides": [
        "docs/own-data",
        "docs/write-a-model",
        "docs/distributed",
        "docs/agents",
        "docs/edge-cases",
        "docs/report",
        "docs/comparing-runs",
        "docs/monitoring",
        "docs/studies",
        "docs/trackers",
        "docs/registry",
        "docs/serving",
        "docs/service",
        "docs/export",
        "docs/page",
        "docs/existing-projects",
        "docs/audit",
        "docs/ci",
        "docs/update",
        "docs/leave",
    ],
    "What was measured": ["docs/performance", "docs/faults", "docs/comparison", "docs/compatibility"],
    "How it is built": [
        "docs/layout",
        "docs/architecture",
        "docs/adding-an-option",
        "docs/decisions",
        "docs/publishing",
        "hooks/README",
    ],
    "The project": ["CHANGELOG", "CONTRIBUTING", "SECURITY", "CODE_OF_CONDUCT"],
}
BELOW = {"docs/tasks": sorted(f"docs/tasks/{path.stem}" for path in (ROOT / "docs/tasks").glob("*.md"))}
PICTURE = re.compile(r'<p align="center"><img src="([^"]+)" width="\d+" alt="([^"]+)"></p>')

project = "copier-torch"
release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "hooks/*.md"]
exclude_patterns = [".venv", ".git", ".*_cache", "template", "tests", "benchmarks", "working", "site", "runs"]
templates_path = ["site"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # some pages show what a command prints, headings included
html_theme = "furo"
html_title = "copier-torch"
html_show_copyright = False
html_additional_pages = {"index": "index.html"}  # a site begins at index.html, this one's first page is the README
linkcheck_timeout = 20
linkcheck_anchors_ignore_for_url = [r"https://github\.com/.*"]  # made by scripts


def contents(caption: str, pages: list[str]) -> str:
    """Return a hidden table of contents."""
    lines = [
        "```{toctree}",
        ":hidden:",
        *([f":caption: {caption}"] if caption else []),
        "",
        *(f"/{page}" for page in pages),
        "```",
    ]
    return "\n\n" + "\n".join(lines) + "\n"


def add_contents(_: Sphinx, name: str, source: list[str]) -> None:
    """Give the README the site's navigation, and its pictures a form that Sphinx knows."""
    source[0] = PICTURE.sub(r"![\2](\1)", source[0])
    if name in BELOW:
        source[0] += contents("", BELOW[name])
    if name == root_doc:
        named = {page for pages in NAVIGATION.values() for page in pages}
        rest = sorted({f"docs/{path.stem}" for path in (ROOT / "docs").glob("*.md")} - named)
        parts = NAVIGATION | ({"More": rest} if rest else {})
        source[0] += "".join(contents(caption, pages) for caption, pages in parts.items())


def setup(app: Sphinx) -> None:
    """Let Sphinx call what is above."""
    app.connect("source-read", add_contents)
