"""How good forecasts are: figures on a split, baselines to beat, what the report shows, answers to a user's file."""

from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data.loader import DataConfig, Dataset, read_manifest
from ..models.quantiles import LEVELS, pinball
from ..types import Batch, Measurement

MEDIAN = LEVELS.index(0.5)
CLAIMS = {end: round(LEVELS[-1 - end] - LEVELS[end], 4) for end in range(MEDIAN)}  # what intervals claim to hold
PARTS, NUM_FANS = (0, 1 / 12, 1 / 4, 1 / 2, 1), 5  # of the horizon, for the report's table; windows that it draws


@torch.inference_mode()
def predict(model: nn.Module, dataset: Dataset, batch_size: int = 256) -> tuple[Tensor, float]:
    """Return quantiles [N, H, Q] for every row in order, on the CPU, in fp64, and the mean loss."""
    model.eval()
    device = next(model.parameters()).device
    parts = torch.arange(len(dataset)).split(batch_size)
    outputs = [model(dataset[part, 0].to(device), None) for part in parts]
    loss = sum(float(output.loss) * len(part) for output, part in zip(outputs, parts, strict=True)) / len(dataset)
    return torch.cat([output.outputs.double().cpu() for output in outputs]), loss


def truth(dataset: Dataset) -> tuple[Tensor, Tensor]:
    """Return what followed each history [N, H], and where it was measured."""
    return dataset.targets[..., 0].double(), dataset.targets[..., 1] > 0


def mean(values: Tensor, known: Tensor, dim: int | None = None) -> Tensor:
    """Return the mean of the known values [N, H], over all or one dimension; NaN where there are none."""
    kept = torch.where(known, values, torch.zeros_like(values))
    average: Tensor = kept.sum(dim) / known.sum(dim)
    return average


def season_differences(dataset: Dataset) -> Tensor:
    """Return by how much each step of the training split differs from that one season before [K], both measured."""
    (values, marks), period = dataset.training.double().unbind(-1), dataset.period
    differences: Tensor = values[period:] - values[:-period]
    return differences[(marks[period:] > 0) & (marks[:-period] > 0)]


def in_sample_error(dataset: Dataset) -> float:
    """Return the seasonal naive forecast's mean absolute error in the training split: the unit of MASE."""
    if not (error := float(season_differences(dataset).abs().mean())) > 0:
        raise ValueError("the training split repeats itself, or has no two seasons: MASE has no unit")
    return error


def mase(forecasts: Tensor, dataset: Dataset) -> float:
    """Return the mean absolute scaled error of forecasts [N, H] (Hyndman and Koehler 2006, section 3, with seasons)."""
    values, known = truth(dataset)
    return float(mean((forecasts - values).abs(), known)) / in_sample_error(dataset)


def smape(forecasts: Tensor, values: Tensor, known: Tensor) -> float:
    """Return the symmetric mean absolute percentage error of forecasts [N, H], 0 to 200 (Makridakis 1993)."""
    size = forecasts.abs() + values.abs()
    return float(mean(200 * (forecasts - values).abs() / torch.where(size > 0, size, 1.0), known))


def inside(quantiles: Tensor, values: Tensor, end: int) -> Tensor:
    """Say which values [N, H] lie between the quantiles [N, H, Q] that are `end` places from either end."""
    return ((quantiles[..., end] <= values) & (values <= quantiles[..., -1 - end])).double()


def measure(model: nn.Module, dataset: Dataset) -> Measurement:
    """Return the few figures that follow a training run."""
    quantiles, loss = predict(model, dataset)
    value = mase(quantiles[..., MEDIAN], dataset)
    return Measurement(primary="mase", value=value, higher_is_better=False, metrics={"loss": loss, "mase": value})


def guesses(dataset: Dataset) -> dict[str, Tensor]:
    """Return forecasts [N, H] that learn nothing, or one number, the training split's mean growth in a season."""
    values, period, horizon = dataset.inputs[..., 0].double(), dataset.period, dataset.targets.shape[1]
    last, steps = values[:, -1:], torch.arange(horizon)
    season, ahead = values[:, -period:][:, steps % period], steps // period + 1  # [N, H]; seasons from there [H]
    return {
        "persistence": last.expand(-1, horizon),
        "seasonal naive": season,
        "seasonal naive + last growth": season + ahead * (last - values[:, -1 - period : -period]),
        "seasonal naive + mean growth": season + ahead * season_differences(dataset).mean(),
    }


def baselines(_: Dataset, other: Dataset, __: DataConfig) -> dict[str, float]:
    """Return the mean absolute scaled error on another split of each forecast without a model."""
    return {name: mase(forecasts, other) for name, forecasts in guesses(other).items()}


