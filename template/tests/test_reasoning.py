# copier: filter replace("my_project", package_name)
"""The figures of answers to puzzles are right, and their report shows boards."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from my_project import run as commands
from my_project.data.puzzles import Puzzles
from my_project.data.sudoku import SudokuConfig
from my_project.evaluation import reasoning
from my_project.types import Batch, Carry, StepOutput

EXAMPLE = Path(__file__).parents[1] / "examples" / "puzzles.txt"
FOUR = SudokuConfig(size=4)
SOLVED = [1, 2, 3, 4, 3, 4, 1, 2, 2, 1, 4, 3, 4, 3, 2, 1]
SWAPPED = [2, 1, 3, 4, 3, 4, 1, 2, 1, 2, 4, 3, 4, 3, 2, 1]  # another solution of what is given below
WRONG = [1, 2, 3, 4, 3, 4, 1, 2, 2, 1, 4, 3, 4, 3, 1, 1]
GIVEN = [0, 0, 3, 4, 3, 4, 1, 2, 0, 0, 4, 3, 4, 3, 0, 1]


@pytest.fixture(scope="module")
def solver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of the Sudoku preset on fewer puzzles: evaluated, reported, good enough to be worth looking at."""
    few = {"data.hard": False, "data.num_train": 100, "data.num_val": 20, "data.num_test": 10}
    few |= {"model.passes": 3, "train.steps": 40, "train.eval_every": 20, "optim.warmup_steps": 5, "optim.ema_decay": 0}
    out = tmp_path_factory.mktemp("runs") / "solver"
    return Path(commands.train("sudoku", {**few, "train.out": str(out)})["run"])


class Recall(nn.Module):
    """A model that answers row after row what it is told, whatever the puzzle."""

    def __init__(self, answers: list[list[int]]) -> None:
        super().__init__()
        self.answers = nn.Parameter(F.one_hot(torch.tensor(answers), 5).float() * 9)

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        return StepOutput(self.answers.sum(), self.answers[batch.index], {}, carry)


def dataset(inputs: list[list[int]], targets: list[list[int]]) -> Puzzles:
    return Puzzles(FOUR, (torch.tensor(inputs), torch.tensor(targets)), None)


THREE = dataset([GIVEN, GIVEN, [0] * 15 + [1]], [SOLVED] * 3)
MODEL = Recall([SOLVED, SWAPPED, WRONG])


def test_figures_equal_those_counted_by_hand() -> None:
    found = reasoning.measure_fully(MODEL, THREE, FOUR)
    assert (found.primary, found.value, found.higher_is_better) == ("puzzles_solved", 1 / 3, True)
    figures = found.metrics
    assert figures["puzzles_solved"] == pytest.approx(1 / 3)
    assert figures["cell_accuracy"] == pytest.approx((5 + 1 + 14) / (5 + 5 + 15))
    assert figures["rules_obeyed"] == pytest.approx(2 / 3)  # another solution obeys them too
    assert figures["violations"] == pytest.approx(3 / 3)  # a row, a column and a box of the last answer
    assert figures["num_rows"] == 3
    sure, wrong = torch.tensor([9.0, 0, 0, 0, 0]).log_softmax(0)[:2].neg().tolist()
    expected = (sure + (sure + 4 * wrong) / 5 + (14 * sure + wrong) / 15) / 3
    assert figures["loss"] == pytest.approx(expected, rel=1e-5)


def test_given_cells_are_never_answered() -> None:
    logits = F.one_hot(torch.full((1, 16), 4), 5).float()
    assert reasoning.filled(logits, torch.tensor([GIVEN])).tolist() == [[token or 4 for token in GIVEN]]


def test_no_open_cell_is_answered_with_the_open_token() -> None:
    logits = torch.tensor([[[9.0, 0, 0, 1, 0]] * 16])
    assert reasoning.filled(logits, torch.zeros(1, 16, dtype=torch.long)).tolist() == [[3] * 16]


def test_puzzles_are_counted_by_their_clues() -> None:
    table = reasoning.measure_fully(MODEL, THREE, FOUR).metrics["by_difficulty"]
    assert [(row["clues"], row["puzzles"], row["puzzles_solved"]) for row in table] == [(1, 1, 0), (11, 2, 0.5)]
    assert [row["most constrained cell"] for row in table] == [0, 1]


