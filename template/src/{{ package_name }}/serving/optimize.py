"""Ways to make a model smaller or faster; each is judged by the file that it leaves, opened again."""

import copy
import json
import logging
import shutil
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import prune as pruning

from ..evaluation.budgets import size_mb
from ..run import Record, open_run, task
from ..training.storage import load_checkpoint, save_checkpoint, write_json
from .export import replaced
from .files import sha256
from .folding import CONVOLUTIONS, NORMS, folded
from .forms import Opened, open_onnx, open_rows, quiet, reason, save_onnx, save_program, trace
from .parity import TOLERANCE, difference
from .program import Form, program_of

Made = tuple[Form, Path | None, Record]  # what answers, the file that it was opened from, figures of its own

logger = logging.getLogger(__name__)


class Half(nn.Module):
    """A layer whose weights and products are bf16, between others that stay as they are."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer.to(torch.bfloat16)

    @property
    def weight(self) -> Tensor:
        """The weights [O, I, ...] for those who take them past the layer."""
        weight: Tensor = self.layer.weight.float()
        return weight

    @property
    def bias(self) -> Tensor | None:
        """The bias [O] for them, where there is one."""
        return None if self.layer.bias is None else self.layer.bias.float()

    def forward(self, values: Tensor) -> Tensor:
        """Map [..., I] -> [..., O], or as the layer does."""
        found: Tensor = self.layer(values.to(torch.bfloat16))
        return found.to(values.dtype)


def layers(model: nn.Module, *kinds: type[nn.Module]) -> list[Any]:
    """Return the layers of some kinds; ValueError by the model's name if it has none."""
    found = [module for module in model.modules() if isinstance(module, kinds)]
    if not found:
        raise ValueError(f"it has no layer like {', '.join(kind.__name__ for kind in kinds)}")
    return found


def quantize(opened: Opened, folder: Path, _: float) -> Made:
    """Keep the weights of linear layers and tables as int8, and round what they are multiplied with as it comes."""
    layers(opened.model, nn.Linear, nn.Embedding)
    names, plain, file = [*opened.tensors], folder / "fp32.onnx", folder / "int8.onnx"
    exact = save_onnx(trace(opened.program, opened.tensors, opened.dynamic)[0], plain, names)
    tools: Any = import_module("onnxruntime.quantization")
    with quiet():
        tools.quantize_dynamic(str(plain), str(file), op_types_to_quantize=["MatMul", "Gather"], per_channel=True)
    more = {"fp32_onnx": {"size_mb": plain.stat().st_size / 1e6, "latency_ms": opened.timed(exact)}}
    return open_onnx(file, names), file, more


def prune(opened: Opened, folder: Path, amount: float) -> Made:
    """Set the smallest weights of linear and convolution layers to 0, for good: a checkpoint as any other."""
    model, state = copy.deepcopy(opened.model), load_checkpoint(opened.checkpoint)
    weights = [(layer, "weight") for layer in layers(model, nn.Linear, *CONVOLUTIONS)]
    pruning.global_unstructured(weights, pruning_method=pruning.L1Unstructured, amount=amount)
    for layer, name in weights:
        pruning.remove(layer, name)
    file = folder / "pruned.pt"
    save_checkpoint(file, {**state, "model": model.state_dict(), "optimization": {"averages": {}}, "carries": []})
    config, model, _ = open_run(file)
    pruned = [layer.weight for layer in layers(model, nn.Linear, *CONVOLUTIONS)]
    figures = {"amount": amount, "sparsity": zeros(pruned), "of_all_weights": zeros([*model.parameters()])}
    return program_of(config, model, opened.data[torch.arange(1), 0]), file, figures


def zeros(weights: list[Tensor]) -> float:
    """Return which share of weights [...] is 0."""
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)


def bf16(opened: Opened, folder: Path, _: float) -> Made:
    """Keep the weights of linear and convolution layers as bf16, and compute their products so."""
    program = copy.deepcopy(opened.program)
    names = {module: name for name, module in program.named_modules()}
    for layer in layers(program, nn.Linear, *CONVOLUTIONS):
        program.set_submodule(names[layer], Half(layer))
    file = folder / "bf16.pt2"
    return save_program(trace(program, opened.tensors, opened.dynamic)[0], file), file, {}


