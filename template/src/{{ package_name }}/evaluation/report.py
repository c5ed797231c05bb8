"""What every task shares: the demands on a run, and the report as one HTML file, filled by the task's own page."""

import json
import math
from importlib import import_module
from pathlib import Path
from typing import Any

import jinja2
from pydantic import NonNegativeFloat
from pydantic.dataclasses import dataclass

from ..training.storage import read_journal
from ..types import STRICT

FILES = jinja2.FileSystemLoader(Path(__file__).parent)
PAGES = jinja2.Environment("[%", "%]", "[[", "]]", "[#", "#]", autoescape=True, loader=FILES)
MORE = [import_module(f".{f.stem}", __package__) for f in Path(__file__).parent.glob("analysis.py")]  # an option's


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EvaluationConfig:
    """What `evaluate --gate` demands, and what the report shows."""

    target: float | None = None  # value that the primary figure must reach
    max_gap: NonNegativeFloat = 0.05  # most by which the primary figure may be better on the training split

    def failures(self, record: dict[str, Any], *answering: Any) -> list[str]:
        """Return a line for each demand that the figures of `evaluation.json` miss, or model and data set answering."""
        sign, name = 1 if record["higher_is_better"] else -1, record["primary"]
        value, gap, target = record["value"], record["gap"], -sign * math.inf if self.target is None else self.target
        baseline, bar = max(record["baselines"].items(), key=lambda item: sign * item[1])
        lines = {
            f"{name} {value:.4f} misses the target {target}; train longer or otherwise": sign * value < sign * target,
            f"{name} {value:.4f} does not beat the {baseline} baseline {bar:.4f}; tune it": sign * value <= sign * bar,
            f"gap {gap:.4f} to the training split is above {self.max_gap:.4f}; regularise it": gap > self.max_gap,
        }
        return [key for key, missed in lines.items() if missed] + [one for o in MORE for one in o.failures(*answering)]


def write_report(folder: Path, record: dict[str, Any], page: dict[str, Any], opened: tuple[Any, ...]) -> Path:
    """Write report.html from a run folder, its evaluation, what the task's page shows, and what `analysis` finds."""
    page |= {"folder": folder, "record": record, "lines": read_journal(folder), "log": math.log, "exp": math.exp}
    page |= {"float": float, "manifest": json.loads((folder / "manifest.json").read_text("utf-8"))}
    page["analysis"] = {key: value for option in MORE for key, value in option.analyse(page, *opened).items()}
    (folder / "report.html").write_text(PAGES.get_template(f"{page['task']}.html").render(page), encoding="utf-8")
    return folder / "report.html"
