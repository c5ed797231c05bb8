"""How well a preset does on rows that it was not trained on: every row is held out once, in one fold of several."""

import logging
from argparse import ArgumentParser
from itertools import product
from statistics import fmean
from typing import Any

from .. import study
from ..config import DEFAULT_PRESET, Config, from_dict, load, to_dict
from ..data.fold_folder import checksum
from ..data.fold_rows import By
from ..data.folds import FoldsConfig
from ..evaluation.statistics import LEVEL, Interval, over_folds

HELP = "train on all folds but one, for each fold; a table with the interval; goes on after an interruption"

SHARES = ("accuracy", "puzzles_solved", "recall")  # how the names of figures begin that are shares, from 0 to 1

logger = logging.getLogger(__name__)
Record = dict[str, Any]


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes, and that it takes the options of a run as well."""
    ways = ("stratified", "grouped", "temporal", "random")
    parser.add_argument(
        "preset", nargs="?", default=DEFAULT_PRESET, metavar="PRESET", help="a preset or YAML file (%(default)s)"
    )
    parser.add_argument("--folds", type=int, default=5, metavar="K", help="parts, each held out once (%(default)s)")
    parser.add_argument("--by", choices=ways, help="how rows come to folds (the soundest that the data have)")
    parser.add_argument("--fold-seed", type=int, default=0, metavar="N", help="of the folds (%(default)s)")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="runs of each fold (%(default)s)")
    parser.add_argument("--out", default="", metavar="DIR", help="folder of the study (runs/PRESET-crossval-<n>)")
    return True


def main(preset: str, *, seeds: int, out: str, overrides: Record | None = None, **options: Any) -> Record:
    """Train and measure every fold; return the table, which is also written to crossval.json in the study's folder."""
    for word, least in {"seeds": 1, "folds": 2}.items():
        if (got := {**options, "seeds": seeds}[word]) < least:
            raise ValueError(f"--{word}: got {got}, want {least} or more")
    whole = unseeing(load(preset, overrides))
    data, runs = wrap(to_dict(whole)["data"], **options), [*product(range(1, options["folds"] + 1), range(seeds))]
    configs = {f"fold-{fold}" + f"-seed-{seed}" * (seeds > 1): part(whole, data, fold, seed) for fold, seed in runs}
    next(iter(configs.values())).data.build("val")  # what has no folds says so now
    folder = study.open_study("crossval", configs, out=out)
    study.refuse_failed(folder, records := study.complete(folder, configs, last=True))
    table = tabulate(records, {run: innermost(config.data) for run, config in configs.items()})
    rows = {f"{run}/rows.json": describe(innermost(config.data)) for run, config in configs.items()}
    study.conclude(folder, "crossval", table, rows)
    logger.info("%s", table["sentence"])
    return {"study": str(folder), **table}


def unseeing(whole: Config) -> Config:
    """Return a config in which nothing is chosen by the held-out rows, of which the study reports."""
    if whole.optim.schedule == "plateau":
        raise ValueError("optim.schedule: plateau looks at the held-out rows, which crossval measures; want another")
    if whole.train.patience:
        logger.warning("train.patience is left out: it would end a run by the held-out rows, which are measured")
    plain = to_dict(whole)
    return from_dict({**plain, "train": {**plain["train"], "patience": 0}})


def wrap(data: Any, *, folds: int, by: By | None, fold_seed: int) -> Record:
    """Return the options of data whose innermost base is folded."""
    if data["kind"] == "folds":
        raise ValueError("data.kind: got folds, but crossval makes its own; name the data that they are made of")
    if "base" in data:
        return {**data, "base": wrap(data["base"], folds=folds, by=by, fold_seed=fold_seed)}
    loading = {key: data[key] for key in ("batch_size", "workers") if key in data}
    found = {"kind": "folds", "base": data, "num_folds": folds, "seed": fold_seed, **loading}
    return {**found, "by": by or next(iter(FoldsConfig(**found).ways))}


def part(whole: Config, data: Record, fold: int, seed: int) -> Config:
    """Return the config of a run: all of it but one fold trains."""
    plain = to_dict(whole)
    return from_dict(
        {**plain, "data": numbered(data, fold), "train": {**plain["train"], "seed": whole.train.seed + seed}}
    )


def numbered(data: Record, fold: int) -> Record:
    """Return the options of data with the number of the fold that is held out."""
    return {**data, "fold": fold} if data["kind"] == "folds" else {**data, "base": numbered(data["base"], fold)}


def innermost(data: Any) -> FoldsConfig:
    """Return the folds among data that wrap other data."""
    return data if isinstance(data, FoldsConfig) else innermost(data.base)


def describe(data: FoldsConfig) -> Record:
    """Return which rows a fold trains on and holds out: their numbers in train, then val, of the data."""
    rows = {name: data.rows[name] for name in ("train", "val")}
    return {
        name: {"count": len(own), "sha256": checksum(own), "rows": " ".join(map(str, own))}
        for name, own in rows.items()
    }


def tabulate(records: dict[str, Record], data: dict[str, FoldsConfig]) -> Record:
    """Return a line a fold, the mean of all with its interval, and a sentence that says so."""
    (first, *_), (folds, *_) = records.values(), data.values()
    lines = [
        line({run: records[run] for run in records if data[run].fold == fold}, fold, data)
        for fold in range(1, folds.num_folds + 1)
    ]
    share = fmean(line["rows"]["val"] / sum(line["rows"].values()) for line in lines)
    mean = over_folds([line["value"] for line in lines], share)
    low, high = within(first["primary"], mean)
    sure = f"{100 * LEVEL:.0f} % interval {low:.4f} to {high:.4f}" if low is not None and high is not None else ""
    bars = {name: fmean(line["baselines"][name] for line in lines) for name in first["baselines"]}
    sign = 1 if first["higher_is_better"] else -1
    best = max(bars, key=lambda bar: sign * bars[bar])
    sentence = (
        f"On rows that it was not trained on, after the last step: {first['primary']} {mean.value:.4f}, the mean of "
        f"{len(lines)} folds ({folds.by}), {sure or 'no interval: they do not vary'}; "
        f"the best baseline, {best}: {bars[best]:.4f}."
    )
    told = {"primary": first["primary"], "higher_is_better": first["higher_is_better"], "by": folds.by, "folds": lines}
    return {**told, "mean": mean.value, "low": low, "high": high, "baselines": bars, "sentence": sentence}


def within(primary: str, found: Interval, least: float = 0.0) -> tuple[float | None, float | None]:
    """Return the ends of an interval, if any; those of a share are at least `least` and at most 1."""
    bound = primary.startswith(SHARES)
    low, high = (end if end is None or not bound else min(1.0, max(least, end)) for end in (found.low, found.high))
    return low, high


def line(records: dict[str, Record], fold: int, data: dict[str, FoldsConfig]) -> Record:
    """Return what the table says of a fold: the means of its seeds."""
    first, *_ = records
    figures = {key: fmean(record[key] for record in records.values()) for key in ("value", "train_value", "gap")}
    rows = {name: len(data[first].rows[name]) for name in ("train", "val")}
    values = [record["value"] for record in records.values()]
    return {"fold": fold, "rows": rows, **figures, "seeds": values, "baselines": records[first]["baselines"]}
