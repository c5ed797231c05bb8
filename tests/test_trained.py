"""Every family, with the network blocked: it trains to better than its baselines, is served, watched and taken back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import answers
from tests.harness import Sample, Warm
from tests.service import SHIFTS, WINDOW, done, get, rows_of, send, served

LEAST = {  # that the primary figure has to reach on the validation split; an error must not be above it
    "classification-image": 0.97,
    "classification-tabular": 0.79,
    "regression": 7.2,  # MPa
    "embedding-search": 0.57,
    "embedding-recommendation": 0.55,
    "embedding-multimodal": 0.98,
    "forecasting": 0.40,  # MASE
    "generation": 2.25,  # bits per byte
    "reasoning": 0.70,  # of the puzzles
    "classification-text": 0.82,
    "classification-multimodal": 0.85,
}
EACH = answers.one_of_each_family()
SERVED = {family: answers.having(family, "serving") if name == "default" else name for family, name in EACH.items()}
DRIFTING = {"forecasting", "generation"}  # their validation rows come later than those of the training
MOST_BITS = 3.8  # per byte, of the smallest model that thinks and remembers; guessing by frequency takes 4.4
WORDS = "intended_use: To be tried by a test.\nlimitations: It was trained for a moment.\n"


@dataclass(frozen=True)
class Trained:
    """A project that was trained as its README says, its run, and what the command said."""

    project: Sample
    run: Path
    output: str


@pytest.fixture(scope="module")
def trained(
    renders: Callable[[str], Sample], warm: Warm, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Trained]:
    """Train a sample by its name, once for all tests here."""
    folder, known = tmp_path_factory.mktemp("trained"), dict[str, Trained]()

    def get_trained(name: str) -> Trained:
        if name not in known:
            project = renders(name).copy(folder / name)
            output = done(warm.run(project.folder, project.package, "train"))
            [run] = (project.folder / "runs").iterdir()
            known[name] = Trained(project, run, output)
        return known[name]

    return get_trained


@pytest.mark.parametrize("name", EACH.values(), ids=EACH)
def test_it_trains_and_beats_its_baselines(name: str, trained: Callable[[str], Trained]) -> None:
    found = trained(name)
    assert found.run.name.rpartition("-")[2] == "1"
    evaluation = json.loads((found.run / "evaluation.json").read_text(encoding="utf-8"))
    assert evaluation["split"] == "val"
    sign = 1 if evaluation["higher_is_better"] else -1
    assert all(sign * evaluation["value"] > sign * value for value in evaluation["baselines"].values())
    assert sign * evaluation["value"] >= sign * LEAST[found.project.family]
    assert (found.run / "report.html").stat().st_size > 0
    assert "report.html" in found.output


@pytest.mark.parametrize("project", [answers.having("generation", "trm_titans_mag")], indirect=True)
def test_the_full_model_trains_as_well(project: Sample, warm: Warm) -> None:
    done(warm.run(project.folder, project.package, "train", "tiny"))
    (run,) = (project.folder / "runs").glob("tiny-*")
    evaluation = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    assert evaluation["value"] < min(MOST_BITS, evaluation["baselines"]["unigram"])


@pytest.mark.parametrize("name", SERVED.values(), ids=SERVED)
def test_a_run_is_served_watched_and_taken_back(name: str, trained: Callable[[str], Trained], warm: Warm) -> None:
    project, run = (found := trained(name)).project, f"runs/{found.run.name}"
    done(warm.run(project.folder, project.package, "export", run))
    words = [project.package, "models", "promote", run, "--name", "mine"]
    assert "intended_use" in done(warm.run(project.folder, *words), 1)  # nobody has said what it is for
    (project.folder / "configs/card.yaml").write_text(WORDS, encoding="utf-8")
    for _ in range(2):
        done(warm.run(project.folder, *words))
    rows = rows_of(project, warm, run)
    with served(project, "models/mine") as url:
        assert get(f"{url}/version")["model"] == "mine/2"
        assert all(answer["answer"] is not None for answer in send(url, rows))
        watch = [project.package, "monitor", "models/mine/2", "--window", str(WINDOW)]
        assert project.family in DRIFTING or done(warm.run(project.folder, *watch))
        shifted = [SHIFTS[project.family](row) or rows[0] for row in rows]
        send(url, shifted)
        assert "drift: " in done(warm.run(project.folder, *watch), 1)
    done(warm.run(project.folder, project.package, "models", "rollback", "mine"))
    with served(project, "models/mine") as url:
        assert get(f"{url}/version")["model"] == "mine/1"
        assert len(send(url, rows[:2])) == 2
    listed = json.loads(done(warm.run(project.folder, project.package, "models", "list")).partition("[")[2].join("[ "))
    assert [one["state"] for one in listed] == ["current", "rolled back"]
