"""What a comparison of methods says: figures with intervals, differences to the first, sentences, one page."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..training.storage import write_json
from .report import PAGES
from .row_statistics import Scores, between_methods, more_seeds_between, over_method
from .statistics import LEVEL, MOST_SEEDS, POWER, Difference, holm

SMALL = 0.01  # a difference worth seeing, unless named: a point of a share, or this part of the first figure


@dataclass(frozen=True, kw_only=True)
class Method:
    """Runs that differ in nothing but the seed."""

    name: str
    runs: Sequence[str]
    seeds: Sequence[int]
    scores: Sequence[Scores]  # of each run


def compare_methods(methods: Sequence[Method], split: str, size: float | None) -> dict[str, Any]:
    """Return the figures of methods on the same rows, and how far all others lie above the first."""
    first, others = methods[0], methods[1:]
    found = [between_methods(first.scores, other.scores) for other in others]
    corrected = iter(holm([each.p for each in found if each.p is not None]))
    found = [each if each.p is None else replace(each, p=next(corrected)) for each in found]
    some = first.scores[0]
    wanted = size or (SMALL if some.share else SMALL * abs(over_method(first.scores).value))
    lines = [describe(method) for method in methods]
    for line, other, difference in zip(lines[1:], others, found, strict=True):
        more = more_seeds_between(first.scores, other.scores, wanted)
        line |= {"difference": {**asdict(difference), "claimed": difference.claimed}, "more_seeds": more}
    return {
        "split": split,
        "primary": some.primary,
        "higher_is_better": some.higher_is_better,
        "share": some.share,
        "level": LEVEL,
        "power": POWER,
        "size": wanted,
        "pieces": len(some.totals),
        "methods": lines,
        "sentences": conclude(first, others, found, lines[1:], wanted),
    }


def describe(method: Method) -> dict[str, Any]:
    """Return a method's runs, the figure of each, and their mean with its interval."""
    values = [scores.value for scores in method.scores]
    names = {"name": method.name, "runs": [*method.runs], "seeds": [*method.seeds], "values": values}
    return {**names, **asdict(over_method(method.scores))}


def conclude(
    first: Method, others: Sequence[Method], found: Sequence[Difference], lines: list[dict[str, Any]], size: float
) -> list[str]:
    """Return what can be said of each other method, in plain sentences, and what would make it sure."""
    said = list[str]()
    for other, difference, line in zip(others, found, lines, strict=True):
        verdict = judge(first, other, difference)
        if 1 in (len(first.seeds), len(other.seeds)):
            both = "two checkpoints" if len(first.seeds) == len(other.seeds) else "checkpoints"
            verdict = f"This compares {both}: {verdict}"
        elif not difference.claimed:
            verdict = f"{verdict[0].upper()}{verdict[1:]}; {hint(first, line, size)}"
        said.append(f"{verdict}.")
    if alone := [method.name for method in (first, *others) if len(method.seeds) == 1]:
        said.append(f"Train more seeds of {' and '.join(alone)} to compare the methods; others may turn this round.")
    if (count := sum(difference.p is not None for difference in found)) > 1:
        said.append(f"p is corrected for {count} comparisons (Holm), intervals are not.")
    return said


def judge(first: Method, other: Method, difference: Difference) -> str:
    """Return whether the other method is better or worse than the first, by how much, and how sure that is."""
    some = first.scores[0]
    if difference.p is None or difference.low is None or difference.high is None:
        return f"no difference between {first.name} and {other.name} can be claimed{why(some, difference)}"
    ends, p = (difference.low, difference.high), probability(difference.p)
    if not difference.claimed:
        low, high = (show(end, some) for end in ends)
        return f"no difference between {first.name} and {other.name} can be claimed ({low} to {high}{unit(some)}, {p})"
    word = "better" if (difference.value > 0) == some.higher_is_better else "worse"
    low, high = (show(end, some) for end in sorted(map(abs, ends)))
    return f"{other.name} is {word} than {first.name} by {low} to {high}{unit(some)}, {p}"


def why(some: Scores, difference: Difference) -> str:
    """Return why there is no interval."""
    if not math.isfinite(difference.value):
        return ": a figure is no finite number"
    alike = ": every piece of data has the same figure" if difference.p else ", since nothing varied by chance"
    return " from one independent piece of data" if len(some.totals) == 1 else alike


def hint(first: Method, line: dict[str, Any], size: float) -> str:
    """Return how many more seeds would show a difference of that size."""
    some, more = first.scores[0], line["more_seeds"]
    wanted = f"one of {show(size, some)}{unit(some, size)}"
    if more is None:
        return f"not even {MOST_SEEDS:,} seeds a side would show {wanted} on these rows"
    return f"about {more} more seeds a side would show {wanted}" if more else f"these would most likely show {wanted}"


def show(value: float, some: Scores) -> str:
    """Return a figure, or a difference, as people read it: shares in hundredths."""
    return f"{100 * value:.2f}".rstrip("0").rstrip(".") if some.share else f"{value:.3g}"


def unit(some: Scores, value: float = 0.0) -> str:
    """Return what a difference is counted in."""
    return f" {some.primary}" if not some.share else " point" if math.isclose(value, SMALL) else " points"


def table(record: dict[str, Any]) -> list[list[str]]:
    """Return the lines of the table that is shown: a head, then one for each method."""
    factor, digits = (100, 2) if record["share"] else (1, 4)

    def cell(line: dict[str, Any]) -> list[str]:
        value, low, high = (line[name] and factor * line[name] for name in ("value", "low", "high"))
        return [f"{value:.{digits}f}", "" if low is None else f"{low:.{digits}f} to {high:.{digits}f}"]

    shown = f"{record['primary']} (%)" if record["share"] else record["primary"]
    head = ["method", "seeds", shown, f"{100 * record['level']:.0f} % interval", "difference", "interval", "p"]
    rows = [head]
    for line in record["methods"]:
        row = [line["name"], str(len(line["seeds"])), *cell(line)]
        if difference := line.get("difference"):
            row += [*cell(difference), "" if difference["p"] is None else probability(difference["p"], "{}")]
        rows.append(row + [""] * (len(head) - len(row)))
    return rows


def probability(p: float, form: str = "p = {}") -> str:
    """Return p as people read it; below 0.001 it is only small."""
    return form.replace("= ", "").format("< 0.001") if p < 0.001 else form.format(f"{p:.2g}")  # noqa: PLR2004


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers from low to high, at most six: what an axis is labelled with."""
    least = (high - low) / 5
    size = 10.0 ** math.floor(math.log10(least))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= least)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def write_comparison(folder: Path, record: dict[str, Any]) -> Path:
    """Write comparison.json and comparison.html, one file with its pictures in it; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "comparison.json", record)
    page = PAGES.get_template("comparison.html").render(record=record, table=table(record), ticks=ticks)
    (folder / "comparison.html").write_text(page, encoding="utf-8")
    return folder / "comparison.html"
