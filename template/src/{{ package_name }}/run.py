"""What the commands do, as functions: train a config; evaluate, report and use a run."""

import hashlib
import json
import logging
import os
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from torch import nn

from .config import DEFAULT_PRESET, Config, differences, from_dict, load, save, to_dict
from .data.loader import Dataset, read_manifest, train_batches, verify
from .evaluation.report import write_report
from .training import storage
from .training.trainer import Trainer
from .types import Split

logger = logging.getLogger(__name__)
Record = dict[str, Any]
RECORDS: dict[Split, str] = {"train": "evaluation_train.json", "val": "evaluation.json", "test": "final.json"}
LOOSE = ("steps", "out", "device", "log_every", "eval_every", "patience", "engine", "monitor_layers", "compile")
MAY_DIFFER = (*(f"train.{name}" for name in LOOSE), "data.workers", "data.folder", "evaluation.")  # in a resumed run


def train(
    preset: str | None = None,
    overrides: Record | None = None,
    *,
    config: Path | None = None,
    resume: Path | None = None,
    fast_dev_run: bool = False,
    **options: Any,
) -> Record:
    """Fit a preset, a YAML file or a run that stopped (`options`: see `fit`), evaluate and report it."""
    saved = checkpoint_path(resume, "last.pt").with_name("config.yaml") if resume else None
    sources = [source for source in (preset, config, saved) if source] or [DEFAULT_PRESET]
    if len(sources) > 1:
        raise ValueError(f"PRESET, --config and --resume exclude one another: got {len(sources)}, want one")
    few = {"train.steps": 2, "train.log_every": 1, "train.eval_every": 2} if fast_dev_run else {}
    folder = fit(load(sources[0], {**few, **(overrides or {})}), resume=resume, **options)
    record, path = evaluate(folder), report(folder)
    logger.info("report: %s", path)
    return {"run": str(folder), record["primary"]: record["value"], "report": path}


def fit(config: Config, *, resume: Path | None = None, init_from: Path | None = None, overfit_batches: int = 0) -> Path:
    """Train a config, from the weights of `init_from` where they fit; return the run folder. A signal: SystemExit."""
    if overfit_batches < 0:
        raise ValueError(f"--overfit-batches: got {overfit_batches}, want 1 or more")
    storage.seed_everything(seed := config.train.seed)
    num_rows = overfit_batches * config.data.batch_size or None  # to train and to validate on
    data = config.data.build("train", augment=not num_rows, num_rows=num_rows)
    held_out = data if num_rows else config.data.build("val")
    model = build(config, data)
    if init_from:
        init_weights(model, storage.load_checkpoint(checkpoint_path(init_from, "best.pt")))
    parts = (model, config.optim, lambda m: task(config).measure(m, held_out), to_dict(config))
    trainer = engine(config.train.engine)(config.train, *parts)
    manifest = storage.describe_run(read_manifest(config.data.root), seed)
    old = checkpoint_path(resume, "last.pt") if resume else None
    facts, names = [manifest["data"], len(data), len(held_out)], (config.name, config.train.out)
    run: Path = trainer.share(lambda: old.parent if old else storage.new_run_folder(*names), facts)
    with storage.locked(run) if trainer.main else nullcontext():
        journal = begin(trainer, old or run / "last.pt", config, manifest)
        batches = train_batches(data, config.data, seed=seed, position=trainer.step * config.train.accumulate)
        with journal.bar:
            trainer.fit(batches, run, journal.write, storage.save_checkpoint)
    if trainer.heard:
        logger.warning("stopped and saved at step %d; go on with: train --resume %s", trainer.step, run)
        raise SystemExit(trainer.heard[0])
    return run


def build(config: Config, train_split: Dataset) -> Any:
    """Make a model; one that has `prepare` first fits what it measures, such as means, to the training split."""
    if hasattr(model := config.model.build(), "prepare"):
        model.prepare(train_split)
    return model


def engine(name: str) -> type[Trainer]:
    """Return the Trainer of a file in `training`; auto is `distributed` where torchrun started this, else `trainer`."""
    name = name.replace("auto", "distributed" if "TORCHELASTIC_RUN_ID" in os.environ else "trainer")
    try:
        return cast("type[Trainer]", import_module(f".training.{name}", __package__).Trainer)
    except (ModuleNotFoundError, AttributeError) as error:
        raise ValueError(f"train.engine: got '{name}', want a file in training/ with a Trainer ({error})") from error


def task(config: Config) -> Any:
    """Return what evaluates the task of a config's data: the file of that name in `evaluation`."""
    return import_module(f".evaluation.{config.data.task}", __package__)


