# copier: filter replace("my_project", package_name)
"""Puzzles are solved as `predict` solves them, each by itself, step by step where that is asked for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from my_project import config as configs
from my_project import run as commands
from my_project.evaluation.reasoning import in_rows
from my_project.serving.predictor import Predictor

from .predictors import (
    EXAMPLES,
    Record,
    answers_alone,
    equal,
    predicted,
    presets,
    refusal,
    trained,
    untrained,
)

NAMES = presets("reasoning")
RECURSIVE = [name for name in NAMES if configs.load(name).model.kind == "trm"]
OTHERS = [name for name in NAMES if name not in RECURSIVE]
SUDOKU, MAZES = presets("reasoning", kind="sudoku"), presets("reasoning", kind="maze")
FILE = EXAMPLES / "puzzles.txt"


def puzzles(preset: str, workspace: Path) -> Path:
    """Return the file of the examples, or of three puzzles where they are of another kind."""
    data = untrained(preset).config.data
    if preset in SUDOKU:
        return FILE
    mazes = data.build("val").inputs[:3]
    (workspace / "mazes.txt").write_text("\n".join("\n".join(in_rows(maze, data)) for maze in mazes))
    return workspace / "mazes.txt"


def rows(preset: str, path: Path) -> list[Record]:
    size = untrained(preset).config.data.size
    cells = "".join(path.read_text("utf-8").split())
    return [{"puzzle": cells[first : first + size**2]} for first in range(0, len(cells), size**2)]


def as_predicted(records: list[Record], asked: list[Record], size: int) -> list[Record]:
    def cut(cells: str) -> list[str]:
        return [cells[first : first + size] for first in range(0, len(cells), size)]

    pairs = zip(records, asked, strict=True)
    return [
        {"puzzle": cut(row["puzzle"]), "answer": cut(record["answer"]), "obeys_rules": record["obeys_rules"]}
        for record, row in pairs
    ]


@pytest.mark.parametrize("preset", NAMES)
def test_answers_are_those_of_predict(preset: str, workspace: Path) -> None:
    predictor, path = untrained(preset), puzzles(preset, workspace)
    asked = rows(preset, path)
    found = as_predicted(predictor(asked), asked, predictor.config.data.size)
    assert equal(found, predicted(predictor, path))


def test_a_run_folder_answers_as_predict_answers() -> None:
    run = trained(SUDOKU[-1])
    asked = rows(SUDOKU[-1], FILE)
    assert equal(as_predicted(Predictor.load(run)(asked), asked, 6), commands.predict(run, FILE))


@pytest.mark.parametrize("preset", NAMES)
def test_a_batch_answers_each_row_as_it_is_answered_alone(preset: str, workspace: Path) -> None:
    predictor, asked = untrained(preset), rows(preset, puzzles(preset, workspace))
    asked[1] = {**asked[1], "steps": True}
    together = predictor(asked)
    assert equal(together, answers_alone(predictor, asked))
    assert ["steps" in record for record in together[:3]] == [False, True, False]
    assert "think" not in vars(predictor.model)


@pytest.mark.parametrize("preset", NAMES)
def test_the_confidence_is_the_least_probability_of_an_open_cell(preset: str, workspace: Path) -> None:
    predictor, asked = untrained(preset), rows(preset, puzzles(preset, workspace))
    checked = predictor.check(asked)
    inputs = predictor.task.encode(checked, predictor.data)
    with torch.inference_mode():
        logits = predictor.task.forward(predictor.model, inputs, checked)["logits"]
    for row, record in enumerate(predictor(asked)):
        cells = [logits[row, cell, 1:].softmax(0).max().item() for cell in (inputs[row] == 0).nonzero().flatten()]
        assert record["confidence"] == pytest.approx(min(cells), rel=1e-4)
        assert record["uncertainty"] == pytest.approx(1 - min(cells), rel=1e-4)


@pytest.mark.parametrize("preset", RECURSIVE)
def test_the_steps_are_what_the_model_would_answer_after_so_many(preset: str, workspace: Path) -> None:
    predictor = untrained(preset)
    asked = [{**row, "steps": True} for row in rows(preset, puzzles(preset, workspace))]
    most: int = predictor.config.model.max_steps
    found = predictor(asked)
    for count in range(1, most + 1):
        shorter = replace(predictor.config, model=replace(predictor.config.model, max_steps=count))
        model = shorter.model.build()
        model.load_state_dict(predictor.model.state_dict())
        for record, wanted in zip(
            found, Predictor(shorter, model, Path("best.pt"), torch.device("cpu"))(asked), strict=True
        ):
            assert record["steps"][count - 1] == wanted["answer"]
            assert record["halting"][count - 1] == pytest.approx(wanted["halting_probability"], rel=1e-4)
    assert all(len(record["steps"]) == len(record["halting"]) == most for record in found)
    assert all(record["steps"][-1] == record["answer"] for record in found)


@pytest.mark.parametrize("preset", RECURSIVE)
def test_a_model_that_stops_early_tells_of_each_row_the_steps_until_it_halted(preset: str, workspace: Path) -> None:
    usual = untrained(preset)
    config = replace(usual.config, model=replace(usual.config.model, early_stop=True, max_steps=4))
    model = config.model.build()
    model.load_state_dict(usual.model.state_dict())
    asked = [{**row, "steps": True} for row in rows(preset, puzzles(preset, workspace))]
    patient = Predictor(
        replace(config, model=replace(config.model, early_stop=False)), model, Path("best.pt"), usual.device
    )
    with torch.no_grad():  # half of the rows are done at once
        chances = [record["halting"][0] for record in patient(asked)]
        middle = torch.tensor(sorted(chances)[1:3]).logit().mean()
        model.act.linear.bias[0] -= middle
    predictor = Predictor(config, model, Path("best.pt"), usual.device)
    together = predictor(asked)
    assert equal(together, answers_alone(predictor, asked))
    counts = [len(record["steps"]) for record in together]
    assert min(counts) == 1
    assert max(counts) > 1
    for record in together:
        assert record["steps"][-1] == record["answer"]
        assert all(chance <= 0.5 for chance in record["halting"][:-1])


@pytest.mark.parametrize("preset", OTHERS)
def test_another_model_takes_one_step(preset: str, workspace: Path) -> None:
    asked = [{**row, "steps": True} for row in rows(preset, puzzles(preset, workspace))]
    for record in untrained(preset)(asked):
        assert (record["steps"], record["halting"]) == ([record["answer"]], [])
        assert record["halting_probability"] is None


@pytest.mark.parametrize("preset", SUDOKU[:1])
def test_lines_and_zeros_are_read_as_well(preset: str) -> None:
    predictor, (row, *_) = untrained(preset), rows(preset, FILE)
    size = predictor.config.data.size
    lines = "\n".join(row["puzzle"][first : first + size] for first in range(0, size**2, size)).replace(".", "0")
    assert predictor([{"puzzle": lines}]) == predictor([row])


@pytest.mark.parametrize("preset", SUDOKU[:1])
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"puzzle": "." * 35}, "want 36 of .123456, row by row"),
        ({"puzzle": "." * 35 + "7"}, "want 36 of .123456, row by row"),
        ({"puzzle": ""}, "want 36 of .123456, row by row"),
        ({"puzzle": 7}, "puzzle: got 7, want a valid string"),
        ({"puzzle": "1....1" + "." * 30}, "puzzle: row 1 has 1 twice, want each digit once"),
        ({"puzzle": "1" + "." * 29 + "1....."}, "puzzle: column 1 has 1 twice"),
        ({"puzzle": "." * 24 + "2......2" + "...."}, "puzzle: box 5 has 2 twice"),
        ({"puzzle": "." * 36, "steps": "yes"}, "steps: got 'yes', want a valid boolean"),
    ],
)
def test_what_is_no_board_or_breaks_the_rules_is_refused(preset: str, row: dict[str, Any], message: str) -> None:
    assert message in refusal(untrained(preset), row)


@pytest.mark.parametrize("preset", MAZES)
def test_what_is_no_maze_is_refused(preset: str) -> None:
    predictor = untrained(preset)
    good = predictor.example["puzzle"]
    assert "want 49 of .#SG, row by row" in refusal(predictor, {"puzzle": good[:-1]})
    assert "want 49 of .#SG, row by row" in refusal(predictor, {"puzzle": good.replace("S", "o")})
    for wrong in (good.replace("S", "."), good.replace("G", "S"), "." + good[1:]):
        assert "want a maze with walls # all around, one start S and one goal G" in refusal(
            predictor, {"puzzle": wrong}
        )
    # copier: endfilter
