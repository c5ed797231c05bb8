"""What the audit cannot read counts as not there, or is named as not read; it never ends in a traceback."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from pytorch_audit.command import audit
from tests.answers import ROOT
from tests.harness import command, release
from tests.test_audit import signs, write

DEEP = " + ".join("a" * 600)
ODD = [
    {"pyproject.toml": "project = 1\ntool = 'x'\n"},
    {"pyproject.toml": "[project]\ndependencies = 3\nscripts = 3\nentry-points = {console_scripts = 4}\n"},
    {"pyproject.toml": "[tool]\nmypy = 3\n"},
    {"pyproject.toml": "x = " + "1" * 5000, "uv.lock": "package = 3\n"},
    {"pyproject.toml": "x = " + "[" * 3000, "uv.lock": "package = ['a']\n"},
    {"train.py": f"import torch\nif {DEEP}:\n    torch.manual_seed(1)\n    torch.load('last.pt')\n"},
    {"train.py": f"import torch\nb[{DEEP}] = f()\nscaler.fit({DEEP})\ntorch.utils.data.random_split({DEEP})\n"},
    {"train.py": f"import torch\nx = a{'.a' * 1500}\nclass A(a{'.a' * 1500}): pass\n"},
    {"tests/test_a.py": f"class A({DEEP}):\n    def test_a(self): assert x\n"},
]


@pytest.mark.parametrize("files", ODD)
def test_what_is_no_table_or_nested_too_deeply_counts_as_not_there(files: dict[str, str], tmp_path: Path) -> None:
    found = signs(write(tmp_path, {"CLAUDE.md": "```\nuv run train\n```\n", "uv.lock": "", **files}))
    assert (found["types-strict"], found["locked"]) == ("-", "+")
    assert "+" not in {found[name] for name in ("seed-torch", "split-fit", "load-safe")}


def test_a_seed_under_a_condition_too_deep_to_write_is_not_one_without_condition(tmp_path: Path) -> None:
    folder = write(tmp_path, {"train.py": f"import torch\nif {DEEP}:\n    torch.manual_seed(1)\n"})
    assert audit(folder).verdicts["seed-torch"].why == "torch is seeded only if `…`"


def test_files_over_two_megabytes_are_named_as_not_read(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "x = 1\n" * 400_000, "uv.lock": "version = 1\n" + "# more\n" * 400_000})
    result = command([sys.executable, ROOT / "hooks/audit", "."], tmp_path)
    assert "not read: 1 over 2 MB, as train.py" in result.output.splitlines()
    told = json.loads(command([sys.executable, ROOT / "hooks/audit", "--json", "."], tmp_path).output)
    assert told["not_read"] == ["train.py"]


def test_an_older_python_is_refused_in_one_line(tmp_path: Path) -> None:
    older = f"import runpy, sys; sys.version_info = (3, 10); runpy.run_path({str(ROOT / 'hooks/audit')!r})"
    result = command([sys.executable, "-c", older], tmp_path)
    assert result.status == 1
    assert re.fullmatch(r"copier-torch-audit: got Python [\d.]+, want 3.11 or newer\n", result.output)


def test_git_says_which_files_belong_to_a_folder_inside_a_repository(tmp_path: Path) -> None:
    secret = {"mine.env": "password = 'a1b2c3d4e5f6g7'\n", "train.py": "x = 1\n"}
    write(tmp_path / "one/inside", secret)
    write(tmp_path / "one/away", secret)
    write(tmp_path / "one", {".gitignore": "mine.env\n/away/\n"})
    release(tmp_path / "one", "first")
    assert signs(tmp_path / "one/inside")["no-secrets"] == "+"
    assert signs(tmp_path / "one/away")["no-secrets"] == "-"  # git knows no file of it: all are read
