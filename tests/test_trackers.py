"""The trackers with their libraries, each in an environment of its own: what they keep, as their own readers see it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.browser import find_browser, free_port, served, text_of
from tests.harness import Result
from tests.installed import Installed
from tests.test_questions import allowed

SHORT = ("--train.log-every", "1", "--train.eval-every", "3", "--train.device", "cpu")
# What a library's own reader finds, in one form for all: of each run its name, state, options, tags, metrics and files.
READERS = {
    "mlflow": """
import json
from mlflow import MlflowClient
client, found = MlflowClient("sqlite:///mlflow.db"), {}
experiments = [one.experiment_id for one in client.search_experiments()]
for run in client.search_runs(experiments):
    key, data = run.info.run_id, run.data
    metrics = {name: [[m.step, m.value] for m in client.get_metric_history(key, name)] for name in data.metrics}
    files = [file.path for file in client.list_artifacts(key)]
    found[key] = {"name": run.info.run_name, "state": run.info.status, "options": data.params, "tags": data.tags,
                  "metrics": metrics, "files": files}
print(json.dumps(found))
""",
    "wandb": """
import json
from pathlib import Path
from tests.wandb_records import records

def flat(values, before=""):
    found = {}
    for key, value in values.items():
        found |= flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
    return found

found = {}
for path in sorted(Path("wandb").glob("offline-run-*/run-*.wandb")):
    for record in records(path):
        if record.HasField("run"):
            config = {item.key: json.loads(item.value_json) for item in record.run.config.update}
            tags = config.pop("origin", {})
            one = found.setdefault(record.run.run_id, {"metrics": {}, "files": [], "summary": {}})
            options = {key: str(value) for key, value in flat(config).items()}
            one |= {"name": record.run.display_name, "options": options, "tags": tags}
        for item in record.history.item if record.HasField("history") else ():
            key = item.key or ".".join(item.nested_key)
            if not key.startswith("_"):
                one["metrics"].setdefault(key, []).append([record.history.step.num, json.loads(item.value_json)])
        if record.HasField("summary"):
            one["summary"] |= {item.key: json.loads(item.value_json) for item in record.summary.update}
        if record.HasField("files"):
            one["files"] += [file.path for file in record.files.files]
    one["state"] = one["summary"].get("state")
print(json.dumps(found))
""",
}
STATES = {"mlflow": ("FINISHED", "KILLED"), "wandb": ("finished", "stopped")}
FILES = {"config.yaml", "manifest.json", "evaluation.json", "report.html"}


class Tracked(Installed):
    """A project with a tracker, and the environment of its library."""

    def __init__(self, name: str, template: Path, folder: Path) -> None:
        super().__init__(name, {"tracker": name, "agents": False}, template, folder)
        self.name = name

    def train(self, *words: str, **environment: str) -> Result:
        """Run `train` as a person does."""
        return self.run("-m", self.sample.package, "train", *words, *SHORT, **environment)

    def stop(self, *words: str, lines: int = 8) -> Result:
        """Run `train` until its journal has some lines, then stop it by SIGTERM."""
        journal = self.sample.folder / words[-1] / "metrics.jsonl"
        argv: list[str | Path] = [self.python, "-m", self.sample.package, "train", *words, *SHORT]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
        with subprocess.Popen(
            argv, cwd=self.sample.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                until = time.monotonic() + 60
                while not journal.exists() or journal.read_text(encoding="utf-8").count("\n") < lines:
                    assert process.poll() is None, process.communicate()[0]
                    assert time.monotonic() < until
                    time.sleep(0.02)
                process.terminate()
                output = process.communicate(timeout=60)[0]
            finally:
                process.kill()  # `with` would wait for all its steps
        return Result(process.returncode, output)

    def journal(self, run: str) -> dict[str, list[list[float]]]:
        """Read a run's figures by name, each with its steps, from the journal."""
        text = (self.sample.folder / "runs" / run / "metrics.jsonl").read_text(encoding="utf-8")
        found = dict[str, list[list[float]]]()
        for line in map(json.loads, text.splitlines()):
            for key in [key for key, value in line.items() if isinstance(value, float) and key != "seconds"]:
                found.setdefault(f"{line['split']}/{key}", []).append([line["step"], line[key]])
        return found

    def kept(self) -> dict[str, dict[str, Any]]:
        """Read what the library keeps of each run, by its id."""
        result = self.run("-c", READERS[self.name])
        assert result.status == 0, result.output
        found: dict[str, dict[str, Any]] = json.loads(result.output.splitlines()[-1])
        return found

    def kept_of(self, run: str) -> dict[str, Any]:
        """Read what it keeps of a run; there is one of that name."""
        (found,) = [one for one in self.kept().values() if one["name"] == run]
        return found


def same(kept: dict[str, Any], journal: dict[str, list[list[float]]]) -> None:
    """Whether a library has each figure of the journal, at each step once."""
    assert journal
    for name, points in journal.items():
        assert kept["metrics"][name] == [[step, pytest.approx(value, rel=1e-6)] for step, value in points], name


