# copier: filter replace("my_project", package_name)
"""The reference of monitoring: what `export` writes of a run, and what is refused of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from my_project.serving import reference as references
from my_project.serving.predictor import Answers
from my_project.serving.watched import Reference, error_of, labels_of, summary
from my_project.types import Split

from .sample import NUM_ROWS, Rows, SampleConfig
from .watched_sample import NAMES, predictor_of


@pytest.fixture
def folder(trained: Path, workspace: Path) -> Path:
    """A run folder with nothing but its checkpoint, and the folder of its export."""
    run = workspace / "run"
    run.mkdir()
    (run / "best.pt").write_bytes((trained / "best.pt").read_bytes())
    return run / "export"


def test_inputs_are_described_as_the_training_split_has_them(folder: Path) -> None:
    path = references.write(predictor_of(folder.parent), folder)
    told = {about["name"]: about for about in json.loads(path.read_text())["inputs"]}
    rows = SampleConfig().build("train").inputs
    assert [*told] == [*NAMES, "positive"]
    assert told["second"]["mean"] == pytest.approx(float(rows[:, 1].mean()), rel=1e-5)
    assert told["second"]["std"] == pytest.approx(float(rows[:, 1].std(correction=0)), rel=1e-5)
    assert told["second"]["quantiles"]["0.5"] == pytest.approx(float(np.median(rows[:, 1].numpy())), rel=1e-5)
    positive = int((rows[:, 0] > 0).sum())
    assert told["positive"]["counts"] == {"1": positive, "0": NUM_ROWS["train"] - positive}
    assert told["positive"]["missing"] == 0


def test_answers_are_those_to_rows_that_nobody_trained_on(folder: Path) -> None:
    predictor = predictor_of(folder.parent)
    reference = references.make(predictor)
    held_out = SampleConfig().build("val")
    answers = predictor([{"vector": vector} for vector in held_out.inputs.tolist()])
    columns = {column.name: column.values for column in reference.outputs}
    assert [*columns] == ["answer", "confidence", "embedding, distance"]
    assert columns["confidence"] == pytest.approx([answer["confidence"] for answer in answers], rel=1e-5)
    errors = [abs(a["answer"] - target) for a, target in zip(answers, held_out.targets.tolist(), strict=True)]
    assert reference.errors == pytest.approx(errors, rel=1e-4)


def test_a_row_of_the_service_is_the_row_of_the_reference(folder: Path) -> None:
    predictor = predictor_of(folder.parent)
    reference = references.make(predictor)
    rows = predictor.check([{"vector": vector} for vector in SampleConfig().build("train").inputs.tolist()])
    table = reference.table(predictor.answer(rows))
    inputs = np.column_stack([column.values for column in reference.inputs])
    assert (table[:, : len(NAMES) + 1] == inputs).all()
    assert table.shape[1] == reference.width


def test_a_reference_is_read_as_it_was_written(folder: Path) -> None:
    made = references.make(predictor_of(folder.parent))
    references.save(made, folder)
    read = references.read(folder)
    assert (read.pairs, read.common, read.checkpoint_sha256) == (made.pairs, made.common, made.checkpoint_sha256)
    for name in ("points", "centre", "axes", "errors"):
        assert (getattr(read, name) == getattr(made, name)).all()
    for old, new in zip(made.columns, read.columns, strict=True):
        assert (old.name, old.labels, old.usual) == (new.name, new.labels, new.usual)
        assert np.array_equal(old.values, new.values, equal_nan=True)


def test_a_reference_knows_how_far_its_splits_are_apart(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alike = references.make(predictor_of(folder.parent))
    build = SampleConfig.build

    def moved(self: SampleConfig, split: Split, **options: Any) -> Rows:
        rows = build(self, split, **options)
        return Rows(rows.inputs + torch.tensor([0.0, 1.0 * (split == "val"), 0.0, 0.0]))

    monkeypatch.setattr(SampleConfig, "build", moved)
    known = references.make(predictor_of(folder.parent))
    assert alike.inputs[1].usual < 0.2
    assert known.inputs[1].usual > 0.3
    assert known.inputs[2].usual == alike.inputs[2].usual
    assert known.usual > alike.usual + 0.1
    widest = max(column.usual for column in alike.inputs)  # rows known by heart are no other distribution
    assert max(alike.usual, *(column.usual for column in alike.outputs)) <= widest


def test_the_same_run_gives_the_same_reference(folder: Path) -> None:
    predictor = predictor_of(folder.parent)
    first = [references.write(predictor, folder).with_suffix(".npz").read_bytes() for _ in range(2)]
    assert first[0] == first[1]


def test_the_reference_of_another_checkpoint_is_refused(folder: Path) -> None:
    references.write(predictor_of(folder.parent), folder)
    (folder.parent / "best.pt").write_bytes(b"another")
    with pytest.raises(ValueError, match="reference of another checkpoint than"):
        references.read(folder)


def test_a_missing_reference_says_how_to_make_one(folder: Path) -> None:
    with pytest.raises(ValueError, match=f"make one: export {folder.parent}"):
        references.read(folder)


@pytest.mark.parametrize(
    ("name", "content"), [("reference.npz", b"short"), ("reference.json", b"{"), ("reference.json", b"{}")]
)
def test_a_damaged_reference_is_refused_in_one_line(name: str, content: bytes, folder: Path) -> None:
    references.write(predictor_of(folder.parent), folder)
    (folder / name).write_bytes(content)
    with pytest.raises(OSError, match="damaged|do not belong together"):
        references.read(folder)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("7", "7"),
        (3, 3.0),
        ([1.0, 2.0], 1.5),
        (["b", "a"], "b"),
        ([[1, 3], [5, 7]], 4.0),
        (None, None),
        ([], None),
        ({"a": 1}, None),
    ],
)
def test_an_answer_of_any_form_has_a_summary(answer: object, found: object) -> None:
    assert summary(answer) == found


@pytest.mark.parametrize(
    ("answer", "target", "error"),
    [
        ("7", "7", 0.0),
        ("7", 7, 0.0),
        ("7", "1", 1.0),
        (2.5, "3", 0.5),
        ([1.0, 2.0], [1.0, 4.0], 1.0),
        (["b", "a"], "b", 0.0),
        ([[1, 2], [3, 4]], "7", None),
        ([1.0, 2.0], [3.0, float("nan")], 2.0),
        (2.5, None, None),
        (2.5, float("nan"), None),
    ],
)
def test_an_answer_has_an_error_where_its_truth_is_known(answer: object, target: object, error: float | None) -> None:
    assert error_of(answer, target) == error


@pytest.mark.parametrize("target", ["high", {}, 10**400, [[1.0]]])
def test_a_target_of_another_form_is_refused_or_has_no_error(target: object) -> None:
    if isinstance(target, list):
        assert error_of(2.5, target) is None
        return
    with pytest.raises(ValueError, match="want a number like the answer 2.5"):
        error_of(2.5, target)


@pytest.mark.parametrize("count", [20, 199])
def test_words_that_hardly_repeat_are_watched_by_their_length(count: int) -> None:
    records = [{"answer": "x" * n} for n in range(1, count)]
    (column,) = references.output_columns(records, np.zeros((count - 1, 0)))
    assert (column.name, column.labels, column.values[9]) == ("answer", (), 10.0)


def test_rare_words_are_no_category_of_their_own() -> None:
    draw = np.random.default_rng(0)
    words = [str(number) for number in draw.zipf(1.6, 1000)]
    labels = labels_of(words)
    unknown = [np.mean([word not in labels for word in some]) for some in (words, map(str, draw.zipf(1.6, 100_000)))]
    assert 0.05 < unknown[0] == pytest.approx(unknown[1], abs=0.02)
    assert labels_of([*["no"] * 50, *["yes"] * 50]) == ("no", "yes")


def test_words_that_the_reference_does_not_know_are_one_category() -> None:
    records = [{"answer": word} for word in "aabb"]
    (column,) = references.output_columns(records, np.zeros((4, 0)))
    assert column.labels == ("a", "b")
    (inputs,) = references.input_columns({"x": torch.tensor([0.0, 1.0, 2.0])})
    nothing = np.zeros((0, 0))
    about: dict[str, Any] = {"points": np.zeros((4, 0)), "centre": np.zeros(0), "axes": nothing, "errors": np.zeros(0)}
    reference = Reference(checkpoint_sha256="", inputs=(inputs,), outputs=(column,), pairs=0.0, common=0.3, **about)
    window = Answers(records=[{"answer": "c"}, {"answer": "b"}], features={}, embeddings=torch.zeros(2, 0))
    table = reference.table(window)
    assert table[:, 1].tolist() == [2.0, 1.0]
    assert np.isnan(table[:, 0]).all()
    # copier: endfilter
