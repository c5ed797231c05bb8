"""What `experiments` adds to report and gate: a diagnosis, groups, what answers rest on, how to repeat it, budgets.

Each section is left out where data or model do not offer what it needs. The figures lie in analysis.json as well, the
learning curves in learning_curves.svg.
"""

import logging
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from ..data.loader import Dataset
from ..training.storage import write_json
from . import budgets, report
from .diagnosis import diagnose
from .groups import ends, measure_all
from .importance import importance
from .saliency import saliency

LOOSE = ("--init-from", "--overfit-batches")  # options of a run that its config does not hold
COMMANDS = Path(__file__).parents[1] / "commands"
PROGRAM = f"python -m {__package__.split('.')[0]}"

logger = logging.getLogger(__name__)


def failures(*answering: Any) -> list[str]:
    """Return a line for each budget that a model breaks as it answers rows of a data set; none without them."""
    return budgets.failures(*answering) if answering else []


def analyse(page: dict[str, Any], config: Any, model: nn.Module, data: Dataset, figures: Any) -> dict[str, Any]:
    """Write analysis.json and the learning curves; return what the page shows, by section."""
    folder, record, labels = page["folder"], page["record"], getattr(config.data, "labels", ())
    sections: dict[str, Callable[[], Any]] = {
        "groups": partial(measure_all, figures, model, data, config.data),
        "importance": partial(importance, figures, model, data),
        "saliency": partial(saliency, model, data, worst_rows(record["metrics"]), labels),
    }
    logger.info("looking at groups, inputs and single answers of %d rows", len(data))
    shown = dict[str, str]()
    found = {"diagnosis": diagnose(page["lines"], record, config.evaluation)}
    found |= {name: attempt(name, make, shown, record) for name, make in sections.items()}
    found["repeat"] = repeat(folder, page["manifest"])
    write_json(folder / "analysis.json", {"checkpoint_sha256": record["checkpoint_sha256"], **found})
    curves = report.PAGES.get_template("learning_curves.svg").render({**page, "names": names_of(record)})
    (folder / "learning_curves.svg").write_text(curves, encoding="utf-8")
    return {**found, "shown": [*shown.values()]}


def attempt(name: str, make: Callable[[], Any], shown: dict[str, str], record: dict[str, Any]) -> Any:
    """Return a section, put its HTML into `shown`; one that a model of somebody's own cannot bear is left out."""
    try:
        found = make()
        page = report.PAGES.get_template("analysis.html")
        shown[name] = page.render(analysis={name: found}, record=record, ends=ends)
        return found  # noqa: TRY300 (it has been shown)
    except Exception as error:  # noqa: BLE001 (a run that has ended well is reported, whatever its model raises here)
        logger.warning("report: %s is left out (%s: %s)", name, type(error).__name__, error)
        return None


def worst_rows(metrics: dict[str, Any]) -> list[int]:
    """Return the rows of the worst errors that an evaluation names, the worst first."""
    return [each["row"] if isinstance(each, dict) else each for each in metrics.get("worst", [])]


def names_of(record: dict[str, Any]) -> list[str]:
    """Return the figures whose curves are drawn."""
    return list(dict.fromkeys(("loss", record["primary"])))


def repeat(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the commands that make a run again, and those that compare the new one with it."""
    commit, words = manifest["code"]["commit"], manifest["command"][1:]
    run, again = shlex.quote(str(folder)), shlex.quote(f"{folder}-again")
    diff, parts = folder / "source.diff", [part for word in words for part in word.split("=", 1)]
    pairs = [[name, parts[parts.index(name) + 1]] for name in LOOSE if name in parts[:-1]]
    lines = [f"git checkout {commit}"] if commit else []
    lines += ["uv sync --frozen", f"{PROGRAM} data verify"]
    train = " ".join([f"{PROGRAM} train --config {run}/config.yaml --train.out {again}", *map(shlex.join, pairs)])
    known = ["train", *(path.stem.replace("_", "-") for path in COMMANDS.glob("*.py"))]
    begun = any(word in known for word in words[:1])  # else from a notebook, or a program of somebody's own
    return {
        "commands": [*lines, train, f"{PROGRAM} reproduce {run}"],
        "given": shlex.join([*PROGRAM.split(), *words]) if begun else "",
        "diff": str(diff) if diff.is_file() and diff.stat().st_size else "",
    }
