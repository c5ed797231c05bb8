"""The audit says of other people's layouts what is true, and of ours that all holds until something is broken."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytorch_audit.command import GUARANTEES, audit
from tests.answers import ROOT
from tests.audited import DATA_SCIENCE, HYDRA, SCRIPTS
from tests.harness import GIT, Sample, command, release

WORDS = {"holds": "+", "does not hold": "-", "cannot tell": "?"}


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Put files into a folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def signs(folder: Path) -> dict[str, str]:
    """The verdicts on a folder, a sign each: + holds, - does not, ? cannot tell."""
    return {name: WORDS[verdict.word] for name, verdict in audit(folder).verdicts.items()}


EXPECTED = {
    "seed-python": "? ? ?",
    "seed-numpy": "? ? ?",
    "seed-torch": "? ? +",
    "seed-workers": "? ? ?",
    "split-test": "+ ? -",
    "split-once": "+ ? ?",
    "split-fit": "? ? ?",
    "load-safe": "? ? -",
    "save-whole": "? ? -",
    "save-state": "? ? -",
    "types-annotated": "- - -",
    "types-strict": "- - -",
    "tests-exist": "+ + -",
    "tests-collect": "+ + ?",
    "tests-assert": "- - ?",
    "agents-paths": "? ? ?",
    "agents-names": "? ? ?",
    "agents-commands": "? ? ?",
    "locked": "- - -",
    "no-secrets": "+ + +",
    "no-large-files": "+ + +",
    "run-recorded": "? ? -",
}


@pytest.mark.parametrize("number", range(3), ids=["hydra", "data science", "scripts"])
def test_three_public_layouts_get_the_verdicts_that_they_deserve(number: int, tmp_path: Path) -> None:
    folder = write(tmp_path, (HYDRA, DATA_SCIENCE, SCRIPTS)[number])
    assert signs(folder) == {name: row.split()[number] for name, row in EXPECTED.items()}


def test_every_verdict_but_a_general_one_names_lines_that_are_there(tmp_path: Path) -> None:
    folder = write(tmp_path, SCRIPTS)
    verdicts = audit(folder).verdicts
    assert [str(place) for place in verdicts["load-safe"].places] == ["train.py:19"]
    assert [str(place) for place in verdicts["save-whole"].places] == ["train.py:31"]
    for verdict in verdicts.values():
        for place in verdict.places:
            assert 0 < place.line <= len((folder / place.path).read_text("utf-8").splitlines())


def test_nothing_of_the_audited_code_runs(tmp_path: Path) -> None:
    trap = f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
    names = ("conftest.py", "setup.py", "sitecustomize.py", "ast.py", "json.py", "tests/test_a.py", "__main__.py")
    folder = write(tmp_path / "repository", dict.fromkeys(names, trap) | {"broken.py": "def (:\n"})
    result = command([sys.executable, ROOT / "hooks/audit", "--json", "."], folder)
    assert result.status == 0, result.output
    told = json.loads(result.output)
    assert told["not_read"] == ["broken.py:1"]
    assert not (tmp_path / "ran").exists()
    assert not list(folder.rglob("__pycache__"))


def test_what_git_ignores_is_not_read_and_no_setting_of_the_repository_starts_a_program(tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    write(folder, {".gitignore": "mine.env\n", "mine.env": "password = 'a1b2c3d4e5f6g7'\n", "train.py": "x = 1\n"})
    release(folder, "first")
    trap = folder / ".git/trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n", encoding="utf-8")
    trap.chmod(0o755)
    assert command([*GIT, "config", "core.fsmonitor", trap], folder).status == 0
    assert signs(folder)["no-secrets"] == "+"
    assert not (tmp_path / "ran").exists()
    command([*GIT, "status"], folder)
    assert (tmp_path / "ran").exists()  # it would have
    shutil.rmtree(folder / ".git")
    assert signs(folder)["no-secrets"] == "-"


def test_a_hostile_repository_is_read_all_the_same(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "repository", {"train.py": "import torch\ntorch.manual_seed(1)\n", "env/train.py": "x = 1\n"}
    )
    (folder / "null.py").write_bytes(b"x = 1\0\n")
    (folder / "deep.py").write_text("x = " + "(" * 5000 + ")" * 5000, encoding="utf-8")
    (folder / "chain.py").write_text("x = a" + ".a" * 5000, encoding="utf-8")
    (folder / "pyproject.toml").write_text("[[[", encoding="utf-8")
    (folder / "uv.lock").write_bytes(b"\xff\xfe")
    (folder / "setup.cfg").write_text("no section\n", encoding="utf-8")
    Path(os.fsdecode(bytes(folder) + b"/\xff.py")).write_bytes(b"def\n")
    (folder / "away.py").symlink_to("/nowhere/at/all.py")
    os.mkfifo(folder / "pipe.py")
    venv = write(folder / "myenv", {"pyvenv.cfg": "", "lib/torch.py": "import random\nrandom.random()\n"})
    result = command([sys.executable, ROOT / "hooks/audit", folder], tmp_path, {"PYTHONIOENCODING": "ascii"})
    assert result.status == 0, result.output
    assert "Traceback" not in result.output
    for name in ("null.py", "deep.py", "\\udcff.py"):
        assert f"not read: {name}" in result.output
    assert "holds          torch's random numbers repeat" in result.output
    assert venv.name not in result.output


def test_strict_fails_where_something_does_not_hold_and_a_wrong_path_is_wrong_use(tmp_path: Path) -> None:
    audits: list[str | Path] = [sys.executable, ROOT / "hooks/audit"]
    folder = write(tmp_path / "repository", SCRIPTS)
    plain, strict = (command([*audits, folder, *flags], tmp_path) for flags in ([], ["--strict"]))
    assert (plain.status, strict.status) == (0, 1)
    assert plain.output == strict.output
    assert "DOES NOT HOLD  reading a checkpoint runs no code" in plain.output
    assert "train.py:19" in plain.output
    wrong = command([*audits, tmp_path / "nowhere"], tmp_path)
    assert wrong.status == 2
    assert "want a folder" in wrong.output.splitlines()[-1]
    assert "Traceback" not in wrong.output


def test_each_guarantee_has_a_place_on_the_page() -> None:
    page = (ROOT / "docs/audit.md").read_text(encoding="utf-8")
    for name in GUARANTEES:
        assert f'<a id="{name}"></a>' in page, name
    assert page.count("<a id=") == len(GUARANTEES)


@pytest.fixture(scope="module")
def whole(default: Sample, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """The default project after its first `uv sync`, as far as the audit looks."""
    project = default.copy(tmp_path_factory.mktemp("audited") / "project")
    names = ("jinja2", "numpy", "pydantic", "pyyaml", "rich", "torch", "torchmetrics")
    rows = [f'[[package]]\nname = "{name}"\nversion = "1"\n' for name in names]
    (project.folder / "uv.lock").write_text("version = 1\n" + "\n".join(rows), encoding="utf-8")
    return project


def test_everything_holds_in_the_default_project(whole: Sample) -> None:
    assert {name: sign for name, sign in signs(whole.folder).items() if sign != "+"} == {}


STORAGE, LOADER, RUN = "src/my_project/training/storage.py", "src/my_project/data/loader.py", "src/my_project/run.py"
TESTS, TRAINER = "tests/test_models.py", "src/my_project/training/trainer.py"
PLANTED = [  # what is expected to turn, the file, what stands there, what comes instead
    ("seed-python", STORAGE, "    random.seed(seed)\n", "    random.random()\n"),
    ("seed-numpy", STORAGE, "    np.random.seed(seed % 2**32)", "    np.random.rand(seed)"),
    ("seed-torch seed-python seed-numpy", RUN, "storage.seed_everything(seed := ", "(seed := "),
    ("seed-torch", STORAGE, "    torch.manual_seed(seed)\n", "    if seed:\n        torch.manual_seed(seed)\n"),
    ("seed-workers", LOADER, ', "generator": torch.Generator()}', "}"),
    ("split-once", LOADER, "import numpy as np\n", "import numpy as np\nA, B = train_test_split(range(9))\n"),
    ("split-fit", RUN, "model.prepare(train_split)", "model.prepare(test_data)"),
    ("load-safe", STORAGE, "weights_only=True", "weights_only=False"),
    ("save-whole", STORAGE, "        temporary.replace(path)  # last", "        del path  # last"),
    ("save-state", TRAINER, '            "rng": [torch.get_rng_state(), *torch.cuda.get_rng_state_all()],\n', ""),
    ("types-annotated", RUN, "def report(run: Path) -> str:", "def report(run):"),
    ("types-strict", "pyproject.toml", "strict = true", "strict = false"),
    ("tests-collect", TESTS, "from my_project.", "from my_project.gone."),
    ("agents-paths", "CLAUDE.md", "`requirements.md`", "`requirements_gone.md`"),
    ("agents-names", "CLAUDE.md", "## Work\n", "## Work\n\nAsk the `ml-nobody` agent.\n"),
    ("agents-commands", "CLAUDE.md", "uv run my-project report", "uv run my-projekt report"),
    ("agents-commands", "AGENTS.md", "uv run mypy", "python scripts/gone.py"),
    ("locked", "uv.lock", 'name = "rich"', 'name = "poor"'),
    ("no-secrets", "configs/example.yaml", "\n", "\n# api_key: 'a1b2c3d4e5f6g7h8'\n"),
    ("run-recorded", STORAGE, '["git", "status",', '["true", "status",'),
]


@pytest.mark.parametrize(("names", "file", "old", "new"), PLANTED, ids=[f"{row[0]} {row[1]}" for row in PLANTED])
def test_a_planted_defect_turns_its_verdict(whole: Sample, names: str, file: str, old: str, new: str) -> None:
    path = whole.folder / file
    before = path.read_text(encoding="utf-8")
    assert old in before
    try:
        path.write_text(before.replace(old, new, 1), encoding="utf-8")
        turned = {name for name, sign in signs(whole.folder).items() if sign != "+"}
    finally:
        path.write_text(before, encoding="utf-8")
    assert turned == set(names.split())


def test_what_is_taken_away_or_added_turns_its_verdict(whole: Sample, tmp_path: Path) -> None:
    project = whole.copy(tmp_path / "project").folder
    (project / "weights.bin").write_bytes(bytes(5_000_001))
    (project / "uv.lock").unlink()
    for path in project.rglob("tests/**/*.py"):
        path.unlink()
    (project / "tests/test_hollow.py").write_text("def test_nothing():\n    assert False\n", encoding="utf-8")
    turned = {name for name, sign in signs(project).items() if sign == "-"}
    assert turned == {"no-large-files", "locked", "tests-assert", "agents-paths"}  # one names a test
    (project / "tests/test_hollow.py").unlink()
    without = {name: sign for name, sign in signs(project).items() if name.startswith("tests-")}
    assert without == {"tests-exist": "-", "tests-collect": "?", "tests-assert": "?"}
