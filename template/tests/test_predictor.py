# copier: filter replace("my_project", package_name)
"""A run answers rows as a program has them, wherever its folder and its data lie, and says how sure it is."""

import json
import runpy
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from my_project import config as configs
from my_project import run as commands
from my_project.serving import predictor as predictors
from my_project.serving import registry
from my_project.serving.predictor import Predictor
from my_project.serving.stored import Stored, innermost, names_of, parts

from .predictors import EXAMPLES, equal, presets, untrained
from .sample import SampleConfig

NAMES = presets()
DATA = configs.load().data
folders = pytest.mark.skipif("folder" not in names_of(DATA), reason="these data lie in no folder")


@pytest.fixture(scope="module")
def default_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the default preset; the data folder that it was trained on, if it had one, went to `data` in it."""
    folder = tmp_path_factory.mktemp("brought")
    overrides: dict[str, Any] = {"train.steps": 2, "train.eval_every": 2, "train.out": str(folder / "run")}
    if "folder" in names_of(DATA):
        shutil.copytree(DATA.root, folder / "own")
        overrides["data.folder"] = str(folder / "own")
    run = commands.fit(configs.load(overrides=overrides))
    if "folder" in names_of(DATA):
        (folder / "own").rename(run / "data")
    return run


@pytest.fixture
def moved(default_run: Path, workspace: Path) -> Path:
    """The run on another machine, so to say: in another place, and without its data."""
    return Path(shutil.copytree(default_run, workspace / "moved", ignore=shutil.ignore_patterns("data")))


@pytest.mark.parametrize("preset", NAMES)
def test_every_preset_answers_the_example_of_its_row(preset: str) -> None:
    predictor = untrained(preset)
    (record,) = predictor([predictor.example])
    assert record["answer"] is not None
    assert record["confidence"] is None or 0 <= record["confidence"] <= 1
    assert record["uncertainty"] is None or isinstance(record["uncertainty"], float)
    assert json.loads(json.dumps(record, allow_nan=False)) == record


@pytest.mark.parametrize("preset", NAMES)
def test_what_is_watched_has_a_value_for_each_row_and_the_same_names_in_every_batch(preset: str) -> None:
    predictor = untrained(preset)
    one, three = (predictor.answer(predictor.check([predictor.example] * count)) for count in (1, 3))
    assert one.features.keys() == three.features.keys() != set()
    for answers, count in ((one, 1), (three, 3)):
        assert {len(values) for values in answers.features.values()} == {count} == {len(answers.embeddings)}
        assert all(values.ndim == 1 for values in answers.features.values())
    torch.testing.assert_close(one.embeddings.expand(3, -1), three.embeddings, rtol=1e-4, atol=1e-4)
    row = predictor.check([predictor.example])[0]
    assert json.loads(row.model_dump_json(by_alias=True, exclude_none=True)) == predictor.example


@pytest.mark.parametrize("preset", NAMES)
def test_rows_of_the_data_are_answered_as_a_client_would_ask_for_them(preset: str) -> None:
    predictor = untrained(preset)
    dataset, index = predictor.config.data.build("val"), torch.tensor([3, 0])
    if requests := getattr(predictor.task, "requests", None):
        rows = predictor.check(requests(dataset, index, predictor.data))
        answers = predictor.answer_inputs(predictor.task.encode(rows, predictor.data), rows)
        wanted = [predictor([row])[0] for row in rows]
    else:
        answers = predictor.answer_inputs(dataset[index, 0].inputs, [])
        wanted = [predictor.answer_inputs(dataset[row, 0].inputs, []).records[0] for row in index.split(1)]
    assert equal(answers.records, wanted)
    assert {len(values) for values in answers.features.values()} == {2} == {len(answers.embeddings)}


def test_a_run_folder_and_its_checkpoint_answer_alike(default_run: Path) -> None:
    one, other = Predictor.load(str(default_run)), Predictor.load(default_run / "best.pt")
    assert equal(one([one.example]), other([other.example]), near=0)
    assert not one.model.training


def test_no_rows_have_no_answers(default_run: Path) -> None:
    predictor = Predictor.load(default_run)
    assert predictor([]) == []
    assert predictor.answer([]).records == []


def test_many_rows_are_answered_in_batches(default_run: Path) -> None:
    predictor = Predictor.load(default_run)
    assert len(predictor([predictor.example] * 5, batch_size=2)) == 5


def test_rows_that_were_checked_are_taken_as_they_are(default_run: Path) -> None:
    predictor = Predictor.load(default_run)
    (row,) = predictor.check([predictor.example])
    assert predictor.check([row])[0] is row


def test_nothing_of_a_server_is_loaded() -> None:
    package = Path(str(predictors.__file__)).parents[1]
    code = (
        f"import sys, {package.name}.serving.predictor; sys.exit('fastapi' in sys.modules or 'uvicorn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=package.parent).returncode == 0


@folders
def test_a_run_whose_data_folder_is_gone_says_what_it_wants_and_where(moved: Path) -> None:
    gone = "moved: its data folder .*own is not there; put manifest.json, .* of it into .*moved/data$"
    with pytest.raises(ValueError, match=gone):
        Predictor.load(moved)


@folders
def test_what_answering_needs_of_the_data_goes_with_the_run(default_run: Path, moved: Path) -> None:
    before = Predictor.load(default_run)
    files = before.files()
    assert files[0].name == "manifest.json"
    assert not any(path.name.endswith("_test.npz") for path in files)
    (moved / "data").mkdir()
    for path in files:
        shutil.copy(path, moved / "data")
    after = Predictor.load(moved)
    assert equal(after([before.example]), before([before.example]), near=0)
    assert [path.name for path in after.files()] == [path.name for path in files]
    assert {path.parent for path in after.files()} == {moved / "data"}


@folders
def test_other_data_than_those_it_was_trained_on_are_refused(default_run: Path, moved: Path) -> None:
    shutil.copytree(default_run / "data", moved / "data")
    manifest = json.loads((moved / "data/manifest.json").read_text("utf-8"))
    name = next(iter(manifest["files"]))
    manifest["files"][name] = "0" * 64
    (moved / "data/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=f"{name} is not what .*moved was trained on; put the data of then into"):
        Predictor.load(moved)


@pytest.mark.skipif("folder" in names_of(DATA), reason="these data lie in a folder")
def test_a_run_on_data_that_are_made_needs_no_folder(moved: Path) -> None:
    predictor = Predictor.load(moved)
    assert predictor.files() == []
    assert predictor([predictor.example])[0]["answer"]


def test_a_registered_model_is_found_by_its_name(default_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "resolve", {Path("models/name"): default_run}.__getitem__)
    assert Predictor.load("models/name").checkpoint == default_run / "best.pt"


def test_data_that_nobody_can_ask_about_are_refused() -> None:
    with pytest.raises(ValueError, match="to answer rows of it, want serving/sample.py with row"):
        parts(Stored(SampleConfig()))


def test_a_number_that_is_none_is_no_answer() -> None:
    for wrong in (float("nan"), [1.0, float("inf")], {"deep": [{"er": float("nan")}]}):
        record = predictors.finite({"answer": 1, "more": wrong})
        assert (record["answer"], record["confidence"], record["uncertainty"]) == (None, None, None)
        assert "no finite number" in record["error"]
    fine = {"answer": 1, "more": [1.5, None, "nan"]}
    assert predictors.finite(fine) is fine


def test_a_device_that_is_missing_is_refused(default_run: Path) -> None:
    if torch.backends.mps.is_available():
        pytest.skip("it is not missing here")
    with pytest.raises(OSError, match="mps is not there"):
        Predictor.load(default_run, device="mps")


def test_the_example_answers_rows_without_a_server(
    default_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program, example = str(EXAMPLES / "predictor.py"), Predictor.load(default_run).example
    Path("rows.jsonl").write_text(f"{json.dumps(example)}\n\n{json.dumps(example)}\n")
    for words, count in (([], 1), (["rows.jsonl"], 2)):
        monkeypatch.setattr(sys, "argv", [program, str(default_run), *words])
        runpy.run_path(program, run_name="__main__")
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == count
        assert all(json.loads(line)["answer"] is not None for line in lines)


def test_the_data_themselves_are_found_behind_others() -> None:
    if "resampled" not in configs.kinds("data"):
        pytest.skip("there are no data that take shares of others")
    wrapped = configs.kinds("data")["resampled"](base=replace(DATA))
    assert innermost(wrapped) == DATA
    # copier: endfilter
