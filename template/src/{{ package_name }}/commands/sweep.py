"""A search for good settings: Optuna proposes, each trial is a run, several processes may share the work."""

import logging
import os
import re
import shutil
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from .. import run as commands
from ..config import PRESETS, SECTIONS, Config, load, to_dict
from ..training import storage
from ..training.device import signals

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

    from ..search import Sweep

HELP = "search for good settings (Optuna); the same command again goes on, or shares the work"
PAUSE = 0.5  # seconds between two looks at what other processes do
STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}

logger = logging.getLogger(__name__)
Record = dict[str, Any]


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes, and that it takes the options of a run as well."""
    parser.add_argument("preset", nargs="?", metavar="PRESET", help="what to begin with, if not what the file says")
    parser.add_argument("--search", type=Path, default=Path("configs/search.yaml"), metavar="FILE", help="the space")
    parser.add_argument("--trials", type=int, default=20, metavar="N", help="in all, whichever process makes them")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the sweep (runs/<preset>-sweep-1)")
    parser.add_argument("--save-as", metavar="NAME", help="make the best config a preset of that name as well")
    return True


def main(preset: str | None, *, search: Path, trials: int, overrides: Record | None = None, **options: Any) -> Record:
    """Make the trials that are missing; SystemExit(3) where each has failed, 130 or 143 after a signal."""
    from .. import search as searching  # noqa: PLC0415 (Optuna takes 0.6 s to import, and no other command wants it)

    target = new_preset(options["save_as"]) if options["save_as"] else None
    if trials < 1:
        raise ValueError(f"--trials: got {trials}, want 1 or more")
    if "TORCHELASTIC_RUN_ID" in os.environ:
        raise ValueError("a trial is trained by one process; without torchrun, start the command several times instead")
    found = searching.read_search(search)
    found = replace(found, preset=preset or found.preset)
    common = searching.check(search, found, overrides or {})
    folder, first = options["out"] or Path(f"runs/{common.name}-sweep-1"), measured(common)
    folder.mkdir(parents=True, exist_ok=True)
    with signals() as heard:
        sweep = searching.Sweep(folder, found, common, first, trials)
        work(sweep, found.preset, overrides or {}, heard)
    return conclude(sweep, target)


def new_preset(name: str) -> Path:
    """Return where a preset of that name would stand; ValueError where there is one."""
    if not re.fullmatch(r"[a-z0-9_-]+", name):
        raise ValueError(f"--save-as: got '{name}', want a name of a to z, 0 to 9, - and _")
    if (path := PRESETS / f"{name}.yaml").exists():
        raise ValueError(f"--save-as: there is a preset '{name}'; want another name")
    return path


def measured(config: Config) -> Any:
    """Return the figures of an untrained model on a few rows; ValueError where this machine cannot train it."""
    rows = config.data.build("val", num_rows=config.data.batch_size)
    figures = commands.task(config).measure(model := commands.build(config, config.data.build("train")), rows)
    commands.engine(config.train.engine)(config.train, model, config.optim, lambda _: figures, to_dict(config))
    return figures


def work(sweep: "Sweep", preset: str, overrides: Record, heard: list[int]) -> None:
    """Make one trial after the other until there are as many as wanted, and nobody is at one."""
    waiting = False
    while True:
        with sweep.next_trial() as trial:
            if trial:
                values = {**overrides, **sweep.suggest(trial)}
                try_out(sweep, trial, preset, values)
        running = sum(row.state.name == "RUNNING" for row in sweep.rows())
        if heard:
            logger.warning("stopped; the same sweep command goes on")
            raise SystemExit(heard[0])
        if not trial and not running:
            return
        if not trial:
            if not waiting:
                logger.info("waiting for trials of other processes: %d", running)
            waiting = True
            time.sleep(PAUSE)


def try_out(sweep: "Sweep", trial: "Trial", preset: str, values: Record) -> None:
    """Make a trial's run, and tell the study how it ended."""
    from optuna.exceptions import TrialPruned  # noqa: PLC0415 (it is imported by now)
    from optuna.trial import TrialState  # noqa: PLC0415

    run, value, why, state = sweep.folder / f"trial-{trial.number}", None, "", TrialState.COMPLETE
    try:
        with told(Watch(trial, sweep.record["primary"])):
            value = make_run(run, preset, values)
    except TrialPruned as stopped:
        why, state = str(stopped), TrialState.PRUNED
    except (FloatingPointError, MemoryError, RuntimeError) as error:
        kind = f"{type(error).__name__}: " if isinstance(error, RuntimeError) else ""
        why, state = kind + " ".join(str(error).split()), TrialState.FAIL
    except SystemExit:
        logger.warning("the same sweep command goes on with trial %d", trial.number)
        raise
    trial.set_user_attr("why", why)
    row = sweep.study.tell(trial, value, state=state)
    storage.write_json(run / "trial.json", describe(row))
    shown = f"{STATES[state.name]}: {why}" if value is None else f"{sweep.record['primary']} {value:.4f}"
    logger.info("trial %d (%d in all): %s", trial.number, sweep.trials, shown)
    if "CUDA error" in why:  # from here on every call of this process would fail, and every trial
        raise OSError(f"{why}; the same sweep command goes on with the next trial")