def fold(opened: Opened, folder: Path, _: float) -> Made:
    """Multiply batch normalisations into the convolutions before them: fewer layers, and the same answers."""
    layers(opened.program, *NORMS)
    program, count = folded(opened.program, opened.tensors)
    if not count:
        raise ValueError("none of its batch normalisations reads a convolution")
    with torch.inference_mode():
        apart = difference(program(*opened.tensors.values()), opened.program(*opened.tensors.values()))["absolute"]
    if not apart < TOLERANCE:
        raise ValueError(f"folded it would answer otherwise, by {apart:.3g}: a convolution is also read elsewhere")
    file = folder / "folded.pt2"
    return save_program(trace(program, opened.tensors, opened.dynamic)[0], file), file, {"folded": count}


def compiled(opened: Opened, _: Path, __: float) -> Made:
    """Let torch.compile make one function of the model. It leaves no file: each process compiles anew."""
    logger.info("compiling: seconds for most models, minutes where one goes through its layers again and again")
    started = time.perf_counter()
    with torch.inference_mode(), quiet():
        form: Any = torch.compile(opened.program, dynamic=True)
        form(*opened.row)
    return form, None, {"seconds_to_compile": round(time.perf_counter() - started, 1)}


MODES: dict[str, Callable[[Opened, Path, float], Made]] = {
    "quantize": quantize,
    "prune": prune,
    "bf16": bf16,
    "fold": fold,
    "compile": compiled,
}


def optimize(run: Path, modes: list[str], amount: float) -> Record:
    """Write RUN/optimize and RUN/optimize.json; return the table: of each mode its figures, or why it has none.

    What other modes made of the same checkpoint stays.
    """
    opened = open_rows(run)
    home, checksum = opened.checkpoint.parent, sha256(opened.checkpoint)
    lines = earlier(home, checksum, modes)
    with replaced(home / "optimize") as folder:
        if lines:
            shutil.copytree(home / "optimize", folder, dirs_exist_ok=True)
        kept = {*folder.iterdir()}
        logger.info("measuring %s as it is", opened.name)
        before = judged(opened, opened.program, size_mb(opened.model))
        for mode in modes:
            logger.info("%s", mode)
            lines.append({"mode": mode, **attempt(opened, partial(MODES[mode], opened, folder, amount))})
        for left in {*folder.iterdir()} - kept - {folder / str(line.get("file")) for line in lines}:
            left.unlink()
    table = [{"mode": "before", **before}, *sorted(lines, key=lambda line: [*MODES].index(line["mode"]))]
    about = {"checkpoint": opened.checkpoint.name, "checkpoint_sha256": checksum, "model": opened.name, "split": "val"}
    write_json(home / "optimize.json", record := {**about, "table": table})
    for line in table:
        say(line, before)
    return record


def earlier(home: Path, checksum: str, modes: list[str]) -> list[Record]:
    """Return the lines of other modes that were made of the same checkpoint, and whose files are still there."""
    path = home / "optimize.json"
    known = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    same = known.get("checkpoint_sha256") == checksum and (home / "optimize").is_dir()
    return [line for line in known.get("table", [])[1:] if same and line["mode"] not in modes]


def attempt(opened: Opened, mode: Callable[[], Made]) -> Record:
    """Return the figures of what a mode made, or the reason why it made nothing."""
    try:
        form, file, more = mode()
        size = file.stat().st_size / 1e6 if file else size_mb(opened.model)
        return {"file": file.name if file else None, **judged(opened, form, size), **more}
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 (whatever a library raises: this mode is not for this model)
        return {"reason": reason(opened.name, error)}


def judged(opened: Opened, form: Form, size: float) -> Record:
    """Return size, time, the primary figure on the validation split, and the difference to the model's answers."""
    with torch.inference_mode():
        apart = difference(form(*opened.tensors.values()), opened.program(*opened.tensors.values()))
    measured = task(opened.config).measure(opened.program.answered_by(form), opened.data)
    spent = {"size_mb": size, "latency_ms": opened.timed(form)}
    return {**spent, "primary": measured.primary, "value": measured.value, "difference": apart}


def say(line: Record, before: Record) -> None:
    """Say a line of the table, beside what was before."""
    if "reason" in line:
        logger.warning("%-9s not done: %s", line["mode"], line["reason"])
        return
    values = (line["size_mb"], *line["latency_ms"].values(), line["primary"], line["value"], before["value"])
    logger.info("%-9s %8.3f MB  p50 %.3f ms  p95 %.3f ms  %s %.4f (before %.4f)", line["mode"], *values)