@pytest.fixture(scope="module", params=READERS)
def tracked(request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Tracked:
    """A project of each tracker that trained once."""
    project = Tracked(request.param, template, tmp_path_factory.mktemp(request.param))
    trained = project.train("--train.steps", "6", "--train.out", "runs/first")
    assert trained.status == 0, trained.output
    assert "left out" not in trained.output
    return project


def test_a_run_is_kept_with_all_that_it_was(tracked: Tracked) -> None:
    kept, manifest = tracked.kept_of("first"), tracked.sample.folder / "runs/first/manifest.json"
    written = json.loads(manifest.read_text(encoding="utf-8"))
    same(kept, tracked.journal("first"))
    assert kept["state"] == STATES[tracked.name][0]
    assert kept["options"]["data.batch_size"] == "64"
    assert kept["options"]["train.steps"] == "6"
    assert kept["options"]["model.kind"] == "cnn"
    assert kept["tags"]["code.sha256"] == written["code"]["sha256"]
    for name, checksum in written["data"]["files"].items():
        assert kept["tags"][f"data.{name}"] == checksum
    assert {*kept["files"]} >= FILES


def test_a_run_that_was_stopped_says_so_and_goes_on_as_the_same_one(tracked: Tracked) -> None:
    folder = tracked.sample.folder / "runs/second"
    stopped = tracked.stop("--train.steps", "100000", "--train.out", "runs/second")
    assert stopped.status == 143, stopped.output
    assert "left out" not in stopped.output
    before = tracked.kept_of("second")
    same(before, tracked.journal("second"))
    assert before["state"] == STATES[tracked.name][1]
    steps = max(step for step, _ in before["metrics"]["train/loss"]) + 4
    resumed = tracked.run("-m", tracked.sample.package, "train", "--resume", folder, "--train.steps", str(int(steps)))
    assert resumed.status == 0, resumed.output
    after = tracked.kept_of("second")  # still one
    same(after, tracked.journal("second"))
    assert len(after["metrics"]["val/accuracy"]) > len(before["metrics"]["val/accuracy"])
    assert {*after["files"]} >= FILES


def test_the_projects_own_tests_of_it_pass(tracked: Tracked) -> None:
    own = tracked.run("-m", "pytest", "-q", "--no-cov", "-p", "no:cacheprovider", f"tests/test_track_{tracked.name}.py")
    assert own.status == 0, own.output
    assert "skipped" not in own.output


BROKEN = {  # what the warning says, the environment; a package that raises stands in the folder `broken`
    "mlflow": ("No such file or directory: '/proc/no'", {"MLFLOW_TRACKING_URI": "sqlite:////proc/no/mlflow.db"}),
    "wandb": ("ImportError: a broken package", {"PYTHONPATH": "broken"}),
}


def test_a_tracker_that_is_broken_costs_one_warning(tracked: Tracked) -> None:
    words, environment = BROKEN[tracked.name]
    folder = tracked.sample.folder / "broken"
    folder.mkdir()
    (folder / "wandb.py").write_text("raise ImportError('a broken package')\n", encoding="utf-8")
    broken = tracked.train("--train.steps", "6", "--train.out", "runs/broken", **environment)
    assert broken.status == 0, broken.output
    warnings = [line for line in broken.output.splitlines() if "left out" in line]
    assert len(warnings) == 1, broken.output
    assert warnings[0].startswith(f"{tracked.name} is left out from now on: ")
    assert words in warnings[0]
    assert "Traceback" not in broken.output
    assert len(tracked.journal("broken")["train/loss"]) == 6


def test_names_of_what_it_brings_are_reserved(tracked: Tracked) -> None:
    names = tracked.names()
    assert tracked.name in names
    assert not allowed(names)


@pytest.fixture(scope="module")
def browser() -> str:
    """A browser, or the reason why these tests are skipped."""
    return find_browser()


@pytest.mark.parametrize("tracked", ["mlflow"], indirect=True)
def test_the_pages_of_mlflow_show_a_run_and_its_figures(browser: str, tracked: Tracked) -> None:
    folder, port = tracked.sample.folder, free_port()
    evaluation = json.loads((folder / "runs/first/evaluation.json").read_text(encoding="utf-8"))
    run = json.loads((folder / "runs/first/mlflow.json").read_text(encoding="utf-8"))["id"]
    words = ["-m", "mlflow", "server", "--backend-store-uri", "sqlite:///mlflow.db", "--workers", "1"]
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with served([tracked.python, *words, "--port", str(port)], folder, port, environment) as url:
        text = text_of(browser, f"{url}#/experiments/1/runs/{run}")
    assert "first" in text.split()
    assert f"evaluation/accuracy {evaluation['value']}" in text
    for name, points in tracked.journal("first").items():
        assert f"{name} {points[-1][1]:g}"[:20] in text
    assert "Finished" in text
