"""The answer sets that stand for every project the template can render, made from copier.yml."""

from __future__ import annotations

from itertools import cycle, product
from pathlib import Path
from typing import Any

import yaml
from allpairspy import AllPairs  # type: ignore[import-untyped]

Answers = dict[str, Any]

ROOT = Path(__file__).parents[1]
ALL: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
QUESTIONS = {name: row for name, row in ALL.items() if not name.startswith("_") and row.get("when", True)}
VARIANTS: dict[str, list[str]] = ALL["variants"]["default"]
BACKBONES: dict[str, list[str]] = ALL["backbones"]["default"]
SEQUENCES: list[str] = ALL["sequences"]["default"]
FAMILIES: dict[str, Answers] = {
    "-".join(filter(None, (task, variant))): {"task": task, **({"variant": variant} if variant else {})}
    for task, variants in VARIANTS.items()
    for variant in variants or [""]
}
# Each family with each library that it has an adapter for: one factor, as not all go together.
KINDS = [(family, adapter) for family in FAMILIES for adapter in BACKBONES.get(family, ["none"])]

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
    if isinstance(allowed, str):  # which they are depends on the task: here are all
        table = VARIANTS if "variants" in allowed else BACKBONES
        return list(dict.fromkeys(value for values in table.values() for value in values))
    return list(allowed.values() if isinstance(allowed, dict) else allowed)


def factors() -> dict[str, list[Any]]:
    """What a sample varies: the names, the family and what it has adapters for, and each other question of choice."""
    chosen = {name: choices(row) for name, row in QUESTIONS.items() if name not in {"task", "variant", "pretrained"}}
    found: dict[str, list[Any]] = {"names": list(NAMES), "family": KINDS}
    return found | {name: values for name, values in chosen.items() if values}


def answers(row: dict[str, Any]) -> Answers:
    """The answers of one row of factors, without those that nobody asks for."""
    family, adapter = row["family"]
    silent = {"names", "family"} | ({"trm_titans_mag"} if family not in SEQUENCES else set())
    silent |= set() if row["agents"] else {"agent_model"}
    rest = {name: value for name, value in row.items() if name not in silent}
    return NAMES[row["names"]] | FAMILIES[family] | rest | ({"pretrained": adapter} if family in BACKBONES else {})


def family_of(given: Answers) -> str:
    """The task and variant of answers in one word."""
    task = given.get("task", next(iter(VARIANTS)))
    return "-".join([task, given.get("variant", VARIANTS[task][0])] if VARIANTS[task] else [task])


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


def one_of_each_family() -> dict[str, str]:
    """Name a sample of every family, and so that every kind of project name is among them."""
    named: dict[tuple[str, str], str] = {}
    for name, given in reversed(samples().items()):
        family = family_of(given)
        named[family, given.get("package_name", "my_project")] = name
    wanted = cycle(names.get("package_name", "my_project") for names in NAMES.values())
    return {family: named[family, package] for family, package in zip(FAMILIES, wanted, strict=False)}


def having(family: str, *options: str) -> str:
    """Name a sample of a family that says yes to these."""
    rows = samples().items()
    return next(name for name, given in rows if family_of(given) == family and all(given.get(one) for one in options))


def full_matrix() -> dict[str, Answers]:
    """Every combination of the choices by which files or lines come and go.

    What only fills in a word takes turns, and so does `docs`, which shares a folder with `agents` and nothing else.
    """
    varied = factors()
    words = ("names", "license", "torch_index", "python_version", "scope")
    turns = {name: cycle(varied.pop(name)) for name in (*words, "docs")}
    rows = [dict(zip(varied, row, strict=True)) for row in product(*varied.values())]
    rows = [row | {name: next(values) for name, values in turns.items()} for row in rows if asked(row)]
    return {f"full-{index:04}": answers(row) for index, row in enumerate(rows)}


def asked(row: dict[str, Any]) -> bool:
    """Whether a row says yes to nothing that nobody asks."""
    return row["family"][0] in SEQUENCES or not row["trm_titans_mag"]
