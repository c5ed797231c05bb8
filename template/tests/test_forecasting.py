# copier: filter replace("my_project", package_name)
"""The figures of forecasts are right, baselines are honest, and the report draws both beside the truth."""

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchmetrics.functional import regression as tm

from my_project import run as commands
from my_project.data.series import SeriesConfig, Windows
from my_project.evaluation import forecasting
from my_project.models.quantiles import LEVELS
from my_project.types import Batch, Carry, StepOutput

EXAMPLE = Path(__file__).parents[1] / "examples" / "series.csv"
CO2 = SeriesConfig()


@pytest.fixture(scope="module")
def forecaster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of the linear forecaster: evaluated, reported, good enough to be worth looking at."""
    out = tmp_path_factory.mktemp("runs") / "forecaster"
    done = commands.train("forecast_linear", {"train.steps": 300, "train.eval_every": 150, "train.out": str(out)})
    return Path(done["run"])


def measured(values: Any) -> Tensor:
    """Return values with their marks [..., 2]; None was not measured."""
    rows = torch.tensor(values, dtype=torch.float32)
    return torch.stack([rows.nan_to_num(0), (~rows.isnan()).float()], dim=-1)


def windows(inputs: Any, targets: Any, training: Any, period: int = 2) -> Windows:
    rows = measured(inputs)
    return Windows(rows, measured(targets), [str(row) for row in range(len(rows))], period, measured(training))


class Given(nn.Module):
    """A model that answers with the quantiles it is given."""

    def __init__(self, quantiles: Any) -> None:
        super().__init__()
        self.quantiles = nn.Parameter(torch.tensor(quantiles, dtype=torch.float32))

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        return StepOutput(self.quantiles.sum(), self.quantiles[batch.index], {})


NAN = float("nan")
TRAINING = [1, 5, 2, 7, NAN, 6]  # one season before: 2 - 1, 7 - 5, 6 - 7; 2 is followed by nothing measured
TRUTH = [[10, 20, NAN], [0, 40, 8]]
FIRST = [[8, 9, 11, 12, 13], [10, 15, 18, 19, 30], [1, 2, 3, 4, 5]]  # quantiles of each step, of each row
SECOND = [[0, 0, 0, 1, 2], [20, 25, 30, 35, 39], [6, 7, 8, 9, 9]]
FORECASTS = [FIRST, SECOND]
DATA = windows([[0.0, 1, 2, 4], [3, 3, 3, 3]], TRUTH, TRAINING)


@pytest.fixture
def figures(workspace: Path) -> dict[str, Any]:
    (workspace / "manifest.json").write_text('{"unit": "ppmv"}')
    return dict(forecasting.measure_fully(Given(FORECASTS), DATA, SimpleNamespace(root=workspace)).metrics)


def test_figures_equal_those_counted_by_hand(figures: dict[str, Any]) -> None:
    errors = [1, 2, 0, 10, 0]  # of the medians 11, 18, 0, 30, 8; nobody knows the third value of the first row
    unit = (1 + 2 + 1) / 3
    assert figures["mae"] == pytest.approx(sum(errors) / 5)
    assert figures["mase"] == pytest.approx(sum(errors) / 5 / unit)
    assert figures["rmse"] == pytest.approx(math.sqrt((1 + 4 + 100) / 5))
    assert figures["smape"] == pytest.approx((200 * 1 / 21 + 200 * 2 / 38 + 0 + 200 * 10 / 70 + 0) / 5)
    assert figures["coverage_90"] == pytest.approx(4 / 5)  # all but 40, above 39
    assert figures["coverage_50"] == pytest.approx(3 / 5)  # nor 20, above 19
    assert figures["interval_width"] == pytest.approx((5 + 20 + 2 + 19 + 3) / 5)
    assert [dot["below"] for dot in figures["calibration"]] == pytest.approx([1 / 5, 1 / 5, 3 / 5, 3 / 5, 4 / 5])


def test_the_pinball_loss_equals_the_one_counted_by_hand(figures: dict[str, Any]) -> None:
    losses = list[float]()
    for truth, quantiles in ((10, FIRST[0]), (20, FIRST[1]), (0, SECOND[0]), (40, SECOND[1]), (8, SECOND[2])):
        for level, quantile in zip(LEVELS, quantiles, strict=True):
            missing = truth - quantile
            losses.append(level * missing if missing >= 0 else (level - 1) * missing)
    assert figures["pinball"] == pytest.approx(sum(losses) / len(losses), rel=1e-6)


def test_figures_by_step_leave_out_what_was_not_measured(figures: dict[str, Any]) -> None:
    assert figures["mae_by_step"]["model"] == pytest.approx([(1 + 0) / 2, (2 + 10) / 2, 0])
    assert [row["steps ahead"] for row in figures["by_step"]] == [1, 2, 3]
    first, second, third = figures["by_step"]
    assert (first["RMSE"], second["RMSE"], third["RMSE"]) == pytest.approx((math.sqrt(0.5), math.sqrt(52), 0))
    assert (first["in 90%"], second["in 90%"], third["in 90%"]) == (1, 0.5, 1)
    assert first["MASE"] == pytest.approx(0.5 / (4 / 3))
    assert figures["coverage_by_step"][0] == {"claim": 0.9, "held": [1, 0.5, 1]}


def test_smape_agrees_with_torchmetrics() -> None:
    draw = torch.Generator().manual_seed(0)
    forecasts, values = (torch.randn(50, 4, generator=draw, dtype=torch.float64) for _ in range(2))
    expected = 100 * float(tm.symmetric_mean_absolute_percentage_error(forecasts.flatten(), values.flatten()))
    assert forecasting.smape(forecasts, values, torch.ones(50, 4) > 0) == pytest.approx(expected)
    assert forecasting.smape(torch.zeros(1, 1), torch.zeros(1, 1), torch.ones(1, 1) > 0) == 0


def test_baselines_are_what_their_names_say() -> None:
    guesses = {name: rows.tolist() for name, rows in forecasting.guesses(DATA).items()}
    assert guesses == {
        "persistence": [[4, 4, 4], [3, 3, 3]],
        "seasonal naive": [[2, 4, 2], [3, 3, 3]],
        "seasonal naive + last growth": [[2 + 3, 4 + 3, 2 + 6], [3, 3, 3]],  # 4 - 1 in a season, then two seasons
        "seasonal naive + mean growth": [
            pytest.approx([2 + 2 / 3, 4 + 2 / 3, 2 + 4 / 3]),
            pytest.approx([11 / 3, 11 / 3, 13 / 3]),
        ],
    }


def test_a_seasonal_naive_forecast_has_an_error_of_one_where_nothing_changes() -> None:
    steps = torch.arange(400)
    series = (steps % 4 * 3.0 + steps // 4 * 2).tolist()  # each season 2 above the one before
    rows = [series[start : start + 12] for start in range(200, 240)]
    data = windows([row[:8] for row in rows], [row[8:] for row in rows], series[:200], period=4)
    bars = forecasting.baselines(data, data, CO2)
    assert bars["seasonal naive"] == pytest.approx(1)
    assert bars["seasonal naive + last growth"] == pytest.approx(0, abs=1e-6)
    assert bars["seasonal naive + mean growth"] == pytest.approx(0, abs=1e-6)


def test_the_unit_of_errors_comes_from_the_training_split_alone() -> None:
    train, val = CO2.build("train"), CO2.build("val")
    assert torch.equal(train.training, val.training)
    assert len(val.training) == 1599  # weeks from 1958-03-29 to 1988-11-12
    assert forecasting.in_sample_error(val) == pytest.approx(1.2572808, abs=1e-5)


def test_a_training_split_that_repeats_itself_has_no_unit() -> None:
    with pytest.raises(ValueError, match="MASE has no unit"):
        forecasting.mase(torch.zeros(2, 3), windows([[0.0] * 4] * 2, TRUTH, [1, 2] * 5))


def test_evaluation_changes_neither_weights_nor_gradients_and_takes_batches_of_any_size() -> None:
    model = Given(FORECASTS)
    whole, parts = (forecasting.predict(model, DATA, size)[0] for size in (2, 1))
    assert torch.equal(whole, parts)
    assert not whole.requires_grad
    assert model.quantiles.grad is None


def test_a_short_run_beats_every_baseline(forecaster: Path) -> None:
    record = json.loads((forecaster / "evaluation.json").read_text())
    assert (record["split"], record["primary"], record["higher_is_better"]) == ("val", "mase", False)
    assert len(record["baselines"]) == 4
    assert record["value"] < min(record["baselines"].values())
    assert 0.6 < record["metrics"]["coverage_90"] <= 1
    assert record["metrics"]["num_rows"] == 291


def test_an_answer_goes_on_where_the_users_history_ends(forecaster: Path, workspace: Path) -> None:
    steps = commands.predict(forecaster, EXAMPLE)
    assert [step["step"] for step in steps] == [*range(1, 53)]
    assert (steps[0]["time"], steps[-1]["time"]) == ("1995-06-10", "1996-06-01")
    for step in steps:
        quantiles = [step["quantiles"][str(level)] for level in LEVELS]
        assert quantiles == sorted(quantiles)
        assert step["forecast"] == quantiles[2]
    lines = EXAMPLE.read_text().splitlines()[1:]
    (workspace / "values.csv").write_text("\n".join(line.split(",")[1] for line in lines))
    bare = commands.predict(forecaster, workspace / "values.csv")
    assert [{"time": step["time"], **row} for step, row in zip(steps, bare, strict=True)] == steps


def test_a_users_history_is_prepared_as_in_validation(forecaster: Path) -> None:
    config, model, _ = commands.open_run(forecaster)
    data = config.data.build("val")
    last = forecasting.predict(model, data)[0][-1]
    lines = [f"{value}" for value, _ in data.inputs[-1].tolist()]
    Path("last.csv").write_text("\n".join(lines))
    answer = [[*step["quantiles"].values()] for step in commands.predict(forecaster, Path("last.csv"))]
    torch.testing.assert_close(torch.tensor(answer).double(), last, rtol=1e-6, atol=1e-4)


def test_the_report_draws_forecasts_errors_and_intervals(forecaster: Path) -> None:
    page, record = (forecaster / "report.html").read_text(), json.loads((forecaster / "evaluation.json").read_text())
    for figure in (record["value"], record["metrics"]["coverage_90"], *record["baselines"].values()):
        assert f"<b>{figure:.4f}</b>" in page
    assert page.count('<svg class="figure fan"') == len(record["metrics"]["fans"]) == 6
    assert page.count('<polygon class="band"') == 2 * 6
    assert page.count('<circle class="truth"') == page.count('<circle class="past"') == 6 * 52
    assert page.count('<svg class="figure"') == 2 + 3  # learning curves; error by steps, coverage, calibration
    assert "from 1988-11-19" in page
    for name in record["baselines"]:
        assert f"<th>RMSE, {name}</th>" in page
    assert not re.search(r"\[\[|\[%|nan|None", page.split("<h2>How to repeat it</h2>")[0])


def test_the_worst_window_is_drawn_and_said_to_be_the_worst(forecaster: Path) -> None:
    fans = json.loads((forecaster / "evaluation.json").read_text())["metrics"]["fans"]
    assert [fan["row"] for fan in fans[:5]] == [0, 72, 145, 218, 290]
    assert fans[5]["note"] == "the worst window"
    assert fans[5]["mae"] >= max(fan["mae"] for fan in fans)


def test_what_was_not_measured_is_not_drawn(figures: dict[str, Any]) -> None:
    drawn = forecasting.pictures(DATA, figures)["windows"][0]
    assert drawn["truth"] == [10, 20, None]
    assert (drawn["low"], drawn["high"]) == (1, 30)


def test_a_unit_cannot_break_the_page(forecaster: Path) -> None:
    record = json.loads((forecaster / "evaluation.json").read_text())
    record["metrics"]["unit"] = "<script>"
    (forecaster / "evaluation.json").write_text(json.dumps(record))
    commands.report(forecaster)
    assert "<script>" not in (forecaster / "report.html").read_text()
    commands.evaluate(forecaster)
    commands.report(forecaster)
    # copier: endfilter
