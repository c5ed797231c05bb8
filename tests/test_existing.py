"""The template is copied over a project that is there already: nothing of it changes, what differs is listed."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.answers import ROOT
from tests.harness import GIT, Warm, command, release, snapshot

OLD = {
    ".gitignore": "data/\n",
    "README.md": "# A small network of ours\n",
    "net/__init__.py": "",
    "net/model.py": "import torch\n\n\nclass Net(torch.nn.Linear):\n    pass\n",
    "pyproject.toml": '[project]\nname = "net"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
    'dependencies = [\n    "torch>=2.7",\n]\n',
    "tests/test_net.py": "from net.model import Net\n\n\n"
    "def test_a_net_has_weights():\n    assert Net(2, 3).weight.shape == (3, 2)\n",
    "train.py": "import torch\n\nfrom net.model import Net\n\nprint(Net(2, 1)(torch.zeros(1, 2)))\n",
}
COPIER = Path(sys.executable).with_name("copier")
PAGE = (ROOT / "docs/existing-projects.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Copied:
    """A project that was there, after the template was copied over it as the page says, and what a fresh one has."""

    folder: Path
    fresh: Path
    differs: str


def lines() -> list[str]:
    """The commands of the page."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def contents(folder: Path, names: Mapping[str, str]) -> dict[str, bytes]:
    """The bytes of some files of a folder."""
    return {name: (folder / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Copied:
    """The commands of the page, run in a project with a release of this template."""
    home = tmp_path_factory.mktemp("existing")
    snapshot(home / "template")
    release(home / "template", "v0.0.1")
    for name, text in OLD.items():
        (home / "ours" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "ours" / name).write_text(text, encoding="utf-8")
    release(home / "ours", "before")
    over, fresh, listing = (next(line for line in lines() if word in line) for word in ("--skip", "fresh", "--stat"))
    for line in (over, fresh):
        words = line.replace("uvx copier", str(COPIER)).replace("TEMPLATE", str(home / "template"))
        result = command(["bash", "-euc", words.replace("copy ", "copy --defaults ", 1)], home / "ours")
        assert result.status == 0, result.output
    told = command(["bash", "-c", listing], home / "ours", {"GIT_PAGER": "cat"})
    return Copied(home / "ours", home / "fresh", told.output)


def test_no_file_that_was_there_has_changed(copied: Copied) -> None:
    assert contents(copied.folder, OLD) == {name: text.encode() for name, text in OLD.items()}
    told = command([*GIT, "status", "--porcelain"], copied.folder).output.splitlines()
    assert told
    assert {line[:2] for line in told} == {"??"}
    assert (copied.folder / "src/my_project/run.py").exists()
    assert (copied.folder / ".copier-answers.yml").exists()


def test_what_differs_from_a_fresh_project_is_listed(copied: Copied) -> None:
    named = {line.split("|")[0].strip().rpartition("/")[2] for line in copied.differs.splitlines() if "|" in line}
    assert named == {".gitignore", "README.md", "pyproject.toml"}
    for name in named:
        assert f"`{name}`" in PAGE, name


def test_the_tests_that_were_added_pass_beside_those_that_were_there(copied: Copied, warm: Warm) -> None:
    table = (copied.fresh / "pyproject.toml").read_text(encoding="utf-8")
    merged = OLD["pyproject.toml"] + "\n" + table[table.index("[tool.ruff]") :]
    (copied.folder / "pyproject.toml").write_text(merged, encoding="utf-8")
    files = ("tests/test_net.py", "tests/test_config.py", "tests/test_data.py")
    result = warm.run(copied.folder, "pytest", "-q", "-p", "no:cacheprovider", "--no-cov", *files)
    assert result.status == 0, result.output
    (copied.folder / "pyproject.toml").write_text(OLD["pyproject.toml"], encoding="utf-8")


def test_without_a_word_on_what_is_there_copier_stops_and_changes_none_of_it(copied: Copied, tmp_path: Path) -> None:
    for name, text in OLD.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    result = command([COPIER, "copy", "--defaults", copied.folder.parent / "template", "."], tmp_path)
    assert result.status == 1
    assert "Interactive session required" in result.output
    assert contents(tmp_path, OLD) == {name: text.encode() for name, text in OLD.items()}
