"""Our side: the command line of the rendered project, `python -m my_project`."""

import importlib
import sys

NAME = "ours"
LAST, PREVIOUS, BEST = "last.pt", "previous.pt", "best.pt"
PART = "optimization"  # a part of a checkpoint that a run cannot go on without
VERSION = "format_version"
# The options with which the same command begins a run and goes on with it, a run saves while it trains, has a tracker.
AGAIN: dict[str, object] = {}
ASYNCHRONOUS: dict[str, object] = {"engine": "sharded"}
BOARD: dict[str, object] = {}
JOB = {"train.steps": 40, "train.eval_every": 5, "train.log_every": 1, "optim.warmup_steps": 5, "train.device": "cpu"}
# The options that cases set, by the name that they have on both sides.
OPTIONS = {
    "steps": "train.steps",
    "every": "train.eval_every",
    "batch_size": "data.batch_size",
    "seed": "train.seed",
    "workers": "data.workers",
    "lr": "optim.lr",
    "dim": "model.dim",
    "dropout": "model.dropout",
    "grad_clip": "optim.grad_clip",
    "accumulate": "train.accumulate",
    "device": "train.device",
    "folder": "data.folder",
    "nonfinite": "train.nonfinite",
    "compile": "train.compile",
    "engine": "train.engine",
}


def words(options: dict[str, object]) -> list[str]:
    """Return options as words of the command line."""
    pairs = ((f"--{OPTIONS.get(name, name).replace('_', '-')}", value) for name, value in options.items())
    return [word for flag, value in pairs for word in ([flag] if value is True else [flag, str(value)])]


def start(out: str, options: dict[str, object]) -> list[str]:
    """Return the command that begins a run."""
    job = {name: value for name, value in JOB.items() if name not in {OPTIONS.get(key) for key in options}}
    return ["train", "mlp", "--train.out", out, *words({**job, **options})]


def resume(out: str, _: dict[str, object], changes: dict[str, object]) -> list[str]:
    """Return the command that goes on with a run or a checkpoint; its options stand in the run folder."""
    return ["train", "--resume", out, *words(changes)]


def warm() -> None:
    """Import what a run needs, so that it need not."""
    importlib.import_module("torch").set_num_threads(1)
    for name in ("torch._dynamo", "torchmetrics.functional.classification"):
        importlib.import_module(name)
    importlib.import_module("my_project.config").describe_options()
    for name in ("run", "evaluation.classification", "__main__"):
        importlib.import_module(f"my_project.{name}")


def run(words: list[str]) -> int:
    """Be the command line."""
    module = importlib.import_module("my_project.__main__")
    sys.argv = [str(module.__file__), *words]
    status: int = module.main()
    return status
