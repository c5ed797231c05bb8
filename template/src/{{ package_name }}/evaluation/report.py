"""What every task shares: the demands on a run, and the report as one HTML file, filled by the task's own page."""

import json
import math
from pathlib import Path
from typing import Any

import jinja2
from pydantic import NonNegativeFloat
from pydantic.dataclasses import dataclass

from ..training.storage import read_journal
from ..types import STRICT

FILES = jinja2.FileSystemLoader(Path(__file__).parent)
PAGES = jinja2.Environment("[%", "%]", "[[", "]]", "[#", "#]", autoescape=True, loader=FILES)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EvaluationConfig:
    """What `evaluate --gate` demands, and what the report shows."""

    target: float | None = None  # value that the primary figure must reach
    max_gap: NonNegativeFloat = 0.05  # most by which the primary figure may be better on the training split

    def failures(self, record: dict[str, Any]) -> list[str]:
        """Return one line for each demand that the figures of `evaluation.json` miss."""
        sign, name = 1 if record["higher_is_better"] else -1, record["primary"]
        value, gap, target = record["value"], record["gap"], -sign * math.inf if self.target is None else self.target
        baseline, bar = max(record["baselines"].items(), key=lambda item: sign * item[1])
        lines = {
            f"{name} {value:.4f} misses the target {target}": sign * value < sign * target,
            f"{name} {value:.4f} does not beat the {baseline} baseline {bar:.4f}": sign * value <= sign * bar,
            f"gap {gap:.4f} to the training split is above {self.max_gap:.4f}": gap > self.max_gap,
        }
        return [line for line, failed in lines.items() if failed]


def write_report(folder: Path, record: dict[str, Any], page: dict[str, Any]) -> Path:
    """Write report.html from a run folder, its evaluation, and what the page of the task shows beside them."""
    lines, names = read_journal(folder), dict.fromkeys(("loss", record["primary"]))
    parts = {name: [line for line in lines if line["split"] == name] for name in ("train", "val")}
    curves = {n: {part: [(x["step"], x[n]) for x in those if n in x] for part, those in parts.items()} for n in names}
    page |= {"folder": folder, "record": record, "curves": curves, "log": math.log, "exp": math.exp, "float": float}
    page |= {"manifest": json.loads((folder / "manifest.json").read_text("utf-8"))}
    (folder / "report.html").write_text(PAGES.get_template(f"{page['task']}.html").render(page), encoding="utf-8")
    return folder / "report.html"
