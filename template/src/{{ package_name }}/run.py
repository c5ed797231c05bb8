"""What the commands do, as functions: train a config; evaluate, report and use a run."""

import hashlib
import json
import logging
import signal
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .config import DEFAULT_PRESET, Config, differences, from_dict, load, save, to_dict
from .data.loader import train_batches
from .data.manifest import read_manifest, verify
from .evaluation import classification
from .training.checkpoint import load_checkpoint, seed_everything
from .training.journal import Journal, describe_run, new_run_folder, write_json
from .training.trainer import Trainer, choose_device
from .types import UNKNOWN, Batch, Split

logger = logging.getLogger(__name__)

Record = dict[str, Any]
FAST_DEV_RUN = {"train.steps": 2, "train.log_every": 1, "train.eval_every": 2}
# What a resumed run may change: budget, logging, device. Every other option decides the weights.
MAY_DIFFER = {f"train.{name}" for name in ("steps", "out", "device", "log_every", "eval_every", "patience")}
MAY_DIFFER |= {"train.monitor_layers", "train.compile", "data.workers", "data.folder"}
MAY_DIFFER |= {"evaluation.target", "evaluation.max_gap", "evaluation.num_worst"}


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
    given = {**(FAST_DEV_RUN if fast_dev_run else {}), **(overrides or {})}
    folder = fit(load(sources[0], given), resume=resume, **options)
    record = evaluate(folder)
    path = report(folder)
    logger.info("report: %s", path)
    return {"run": str(folder), record["primary"]: record["value"], "report": path}


def fit(config: Config, *, resume: Path | None = None, init_from: Path | None = None, overfit_batches: int = 0) -> Path:
    """Train a config and return its run folder, with `best.pt` and `last.pt` in it.

    `resume` goes on in a run folder; `init_from` begins with a checkpoint's weights, wherever names and shapes agree;
    `overfit_batches` trains and validates on the first so many batches alone. A signal ends in SystemExit.
    """
    if overfit_batches < 0:
        raise ValueError(f"--overfit-batches: got {overfit_batches}, want 1 or more")
    seed_everything(config.train.seed)
    num_rows = overfit_batches * config.data.batch_size or None
    data = config.data.build("train", augment=not num_rows, num_rows=num_rows)
    held_out = data if num_rows else config.data.build("val")
    device, model = choose_device(config.train.device, deterministic=config.train.deterministic), config.model.build()
    if init_from:
        init_weights(model, load_checkpoint(checkpoint_path(init_from, "best.pt")))
    optimization = config.optim.build(model.to(device), config.train.steps)
    trainer = Trainer(config.train, model, optimization, lambda m: classification.measure(m, held_out), to_dict(config))
    if resume:
        folder = resume_run(trainer, resume, config)
    else:
        folder = new_run_folder(config.name, config.train.out)
        save(config, folder / "config.yaml")
        write_json(folder / "manifest.json", describe_run(read_manifest(config.data.root), config.train.seed))
        logger.info("writing to %s", folder)
    batches = train_batches(data, config.data, seed=config.train.seed, position=trainer.position)
    trainer.fit(batches, Journal(folder, config.train.steps, resume_at=trainer.step if resume else None))
    if trainer.signal:
        logger.warning("stopped and saved at step %d; go on with: train --resume %s", trainer.step, folder)
        raise SystemExit(130 if trainer.signal == signal.SIGINT else 143)
    return folder


def resume_run(trainer: Trainer, run: Path, config: Config) -> Path:
    """Put a trainer where a run stopped; refuse options that would have changed what is trained."""
    path = checkpoint_path(run, "last.pt")
    state = load_checkpoint(path)
    for name, (before, now) in differences(from_dict(state["config"]), config).items():
        if name not in MAY_DIFFER:
            raise ValueError(f"cannot resume with another {name}: the run has {before!r}, given {now!r}")
    trainer.load_state_dict(state)
    return path.parent


def checkpoint_path(run: Path, name: str) -> Path:
    """Return a run folder's checkpoint of that name, or the checkpoint itself if that is named."""
    path = run / name if run.is_dir() else run
    if not path.is_file():
        raise ValueError(f"{run} is not a run folder with {name}; name one, as in runs/cnn-1")
    return path


def init_weights(model: nn.Module, state: Record) -> None:
    """Copy the weights of a checkpoint whose names and shapes agree; say which did not."""
    given, wanted = weights(state), model.state_dict()
    fitting = {n: v for n, v in given.items() if n in wanted and v.shape == wanted[n].shape}
    if not fitting:
        raise ValueError("--init-from: no weight of that checkpoint fits this model")
    model.load_state_dict(fitting, strict=False)
    missing = ", ".join(name for name in wanted if name not in fitting) or "none"
    logger.info("began with %d of %d weights; at random: %s", len(fitting), len(wanted), missing)


