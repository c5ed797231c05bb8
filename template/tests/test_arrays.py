# copier: filter replace("my_project", package_name)
"""Arrays of any size: rows come out as they went in, a spoilt file is named, and memory stays flat."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import my_project
from my_project.data import arrays as arrays_file
from my_project.data.arrays import ArraysConfig
from my_project.data.folders import write_folder
from my_project.data.loader import read_manifest, train_batches, verify
from my_project.types import Split

pytestmark = pytest.mark.usefixtures("tasks")
ROWS: dict[Split, np.ndarray] = {"train": np.arange(0, 60), "val": np.arange(60, 80), "test": np.arange(80, 100)}
PACKAGE = Path(next(iter(my_project.__path__)))


@pytest.fixture
def tasks(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that measures both tasks of arrays, whatever this one does."""
    folder = tmp_path_factory.mktemp("evaluation")
    for task in ("classification", "regression"):
        (folder / f"{task}.py").touch()
    monkeypatch.setattr(arrays_file, "EVALUATION", folder)
    return folder


def write(folder: Path, *, mapped: bool, labels: bool = True) -> dict[str, np.ndarray]:
    """Write 100 small grey images with one of three classes, or with a number, and return the arrays."""
    draw = np.random.default_rng(0)
    arrays = {"inputs": draw.integers(0, 256, (100, 4, 4), np.uint8), "targets": draw.integers(0, 3, 100)}
    if not labels:
        arrays["targets"] = draw.normal(size=100).astype(np.float32)
    about: dict[str, Any] = {"labels": ["a", "b", "c"]} if labels else {}
    write_folder(folder, arrays, ROWS, {"name": "mine", **about, **({"layout": "arrays"} if mapped else {})}, "mine")
    return arrays


@pytest.fixture(params=[False, True], ids=["npz", "npy"])
def folder(request: pytest.FixtureRequest, workspace: Path) -> Path:
    write(workspace / "data", mapped=request.param)
    return workspace / "data"


def test_rows_come_out_as_they_went_in(folder: Path) -> None:
    arrays, config = write(folder.with_name("again"), mapped=False), ArraysConfig(folder=str(folder))
    assert verify(folder) == []
    for split, rows in ROWS.items():
        data = config.build(split)
        index = torch.tensor([3, 0, 3])
        batch = data[index, 0]
        expected = torch.from_numpy(arrays["inputs"][rows][index.numpy()]).float() / 255
        torch.testing.assert_close(batch.inputs, expected, rtol=0, atol=0)
        assert batch.targets.tolist() == arrays["targets"][rows][index.numpy()].tolist()
        assert batch.index.tolist() == [3, 0, 3]
        assert torch.equal(data.inputs[index], batch.inputs)
        assert torch.equal(data.targets[index], batch.targets)
        assert data.rows([3])[0]["2"] == float(batch.inputs[0, 0, 2])
    assert (config.task, config.labels) == ("classification", ("a", "b", "c"))


def test_targets_that_are_numbers_make_a_regression(workspace: Path) -> None:
    arrays = write(workspace / "data", mapped=True, labels=False)
    config = ArraysConfig(folder=str(workspace / "data"))
    assert (config.task, config.labels) == ("regression", ())
    torch.testing.assert_close(config.build("val").targets, torch.from_numpy(arrays["targets"][60:80]))


def test_a_task_that_the_project_does_not_measure_is_refused_before_training(folder: Path, tasks: Path) -> None:
    (tasks / "classification.py").unlink()
    with pytest.raises(ValueError, match="data.kind: got arrays, for classification here"):
        ArraysConfig(folder=str(folder)).build("train")


def test_workers_and_the_training_process_deliver_the_same_rows(folder: Path) -> None:
    found = []
    for workers in (0, 1):
        config = ArraysConfig(folder=str(folder), batch_size=16, workers=workers)
        found.append(next(iter(train_batches(config.build("train", augment=True), config, seed=0))).inputs)
    assert torch.equal(*found)


def test_evaluation_looks_at_a_sample_of_a_large_training_split_and_training_at_all_of_it(folder: Path) -> None:
    config = ArraysConfig(folder=str(folder), sample=10)
    sample = config.build("train")
    assert [len(config.build("train", augment=True)), len(sample), len(config.build("val"))] == [60, 10, 20]
    assert torch.equal(sample.inputs, config.build("train").inputs)
    whole = config.build("train", augment=True)
    place = [int((whole.inputs == row).flatten(1).all(1).nonzero()) for row in sample.inputs]
    assert torch.equal(whole.targets[place], sample.targets)
    assert len(config.build("train", num_rows=20)) == 20


def test_a_users_file_is_prepared_as_in_training(folder: Path) -> None:
    arrays, config = write(folder.with_name("again"), mapped=False), ArraysConfig(folder=str(folder))
    np.save("two.npy", arrays["inputs"][60:62])
    np.savetxt("one.csv", arrays["inputs"][60].reshape(1, -1), delimiter=",")
    expected = config.build("val").inputs[:2]
    torch.testing.assert_close(config.read(Path("two.npy")), expected, rtol=0, atol=0)
    torch.testing.assert_close(config.read(Path("one.csv")), expected[:1], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "text"), [("a.csv", "1,2"), ("a.csv", "x,y"), ("a.csv", "nan," * 15 + "1"), ("a.x", "")]
)
def test_a_file_that_does_not_fit_is_refused_in_one_line(name: str, text: str, folder: Path) -> None:
    Path(name).write_text(text)
    with pytest.raises(ValueError, match=rf"^{name}: "):
        ArraysConfig(folder=str(folder)).read(Path(name))


