"""Lightning's side: the script in `lightning_job`, begun again with `--resume` as its users do."""

import importlib

NAME = "Lightning"
LAST, PREVIOUS, BEST = "last.ckpt", "step=5.ckpt", "last.ckpt"
PART = "optimizer_states"  # a part of a checkpoint that a run cannot go on without
VERSION = "pytorch-lightning_version"

# The options with which the same command begins a run and goes on with it, a run saves while it trains, has a tracker.
AGAIN: dict[str, object] = {"resume": "last"}
ASYNCHRONOUS: dict[str, object] = {"asynchronous": True}
BOARD: dict[str, object] = {"board": True}


def words(options: dict[str, object]) -> list[str]:
    """Return options as words of the command line."""
    pairs = ((f"--{name.replace('_', '-')}", value) for name, value in options.items())
    return [word for flag, value in pairs for word in ([flag] if value is True else [flag, str(value)])]


def start(out: str, options: dict[str, object]) -> list[str]:
    """Return the command that begins a run."""
    return ["--out", out, *words(options)]


def resume(out: str, options: dict[str, object], changes: dict[str, object]) -> list[str]:
    """Return the same command with the checkpoint to go on from: Lightning's `last`, or a file that is named."""
    folder, _, name = out.partition("/")
    return ["--out", folder, *words({**options, **changes}), "--resume", out if name else "last"]


def warm() -> None:
    """Import Lightning and the script, so that a run need not."""
    importlib.import_module("torch").set_num_threads(1)
    importlib.import_module(".lightning_job", __package__)


def run(words: list[str]) -> None:
    """Be the script."""
    importlib.import_module(".lightning_job", __package__).main(words)
