"""Hand-off pages: what each role gets and gives, checked for blanks; an A/B test's size; what a run needs."""

import json
import re
from pathlib import Path
from statistics import NormalDist
from typing import Any

from . import pages, part
from .outcome import write_whole

FOLDER = Path("docs/handoffs")
SECTIONS = {
    "product": ("What we need", "What we give", "Limits", "When it is unsure", "A/B plan"),
    "data": ("What we need", "What we give", "Form", "Quality", "Versions"),
    "infrastructure": ("What we need", "What we give", "Figures of a run", "Monitoring", "Cost"),
    "backend": ("What we give", "What we need", "Answers", "Latency", "Versions"),
}
PLAN = {"Baseline rate": "baseline", "Smallest effect": "effect", "Significance": "significance", "Power": "power"}
FIGURES = "Figures of a run"
NAMES = ("Run", "Parameters", "Weights", "Training state, without activations", "Disk", "Made on")


def abtest_size(baseline: float, effect: float, *, significance: float = 0.05, power: float = 0.8) -> int:
    """Return the users that each arm needs for a two-sided z-test to see a change of a rate.

    n = (z_a sqrt(2 p q) + z_b sqrt(p1 q1 + p2 q2))^2 / (p2 - p1)^2 with p the mean of both rates, q = 1 - p
    (Fleiss, Levin and Paik 2003, Statistical Methods for Rates and Proportions, chapter 4, without a correction for
    continuity).
    """
    rates = (baseline, baseline + effect)
    if not (all(0 < share < 1 for share in (*rates, significance, power)) and effect):
        raise ValueError(f"got rates {rates[0]:g} and {rates[1]:g}, want two different ones between 0 and 1")
    mean, normal = sum(rates) / 2, NormalDist()
    equal = normal.inv_cdf(1 - significance / 2) * (2 * mean * (1 - mean)) ** 0.5
    apart = normal.inv_cdf(power) * sum(rate * (1 - rate) for rate in rates) ** 0.5
    exact: float = ((equal + apart) / effect) ** 2
    return -int(-exact // 1)  # the next whole number


def check(path: Path) -> list[str]:
    """Return a line for each thing that is blank on a page, or does not agree with itself."""
    text = pages.read(path)
    lines = pages.problems(text, SECTIONS.get(path.stem, ()))
    parts = {name: pages.values(body) for name, body in pages.sections(text).items()}
    if path.stem == "product" and not lines:
        lines += check_plan(parts["A/B plan"])
    if path.stem == "infrastructure" and FIGURES in parts:
        missing = [name for name in NAMES if name not in parts[FIGURES]]
        lines += [f"'{FIGURES}' lacks {', '.join(missing)}: handoff fill RUN writes them"] if missing else []
    return [f"{path.name}: {line}" for line in lines]


def check_plan(plan: dict[str, str]) -> list[str]:
    """Return what is wrong with an A/B plan: a missing number, or too few users."""
    given = dict[str, float]()
    for line, name in {**PLAN, "Users per arm": "users"}.items():
        try:
            given[name] = float(plan.get(line, "").replace(",", ""))
        except ValueError:
            return [f"'A/B plan' wants a line '- {line}: NUMBER'"]
    users = given.pop("users")
    try:
        needed = abtest_size(given.pop("baseline"), given.pop("effect"), **given)
    except ValueError as error:
        return [f"'A/B plan': {error}"]
    return [f"'A/B plan' has {users:.0f} users per arm, want {needed} at least"] if users < needed else []


def all_pages(root: Path) -> list[Path]:
    """Return the pages of a project; raises ValueError where one is missing."""
    found = [root / FOLDER / f"{name}.md" for name in SECTIONS]
    if missing := [str(path) for path in found if not path.is_file()]:
        raise ValueError(f"{', '.join(missing)}: not there; want the four hand-off pages")
    return found


def bytes_of(values: Any) -> int:
    """Return how many bytes the tensors in nested values hold."""
    if isinstance(values, dict):
        return sum(bytes_of(value) for value in values.values())
    if isinstance(values, list | tuple):
        return sum(bytes_of(value) for value in values)
    return values.numel() * values.element_size() if hasattr(values, "element_size") else 0


def needs(run: Path) -> dict[str, str]:
    """Return what a run needs, from what lies in its folder: parameters, memory, disk."""
    _, model, path = part("run").open_run(run)
    state = part("training.storage").load_checkpoint(path)
    made = json.loads(path.with_name("manifest.json").read_text("utf-8"))["environment"]
    weights, learned = bytes_of(state["model"]), bytes_of([p.detach() for p in model.parameters()])
    training = weights + learned + bytes_of(state["optimization"])  # the gradients are as large as what is learned
    disk = sum(file.stat().st_size for file in path.parent.rglob("*") if file.is_file())
    values = (
        str(run),
        f"{sum(p.numel() for p in model.parameters()):,}",
        megabytes(weights),
        megabytes(training),
        megabytes(disk),
        f"{made['gpu'] or 'CPU'}, torch {made['torch']}, Python {made['python']}",
    )
    return dict(zip(NAMES, values, strict=True))


def megabytes(size: float) -> str:
    """Write a number of bytes as megabytes."""
    return f"{size / 1e6:,.3g} MB"


def fill(run: Path, root: Path) -> dict[str, str]:
    """Write what a run needs into the infrastructure page, in place of what stood there; the rest stays as it is."""
    path = root / FOLDER / "infrastructure.md"
    text, found = pages.read(path), needs(run)
    body = re.search(rf"^## {FIGURES}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if not body:
        raise ValueError(f"{path}: the section '## {FIGURES}' is missing")
    kept = [line for line in body[1].splitlines() if not re.match(rf"- ({'|'.join(NAMES)}):", line)]
    lines = [
        *"\n".join(kept).strip().splitlines(),
        "",
        *(f"- {name}: {value}" for name, value in found.items()),
        "",
        "",
    ]
    write_whole({path: text[: body.start(1)] + "\n" + "\n".join(lines) + text[body.end(1) :]})
    return found
