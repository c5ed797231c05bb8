"""What `export` writes: a run as torch.export's program and as ONNX, compared with the model, weighed and timed."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from ..evaluation.budgets import Budgets, over, size_mb
from ..run import Record
from ..training.storage import write_json
from .forms import Opened, open_rows, reason, save_onnx, save_program, trace
from .parity import TOLERANCE, compare
from .program import Form

PROGRAM, ONNX = "program.pt2", "model.onnx"

logger = logging.getLogger(__name__)


def export(run: Path, limits: Budgets) -> Record:
    """Write RUN/export anew, all of it or nothing; return what export.json holds."""
    opened = open_rows(run)
    with replaced(opened.checkpoint.parent / "export") as folder:
        forms, fixed = write_forms(opened, folder)
        record = {
            "checkpoint": opened.checkpoint.name,
            "model": opened.name,
            "task": opened.config.data.task,
            "inputs": describe(opened, fixed),
            "tolerance": TOLERANCE,
            "eager": {"size_mb": size_mb(opened.model), "latency_ms": opened.timed(opened.program)},
            "forms": forms,
            "failures": failures(forms, limits),
        }
        write_json(folder / "export.json", record)
        write_reference(opened, folder)
    return record


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Give a new folder to write to; once all is written it takes the place of the one that was there."""
    new, old = (folder.with_name(f"{folder.name}.{end}") for end in ("new", "old"))
    clear(folder, new, old)
    new.mkdir()
    try:
        yield new
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    finally:
        clear(folder, new, old)


def clear(folder: Path, new: Path, old: Path) -> None:
    """Take away what is not needed beside a folder, also what a process left that was killed."""
    if old.exists() and not folder.exists():
        old.rename(folder)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)


def describe(opened: Opened, fixed: dict[str, int]) -> Record:
    """Return type and shape of each input; words stand for sizes that vary."""
    found = Record()
    for name, tensor in opened.tensors.items():
        shape: list[Any] = ["rows", *tensor.shape[1:]]
        if name in opened.dynamic and name not in fixed:
            shape[opened.dynamic[name]] = "length"
        found[name] = {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": shape}
    return found


def write_forms(opened: Opened, folder: Path) -> tuple[dict[str, Record], dict[str, int]]:
    """Write both files; return of each its figures, or the reason why it is not there, and lengths that cannot vary."""
    logger.info("tracing %s", opened.name)
    try:
        exported, fixed = trace(opened.program, opened.tensors, opened.dynamic)
    except Exception as error:  # noqa: BLE001 (whatever the tracer raises: this model has no graph)
        return dict.fromkeys(("program", "onnx"), missing(opened, error)), {}
    ways = {"program": partial(save_program, exported), "onnx": partial(save_onnx, exported, names=[*opened.tensors])}
    files, found = {"program": PROGRAM, "onnx": ONNX}, dict[str, Record]()
    for name, write in ways.items():
        logger.info("writing %s, then comparing its answers with the model's", files[name])
        try:
            found[name] = judged(opened, write(path=folder / files[name]), folder / files[name], fixed)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever the exporter raises: this form is not there)
            (folder / files[name]).unlink(missing_ok=True)
            found[name] = missing(opened, error)
    return found, fixed


def judged(opened: Opened, form: Form, file: Path, fixed: dict[str, int]) -> Record:
    """Return how far the answers of a form that was opened again are from the model's, its size and its time."""
    dynamic = {name: dim for name, dim in opened.dynamic.items() if name not in fixed}
    parity = compare(form, opened.program, opened.tensors, dynamic)
    apart, case = most(parity)
    found = {
        "file": file.name,
        "size_mb": file.stat().st_size / 1e6,
        "latency_ms": opened.timed(form),
        "difference": {"case": case, **parity[case]},
        "parity": parity,
        "notes": [f"{opened.name}: {name} are always {length} long" for name, length in fixed.items()],
    }
    logger.info("%s: %.3g MB, at most %.2g from the model (%s)", file.name, found["size_mb"], apart, case)
    return found


def most(parity: dict[str, Record]) -> tuple[float, str]:
    """Return the largest absolute difference of all cases, and which it is."""
    return max((apart["absolute"], case) for case, apart in parity.items())


def missing(opened: Opened, error: Exception) -> Record:
    """Say why a form is not there, and return it as what export.json holds."""
    why = reason(opened.name, error)
    logger.warning("not exported: %s", why)
    return {"reason": why}


def failures(forms: dict[str, Record], limits: Budgets) -> list[str]:
    """Return a line for each form that differs too much, is too large or too slow; one line if there is none."""
    lines, there = list[str](), {name: form for name, form in forms.items() if "reason" not in form}
    for name, form in there.items():
        apart, case = most(form["parity"])
        if not apart < TOLERANCE:
            lines.append(f"{name} differs from the model by {apart:.3g} ({case}), at most {TOLERANCE:g}")
        spent = {"size_mb": form["size_mb"], "latency_ms": form["latency_ms"]["p95"]}
        lines += [f"{name}: {line}" for line in over(spent, limits)]
    return lines if there else ["neither form could be written"]


def write_reference(opened: Opened, folder: Path) -> None:
    """Write the reference of the monitoring beside the forms, where the project has it for this task."""
    own, task = (f"{__package__}.{name}" for name in ("reference", opened.config.data.task))
    if find_spec(own) and find_spec(task):
        logger.info("describing the training split, for monitoring")
        predictor = import_module(f"{__package__}.predictor").Predictor
        device = torch.device("cpu")
        import_module(own).write(predictor(opened.config, opened.model, opened.checkpoint, device), folder)
