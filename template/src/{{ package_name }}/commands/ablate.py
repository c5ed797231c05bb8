"""What each part of a preset is worth: it is trained without one part after the other, with the same seeds."""

import logging
import math
import re
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
import yaml

from .. import study
from ..config import DEFAULT_PRESET, PRESETS, SECTIONS, Config, from_dict, load, to_dict, unknown
from ..evaluation.comparison import probability
from ..evaluation.statistics import Difference, between_runs, holm, over_runs
from ..run import MAY_DIFFER
from .crossval import within

HELP = "train without one part after the other; a table of what each is worth; goes on after an interruption"
WHOLE = "whole"  # the name of the runs with everything
KEPT = ("kind", "seed")  # options that are no part of anything
ROWS = 256  # held-out rows that are compared

logger = logging.getLogger(__name__)
Record = dict[str, Any]


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes, and that it takes the options of a run as well."""
    parser.add_argument(
        "preset", nargs="?", default=DEFAULT_PRESET, metavar="PRESET", help="a preset or YAML file (%(default)s)"
    )
    parser.add_argument("--toggles", type=Path, metavar="FILE", help="YAML with what to take away (toggles.yaml here)")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="runs with and without (%(default)s)")
    parser.add_argument("--list", action="store_true", help="print all that can be taken away, as YAML, and end")
    parser.add_argument("--out", default="", metavar="DIR", help="folder of the study (runs/PRESET-ablate-<n>)")
    return True


def main(
    preset: str, *, toggles: Path | None, seeds: int, out: str, overrides: Record | None = None, **options: Any
) -> Record:
    """Train with everything and without each part; return the table, which is also in the study's ablate.json."""
    whole = load(preset, overrides)
    if options["list"]:
        sys.stdout.write(yaml.safe_dump(dict(find(whole, preset, overrides)), sort_keys=False, allow_unicode=True))
        raise SystemExit(0)
    if seeds < 1:
        raise ValueError(f"--seeds: got {seeds}, want 1 or more")
    chosen = read_toggles(toggles or Path(__file__).with_name("toggles.yaml"))
    variants = {WHOLE: whole, **choose(whole, preset, overrides or {}, chosen)}
    configs = {run_name(name, seed): seeded(one, seed) for name, one in variants.items() for seed in range(seeds)}
    folder = study.open_study("ablate", configs, out=out)
    records = study.complete(folder, configs)
    study.refuse_failed(folder, {name: records[name] for name in (run_name(WHOLE, seed) for seed in range(seeds))})
    results = {name: [records[run_name(name, seed)] for seed in range(seeds)] for name in variants}
    table = tabulate(results, chosen)
    study.conclude(folder, "ablate", table)
    for sentence in table["sentences"]:
        logger.info("%s", sentence)
    return {"study": str(folder), **table}


def read_toggles(path: Path) -> dict[str, Record]:
    """Return the options that each toggle of a YAML file changes, by its name."""
    want = "want a YAML file of lines such as 'averaged weights: {optim.ema_decay: 0}'"
    if not path.is_file():
        raise ValueError(f"--toggles: {path} is not there; {want}")
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"--toggles: {path}: {error}; {want}") from None
    each = values.items() if isinstance(values, dict) else ()
    if not each or not all(isinstance(options, dict) and options for _, options in each):
        raise ValueError(f"--toggles: {path}: {want}")
    found = {str(name): {str(option): value for option, value in options.items()} for name, options in each}
    refuse_names(found)
    return found


def refuse_names(toggles: Record) -> None:
    """Raise ValueError where a toggle's runs would have the folders of another one's, or of the whole."""
    taken = {slug(WHOLE): WHOLE}
    for name in toggles:
        if not slug(name):
            raise ValueError(f"--toggles: '{name}' has no letter; name it by some")
        if (other := taken.setdefault(slug(name), name)) == WHOLE:
            raise ValueError(f"--toggles: '{name}' is the name of the runs with everything; name it otherwise")
        if other != name:
            raise ValueError(f"--toggles: '{name}' and '{other}' are alike; name one otherwise")


def choose(whole: Config, preset: str, overrides: Record, toggles: dict[str, Record]) -> dict[str, Config]:
    """Return the config without each part; ValueError names an unknown option, or one that changes what is held out."""
    found = dict[str, Config]()
    for name, options in toggles.items():
        try:
            config = toggled(whole, preset, overrides, options)
        except ValueError as error:
            raise ValueError(f"toggle '{name}': {error}") from None
        if config == whole:
            logger.warning("toggle '%s' is left out: nothing changes", name)
        elif not same_rows(whole, config):
            raise ValueError(f"toggle '{name}': it changes the held-out rows, so that figures cannot be compared")
        else:
            found[name] = config
    if not found:
        raise ValueError("--toggles: none of them changes anything; see --list")
    return found


def toggled(whole: Config, preset: str, overrides: Record, options: Record) -> Config:
    """Return a config with other options, those of parts in parts too: `model.stack.window`."""
    plain, changed = deepcopy(to_dict(whole)), dict(overrides)
    for dotted, value in options.items():
        section, option, *deep = [*dotted.split("."), *["" for _ in range(1 - dotted.count("."))]]
        name = f"{section}.{option}"
        if deep:
            changed[name] = part = plain.get(section, {}).get(option)  # whole: what the words make of it, and a preset
            for key in deep[:-1]:
                part = part.get(key) if isinstance(part, dict) else None
            if not isinstance(part, dict) or deep[-1] not in part:
                raise ValueError(unknown("option", dotted, [*study.flatten(plain)]))
            part[deep[-1]] = value
        else:
            changed[name] = value
    return load(preset, changed)


