"""The answer sets that stand for every project the template can render, made from copier.yml."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import yaml
from allpairspy import AllPairs  # type: ignore[import-untyped]

Answers = dict[str, Any]

ROOT = Path(__file__).parents[1]
ALL: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
QUESTIONS = {name: row for name, row in ALL.items() if not name.startswith("_") and row.get("when", True)}
VARIANTS: dict[str, list[str]] = ALL["variants"]["default"]
FAMILIES: dict[str, Answers] = {
    "-".join(filter(None, (task, variant))): {"task": task, **({"variant": variant} if variant else {})}
    for task, variants in VARIANTS.items()
    for variant in variants or [""]
}

# Names that break a careless template; in each all that a person may write.
NAMES: dict[str, Answers] = {
    "plain": {},
    "quoted": {
        "project_name": 'Ada\'s "best": {{ 1 + 1 }} {% raw %} {# x #} # copier: if [a](b) `c` <d>',
        "package_name": "quoted_names",
        "description": 'It\'s a "test" \\ of 100 % of: {{ braces }}, \'\'\' and """ # really',
        "author_name": 'Ada "Countess" O\'Neil, PhD: {{ author }}',
        "author_email": "ada.o-neil+ml@mail.example.org",
    },
    "foreign": {
        "project_name": "Größe 🚀 数字 Übung 👩‍🔬",
        "package_name": "groesse",
        "description": "Lernt 数字 zu lesen 🚀 — «schnell», ‘gut’ …",
        "author_name": "Łukasz Ünal 山田 🙂",
        "author_email": "lukasz@example.org",
    },
    "short": {"project_name": "Q", "package_name": "ab"},
    "long": {
        "project_name": "An " + "extraordinarily " * 4 + "named project",
        "package_name": "an_extraordinarily_extraordinarily_long_name",
        "description": "It trains, " * 17 + "and it trains",
        "author_name": "Wolfeschlegelsteinhausenbergerdorff " * 2 + "senior",
    },
}


def choices(question: dict[str, Any]) -> list[Any]:
    """Every answer a question of choice allows; none for a free one."""
    if question["type"] == "bool":
        return [True, False]
    allowed = question.get("choices", [])
    if isinstance(allowed, str):  # of the variants, those of the task
        return [variant for variants in VARIANTS.values() for variant in variants]
    return list(allowed.values() if isinstance(allowed, dict) else allowed)


def factors() -> dict[str, list[Any]]:
    """What a sample varies: the names, the family of task and variant, and each other question of choice."""
    chosen = {name: choices(row) for name, row in QUESTIONS.items() if name not in {"task", "variant"}}
    return {"names": list(NAMES), "family": list(FAMILIES)} | {name: v for name, v in chosen.items() if v}


def answers(row: dict[str, Any]) -> Answers:
    """The answers of one row of factors."""
    rest = {name: value for name, value in row.items() if name not in {"names", "family"}}
    return NAMES[row["names"]] | FAMILIES[row["family"]] | rest


def extreme(*, on: bool) -> Answers:
    """All that can be switched, on or off; of several choices the last, or none or the first."""
    rows = factors() | {"names": ["plain"]}
    off = {name: next((v for v in values if v in (False, "none")), values[0]) for name, values in rows.items()}
    last = {name: [v for v in values if v not in (False, "none")][-1] for name, values in rows.items()}
    return answers(last if on else off)


def samples() -> dict[str, Answers]:
    """Name the answer sets: the extremes, and rows in which every pair of choices stands once."""
    varied = factors()
    rows = [dict(zip(varied, row, strict=True)) for row in AllPairs(list(varied.values()))]
    pairs = {f"pair-{index:02}": answers(row) for index, row in enumerate(rows)}
    return {"default": {}, "all-on": extreme(on=True), "all-off": extreme(on=False)} | pairs


def full_matrix() -> dict[str, Answers]:
    """Every combination of every choice."""
    varied = factors()
    rows = [dict(zip(varied, row, strict=True)) for row in itertools.product(*varied.values())]
    return {f"full-{index:04}": answers(row) for index, row in enumerate(rows)}
