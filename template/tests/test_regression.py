# copier: filter replace("my_project", package_name)
"""The figures of a regressor are those counted by hand, its baselines are honest, and its report shows them."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from my_project import run as commands
from my_project.data.columns import Table
from my_project.evaluation import regression
from my_project.types import Batch, Carry, StepOutput

EXAMPLE = Path(__file__).parents[1] / "examples" / "concrete.csv"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run with intervals: evaluated, reported, good enough to be worth looking at."""
    options = {"train.steps": 200, "train.eval_every": 100, "train.out": str(tmp_path_factory.mktemp("runs") / "run")}
    return Path(commands.train("gaussian", options)["run"])


class Echo(nn.Module):
    """A model whose outputs are its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.zero = nn.Parameter(torch.zeros(1))

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        return StepOutput(batch.inputs.mean() if len(batch.inputs) else self.zero.sum(), batch.inputs + self.zero, {})


def table(inputs: Tensor, targets: list[float]) -> Table:
    return Table(inputs, torch.tensor(targets), [{"name": f"column {n}"} for n in range(inputs.shape[1])])


def measured(outputs: Tensor, targets: list[float]) -> dict[str, Any]:
    return dict(regression.measure_fully(Echo(), table(outputs, targets), None).metrics)


def test_errors_equal_those_counted_by_hand() -> None:
    found = measured(torch.tensor([[1.0], [2.0], [6.0], [4.0]]), [1.0, 3.0, 3.0, 5.0])
    assert found["rmse"] == pytest.approx(((0 + 1 + 9 + 1) / 4) ** 0.5)
    assert found["mae"] == pytest.approx((0 + 1 + 3 + 1) / 4)
    assert found["r2"] == pytest.approx(1 - (0 + 1 + 9 + 1) / (4 + 0 + 0 + 4))
    assert [(error["row"], error["target"], error["answer"]) for error in found["worst"]][:1] == [(2, 3.0, 6.0)]
    assert found["num_rows"] == 4
    assert "coverage" not in found, "one number has no interval"


def test_intervals_equal_those_counted_by_hand() -> None:
    outputs = torch.tensor([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [0.0, 1.0, 5.0], [0.0, 1.0, 3.0]])
    found = measured(outputs, [0.5, 3.0, 3.0, -1.0])
    assert found["rmse"] == pytest.approx(((0.25 + 4 + 4 + 4) / 4) ** 0.5), "the answer is the middle one"
    assert found["coverage"] == pytest.approx(2 / 4)
    assert found["interval_width"] == pytest.approx((2 + 2 + 5 + 3) / 4)
    rows = [0.05 * 0.5 + 0.5 * 0.5 + 0.05 * 1.5, 0.05 * 3 + 0.5 * 2 + 0.95 * 1, 0.05 * 3 + 0.5 * 2 + 0.05 * 2]
    rows.append(0.95 * 1 + 0.5 * 2 + 0.05 * 4)
    assert found["pinball"] == pytest.approx(sum(rows) / 3 / 4)
    assert [(level["level"], level["below"]) for level in found["levels"]] == [(0.05, 0.25), (0.5, 0.5), (0.95, 0.75)]


def test_errors_by_column_are_those_of_its_words_and_thirds() -> None:
    rows = [{"day": day, "size": size} for day, size in zip("abba", (1.0, 4.0, 2.0, 9.0), strict=True)]
    found = regression.by_column(rows, torch.tensor([1.0, -1.0, 3.0, 2.0]))
    assert [(part["column"], part["part"], part["rows"], part["residual"]) for part in found] == [
        ("day", "a", 2, 1.5),
        ("day", "b", 2, 1.0),
        ("size", "1 to 2", 2, 2.0),
        ("size", "4", 1, -1.0),
        ("size", "9", 1, 2.0),
    ]
    assert found[1]["rmse"] == pytest.approx(((1 + 9) / 2) ** 0.5)


def test_a_column_of_one_value_is_one_part() -> None:
    assert regression.divide([0.0, 0.0, 0.0]) == {"0": [0, 1, 2]}


def test_evaluation_changes_neither_weights_nor_gradients_nor_depends_on_the_batch() -> None:
    model, rows = Echo(), table(torch.randn(10, 3), [0.0] * 10)
    whole, loss = regression.predict(model, rows)
    parts, other = regression.predict(model, rows, 3)
    torch.testing.assert_close(parts, whole, rtol=0, atol=0)
    assert loss == pytest.approx(other, abs=1e-6)
    assert model.zero.grad is None
    assert model.zero.item() == 0


def by_hand(train: Table, other: Table, penalty: float) -> Tensor:
    """Return what ridge regression with that penalty answers, from the normal equations."""
    mean, scale = train.inputs.double().mean(0), train.inputs.double().std(0, correction=0)
    rows, others = ((split.inputs.double() - mean) / scale for split in (train, other))
    centre = train.targets.double().mean()
    matrix = rows.T @ rows + penalty * torch.eye(rows.shape[1], dtype=torch.float64)
    answers: Tensor = others @ torch.linalg.solve(matrix, rows.T @ (train.targets.double() - centre)) + centre
    return answers


def test_ridge_is_the_one_whose_penalty_leaves_training_rows_out_best() -> None:
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(30, 4, generator=draw)
    targets = inputs @ torch.tensor([1.0, -2.0, 0.0, 0.5]) + 2 * torch.randn(30, generator=draw) + 10
    train, other = table(inputs[:20], targets[:20].tolist()), table(inputs[20:], targets[20:].tolist())
    mean, scale = train.inputs.double().mean(0), train.inputs.double().std(0, correction=0)
    rows, errors = (train.inputs.double() - mean) / scale, list[float]()
    for penalty in regression.PENALTIES.tolist():
        error = 0.0
        for row in range(20):  # the columns keep the scale of all training rows, the intercept is fitted anew
            kept = torch.arange(20) != row
            x, y = rows[kept], train.targets[kept].double()
            centred = x - x.mean(0)
            matrix = centred.T @ centred + penalty * torch.eye(4, dtype=torch.float64)
            weight = torch.linalg.solve(matrix, centred.T @ (y - y.mean()))
            error += float((rows[row] - x.mean(0)) @ weight + y.mean() - train.targets[row]) ** 2
        errors.append(error)
    best = regression.PENALTIES.tolist()[errors.index(min(errors))]
    assert regression.PENALTIES[0] < best < regression.PENALTIES[-1], "the case must decide something"
    torch.testing.assert_close(regression.ridge(train, other), by_hand(train, other, best))


def test_a_column_of_one_value_does_not_spoil_the_baselines() -> None:
    rows = table(torch.stack([torch.arange(6.0), torch.ones(6)], dim=1), [2 * x + 1.0 for x in range(6)])
    found = regression.baselines(rows, rows, None)
    assert found["mean"] == pytest.approx((35 / 12 * 4) ** 0.5)
    assert found["ridge"] < 0.01


def test_a_short_run_beats_both_baselines_clearly(trained: Path) -> None:
    record = json.loads((trained / "evaluation.json").read_text())
    assert (record["split"], record["primary"], record["higher_is_better"]) == ("val", "rmse", False)
    assert record["value"] < 0.85 * min(record["baselines"].values())
    assert record["baselines"]["ridge"] < 0.8 * record["baselines"]["mean"]
    assert 0.7 < record["metrics"]["coverage"] < 1


def test_predictions_are_an_answer_and_its_interval(trained: Path) -> None:
    found = commands.predict(trained, EXAMPLE)
    assert len(found) == 3
    for row in found:
        assert list(row) == ["low", "answer", "high"]
        assert row["low"] < row["answer"] < row["high"]


def test_predictions_are_those_of_the_evaluation(trained: Path, workspace: Path) -> None:
    config, model, _ = commands.open_run(trained)
    rows = config.data.build("val")
    lines = [[*rows.rows([0])[0]], *([*row.values()] for row in rows.rows([*range(5)]))]
    (workspace / "rows.csv").write_text("\n".join(",".join(map(str, line)) for line in lines))
    expected, _ = regression.predict(model, rows)
    found = torch.tensor([list(row.values()) for row in commands.predict(trained, workspace / "rows.csv")])
    torch.testing.assert_close(found, expected[:5].float(), rtol=1e-5, atol=1e-4)


def test_a_number_alone_has_no_interval(workspace: Path) -> None:
    data = SimpleNamespace(read=lambda _: torch.tensor([[2.0], [3.0]]))
    assert regression.answers(Echo(), data, workspace) == [{"answer": 2.0}, {"answer": 3.0}]


def test_the_report_shows_the_figures_of_a_regressor(trained: Path) -> None:
    page, record = (trained / "report.html").read_text(), json.loads((trained / "evaluation.json").read_text())
    metrics = record["metrics"]
    for figure in (record["value"], metrics["mae"], metrics["r2"], metrics["coverage"], *record["baselines"].values()):
        assert f"<b>{figure:.4f}</b>" in page
    assert page.count('<svg class="figure"') == 5  # two curves, answers, residuals, intervals
    assert page.count('class="interval"') == page.count('class="measured"') + page.count('class="outside"') == 150
    assert page.count('class="outside"') == round((1 - metrics["coverage"]) * 150)
    assert page.count("<td>") >= len(metrics["by_column"])


def test_the_report_of_numbers_alone_has_no_intervals() -> None:
    folder = Path(commands.train("regression", {"train.steps": 2})["run"])
    page = (folder / "report.html").read_text()
    assert page.count('<svg class="figure"') == 4
    assert "Intervals" not in page
    # copier: endfilter
