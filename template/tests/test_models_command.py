# copier: filter replace("my_project", package_name)
"""The command of the registry says what there is, and what has become of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from my_project.__main__ import main
from my_project.serving.files import sha256
from my_project.training import storage


@pytest.fixture
def run(trained: Path) -> Path:
    """A run that passes every gate, as `export` leaves one, and what a person says of it."""
    Path("words.yaml").write_text("{intended_use: to measure vectors, limitations: only those of four numbers}")
    run = Path(shutil.copytree(trained, "runs/sample-1"))
    for name in ("export.json", "reference.json"):
        (run / "export").mkdir(exist_ok=True)
        storage.write_json(run / "export" / name, {"checkpoint_sha256": sha256(run / "best.pt")})
    return run


def done(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[Any, str]:
    capsys.readouterr()
    assert main(["models", *map(str, words)]) == 0
    said = capsys.readouterr()
    return json.loads(said.out), said.err


def test_a_run_is_promoted_listed_and_taken_back(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("promote", run, "--words", "words.yaml")
    told, _ = done(capsys, *words)
    assert told == {"name": "sample", "version": 1, "path": "models/sample/1"}
    done(capsys, *words)
    told, _ = done(capsys, "rollback", "sample", "--why", "too slow")
    assert told == {"name": "sample", "version": 1, "from": 2, "path": "models/sample/1"}
    listed, table = done(capsys, "list")
    value = json.loads((run / "evaluation.json").read_text())["value"]
    assert [(one["version"], one["state"], one["value"]) for one in listed] == [
        (1, "current", value),
        (2, "rolled back", value),
    ]
    size = sum(path.stat().st_size for path in Path("models/sample/1").rglob("*") if path.is_file())
    assert listed[0]["bytes"] == size
    head, first, second = table.splitlines()
    assert head.split() == ["version", "state", "figure", "promoted", "of", "MB"]
    assert first.split()[:4] == ["sample/1", "current", "error", f"{value:.4f}"]
    assert second.startswith("sample/2  rolled back  error")


def test_names_stand_apart(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("second", "first"):
        done(capsys, "promote", run, "--words", "words.yaml", "--name", name)
    listed, _ = done(capsys, "list")
    assert [(one["name"], one["version"]) for one in listed] == [("first", 1), ("second", 1)]
    listed, _ = done(capsys, "list", "second")
    assert [one["name"] for one in listed] == ["second"]


def test_another_folder_may_hold_the_models(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done(capsys, "promote", run, "--words", "words.yaml", "--models", "shelf")
    assert Path("shelf/sample/1/best.pt").is_file()
    assert not Path("models").exists()
    assert len(done(capsys, "list", "--models", "shelf")[0]) == 1


def test_where_nothing_was_promoted_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    listed, said = done(capsys, "list")
    assert listed == []
    assert said == "nothing was promoted to models\n"


@pytest.mark.parametrize("words", [(), ("promote",), ("rollback",), ("promote", "a", "b"), ("delete", "a")])
def test_words_that_make_no_sense_are_refused_in_a_line(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    # copier: endfilter
