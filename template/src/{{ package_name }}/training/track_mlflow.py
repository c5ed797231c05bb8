"""MLflow: `mlflow.db` holds every run, or the store that MLFLOW_TRACKING_URI names; `mlflow ui` shows them."""

import json
import os
import re
import time
from collections.abc import Iterator
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from .background import Line
from .beside import PROJECT, beside, flat, origin, scalars, serve, title
from .states import read

STATUSES = {"finished": "FINISHED", "stopped": "KILLED"}  # everything else: FAILED
MOST = {"metrics": 1000, "params": 100}  # in one request
LONGEST = 6000  # letters of a value that MLflow takes


class MlflowRun:
    """A run in the store of MLflow: the one that it was before, if it is still there."""

    def __init__(self, folder: Path, known: str) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        self.entities = import_module("mlflow.entities")
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').absolute()}"
        self.client: Any = import_module("mlflow").MlflowClient(uri)
        self.id = known if known and self.has(known) else self.begin(folder)
        self.client.update_run(self.id, status="RUNNING")

    def has(self, known: str) -> bool:
        """Whether the store knows a run; it may be another one than before."""
        try:
            return bool(self.client.get_run(known).info.lifecycle_stage == "active")
        except import_module("mlflow.exceptions").MlflowException:
            return False

    def begin(self, folder: Path) -> str:
        """Make a run with its options and where it comes from; return its id."""
        about = origin(folder)
        about |= {"mlflow.source.git.commit": about["git.commit"], "mlflow.source.name": about["command"]}
        tags = {name: value[:LONGEST] for name, value in about.items() if value}
        began = datetime.fromisoformat(read(folder / "manifest.json")["written"]).timestamp()
        run = self.client.create_run(self.experiment(), int(1000 * began), tags, title(folder))
        options = flat(read(folder / "config.yaml"))
        make = self.entities.Param
        self.send(run.info.run_id, params=[make(name(key), as_text(value)) for key, value in options.items()])
        return str(run.info.run_id)

    def experiment(self) -> str:
        """Return the id of the experiment that is named like the project, or as MLFLOW_EXPERIMENT_NAME says."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
        found = self.client.get_experiment_by_name(name)
        try:
            return str(found.experiment_id if found else self.client.create_experiment(name))
        except import_module("mlflow.exceptions").MlflowException:
            if found := self.client.get_experiment_by_name(name):  # another run was faster
                return str(found.experiment_id)
            raise

    def send(self, run: str, **items: list[Any]) -> None:
        """Send metrics or params, no more at once than MLflow takes."""
        for what, rows in items.items():
            for start in range(0, len(rows), MOST[what]):
                self.client.log_batch(run, **{what: rows[start : start + MOST[what]]})

    def log(self, lines: list[Line]) -> None:
        """Take lines of the journal: each figure at its step."""
        self.send(self.id, metrics=[row for line in lines for row in self.rows(scalars(line), line["step"])])

    def rows(self, figures: dict[str, float], step: int) -> Iterator[Any]:
        """Return figures as MLflow's."""
        for key, value in figures.items():
            yield self.entities.Metric(name(key), value, int(1000 * time.time()), step)

    def close(self, state: str, figures: dict[str, float], files: list[Path]) -> None:
        """Take how the run ended, what it was evaluated with, and its files."""
        self.client.set_terminated(self.id, STATUSES.get(state, "FAILED"))  # first: a server may refuse files
        self.send(self.id, metrics=[*self.rows(figures, 0)])
        for path in files:
            self.client.log_artifact(self.id, str(path))


def name(key: str) -> str:
    """Return a key with none but the letters that MLflow takes."""
    return re.sub(r"[^\w\-. :/]", "_", key)


def as_text(value: Any) -> str:
    """Return a value of a config as it stands in a table."""
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))[:LONGEST]


track = beside("mlflow")

if __name__ == "__main__":
    serve("mlflow", MlflowRun)
