"""A rendered project in an environment of its own, for libraries that the other tests do without."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests.answers import Answers
from tests.harness import Result, Sample, command, render_sample

TOOLS = ("coverage", "hypothesis", "pytest", "pytest-cov")
NAMES = """
import importlib.metadata, json
names = {d.name for d in importlib.metadata.distributions()} | {*importlib.metadata.packages_distributions()}
names |= {entry.name for entry in importlib.metadata.entry_points(group="console_scripts")}
print(json.dumps(sorted(name for name in names if name.replace("-", "_").isidentifier())))
"""


class Installed:
    """A project with a library that only its answers bring, and an environment that holds all it declares."""

    def __init__(self, name: str, answers: Answers, template: Path, folder: Path) -> None:
        self.sample: Sample = render_sample(template, folder, name, answers)
        self.python = folder / "env/bin/python"
        made = command(["uv", "venv", "--python", sys.executable, folder / "env"], folder)
        assert made.status == 0, made.output
        filled = command(["uv", "pip", "install", "--python", self.python, self.sample.folder, *TOOLS], folder)
        assert filled.status == 0, filled.output

    def run(self, *argv: str | Path, **environment: str) -> Result:
        """Run its Python in the project, with nothing to be had from the hub."""
        blocked = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
        return command([self.python, *argv], self.sample.folder, os.environ | blocked | environment)

    def names(self) -> set[str]:
        """Name what the environment brings, but for the project: distributions, modules and commands."""
        names = set(json.loads(self.run("-c", NAMES).output))
        return names - {"my-project", "my_project", "my_project_agents"}