def weights(state: Record) -> dict[str, Tensor]:
    """Return the weights that a checkpoint's run evaluates: averaged where it averages."""
    return {**state["model"], **state["optimization"]["averages"]}


def open_run(run: Path) -> tuple[Config, nn.Module, Path]:
    """Return a run's config, its model with the best weights on the CPU, and their checkpoint."""
    path = checkpoint_path(run, "best.pt")
    state = load_checkpoint(path)
    config = from_dict(state["config"])
    model = config.model.build()
    model.load_state_dict(weights(state))
    return config, model.eval(), path


def evaluate(run: Path, *, split: Split = "val", final: bool = False, gate: bool = False) -> Record:
    """Measure a run's best weights on the validation split; everything goes to evaluation.json.

    With split "test" and `final` on the sealed test split, once for each checkpoint: the receipt goes to final.json.
    With `gate` a run that misses the demands of its config ends in SystemExit(1). Returns the short form.
    """
    if (split == "test") != final:
        raise ValueError("the test split is sealed: --split test and --final go together, once a checkpoint")
    config, model, path = open_run(run)
    target, checksum = path.with_name("final.json" if final else "evaluation.json"), hashlib.sha256(path.read_bytes())
    opened = json.loads(target.read_text("utf-8")) if final and target.exists() else {}
    receipts = [opened, *opened.pop("earlier", [])] if opened else []
    if checksum.hexdigest() in {receipt["checkpoint_sha256"] for receipt in receipts}:
        raise ValueError(f"{target} has the receipt of this checkpoint: the test split was opened for it already")
    record = measure(config, model, split) | {"checkpoint": path.name, "checkpoint_sha256": checksum.hexdigest()}
    write_json(target, record | ({"earlier": receipts} if receipts else {}))
    bars = ", ".join(f"{name} {value:.4f}" for name, value in record["baselines"].items())
    logger.info("%s %s %.4f (%s)", split, record["primary"], record["value"], bars)
    if failures := config.evaluation.failures(record) if gate else []:
        logger.error("gate: %s", "; ".join(failures))
        raise SystemExit(1)
    return {key: value for key, value in record.items() if key != "metrics"}


def measure(config: Config, model: nn.Module, split: Split) -> Record:
    """Return a model's figures on one split, those of the baselines, and the gap to training."""
    train_split, data, labels = config.data.build("train"), config.data.build(split), config.data.labels
    full = classification.measure_fully(model, data, labels, config.evaluation.num_worst)
    before = classification.measure(model, train_split).value
    gap = before - full.value if full.higher_is_better else full.value - before
    bars = classification.baselines(train_split, data, len(labels))
    return {"split": split, **asdict(full), "train_value": before, "gap": gap, "baselines": bars}


def predict(run: Path, path: Path) -> list[Record]:
    """Return the label and all probabilities for each row of a file of the user's."""
    config, model, _ = open_run(run)
    inputs, labels = config.data.read(path), config.data.labels
    index = torch.arange(len(inputs))
    with torch.inference_mode():
        rows = model(Batch(inputs, torch.full_like(index, UNKNOWN), index), None).outputs.softmax(1)
    answers = [(labels[max(range(len(row)), key=row.__getitem__)], row) for row in rows.tolist()]
    return [{"label": label, "probabilities": dict(zip(labels, row, strict=True))} for label, row in answers]


def report(run: Path) -> str:
    """Write report.html, one file with its pictures, from what lies in the run folder; return its path."""
    from .evaluation.report import write_report  # noqa: PLC0415 (matplotlib takes a second)

    folder = checkpoint_path(run, "best.pt").parent
    if not (folder / "evaluation.json").exists():
        evaluate(run)
    record = json.loads((folder / "evaluation.json").read_text("utf-8"))
    images = load(folder / "config.yaml").data.build(record["split"]).inputs
    return str(write_report(folder, record, images[[error["row"] for error in record["metrics"]["worst"]]]))


def data(action: str = "verify", folder: Path | None = None) -> Record:
    """Check data files against their manifest; SystemExit(1) after a line that names what is wrong."""
    folder = folder or load().data.root
    if problems := verify(folder):
        logger.error("data %s: %s", action, "; ".join(problems))
        raise SystemExit(1)
    return {"folder": str(folder), "rows": read_manifest(folder)["rows"]}
