# copier: filter replace("my_project", package_name)
"""The baselines of texts are those of the books, and the report shows which words decided."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from my_project import run as commands
from my_project.data.text import Texts
from my_project.evaluation import text_classification as task
from my_project.types import Batch, Carry, StepOutput

EXAMPLE = Path(__file__).parents[1] / "examples" / "texts.txt"
VOCABULARY = ["", "?", "a", "b", "c", "d"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of a bag: evaluated, reported, good enough to be worth looking at."""
    out = tmp_path_factory.mktemp("runs") / "texts"
    options = {"train.steps": 150, "train.eval_every": 150, "train.out": str(out), "optim.lr": 0.02}
    return Path(commands.train("bag", options)["run"])


class CountsA(nn.Module):
    """A model whose logit of class 1 is how often word 2 is there, less the times of word 3."""

    def __init__(self) -> None:
        super().__init__()
        self.zero = nn.Parameter(torch.zeros(1))

    def forward(self, batch: Batch, carry: Carry = None) -> StepOutput:
        score = (batch.inputs == 2).sum(1) - (batch.inputs == 3).sum(1) + self.zero
        return StepOutput(score.sum(), torch.stack([torch.zeros_like(score), score], dim=1), {}, carry)


def test_counts_are_those_of_words_without_padding_and_unknown_words() -> None:
    counts = task.count(torch.tensor([[2, 3, 2, 0], [1, 5, 1, 0], [0, 0, 0, 0]]), 6).to_dense()
    assert counts.tolist() == [[0, 0, 2, 1, 0, 0], [0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0]]


def test_tf_idf_is_that_of_its_formula_in_rows_of_length_one() -> None:
    rows = task.count(torch.tensor([[2, 3, 2, 0], [2, 0, 0, 0], [4, 3, 0, 0], [0, 0, 0, 0]]), 6)
    weights = task.idf(rows)
    assert weights[2].item() == pytest.approx(math.log(5 / 3) + 1)
    assert weights[4].item() == pytest.approx(math.log(5 / 2) + 1)
    first = torch.tensor([(1 + math.log(2)) * weights[2], weights[3]])
    found = task.tf_idf(rows, weights).to_dense()
    torch.testing.assert_close(found[0, 2:4], first / first.norm())
    assert found[3].tolist() == [0.0] * 6


def test_idf_is_fitted_to_the_training_split_alone() -> None:
    train = Texts(torch.tensor([[2, 3], [2, 4], [3, 4], [2, 5]]), torch.tensor([0, 0, 1, 0]), VOCABULARY)
    others = [
        Texts(torch.tensor([[2, 3], *more]), torch.tensor([0, *[1] * len(more)]), VOCABULARY) for more in ([], [[3, 3]])
    ]
    seen = list[Tensor]()
    tf_idf = task.tf_idf

    def recording(counts: Tensor, weights: Tensor) -> Tensor:
        seen.append(weights)
        return tf_idf(counts, weights)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task, "tf_idf", recording)
        for other in others:
            task.baselines(train, other, SimpleNamespace(labels="01"))
    assert all(torch.equal(weights, seen[0]) for weights in seen)


def test_linear_baselines_learn_what_a_word_says_and_the_majority_does_not() -> None:
    inputs = torch.tensor([[2, 5], [2, 4], [3, 5], [3, 4], [2, 1], [2, 0], [2, 2]])
    rows = Texts(inputs, (inputs[:, 0] == 3).long(), VOCABULARY)
    assert task.baselines(rows, rows, SimpleNamespace(labels="01")) == {
        "majority": pytest.approx(5 / 7),
        "linear": 1.0,
        "TF-IDF + linear": 1.0,
    }


def test_a_words_share_is_what_the_answer_loses_without_it() -> None:
    shares = task.shares(CountsA(), torch.tensor([2, 4, 2, 3, 0, 0]))
    with_one_more, without = math.log(1 / (1 + math.exp(-1))), math.log(1 / (1 + math.exp(0)))
    with_two = math.log(1 / (1 + math.exp(-2)))
    expected = [with_one_more - without, 0.0, with_one_more - without, with_one_more - with_two]
    assert shares == pytest.approx(expected, abs=1e-6)


def test_the_share_of_a_text_of_one_word_is_against_no_word() -> None:
    assert task.shares(CountsA(), torch.tensor([2, 0])) == pytest.approx([math.log(2 / (1 + math.exp(-1)))], abs=1e-6)
    assert task.shares(CountsA(), torch.tensor([0, 0])) == []


def test_a_short_run_beats_the_baselines_and_its_report_shows_the_worst_texts(run: Path) -> None:
    record, page = json.loads((run / "evaluation.json").read_text()), (run / "report.html").read_text()
    assert (record["split"], record["primary"]) == ("val", "accuracy")
    assert set(record["baselines"]) == {"majority", "linear", "TF-IDF + linear"}
    assert record["value"] > 0.7 > 5 * record["baselines"]["majority"]
    assert 0.78 < record["baselines"]["TF-IDF + linear"] < 0.86
    for error in record["metrics"]["worst"]:
        assert f"<td>{error['label']}</td><td>{error['answer']}</td>" in page
    assert page.count('title="') == sum(len(error["shares"]) for error in record["metrics"]["worst"])
    assert page.count('<svg class="figure"') == 3  # two curves and the calibration


def test_predictions_are_subjects_of_texts(run: Path) -> None:
    answers = commands.predict(run, EXAMPLE)
    assert len(answers) == len(EXAMPLE.read_text().splitlines())
    assert [answer["label"] for answer in answers][::2] == ["animal", "food", "plant"]
    assert sum(answers[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_a_report_of_a_run_without_errors_says_so(run: Path) -> None:
    evaluation = run / "evaluation.json"
    before = evaluation.read_text()
    record = json.loads(before)
    record["metrics"]["worst"] = []
    evaluation.write_text(json.dumps(record))
    commands.report(run)
    assert "There is no wrong answer on this split." in (run / "report.html").read_text()
    evaluation.write_text(before)
    commands.report(run)
    # copier: endfilter