def same_rows(one: Config, other: Config) -> bool:
    """Say whether two configs are evaluated on the same rows, as far as the first of them tell."""
    if one.data == other.data:
        return True
    sides = [config.data.build("val") for config in (one, other)]
    if len(sides[0]) != len(sides[1]):
        return False
    index = torch.arange(min(ROWS, len(sides[0])))
    return torch.equal(*(side[index, 0].targets for side in sides))


def find(whole: Config, preset: str, overrides: Record | None) -> Iterator[tuple[str, Record]]:
    """Return all toggles of a config: booleans, numbers and parts that can be left out, models of other presets."""
    plain = to_dict(whole)
    for dotted, value in leaves({section: plain[section] for section in SECTIONS[:-1]}):
        for other in [not value] if isinstance(value, bool) else [0, None]:
            try:
                config = toggled(whole, preset, overrides or {}, {dotted: other})
            except ValueError:
                continue
            if config != whole and same_rows(whole, config):
                yield dotted, {dotted: other}
                break
    for path in sorted(PRESETS.glob("*.yaml")):
        model = (values := yaml.safe_load(path.read_text("utf-8")))["model"]
        if values["data"]["kind"] == whole.data.kind and model["kind"] != whole.model.kind:
            yield f"the model of {path.stem}", {f"model.{option}": value for option, value in model.items()}


def leaves(values: Record, name: str = "") -> Iterator[tuple[str, Any]]:
    """Return by dotted name what may be taken away: all that is true, a number above 0 or a part, and booleans."""
    for key, value in values.items():
        dotted = f"{name}.{key}" if name else key
        if key in KEPT or dotted.startswith(MAY_DIFFER):
            continue
        if name and (isinstance(value, bool) or (isinstance(value, int | float | dict) and value)):
            yield dotted, value
        if isinstance(value, dict):
            yield from leaves(value, dotted)


def run_name(name: str, seed: int) -> str:
    """Return the name of a run's folder."""
    return f"{slug(name)}-seed-{seed}"


def slug(name: str) -> str:
    """Return the letters and digits of a name, of any alphabet, with a hyphen for whatever is between them."""
    return re.sub(r"[\W_]+", "-", name.lower()).strip("-")


def seeded(config: Config, seed: int) -> Config:
    """Return a config with a later seed."""
    plain = to_dict(config)
    return from_dict({**plain, "train": {**plain["train"], "seed": config.train.seed + seed}})


def tabulate(results: dict[str, list[Record]], toggles: dict[str, Record]) -> Record:
    """Return a line for each part, the one that is worth most first, and a sentence each."""
    first, seeds = results[WHOLE][0], len(results[WHOLE])
    values = {name: [run["value"] for run in runs if "value" in run] for name, runs in results.items()}
    lines = [
        line(name, toggles[name], own, between_runs(own, values[WHOLE]) if len(own) == seeds else None, first)
        for name, own in values.items()
        if name != WHOLE
    ]
    known = [each for each in lines if each["p"] is not None]
    for each, p in zip(known, holm([each["p"] for each in known]), strict=True):
        each["p"] = p
    lines.sort(key=lambda each: math.inf if each["worth"] is None else each["worth"], reverse=True)
    found = over_runs(values[WHOLE])
    low, high = within(first["primary"], found)
    whole = {"value": found.value, "low": low, "high": high, "values": values[WHOLE]}
    about = {"primary": first["primary"], "higher_is_better": first["higher_is_better"], "seeds": seeds, "whole": whole}
    told = [*(tell(each, first["primary"], seeds) for each in lines), *correction(lines)]
    return {**about, "without": lines, "sentences": told}


def line(name: str, options: Record, values: list[float], found: Difference | None, first: Record) -> Record:
    """Return what the table says of a part: by how much everything is better than all but it, and how sure that is."""
    told = {"name": name, "options": options, "values": values, "value": None, "worth": None}
    if found is None:
        return {**told, "low": None, "high": None, "p": None}
    sign = 1 if first["higher_is_better"] else -1
    sides = within(first["primary"], found, least=-1.0)[::sign]
    ends = [None if end is None else sign * end for end in sides]
    figures = {"value": over_runs(values).value, "worth": sign * found.value}
    return {**told, **figures, "low": ends[0], "high": ends[1], "p": found.p}


def tell(each: Record, primary: str, seeds: int) -> str:
    """Say in a sentence what a part is worth."""
    what = f"{'With' if all(each['options'].values()) else 'Without'} {each['name']}: "
    p, worth = each["p"], each["worth"]
    if worth is None:
        return f"{what}loss or {primary} was not finite in {seeds - len(each['values'])} of {seeds} runs."
    size = f"{'worse' if worth > 0 else 'better'} by {abs(worth):.4f}" if worth else "the same"
    if p is None and seeds == 1:
        return f"{what}{primary} is {size} in this one run, which says nothing of other seeds."
    if p is None:
        return f"{what}{primary} is {size}, but runs that do not vary say nothing of other seeds."
    if Difference(value=worth, low=each["low"], high=each["high"], p=p).claimed:
        ends = " to ".join(f"{end:.4f}" for end in sorted([abs(each["low"]), abs(each["high"])]))
        return f"{what}{primary} is {size.split(maxsplit=1)[0]} by {ends}, {probability(p)}."
    return f"{what}no difference can be shown with {seeds} seeds ({primary} {size}, {probability(p)})."


def correction(lines: list[Record]) -> list[str]:
    """Return the sentence on p of several comparisons, where there are several."""
    known, failed = sum(each["p"] is not None for each in lines), sum(each["worth"] is None for each in lines)
    if known <= 1:
        return []
    without = f", without {failed} that {'has' if failed == 1 else 'have'} no figures" if failed else ""
    return [f"p is corrected for {known} comparisons (Holm){without}; intervals are not."]
