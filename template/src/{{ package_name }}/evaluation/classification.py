"""How good a classifier is: figures on a split, baselines to beat, gates to pass, the report as one HTML file."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import jinja2
import torch
import yaml
from pydantic import Field, NonNegativeInt
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.loader import Dataset
from ..training.optimizer import OptimConfig
from ..training.storage import read_journal
from ..types import STRICT, Measurement

NUM_BINS, LINEAR_STEPS = 10, 300  # of the calibration error; of the linear baseline
PAGE = jinja2.Environment("[%", "%]", "[[", "]]", "[#", "#]", autoescape=True, undefined=jinja2.StrictUndefined)
STYLE: dict[Any, Any] = {"axes.grid": True, "grid.alpha": 0.25, "axes.spines.top": False, "axes.spines.right": False}


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EvaluationConfig:
    """What `evaluate --gate` demands, and what the report shows."""

    target: Annotated[float, Field(ge=0, le=1)] = 0.0  # least accuracy
    max_gap: Annotated[float, Field(ge=0, le=1)] = 0.05  # most by which the training split's accuracy may be higher
    num_worst: NonNegativeInt = 16  # wrong answers that the report shows

    def failures(self, record: dict[str, Any]) -> list[str]:
        """Return one line for each demand that the figures of `evaluation.json` miss."""
        name, value, gap = (record[key] for key in ("primary", "value", "gap"))
        baseline, bar = max(record["baselines"].items(), key=lambda item: item[1])
        lines = {
            f"{name} {value:.4f} is below the target {self.target:.4f}": value < self.target,
            f"{name} {value:.4f} does not beat the {baseline} baseline {bar:.4f}": value <= bar,
            f"gap {gap:.4f} to the training split is above {self.max_gap:.4f}": gap > self.max_gap,
        }
        return [line for line, failed in lines.items() if failed]


@torch.inference_mode()
def predict(model: nn.Module, dataset: Dataset, batch_size: int = 256) -> Tensor:
    """Return the model's logits [N, C] for every row in order, on the CPU, in fp32."""
    model.eval()
    device = next(model.parameters()).device
    parts = torch.arange(len(dataset)).split(batch_size)
    return torch.cat([model(dataset[part, 0].to(device), None).outputs.float().cpu() for part in parts])


def measure(model: nn.Module, dataset: Dataset) -> Measurement:
    """Return the few figures that follow a training run."""
    logits, targets = predict(model, dataset), dataset.targets
    accuracy = float((logits.argmax(1) == targets).double().mean())
    figures = {"loss": float(F.cross_entropy(logits, targets)), "accuracy": accuracy}
    return Measurement(primary="accuracy", value=accuracy, higher_is_better=True, metrics=figures)


def measure_fully(model: nn.Module, dataset: Dataset, labels: Sequence[str], num_worst: int) -> Measurement:
    """Return every figure that the report shows: scalars, tables, and the worst errors."""
    from torchmetrics.functional import classification as tm  # noqa: PLC0415 (2 s, needed once a run)

    short, logits, targets, classes = measure(model, dataset), predict(model, dataset), dataset.targets, len(labels)
    probabilities, counts = logits.softmax(1), torch.bincount(targets, minlength=classes).tolist()
    confidence, answers = probabilities.max(1)
    scores = {"precision": tm.multiclass_precision, "recall": tm.multiclass_recall, "f1": tm.multiclass_f1_score}
    columns = {name: score(logits, targets, classes, average="none").tolist() for name, score in scores.items()}
    rows = zip(labels, *columns.values(), counts, strict=True)
    right = answers == targets
    table = torch.stack([confidence, right], dim=1)  # [N, 2]; by bins: Guo et al. (2017, equations 2 and 3)
    bins = (confidence * NUM_BINS).long().clamp(max=NUM_BINS - 1)
    means = [(*part.mean(0).tolist(), len(part)) for part in (table[bins == number] for number in bins.unique())]
    wrong = (~right).nonzero().flatten()
    surest = wrong[confidence[wrong].argsort(descending=True)][:num_worst].tolist()
    worst = [(row, labels[int(targets[row])], labels[int(answers[row])], float(confidence[row])) for row in surest]
    figures = {
        **short.metrics,
        "macro_f1": sum(columns["f1"]) / classes,
        "calibration_error": float(tm.multiclass_calibration_error(probabilities, targets, classes, n_bins=NUM_BINS)),
        "num_rows": len(targets),
        "per_class": [dict(zip(("label", *columns, "rows"), row, strict=True)) for row in rows],
        "confusion": tm.multiclass_confusion_matrix(logits, targets, classes).tolist(),
        "calibration": [dict(zip(("confidence", "accuracy", "rows"), mean, strict=True)) for mean in means],
        "worst": [dict(zip(("row", "label", "answer", "probability"), error, strict=True)) for error in worst],
    }
    return replace(short, metrics=figures)


def baselines(train: Dataset, other: Dataset, num_classes: int) -> dict[str, float]:
    """Return the accuracy on another split of the most frequent class and of logistic regression on the inputs."""
    linear = nn.Linear(train.inputs[0].numel(), num_classes)
    for parameter in linear.parameters():
        nn.init.zeros_(parameter)
    optimization = OptimConfig(lr=0.1, warmup_steps=0).build(linear, LINEAR_STEPS)
    for _ in range(LINEAR_STEPS):
        F.cross_entropy(linear(train.inputs.flatten(1)), train.targets).backward()
        optimization.step()
    guesses = {"majority": train.targets.mode().values, "linear": linear(other.inputs.flatten(1)).argmax(1)}
    return {name: float((other.targets == guess).double().mean()) for name, guess in guesses.items()}


def write_report(folder: Path, record: dict[str, Any], images: Tensor) -> Path:
    """Write report.html from a run folder, its evaluation and the images [N, h, w] of its worst errors."""
    parts = {"manifest": json.loads((folder / "manifest.json").read_text("utf-8")), "images": images.tolist()}
    parts |= {"config": yaml.safe_load((folder / "config.yaml").read_text("utf-8")), "record": record, "folder": folder}
    page = PAGE.from_string(Path(__file__).with_name("report.html").read_text("utf-8"))
    (folder / "report.html").write_text(page.render(parts, curves=curves(read_journal(folder))), encoding="utf-8")
    return folder / "report.html"


def curves(journal: list[dict[str, Any]]) -> str:
    """Draw loss and accuracy of both splits by step, as an SVG element that the page holds itself."""
    import matplotlib as mpl  # noqa: PLC0415 (a second, needed once a run)
    from matplotlib.figure import Figure  # noqa: PLC0415

    mpl.rcParams.update({**STYLE, "svg.hashsalt": "report"})
    figure = Figure(figsize=(9, 3), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for split, style in (("train", {"color": "#8b8d98"}), ("val", {"color": "#0d74ce", "marker": "."})):
            lines = [line for line in journal if line["split"] == split and name in line]
            axes.plot([line["step"] for line in lines], [line[name] for line in lines], label=split, **style)
        axes.set(xlabel="step", ylabel=name, yscale="log" if name == "loss" else "linear")
    figure.axes[0].legend(frameon=False)
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    return '<svg class="figure"' + file.getvalue().partition("<svg")[2]