def begin(trainer: Trainer, last: Path, config: Config, manifest: Record) -> storage.Journal:
    """Put a trainer where its run stopped, or write down what begins; refuse what would change what is trained."""
    if last.exists():
        state = (trainer.read or storage.load_checkpoint)(last)
        before = json.loads(last.with_name("manifest.json").read_text("utf-8"))
        changed = differences(from_dict(state["config"]), config)
        old, new = before["data"]["files"], manifest["data"]["files"]
        changed |= {f"data file {name}": (old.get(name), new[name]) for name in new if old.get(name) != new[name]}
        wrong = {name: pair for name, pair in changed.items() if not name.startswith(MAY_DIFFER)}
        if lines := [f"another {name}: the run has {a!r}, given {b!r}" for name, (a, b) in wrong.items()]:
            raise ValueError(f"cannot resume with {'; '.join(lines)}")
        if before["code"] != manifest["code"]:
            logger.warning("the code has changed since this run began; what follows may differ from an unbroken run")
        trainer.load_state_dict(state)
    elif trainer.main:
        save(config, last.with_name("config.yaml"))
        storage.write_json(last.with_name("manifest.json"), manifest)
        logger.info("writing to %s", last.parent, extra={"run_folder": last.parent})
    return storage.Journal(last.parent, config.train.steps, resume_at=trainer.step, quiet=not trainer.main)


def checkpoint_path(run: Path, name: str) -> Path:
    """Return a run folder's checkpoint of that name, or the checkpoint itself if that is named."""
    path = run / name if run.is_dir() and run.suffix != ".pt" else run
    if not path.exists():
        raise ValueError(f"{run} is not a run folder with {name}; name one, as in runs/{DEFAULT_PRESET}-1")
    return path


def init_weights(model: nn.Module, state: Record) -> None:
    """Copy the weights of a checkpoint whose names and shapes agree; say which did not."""
    given, wanted = {**state["model"], **state["optimization"]["averages"]}, model.state_dict()
    fitting = {n: v for n, v in given.items() if n in wanted and v.shape == wanted[n].shape}
    if not fitting:
        raise ValueError("--init-from: no weight of that checkpoint fits this model")
    model.load_state_dict(fitting, strict=False)
    missing = ", ".join(name for name in wanted if name not in fitting) or "none"
    logger.info("began with %d of %d weights; at random: %s", len(fitting), len(wanted), missing)


def open_run(run: Path) -> tuple[Config, nn.Module, Path]:
    """Return a run's config, its model with the best weights on the CPU, and their checkpoint."""
    state = storage.load_checkpoint(path := checkpoint_path(run, "best.pt"))
    model = (config := from_dict(state["config"])).model.build()
    model.load_state_dict({**state["model"], **state["optimization"]["averages"]})
    return config, model.eval(), path


def evaluate(run: Path, *, split: Split = "val", final: bool = False, gate: bool = False) -> Record:
    """Measure a run's best weights, with `final` on the sealed test split; SystemExit(1) where a `gate` is missed."""
    if (split == "test") != final:
        raise ValueError("the test split is sealed: --split test and --final go together, once a checkpoint")
    config, model, path = open_run(run)
    target, checksum = path.with_name(RECORDS[split]), hashlib.sha256(path.read_bytes()).hexdigest()
    try:
        newest = [json.loads(target.read_text("utf-8"))] if final and target.exists() else []
        opened = {one["checkpoint_sha256"]: one for each in newest for one in (each, *each.pop("earlier", ()))}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OSError(f"{target} is damaged ({error!r}), so the test split stays closed; restore the file") from error
    if checksum in opened:
        raise ValueError(f"{target} has the receipt of this checkpoint: the test split was opened for it already")
    train_split, data, figures = config.data.build("train"), config.data.build(split), task(config)
    logger.info("measuring %d rows of %s and, to compare, %d of train", len(data), split, len(train_split))
    full, before = figures.measure_fully(model, data, config.data), figures.measure(model, train_split).value
    gap = before - full.value if full.higher_is_better else full.value - before
    bars = figures.baselines(train_split, data, config.data)
    record = {"split": split, **vars(full), "train_value": before, "gap": gap, "baselines": bars}
    record |= {"checkpoint": path.name, "checkpoint_sha256": checksum}
    storage.write_json(target, record | ({"earlier": [*opened.values()]} if opened else {}))
    logger.info("%s %s %.4f (%s)", split, full.primary, full.value, ", ".join(f"{n} {v:.4f}" for n, v in bars.items()))
    if failures := config.evaluation.failures(record, model, data) if gate else []:
        logger.error("gate: %s", "\ngate: ".join(failures))
        raise SystemExit(1)
    return {key: value for key, value in record.items() if key != "metrics"}


def predict(run: Path, path: Path) -> Any:
    """Return the answers to a file of the user's."""
    config, model, _ = open_run(run)
    return task(config).answers(model, config.data, path)


def report(run: Path) -> str:
    """Write report.html, one file with its pictures, from what lies in the run folder; return its path."""
    folder = checkpoint_path(run, "best.pt").parent
    if not (folder / "evaluation.json").exists():
        evaluate(run)
    record = json.loads((folder / "evaluation.json").read_text("utf-8"))
    config, model, _ = open_run(folder / record["checkpoint"])
    data, figures = config.data.build(record["split"]), task(config)
    page = {**figures.pictures(data, record["metrics"]), "task": config.data.task, "config": to_dict(config)}
    return str(write_report(folder, record, page, (config, model, data, figures)))


def data(action: str = "verify", folder: Path | None = None) -> Record:
    """Check data files against their manifest; SystemExit(1) after a line that names what is wrong."""
    if problems := verify(folder := folder or load().data.root):
        logger.error("data %s: %s", action, "; ".join(problems))
        raise SystemExit(1)
    return {"folder": str(folder), "rows": read_manifest(folder)["rows"]}
