# copier: filter replace("my_project", package_name)
"""Every planted leak is found and named in one line; data without one pass."""

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from my_project.__main__ import main
from my_project.data.folders import check_manifest, write_folder
from my_project.data.loader import read_manifest
from my_project.evaluation import leakage, near
from my_project.types import Split

pytestmark = pytest.mark.usefixtures("few_steps")
ROWS: dict[Split, np.ndarray] = {"train": np.arange(0, 400), "val": np.arange(400, 500), "test": np.arange(500, 600)}
ABOUT: dict[str, Any] = {
    "name": "mine",
    "source": "a test",
    "licence": "CC0",
    "preprocessing": "none; nothing is fitted",
    "split": {"seed": 0, "method": "at random"},
}
STEPS = leakage.STEPS
TODAY = date(2026, 6, 1)
WORDS = [line.split() for line in ("the a one every no", "cat dog sea hill road king", "sees finds takes leaves")]


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The classifier "train or test?" need not be good here, where nothing is said of it."""
    monkeypatch.setattr(leakage, "STEPS", 20)


def rows(count: int = 600, width: int = 20) -> np.ndarray:
    """Numbers [N, F] that lie on a curved sheet, with noise: neighbours are near, and none is a copy."""
    draw = np.random.default_rng(1)
    hidden = draw.normal(size=(count, 5))
    return np.tanh(hidden @ draw.normal(size=(5, width))) + draw.normal(size=(count, width), scale=0.05)


def sentences(count: int = 600) -> np.ndarray:
    """Texts as bytes [N, 200], of words in an order of their own."""
    draw = np.random.default_rng(2)
    texts = [
        " ".join(str(draw.choice(WORDS[n % 3])) + str(draw.integers(100)) for n in range(24)) for _ in range(count)
    ]
    return np.stack([np.frombuffer(text.encode()[:200].ljust(200, b"\0"), np.uint8) for text in texts])


def found(arrays: dict[str, np.ndarray], **about: Any) -> list[str]:
    """Return what is found in a folder of these arrays, the targets drawn at random."""
    shutil.rmtree("data", ignore_errors=True)
    targets = np.random.default_rng(3).integers(0, 3, len(arrays["inputs"]))
    write_folder(Path("data"), {"targets": targets, **arrays}, ROWS, {**ABOUT, **about}, "mine")
    return leakage.inspect(Path("data"), TODAY)[0]


@pytest.mark.parametrize("inputs", [rows(), rows(width=4), sentences()], ids=["numbers", "few-numbers", "texts"])
def test_rows_that_share_nothing_pass(inputs: np.ndarray) -> None:
    assert found({"inputs": inputs}) == []


def test_copies_are_counted_and_the_first_is_named() -> None:
    inputs = rows()
    inputs[510:513] = inputs[7:10]
    assert found({"inputs": inputs}) == ["3 rows are copies; the first: test row 10 is a copy of train row 7"]


@pytest.mark.parametrize("width", [20, 4])
def test_rows_that_are_nearly_copies_are_found(width: int) -> None:
    inputs = rows(width=width)
    noise = np.random.default_rng(4).normal(size=(3, width)) * (0.01 if width == 20 else 1e-5)
    inputs[410:413] = inputs[7:10] + noise * inputs.std(0)
    (line,) = found({"inputs": inputs})
    assert line.startswith("3 val rows are nearly training rows; the nearest are val row 1")


@pytest.mark.parametrize("change", ["one word", "moved", "longer"])
def test_texts_that_are_nearly_copies_are_found(change: str) -> None:
    inputs = sentences()
    text = inputs[7].tobytes().rstrip(b"\0")
    changed = {"one word": text.replace(b"cat", b"cow"), "moved": text[20:], "longer": b"Once " + text + b" again."}
    inputs[510] = np.frombuffer(changed[change][:200].ljust(200, b"\0"), np.uint8)
    (line,) = found({"inputs": inputs})
    assert line.startswith("1 test rows are nearly training rows; the nearest are test row 10 and train row 7")


def test_tokens_are_compared_as_texts() -> None:
    inputs = np.random.default_rng(5).integers(1, 5000, (600, 60))
    inputs[510, 5:] = inputs[7, 5:]
    (line,) = found({"inputs": inputs})
    assert line.startswith("1 test rows are nearly training rows; the nearest are test row 10 and train row 7")


@pytest.mark.parametrize("other", [0, 200])
def test_texts_are_told_apart_by_their_words_and_not_by_a_vocabulary_of_train(
    other: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leakage, "STEPS", STEPS)
    words = (20_000 * np.random.default_rng(0).random((600, 30)) ** 4).astype(np.int64) + 2
    words[500:, :10] += other  # a third of the words are others
    known = np.unique(words[:400])
    lines = found({"inputs": np.where(np.isin(words, known), words, 1)})  # 1 stands for an unknown word
    assert [line[:30] for line in lines] == ["test can be told from train: A"][: other and 1]


def test_minhash_finds_what_all_pairs_show() -> None:
    draw = np.random.default_rng(6)
    train = draw.integers(1, 300, (200, 40))
    others = train[:60].copy()
    for row, count in zip(others, range(60), strict=True):
        row[draw.permutation(40)[: count // 4]] = draw.integers(1, 300, count // 4)
    sets = [[near.shingles(row, 3) for row in part] for part in (others, train)]
    alike = {row: max(near.share(own, other) for other in sets[1]) for row, own in enumerate(sets[0])}
    wanted = {row for row, share in alike.items() if share > near.ALIKE}
    assert 10 < len(wanted) < 50
    assert {row for _, row, _ in near.near_rows(others, train)} == wanted


def test_chunks_find_the_same_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = rows()
    inputs[410:413] = inputs[7:10] + 1e-3
    whole = near.near_rows(inputs[400:], inputs[:400])
    monkeypatch.setattr(near, "CHUNK", 7)
    assert near.near_rows(inputs[400:], inputs[:400]) == whole
    assert {(row, place) for _, row, place in whole} == {(10, 7), (11, 8), (12, 9)}


def test_groups_in_two_splits_are_found() -> None:
    groups = np.arange(600) // 2
    assert found({"inputs": rows(), "groups": groups}) == []
    groups[420], groups[550], groups[551] = 3, 4, 4
    assert found({"inputs": rows(), "groups": groups}) == [
        "train and val share 1 groups, such as 3",
        "train and test share 1 groups, such as 4",
    ]


def test_a_shuffled_time_split_is_found() -> None:
    times = np.arange(600)
    assert found({"inputs": rows(), "times": times}) == []
    (line,) = found({"inputs": rows(), "times": np.r_[times[1:500], 0, times[500:]]})
    assert line == "val begins at time 0, before train ends at 400: rows are not split in the order of time"
    lines = found({"inputs": rows(), "times": np.random.default_rng(0).permutation(600)})
    assert [line.split()[0] for line in lines] == ["val", "test"]


def standard(values: np.ndarray, fit: np.ndarray) -> np.ndarray:
    return np.asarray((values - fit.mean(0)) / fit.std(0))


def ranged(values: np.ndarray, fit: np.ndarray) -> np.ndarray:
    return np.asarray((values - fit.min(0)) / (fit.max(0) - fit.min(0)))


@pytest.mark.parametrize("scale", [standard, ranged])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_scaler_that_was_fitted_on_all_rows_is_found(scale: Any, kind: type) -> None:
    inputs = rows()
    assert found({"inputs": scale(inputs, inputs[:400]).astype(kind)}) == []
    (line,) = found({"inputs": scale(inputs, inputs).astype(kind)})
    assert line.startswith("20 of 20 columns have ")
    assert line.endswith("over the rows of all splits: a scaler was fitted on all of them")


@pytest.mark.parametrize("sample", [0, 1])
def test_a_scaler_of_some_columns_is_found(sample: int) -> None:
    inputs = rows()
    inputs[:, :3] = (inputs[:, :3] - inputs[:, :3].mean(0)) / inputs[:, :3].std(0, ddof=sample)
    inputs[:, 3] = 7
    (line,) = found({"inputs": inputs})
    assert line.startswith("3 of 20 columns have mean 0 and deviation 1 over the rows of all splits")


def test_numbers_that_are_nearly_standard_by_nature_are_no_finding() -> None:
    draw = np.random.default_rng(0)
    assert [line for seed in range(20) if (line := scalers(draw.normal(size=(600 + seed, 50))))] == []


def scalers(inputs: np.ndarray) -> list[str]:
    parts = dict(zip(("train", "val", "test"), np.split(inputs, [400, 500]), strict=True))
    return leakage.fitted_on_all({split: {"inputs": part} for split, part in parts.items()})  # type: ignore[misc]


def test_a_manifest_that_says_so_is_believed() -> None:
    assert found({"inputs": rows()}, fitted_on="all rows") == [
        "preprocessing was fitted on all rows, want train, or nothing"
    ]
    assert found({"inputs": rows()}, fitted_on="train", preprocessing="standardised") == []
    assert found({"inputs": rows()}, preprocessing="means and deviations, fitted on all rows") == [
        "preprocessing was fitted on more than train: 'means and deviations, fitted on all rows'"
    ]
    assert found({"inputs": rows()}, preprocessing="standardised") == [
        "the manifest does not say on which split preprocessing was fitted: 'standardised'"
    ]


@pytest.mark.parametrize("licence", [None, "", "see the website", "TODO", 7])
def test_a_wrong_licence_field_is_found(licence: Any) -> None:
    (line,) = found({"inputs": rows()}, licence=licence)
    assert f"the licence is {licence!r}, want the name of one" in line


@pytest.mark.parametrize(
    "licence", ["CC BY 4.0", "CC0-1.0", "Public Domain", "MIT", "Apache-2.0", "proprietary", "ODbL"]
)
def test_licences_that_exist_are_taken(licence: str) -> None:
    assert found({"inputs": rows()}, licence=licence) == []


def test_what_a_manifest_has_to_say_is_asked_for() -> None:
    assert check_manifest({"licence": "MIT", "rows": {"train": 1, "val": 1}}, TODAY) == [
        "the manifest does not say its name",
        "the manifest does not say its source",
        "there is no test split",
        "the manifest does not say how it was split, and with which seed",
        "the manifest does not say on which split preprocessing was fitted: ''",
    ]


def test_stale_data_are_found() -> None:
    assert found({"inputs": rows()}, made="2026-05-31", fresh_days=1) == []
    assert found({"inputs": rows()}, made="2026-05-01", fresh_days=30) == [
        "the data are 31 days old, fresh are 30 at most"
    ]


@pytest.mark.parametrize("how", ["moved", "wider", "other classes"])
def test_a_split_that_looks_different_is_told_from_train(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leakage, "STEPS", STEPS)
    inputs, targets = rows(), np.random.default_rng(3).integers(0, 3, 600)
    if how == "moved":
        inputs[500:] += inputs.std(0) * (np.arange(20) < 3)
    elif how == "wider":
        inputs[500:] *= 1.5  # no mean differs: a line would not see it
    else:
        targets[500:] = targets[500:] // 2
    (line,) = found({"inputs": inputs, "targets": targets})
    assert line.startswith("test can be told from train: AUC ")
    method = {"seed": None, "method": "by time, train first"}
    assert found({"inputs": inputs, "targets": targets}, split=method) == []


def test_the_area_under_the_curve_and_its_interval_are_right() -> None:
    draw = np.random.default_rng(0)
    assert leakage.auc(np.array([2.0, 3.0]), np.array([0.0, 1.0])).value == 1
    assert leakage.auc(np.array([1.0, 1.0]), np.array([1.0, 1.0])).value == 0.5
    pairs = np.array([[1.0, 4.0, 2.0], [3.0, 0.0, 2.0]])
    assert leakage.auc(pairs[0], pairs[1]).value == pytest.approx((0 + 1 + 0 + 1 + 1 + 1 + 0 + 1 + 0.5) / 9)
    covered = [leakage.auc(draw.normal(size=60), draw.normal(size=90)) for _ in range(300)]
    assert 0.9 < np.mean([area.low <= 0.5 <= area.high for area in covered]) < 0.99


def test_a_truncated_file_is_named_and_nothing_else_is_looked_at() -> None:
    assert found({"inputs": rows()}, source="") != []
    Path("data/mine.npz").write_bytes(Path("data/mine.npz").read_bytes()[:-20])
    (line,) = leakage.inspect(Path("data"), TODAY)[0]
    assert line.startswith("data/mine.npz: SHA-256 is ")


def test_the_command_says_a_line_for_each_finding_and_ends_with_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert found({"inputs": rows()}) == []
    assert main(["data", "leakage", "data"]) == 0
    assert 0.3 < json.loads(capsys.readouterr().out)["auc"]["test"]["value"] < 0.6
    manifest = read_manifest(Path("data"))
    Path("data/manifest.json").write_text(json.dumps({**manifest, "licence": "?", "source": ""}))
    with pytest.raises(SystemExit) as ended:
        main(["data", "leakage", "data"])
    assert ended.value.code == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("data leakage: ")]
    assert len(lines) == 2
    assert all(line.startswith("data leakage: the ") for line in lines)
    # copier: endfilter