@pytest.mark.parametrize("folder_name", ["", "nowhere"])
def test_a_folder_without_a_manifest_is_refused(folder_name: str) -> None:
    with pytest.raises(ValueError, match="data.folder: got .*data import"):
        ArraysConfig(folder=folder_name).build("train")


def spoil(folder: Path, how: str) -> None:
    path = folder / "train_inputs.npy"
    content = bytearray(path.read_bytes())
    if how == "cut":
        path.write_bytes(content[:-7])
    elif how == "flipped":
        content[-7] ^= 1
        path.write_bytes(content)
    elif how == "missing":
        path.unlink()
    elif how == "schema":
        np.save(path, np.zeros((60, 4, 4), np.float32))
    else:
        path.write_bytes(b"nothing")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("cut", "train_inputs.npy is cut off"),
        ("flipped", "train_inputs.npy has SHA-256"),
        ("missing", "train_inputs.npy is missing"),
        ("schema", "train_inputs.npy has float32 (60, 4, 4), the manifest says uint8 (60, 4, 4)"),
        ("other", "train_inputs.npy is cut off or no .npy file (7 bytes)"),
    ],
)
def test_a_spoilt_file_is_named_in_one_line_and_never_trained_on(how: str, words: str, workspace: Path) -> None:
    folder = workspace / "data"
    write(folder, mapped=True)
    spoil(folder, how)
    (line,) = verify(folder)
    assert words in line
    assert "\n" not in line
    with pytest.raises(OSError, match="restore the file"):
        ArraysConfig(folder=str(folder)).build("train")


def test_values_out_of_range_and_copies_are_found_behind_right_checksums(workspace: Path) -> None:
    folder = workspace / "data"
    arrays = write(folder, mapped=True)
    inputs = arrays["inputs"].copy()
    inputs[83], inputs[61] = inputs[7], inputs[60]
    arrays["targets"][90] = 9
    about = {key: value for key, value in read_manifest(folder).items() if key not in {"rows", "files"}}
    write_folder(workspace / "other", {**arrays, "inputs": inputs}, ROWS, about, "mine")
    assert verify(workspace / "other") == [
        "test: targets leave 0 to 2",
        "val row 1 is a copy of val row 0",
        "test row 3 is a copy of train row 7",
    ]


def test_a_layout_that_nobody_knows_is_named(workspace: Path) -> None:
    write(workspace / "data", mapped=True)
    manifest = read_manifest(workspace / "data")
    (workspace / "data/manifest.json").write_text(json.dumps({**manifest, "layout": "nonsense"}))
    assert "nonsense" in verify(workspace / "data")[0]


LARGE = """
import json, resource, sys
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[1])
from PACKAGE.data import arrays
from PACKAGE.data.arrays import ArraysConfig
from PACKAGE.data.folders import sha256

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)

arrays.EVALUATION = Path(sys.argv[3])
config = ArraysConfig(folder=sys.argv[2], checksums=False)
data = config.build("train", augment=True)
warm, before = data[torch.arange(64), 0], peak()
for start in range(0, len(data), len(data) // 250):
    batch = data[torch.arange(start, min(start + 64, len(data))), 0]
trained = peak() - before
sha256(Path(sys.argv[2]) / "val_inputs.npy")
print(json.dumps({"rows": len(data), "training": trained, "checksum": peak() - before - trained}))
"""


def hole(path: Path, rows: int, width: int) -> None:
    """Write the .npy file of an array of noughts, of which nothing but the head takes room on the disk."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (rows, width)})
        file.truncate(file.tell() + rows * width)


@pytest.mark.skipif(sys.platform == "win32", reason="resource is part of POSIX")
def test_memory_stays_flat_over_a_file_of_four_gigabytes(workspace: Path, tasks: Path) -> None:
    rows: dict[str, Any] = {"train": 2**20, "val": 2**14, "test": 1}
    for split, count in rows.items():
        hole(workspace / f"{split}_inputs.npy", count, 4096)
        np.save(workspace / f"{split}_targets.npy", np.zeros(count, np.int64))
    schema = {"inputs": {"shape": [4096], "dtype": "uint8", "minimum": 0, "maximum": 255}}
    schema["targets"] = {"shape": [], "dtype": "int64", "minimum": 0, "maximum": 1}
    files = {f"{split}_{name}.npy": "" for split in rows for name in schema}
    manifest = {"layout": "arrays", "arrays": schema, "rows": rows, "files": files, "labels": ["a", "b"]}
    (workspace / "manifest.json").write_text(json.dumps(manifest))
    folders = [str(PACKAGE.parent), str(workspace), str(tasks)]
    words = [sys.executable, "-c", LARGE.replace("PACKAGE", PACKAGE.name), *folders]
    found = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    assert (workspace / "train_inputs.npy").stat().st_size > 2**32
    assert found["rows"] == 2**20
    assert found["training"] < 20, found  # megabytes; what was read has sixty-five
    assert found["checksum"] < 20, found  # of a file of 67
    # copier: endfilter