def measure_fully(model: nn.Module, dataset: Dataset, data: DataConfig) -> Measurement:
    """Return every figure that the report shows: scalars, tables and curves by steps ahead, a few forecasts."""
    short, (quantiles, _), (values, known) = measure(model, dataset), predict(model, dataset), truth(dataset)
    forecasts, each = quantiles[..., MEDIAN], {"model": quantiles[..., MEDIAN], **guesses(dataset)}
    held = {claim: inside(quantiles, values, end) for end, claim in CLAIMS.items()}
    below = [float(mean((values <= quantiles[..., place]).double(), known)) for place in range(len(LEVELS))]
    figures = {
        **short.metrics,
        "mae": float(mean((forecasts - values).abs(), known)),
        "rmse": float(mean((forecasts - values).square(), known).sqrt()),
        "smape": smape(forecasts, values, known),
        "pinball": float(pinball(quantiles, values, known)),
        **{f"coverage_{100 * claim:.0f}": float(mean(hits, known)) for claim, hits in held.items()},
        "interval_width": float(mean(quantiles[..., -1] - quantiles[..., 0], known)),
        "num_rows": len(dataset),
        "unit": read_manifest(data.root).get("unit", ""),
        "by_step": by_step(quantiles, dataset),
        "mae_by_step": {name: mean((guess - values).abs(), known, 0).tolist() for name, guess in each.items()},
        "coverage_by_step": [{"claim": claim, "held": mean(hits, known, 0).tolist()} for claim, hits in held.items()],
        "calibration": [{"level": level, "below": share} for level, share in zip(LEVELS, below, strict=True)],
        "fans": fans(quantiles, dataset),
    }
    return replace(short, metrics=figures)


def by_step(quantiles: Tensor, dataset: Dataset) -> list[dict[str, float]]:
    """Return figures of quantiles [N, H, Q] at a few steps ahead, with the root mean square error of each baseline."""
    (values, known), unit, rows = truth(dataset), in_sample_error(dataset), list[dict[str, float]]()
    for step in dict.fromkeys(max(1, round(part * values.shape[1])) for part in PARTS):
        at = (slice(None), slice(step - 1, step))
        errors = {name: mean((guess[at] - values[at]).square(), known[at]) for name, guess in guesses(dataset).items()}
        forecasts = quantiles[at][..., MEDIAN]
        rows.append(
            {
                "steps ahead": step,
                "MASE": float(mean((forecasts - values[at]).abs(), known[at])) / unit,
                "sMAPE": smape(forecasts, values[at], known[at]),
                f"in {CLAIMS[0]:.0%}": float(mean(inside(quantiles[at], values[at], 0), known[at])),
                "RMSE": float(mean((forecasts - values[at]).square(), known[at]).sqrt()),
                **{f"RMSE, {name}": float(error.sqrt()) for name, error in errors.items()},
            }
        )
    return rows


def fans(quantiles: Tensor, dataset: Dataset) -> list[dict[str, Any]]:
    """Return forecasts of quantiles [N, H, Q] from windows at equal distances, and the one with the largest error."""
    values, known = truth(dataset)
    errors = mean((quantiles[..., MEDIAN] - values).abs(), known, 1).nan_to_num(0)
    even = torch.linspace(0, len(values) - 1, min(NUM_FANS, len(values))).round().long().tolist()
    found = [("", row) for row in even] + [("the worst window", int(errors.argmax()))]
    return [{"row": n, "note": note, "mae": float(errors[n]), "quantiles": quantiles[n].tolist()} for note, n in found]


def pictures(dataset: Dataset, metrics: dict[str, Any]) -> dict[str, Any]:
    """Return what the page draws: for each forecast its past, its truth and its quantiles, and the ends of its axes."""
    horizon, found = dataset.targets.shape[1], list[dict[str, Any]]()
    for fan in metrics["fans"]:
        row = fan["row"]
        past, future = dataset.inputs[row, -horizon:], dataset.targets[row]
        past, future = ([v if mark else None for v, mark in part.tolist()] for part in (past, future))
        ends = [v for v in (*past, *future, *chain.from_iterable(fan["quantiles"])) if v is not None]
        window = {"begins": dataset.names[row], "past": past, "truth": future, "low": min(ends), "high": max(ends)}
        found.append({**fan, **window})
    return {"windows": found}


def answers(model: nn.Module, data: DataConfig, path: Path) -> list[dict[str, Any]]:
    """Return quantiles for each step after a user's history, with its time where the file has a column of times."""
    inputs, index = data.read(path), torch.zeros(1, dtype=torch.long)
    with torch.inference_mode():  # nobody knows what followed: values and marks are 0
        steps = model(Batch(inputs, inputs.new_zeros(1, data.horizon, 2), index), None).outputs[0].tolist()
    times = data.times_after(path)
    named = [dict(zip(map(str, LEVELS), quantiles, strict=True)) for quantiles in steps]
    rows = [{"step": step, "forecast": row[str(0.5)], "quantiles": row} for step, row in enumerate(named, start=1)]
    return rows if times is None else [{"time": time, **row} for time, row in zip(times, rows, strict=True)]
