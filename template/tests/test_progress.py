# copier: filter replace("my_project", package_name)
"""Every command says how far it is, in clean lines where nobody watches, and writes its result alone to stdout."""

import io
import json
import re
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import torch
import yaml

from my_project import config as configs
from my_project.__main__ import OTHERS, main

FEW = ["--train.steps", "4", "--train.eval-every", "2", "--optim.warmup-steps", "1"]
TRAIN = ["train", "linear", *FEW]
IMPORT = ["data", "import", "table.csv", "mine", "--source", "made here", "--licence", "MIT", "--target", "y"]
COMMANDS: dict[str, tuple[list[str], str]] = {  # words, and what is said on the way; nothing: it takes a moment
    "train": ([*TRAIN, "--train.out", "a"], "step 4 of 4"),
    "train again": ([*TRAIN, "--optim.lr", "1.0e-6", "--train.out", "b"], "step 4 of 4"),
    "evaluate": (["evaluate", "a"], "val accuracy"),
    "report": (["report", "a"], "looking at groups, inputs and single answers of 270 rows"),
    "predict": (["predict", "a", "digit.csv"], ""),
    "data verify": (["data", "verify"], ""),
    "compare": (["compare", "a", "b"], "1 of 2  a: accuracy"),
    "groups": (["groups", "a"], "measuring 10 groups"),
    "robustness": (["robustness", "a", "--rows", "20", "--steps", "2"], r"0\.020 .*\n *0\.050 "),
    "profile": (["profile", "linear", "--steps", "2"], "measuring 2 updates(.|\n)*measuring the time of an answer"),
    "lr-find": (["lr-find", "linear", "--steps", "10"], "update 2 of 10: (.|\n)*update 4 of 10: "),
    "reproduce": (["reproduce", "a"], "step 4 of 4"),
    "crossval": (["crossval", "linear", "--folds", "2", *FEW], r"\(1 of 2\)\n"),
    "ablate": (["ablate", "linear", "--toggles", "toggles.yaml", "--seeds", "1", *FEW], r"\(1 of 2\)\n"),
    "forgetting": (["forgetting", "linear", *FEW], "step 4 of 4"),
    "sweep": (["sweep", "--search", "search.yaml", "--trials", "2", *FEW], r"trial 0 \(2 in all\)"),
    "runs": (["runs"], "forgetting"),
    "data-import": (IMPORT, "writing mine: train 42, val 9, test 9 rows"),
    "data-split": (["data", "split", "mine", "new"], "writing new: train 48, val 6, test 6 rows"),
    "data-balance": (["data", "balance"], ""),
    "data-leakage": (["data", "leakage"], "nearly training rows\ntrying to tell val and test from train"),
    "export": (["export", "a"], "writing program.pt2(.|\n)*writing model.onnx(.|\n)*describing the training split"),
    "optimize": (["optimize", "a", "--mode", "prune"], "measuring mlp as it is\nprune\n"),
    "monitor": (["monitor", "a", "--rows", "rows.jsonl"], "answering the rows of rows.jsonl"),
    "card": (["card", "a"], ""),
    "models": (["models", "list"], ""),
}
CORE = ("train", "evaluate", "report", "predict", "data verify")
OWN = {name for name, module in OTHERS.items() if module.startswith(f"{configs.__package__}.")}
OTHER_FAMILIES = {"import-texts", "import-interactions"}
ENDLESS = {"serve"}
HERE = [name for name in COMMANDS if name in OWN or name.startswith(CORE)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, str]]]:
    """What each command writes to stdout and to stderr, one after the other in one folder."""
    found = dict[str, tuple[str, str]]()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("commands"))
        Path("digit.csv").write_text(f"{','.join('0' * 64)}\n")
        Path("rows.jsonl").write_text(json.dumps({"pixels": [[0] * 8] * 8}) + "\n")
        Path("configs").mkdir()
        Path("configs/card.yaml").write_text("intended_use: To be tried.\nlimitations: It saw four batches.\n")
        Path("toggles.yaml").write_text("clipping: {optim.grad_clip: 0}\n")
        Path("search.yaml").write_text("preset: linear\nspace:\n  optim.lr: {low: 0.001, high: 0.01}\n")
        rows = torch.randn(60, 3, generator=torch.Generator().manual_seed(0)).tolist()
        Path("table.csv").write_text("\n".join(["a,b,y", *(",".join(f"{x:.4f}" for x in row) for row in rows)]))
        for name in HERE:
            out, err = io.StringIO(), io.StringIO()
            with redirect_stdout(out), redirect_stderr(err):
                assert main(COMMANDS[name][0]) == 0, (name, err.getvalue())
            found[name] = out.getvalue(), err.getvalue()
        yield found


def test_every_command_is_looked_at() -> None:
    assert COMMANDS.keys() >= OWN - OTHER_FAMILIES - ENDLESS, "say here what a new command says on its way"


@pytest.mark.parametrize("name", HERE)
def test_stdout_is_the_result_and_nothing_else(name: str, told: dict[str, tuple[str, str]]) -> None:
    out, _ = told[name]
    assert json.loads(out) or name == "models"  # nothing was promoted here


@pytest.mark.parametrize("name", HERE)
def test_stderr_in_a_pipe_is_clean_lines(name: str, told: dict[str, tuple[str, str]]) -> None:
    _, err = told[name]
    assert not re.search(r"[^\n -~\u00a0-\uffff]", err)
    assert err.endswith("\n") or not err
    assert "\n\n" not in err


@pytest.mark.parametrize("name", HERE)
def test_what_takes_long_says_how_far_it_is(name: str, told: dict[str, tuple[str, str]]) -> None:
    _, err = told[name]
    assert re.search(COMMANDS[name][1], err)


def test_the_list_of_toggles_is_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["ablate", "linear", "--list"])
    assert ended.value.code == 0
    assert yaml.safe_load(capsys.readouterr().out)["optim.grad_clip"] == {"optim.grad_clip": 0}
    # copier: endfilter
