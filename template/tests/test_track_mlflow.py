# copier: filter replace("my_project", package_name)
"""MLflow keeps what a run was; asked of its own client."""

from pathlib import Path
from typing import Any

import pytest

from my_project import config as configs
from my_project import run as commands
from my_project.training import track_mlflow
from my_project.training.beside import Tracked
from my_project.training.storage import read_journal
from my_project.training.track_mlflow import MlflowRun

from .sample import PRESET

mlflow: Any = pytest.importorskip("mlflow", reason="needs mlflow: uv sync installs it")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # what MLflow uses of SQLAlchemy
SHORT = {"train.steps": 6, "train.eval_every": 2, "train.log_every": 1, "train.device": "cpu"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty store; to make its tables takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


@pytest.fixture
def run(workspace: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that no tracker knows, in an experiment of its own."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", workspace.name)
    return commands.fit(configs.load(PRESET, {**SHORT, "train.out": str(workspace / "run")}))


def kept(run: Path) -> list[Any]:
    client = mlflow.MlflowClient()
    return list(client.search_runs([client.get_experiment_by_name(run.parent.name).experiment_id]))


def track(run: Path, lines: slice = slice(None)) -> None:
    tracked = Tracked(run, "mlflow", MlflowRun)
    tracked.log(read_journal(run)[lines])
    tracked.close()


def test_figures_options_origin_and_files_are_kept(run: Path) -> None:
    commands.evaluate(run)
    track(run)
    (found,) = kept(run)
    client = mlflow.MlflowClient()
    for line in read_journal(run):
        for name in {"loss", "error", "grad_norm", "lr"} & line.keys():
            history = client.get_metric_history(found.info.run_id, f"{line['split']}/{name}")
            assert [point.value for point in history if point.step == line["step"]] == [line[name]]
    assert (found.data.params["train.steps"], found.data.params["model.kind"]) == ("6", "sample")
    assert found.data.tags["data.sample.py"] == "drawn from seeds"
    assert found.data.metrics["evaluation/baseline mean"] > 0
    assert (found.info.run_name, found.info.status) == ("run", "FINISHED")
    files = {file.path for file in client.list_artifacts(found.info.run_id)}
    assert files == {"config.yaml", "manifest.json", "evaluation.json"}


def test_a_run_that_goes_on_is_the_same_run(run: Path) -> None:
    whole = (run / "metrics.jsonl").read_text("utf-8").splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(whole[:4]), "utf-8")
    track(run)
    (found,) = kept(run)
    assert found.info.status == "KILLED"
    (run / "metrics.jsonl").write_text("".join(whole), "utf-8")
    track(run, slice(4, None))
    (again,) = kept(run)
    assert (again.info.run_id, again.info.status) == (found.info.run_id, "FINISHED")
    steps = [point.step for point in mlflow.MlflowClient().get_metric_history(found.info.run_id, "train/loss")]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_a_run_that_was_deleted_there_is_made_anew(run: Path) -> None:
    track(run)
    (found,) = kept(run)
    mlflow.MlflowClient().delete_run(found.info.run_id)
    (run / "evaluation.json").unlink(missing_ok=True)
    track(run)
    (again,) = kept(run)
    assert again.info.run_id != found.info.run_id


def test_a_server_that_takes_no_files_hears_how_the_run_ended(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no files")

    monkeypatch.setattr(mlflow.MlflowClient, "log_artifact", refuse)
    with pytest.raises(PermissionError):
        track(run)
    (found,) = kept(run)
    assert found.info.status == "FINISHED"


def test_a_run_that_begins_together_with_another_shares_its_experiment(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, asked = mlflow.MlflowClient.get_experiment_by_name, list[str]()

    def find_too_early(client: Any, name: str) -> Any:
        asked.append(name)
        if len(asked) > 1:
            return find(client, name)
        client.create_experiment(name)  # as the other does right now
        return None

    with monkeypatch.context() as early:
        early.setattr(mlflow.MlflowClient, "get_experiment_by_name", find_too_early)
        track(run)
    assert [found.info.status for found in kept(run)] == ["FINISHED"]


def test_an_experiment_that_the_store_refuses_is_an_error(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "x" * 999)
    with pytest.raises(mlflow.exceptions.MlflowException, match="999|exceeds"):
        track(run)


def test_names_and_values_that_the_store_would_refuse_are_made_fit() -> None:
    assert track_mlflow.name("data.keep.Größe (m²)") == "data.keep.Größe _m²_"
    assert track_mlflow.as_text([1, "a"]) == '[1, "a"]'
    assert len(track_mlflow.as_text("x" * 10_000)) == 6000
    # copier: endfilter
