"""The report of a run: one HTML file with its pictures, made from what lies in the run folder."""

import io
import json
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
import yaml
from matplotlib.figure import Figure
from torch import Tensor

from ..training.journal import read_journal

Record = dict[str, Any]

# The page's brackets are its own, so that a template of this project can hold it.
PAGE = jinja2.Environment("[%", "%]", "[[", "]]", "[#", "#]", autoescape=True, undefined=jinja2.StrictUndefined)
TRAIN, HELD_OUT = "#8b8d98", "#0d74ce"


def write_report(folder: Path, record: Record, images: Tensor) -> Path:
    """Write report.html from a run folder, its evaluation and the images [N, h, w] of its worst errors."""
    page = PAGE.from_string(Path(__file__).with_suffix(".html").read_text("utf-8"))
    with mpl.rc_context({"svg.hashsalt": "report", "axes.spines.top": False, "axes.spines.right": False}):
        figures = {"curves": curves(read_journal(folder)), "reliability": reliability(record["metrics"]["calibration"])}
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    config = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
    parts = {"figures": figures, "images": images.tolist(), "manifest": manifest, "config": config}
    text = page.render(folder=folder, record=record, **parts)
    (folder / "report.html").write_text(text, encoding="utf-8")
    return folder / "report.html"


def svg(figure: Figure) -> str:
    """Return a figure as an SVG element that the page holds itself."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :].replace("<svg", '<svg class="figure"', 1)


def curves(journal: list[Record]) -> str:
    """Draw loss and accuracy of both splits by step."""
    figure = Figure(figsize=(9, 3), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for split, style in (("train", {"color": TRAIN}), ("val", {"color": HELD_OUT, "marker": "."})):
            lines = [line for line in journal if line["split"] == split and name in line]
            axes.plot([line["step"] for line in lines], [line[name] for line in lines], label=split, **style)
        axes.set(xlabel="step", ylabel=name, yscale="log" if name == "loss" else "linear")
        axes.grid(alpha=0.25)
    figure.axes[0].legend(frameon=False)
    return svg(figure)


def reliability(bins: list[Record]) -> str:
    """Draw accuracy over confidence; the area of a dot is its share of the answers."""
    figure = Figure(figsize=(4.5, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=TRAIN, linewidth=1, linestyle="--")
    x, y, rows = ([part[key] for part in bins] for key in ("confidence", "accuracy", "rows"))
    axes.scatter(x, y, s=[12 + 400 * count / sum(rows) for count in rows], color=HELD_OUT, alpha=0.7, linewidths=0)
    axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.05), ylim=(0, 1.08))
    axes.grid(alpha=0.25)
    return svg(figure)