def test_the_baseline_is_the_share_of_puzzles_that_it_solves() -> None:
    found = reasoning.baselines(THREE, THREE, FOUR)
    assert found == {"most constrained cell": pytest.approx(2 / 3)}


def test_boards_show_what_was_given_what_is_right_and_what_is_wrong() -> None:
    metrics = reasoning.measure_fully(MODEL, THREE, FOUR).metrics
    boards = reasoning.pictures(THREE, dict(metrics))["boards"]
    assert [(board["row"], board["wrong"], board["violations"]) for board in boards] == [
        (0, 0, 0),
        (1, 4, 0),
        (2, 1, 3),
    ]
    assert boards[1]["cells"][:3] == [("2", "wrong"), ("1", "wrong"), ("3", "given")]
    assert boards[1]["cells"][14] == ("2", "right")


class Counting(Recall):
    """A model that has a figure of its own: the mean row number of a batch."""

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        return replace(super().forward(batch, carry), metrics={"mean_row": batch.index.float().mean()})


def test_a_models_own_figures_are_means_over_the_rows_and_stand_in_the_report() -> None:
    model = Counting([SOLVED, SWAPPED, WRONG])
    assert reasoning.ask(model, THREE, 2)[1] == {"mean_row": pytest.approx(1)}
    assert reasoning.measure_fully(model, THREE, FOUR).metrics["own"] == {"mean_row": 1}
    assert reasoning.measure_fully(MODEL, THREE, FOUR).metrics["own"] == {}


def test_batches_of_any_size_give_the_same_answers() -> None:
    assert torch.equal(reasoning.predict(MODEL, THREE, 2), reasoning.predict(MODEL, THREE, 100))


def test_evaluation_changes_neither_weights_nor_gradients() -> None:
    before = MODEL.answers.clone()
    assert not reasoning.predict(MODEL, THREE).requires_grad
    assert torch.equal(before, MODEL.answers)
    assert MODEL.answers.grad is None


def test_a_short_run_answers_better_than_chance(solver: Path) -> None:
    record = json.loads((solver / "evaluation.json").read_text())
    assert (record["split"], record["primary"]) == ("val", "puzzles_solved")
    assert record["metrics"]["cell_accuracy"] > 0.3  # any digit is right in one cell of six
    assert sum(row["puzzles"] for row in record["metrics"]["by_difficulty"]) == record["metrics"]["num_rows"] == 20


def test_puzzles_of_a_file_are_answered(solver: Path) -> None:
    answers, config = commands.predict(solver, EXAMPLE), SudokuConfig()
    given = ["".join(answer["puzzle"]) for answer in answers]
    assert given == EXAMPLE.read_text().split()
    for puzzle, answer in zip(given, answers, strict=True):
        cells = "".join(answer["answer"])
        assert all(token in {".", cell} for token, cell in zip(puzzle, cells, strict=True))
        tokens = torch.tensor([[int(cell) for cell in cells]])
        assert answer["obeys_rules"] == (config.violations(tokens).item() == 0)


def test_the_report_shows_figures_and_boards(solver: Path) -> None:
    page, record = (solver / "report.html").read_text(), json.loads((solver / "evaluation.json").read_text())
    for figure in (record["value"], record["metrics"]["rules_obeyed"], *record["baselines"].values()):
        assert f"<b>{figure:.4f}</b>" in page
    assert page.count("<figure>") == len(record["metrics"]["boards"])
    assert page.count('<svg class="figure"') == 3  # two curves and the shares by difficulty
    wrong = sum(board["wrong"] for board in record["metrics"]["boards"])
    assert page.count('<rect class="wrong"') == wrong > 0


def test_the_report_shows_a_maze() -> None:
    settings = {"data.num_train": 32, "data.num_val": 8, "data.num_test": 8, "model.passes": 1, "train.steps": 1}
    done = commands.train("maze", settings)
    page = Path(done["report"]).read_text()
    assert 'class="gap"' in page or '<circle class="wrong"' in page
    assert '<rect class="given"' in page
    assert "greedy walk baseline" in page
    # copier: endfilter
