"""Weights & Biases: `wandb/` holds every run; none leaves the machine unless WANDB_MODE or `wandb sync` says so."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from .background import Line
from .beside import PROJECT, beside, origin, scalars, serve, title
from .states import read


class WandbRun:
    """A run of Weights & Biases; of one that goes on, a further part with the same id."""

    def __init__(self, folder: Path, known: str) -> None:
        os.environ.setdefault("WANDB_MODE", "offline")
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        wandb = import_module("wandb")
        self.folder = folder
        self.run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name=title(folder),
            id=known or None,
            resume="allow",
            dir=os.environ.get("WANDB_DIR") or Path.cwd(),
            config={**read(folder / "config.yaml"), "origin": origin(folder)},
            settings=wandb.Settings(x_disable_stats=True, console="off", silent=True),
        )
        self.id = str(self.run.id)

    def log(self, lines: list[Line]) -> None:
        """Take lines of the journal: each figure at its step."""
        for line in lines:
            self.run.log(scalars(line), step=line["step"])

    def close(self, state: str, figures: dict[str, float], files: list[Path]) -> None:
        """Take how the run ended, what it was evaluated with, and its files."""
        self.run.summary.update({**figures, "state": state})
        for path in files:
            self.run.save(path, base_path=self.folder, policy="now")
        self.run.finish(exit_code=0 if state == "finished" else 1)


track = beside("wandb")

if __name__ == "__main__":
    serve("wandb", WandbRun)