def make_run(run: Path, preset: str, values: Record) -> float:
    """Train and evaluate a run, or go on with it; FloatingPointError where its options make none."""
    began = (run / "last.pt").exists()
    if not began:  # it may have been killed before there was anything to go on from
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir()
    try:
        commands.fit(load(preset, {**values, "train.out": str(run)}), resume=run if began else None)
    except ValueError as error:
        if began:
            raise
        raise FloatingPointError(str(error)) from error  # the options do not go together
    record = commands.evaluate(run)
    if not isfinite(value := float(record["value"])):
        raise FloatingPointError(f"{record['primary']} is {value}")
    return value


class Watch:
    """Tells a trial what its run measures, and ends the run where the pruner says so, once all is saved."""

    def __init__(self, trial: "Trial", primary: str) -> None:
        self.trial, self.primary = trial, primary
        self.seen = dict(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values)
        self.over = bool(self.seen) and trial.should_prune()

    def __call__(self, folder: Path, line: Record) -> None:
        """Take a line of the journal."""
        from optuna.exceptions import TrialPruned  # noqa: PLC0415 (it is imported by now)

        step = line["step"]
        if self.over and step > (last := max(self.seen)):  # the checkpoint of the step that decided it is there
            raise TrialPruned(f"{self.primary} {self.seen[last]:.4g} at step {last} is behind the other trials")
        if line["split"] == "val":
            if step not in self.seen:
                self.trial.report(line[self.primary], step)
                self.seen[step] = line[self.primary]
            self.over = self.trial.should_prune()


@contextmanager
def told(watch: Watch) -> Iterator[None]:
    """Let somebody read the journal along."""
    storage.TRACKERS.append(watch)
    try:
        yield
    finally:
        storage.TRACKERS.remove(watch)


def describe(row: "FrozenTrial") -> Record:
    """Return how a trial ended."""
    why = row.user_attrs.get("why", "")
    steps = max(row.intermediate_values, default=0)
    known = {"trial": row.number, "state": STATES[row.state.name], "value": row.value, "steps": steps}
    return {**known, "options": row.params, **({"why": why} if why else {})}


def ended(sweep: "Sweep") -> list[Record]:
    """Return how each trial ended, and write it where a process died in between."""
    rows = [describe(row) for row in sweep.rows() if row.state.is_finished()]
    for row in rows:
        if not (path := sweep.folder / f"trial-{row['trial']}" / "trial.json").exists():
            with suppress(OSError), storage.locked(sweep.claim(row["trial"])):  # who has it writes it
                storage.write_json(path, row)
    return rows


def conclude(sweep: "Sweep", target: Path | None) -> Record:
    """Write the table and the best config; SystemExit(3) where there is no best one."""
    rows, primary = ended(sweep), sweep.record["primary"]
    show(rows, primary)
    sign = -1 if sweep.record["higher_is_better"] else 1
    done = [row for row in rows if row["state"] == "complete"]
    if not done:
        logger.error("no trial came to its end: %s", rows[-1].get("why"))
        raise SystemExit(3)
    best = min(done, key=lambda row: (sign * row["value"], row["trial"]))
    run = sweep.folder / f"trial-{best['trial']}"
    about = f"# Trial {best['trial']} of {sweep.folder.name}: {primary} {best['value']:.4f} on the validation split.\n"
    text = about + yaml.safe_dump(terse(load(run / "config.yaml")), sort_keys=False, default_flow_style=None, width=116)
    for path in filter(None, (sweep.folder / "best.yaml", target)):
        path.write_text(text, encoding="utf-8")
    share = sweep.importance()
    said = ", ".join(f"{name} {part:.2f}" for name, part in (share or {}).items())
    few = f"{len(done)} complete trials are too few to tell"
    logger.info("importance: %s", said or (few if len(sweep.space) > 1 else "one option has nothing beside it"))
    logger.info("best: trial %d; again with: train --config %s", best["trial"], sweep.folder / "best.yaml")
    commands.report(run)  # of the others the command of that name makes one
    if target:
        tests = "pytest tests/test_seeded_losses.py --update-golden"
        logger.info("preset %s: commit it with the losses of its first steps, which `%s` writes", target.stem, tests)
    found = {"sweep": str(sweep.folder), "run": str(run), primary: best["value"], "best": best, "trials": rows}
    return {**found, "importance": share}


def show(rows: list[Record], primary: str) -> None:
    """Write the table of all trials."""
    names = [*rows[-1]["options"]]
    lines = [["trial", "state", primary, *names]]
    for row in rows:
        values = [row["value"], *(row["options"].get(name, "") for name in names)]
        shown = [f"{each:.4g}" if isinstance(each, float) else "" if each is None else str(each) for each in values]
        lines.append([str(row["trial"]), row["state"], *shown])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        logger.info("%s", "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())


def terse(config: Config) -> Record:
    """Return what a preset has to say of a config: the kinds, and what is not their default."""
    found, values = Record(), to_dict(config)
    for section in SECTIONS:
        part = getattr(config, section)
        fields = type(part).__pydantic_fields__
        usual = {name: info.get_default(call_default_factory=True) for name, info in fields.items()}
        kept = {n: v for n, v in values[section].items() if n == "kind" or getattr(part, n) != usual[n]}
        kept.pop("out", None)
        if kept:
            found[section] = kept
    return found
