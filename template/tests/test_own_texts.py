# copier: filter replace("my_project", package_name)
"""A CSV file of texts becomes a data folder that holds what its manifest says, and trains."""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from my_project import run as commands
from my_project.data.loader import read_manifest, verify
from my_project.data.text import TextConfig
from my_project.data.tokens import decode
from my_project.types import Split

EXAMPLE = Path(__file__).parents[1] / "examples" / "own_texts.py"
SPLITS: tuple[Split, ...] = ("train", "val", "test")
WRITERS = [letter * 3 for letter in "abcdefghijklmnopqrst"]
SAID = ("--source", "us", "--licence", "CC0")
Main = Callable[[list[str]], None]


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Main:
    """The example as a function of the words behind its name."""
    specification = importlib.util.spec_from_file_location("own_texts", EXAMPLE)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "own_texts", module)
    specification.loader.exec_module(module)
    function: Main = module.main
    return function


@pytest.fixture
def file(workspace: Path) -> Path:
    """A hundred texts, five by each of twenty writers, who sign them; one text is there twice."""
    lines = list[str]()
    for number in range(100):
        feeling, label = ("warm", "hot") if number % 2 else ("cold", "ice")
        bits = " ".join("yes" if number >> bit & 1 else "no" for bit in range(7))  # another text for each number
        lines.append(f'"Is it {feeling}? {bits}, {WRITERS[number % 20]}",{label},{WRITERS[number % 20]}')
    (workspace / "own.csv").write_text("\n".join(["text,label,writer", *lines, lines[3]]) + "\n", encoding="utf-8")
    return workspace / "own.csv"


def texts(split: Split, folder: str = "mine") -> list[str]:
    rows = TextConfig(folder=folder).build(split)
    return [" ".join(decode(row, rows.vocabulary)) for row in rows.inputs.tolist()]


def test_own_texts_become_a_folder_that_passes_verification(main: Main, file: Path) -> None:
    main([str(file), "mine", "--source", "us", "--licence", "CC0"])
    manifest = read_manifest(Path("mine"))
    assert verify(Path("mine")) == []
    assert (manifest["licence"], manifest["labels"]) == ("CC0", ["hot", "ice"])
    assert sum(manifest["rows"].values()) == 100
    assert abs(manifest["rows"]["train"] - 70) <= 1
    for split in SPLITS:
        assert TextConfig(folder="mine").build(split).targets.double().mean().item() == pytest.approx(0.5, abs=0.1)


def test_the_vocabulary_of_own_texts_is_that_of_their_training_split(main: Main, file: Path) -> None:
    main([str(file), "mine", *SAID, "--group", "writer"])
    known = set(TextConfig(folder="mine").vocabulary[2:])
    assert known == {word for text in texts("train") for word in text.split()}
    assert known < {"is", "it", "warm", "cold", "yes", "no", *WRITERS}


def test_a_group_stays_in_one_split(main: Main, file: Path) -> None:
    main([str(file), "mine", *SAID])
    signed = [text.split()[-1] for split in ("val", "test") for text in texts(split)]
    assert set(signed) & set(WRITERS)  # without groups, writers of the training split are in others too
    main([str(file), "grouped", *SAID, "--group", "writer"])
    assert {text.split()[-1] for split in ("val", "test") for text in texts(split, "grouped")} == {"?"}


def test_a_model_trains_on_own_texts_with_the_options_that_are_named(
    main: Main, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(file), "mine", *SAID])
    options = json.loads(capsys.readouterr().out)["options"]
    done = commands.train("bag", {**options, "train.steps": 30, "optim.lr": 0.05})
    (file.parent / "new.txt").write_text("is it warm?\nis it cold?\n")
    answers = commands.predict(Path(done["run"]), file.parent / "new.txt")
    assert [answer["label"] for answer in answers] == ["hot", "ice"]


def test_a_file_without_a_column_is_refused_in_one_line(main: Main, workspace: Path) -> None:
    (workspace / "own.csv").write_text("text,class\na,b\n")
    with pytest.raises(SystemExit, match="there is no column label; found text, class"):
        main([str(workspace / "own.csv"), "mine", *SAID])


def test_too_few_texts_for_three_splits_are_refused_in_one_line(main: Main, workspace: Path) -> None:
    (workspace / "own.csv").write_text("text,label\nhello there,a\n")
    with pytest.raises(SystemExit, match="1 texts are too few to have some in each split"):
        main([str(workspace / "own.csv"), "mine", *SAID])
    assert not Path("mine").exists()


def test_a_folder_that_is_there_is_left_alone(main: Main, file: Path) -> None:
    Path("mine").mkdir()
    with pytest.raises(SystemExit, match="mine: it is there already"):
        main([str(file), "mine", *SAID])
    assert list(Path("mine").iterdir()) == []
    # copier: endfilter
