# copier: filter replace("my_project", package_name)
"""Weights & Biases keeps what a run was, offline; asked of the file that it would send."""

import json
from pathlib import Path
from typing import Any

import pytest

from my_project import config as configs
from my_project import run as commands
from my_project.training import beside, track_wandb
from my_project.training.beside import Beside
from my_project.training.storage import read_journal

from .sample import PRESET
from .wandb_records import records

pytest.importorskip("wandb", reason="needs wandb: uv sync installs it")
SHORT = {"train.steps": 6, "train.eval_every": 2, "train.log_every": 1, "train.device": "cpu"}


@pytest.fixture
def run(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that no tracker knows."""
    for name in ("WANDB_MODE", "WANDB_PROJECT", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(beside, "PATIENCE", 60.0)
    return commands.fit(configs.load(PRESET, {**SHORT, "train.out": str(workspace / "run")}))


def kept() -> list[list[Any]]:
    """What stands in each folder, the oldest first."""
    paths = Path("wandb").glob("offline-run-*/run-*.wandb")
    return [records(path) for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns)]


def track(run: Path, lines: slice = slice(None)) -> None:
    process = Beside(track_wandb.__name__)  # at whose end all is written
    for line in read_journal(run)[lines]:
        process.write(run, line)
    process.end()


def values(items: Any) -> dict[str, Any]:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def test_figures_options_origin_and_files_are_kept(run: Path) -> None:
    commands.evaluate(run)
    track(run)
    (found,) = kept()
    history = {record.history.step.num: values(record.history.item) for record in found if record.HasField("history")}
    for line in read_journal(run):
        for name in {"loss", "error", "grad_norm", "lr"} & line.keys():
            assert history[line["step"]][f"{line['split']}/{name}"] == line[name]
    (begun,) = [record.run for record in found if record.HasField("run")]
    config = values(begun.config.update)
    assert (config["train"]["steps"], config["model"]["kind"], begun.display_name) == (6, "sample", "run")
    assert config["origin"]["data.sample.py"] == "drawn from seeds"
    summary = [values(record.summary.update) for record in found if record.HasField("summary")]
    assert any(one.get("state") == "finished" and one["evaluation/baseline mean"] > 0 for one in summary)
    files = {file.path for record in found if record.HasField("files") for file in record.files.files}
    assert files >= {"config.yaml", "manifest.json", "evaluation.json"}


def test_a_run_that_goes_on_keeps_its_id(run: Path) -> None:
    whole = (run / "metrics.jsonl").read_text("utf-8").splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(whole[:4]), "utf-8")
    track(run)
    (run / "metrics.jsonl").write_text("".join(whole), "utf-8")
    track(run, slice(4, None))
    parts = kept()
    ids = [record.run.run_id for part in parts for record in part if record.HasField("run")]
    assert len({*ids}) == 1
    steps = [[r.history.step.num for r in part if r.HasField("history")] for part in parts]
    assert steps == [[1, 2, 3], [4, 5, 6]]
    # copier: endfilter
