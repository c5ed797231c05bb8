# copier: filter replace("my_project", package_name)
"""From a pair of .npy files to a trained, evaluated and used network: the digits, as if somebody had brought them."""

import json
from pathlib import Path

import numpy as np
import pytest

from my_project import run as commands
from my_project.__main__ import main
from my_project.data.digits import DigitsConfig
from my_project.data.folders import read_folder


@pytest.mark.parametrize("mapped", [[], ["--mapped"]], ids=["npz", "npy"])
def test_images_of_ones_own_are_brought_checked_learned_and_read(mapped: list[str]) -> None:
    _, splits = read_folder(DigitsConfig().root)
    for name in ("inputs", "targets"):
        np.save(f"{name}.npy", np.concatenate([np.asarray(arrays[name]) for arrays in splits.values()]))
    about = ["--source", "UCI, doi:10.24432/C50P49", "--licence", "CC BY 4.0"]
    words = ["inputs.npy", "folder", "--target", "targets.npy", "--classes", *mapped]
    assert main(["data", "import", *words, *about]) == 0
    for action in (["verify", "--folder"], ["leakage"], ["balance"]):
        assert main(["data", *action, "folder"]) == 0
    options = ["--data.kind", "arrays", "--data.folder", "folder", "--train.steps", "150", "--train.eval-every", "150"]
    scaled = ["--model.kind", "standardized", "--model.base", "{kind: mlp, dim: 64}"]
    assert main(["train", "mlp", *options, *scaled, "--train.out", "run"]) == 0
    record = json.loads(Path("run/evaluation.json").read_text())
    assert record["value"] > max(0.9, *record["baselines"].values()) - 0.02
    assert record["metrics"]["num_rows"] == 270
    np.save("mine.npy", np.load("inputs.npy")[:3])
    assert [answer["label"] for answer in commands.predict(Path("run"), Path("mine.npy"))] == [
        str(label) for label in np.load("targets.npy")[:3]
    ]


def test_the_digits_that_lie_in_the_package_leak_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "leakage", str(DigitsConfig().root)]) == 0
    found = json.loads(capsys.readouterr().out)["auc"]
    assert max(split["low"] for split in found.values()) < 0.5
    assert main(["data", "balance", str(DigitsConfig().root)]) == 0
    # copier: endfilter
