# copier: filter replace("my_project", package_name)
"""Hand-off pages hold no blanks and agree with themselves; what a run needs is read from its folder."""

import json
import math
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from my_project import run as commands
from my_project.__main__ import main
from my_project_agents import handoffs, pages

PROJECT = Path(__file__).parents[2]
PAGES = PROJECT / handoffs.FOLDER


@pytest.fixture
def project(workspace: Path) -> Path:
    """A project with the pages as they are in a new one."""
    (workspace / handoffs.FOLDER).mkdir(parents=True)
    (workspace / "pyproject.toml").touch()
    for name, sections in handoffs.SECTIONS.items():
        body = "".join(f"## {section}\n\n[fill: something]\n\n" for section in sections)
        (workspace / handoffs.FOLDER / f"{name}.md").write_text(f"# {name}\n\n{body}")
    return workspace


def filled(path: Path, **sections: str) -> Path:
    text = pages.BLANK.sub("said", path.read_text("utf-8"))
    for name, body in sections.items():
        heading = name.replace("_", " ")
        text = text.replace(f"## {heading}\n\nsaid", f"## {heading}\n\n{body}")
    path.write_text(text)
    return path


def power(rates: tuple[float, float], users: int, significance: float) -> float:
    """The chance that the z-test on pooled rates sees the difference, by the normal approximation, one tail."""
    mean = sum(rates) / 2
    error = math.sqrt(sum(rate * (1 - rate) for rate in rates) / users)
    limit = -NormalDist().inv_cdf(significance / 2) * math.sqrt(2 * mean * (1 - mean) / users)
    return 1 - NormalDist(abs(rates[1] - rates[0]), error).cdf(limit)


@pytest.mark.parametrize(
    ("baseline", "effect", "significance", "wanted"),
    [(0.1, 0.02, 0.05, 0.8), (0.5, -0.1, 0.01, 0.9), (0.003, 0.001, 0.05, 0.8), (0.9, 0.05, 0.1, 0.95)],
)
def test_an_arm_has_just_as_many_users_as_its_power_takes(
    baseline: float, effect: float, significance: float, wanted: float
) -> None:
    users = handoffs.abtest_size(baseline, effect, significance=significance, power=wanted)
    rates = (baseline, baseline + effect)
    assert power(rates, users, significance) >= wanted > power(rates, users - 1, significance)


@pytest.mark.parametrize(
    ("baseline", "effect", "significance", "wanted", "users"),
    [
        (0.1, 0.02, 0.05, 0.8, 3840.8474824362734),
        (0.5, -0.1, 0.01, 0.9, 734.0537594449764),
        (0.003, 0.001, 0.05, 0.8, 54748.68163536811),
        (0.9, 0.05, 0.1, 0.95, 597.9220427699019),
    ],
)
def test_the_size_is_that_of_statsmodels(
    baseline: float, effect: float, significance: float, wanted: float, users: float
) -> None:
    # samplesize_proportions_2indep_onetail of statsmodels 0.15.0, two-sided, with equal arms
    assert handoffs.abtest_size(baseline, effect, significance=significance, power=wanted) == math.ceil(users)


def test_a_test_of_that_size_sees_the_effect_as_often_as_was_promised() -> None:
    users, draw = handoffs.abtest_size(0.1, 0.02), np.random.default_rng(0)
    assert users == 3841
    first, second = (draw.binomial(users, rate, 20_000) / users for rate in (0.10, 0.12))
    mean = (first + second) / 2
    scores = (second - first) / np.sqrt(2 * mean * (1 - mean) / users)
    assert np.mean(np.abs(scores) > 1.959964) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("words", ["0.1 0", "0.9 0.2", "0 0.1", "0.1 -0.1", "1.5 0.1"])
def test_rates_that_are_none_are_refused(words: str, capfd: pytest.CaptureFixture[str]) -> None:
    baseline, effect = words.split()
    assert main(["handoff", "size", "--baseline", baseline, "--effect", effect]) == 2
    assert "want two different ones between 0 and 1" in capfd.readouterr().err


def test_the_command_says_how_many_users_an_arm_needs(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["handoff", "size", "--baseline", "0.1", "--effect", "0.02"]) == 0
    assert json.loads(capfd.readouterr().out) == {"users_per_arm": 3841, "users": 7682}


def test_every_blank_of_every_page_is_named(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as failed:
        main(["handoff", "check"])
    told = json.loads(capfd.readouterr().out)
    assert (failed.value.code, told["pages"]) == (1, [f"{name}.md" for name in handoffs.SECTIONS])
    assert "backend.md: 'Latency' is not filled in: [fill: something]" in told["problems"]
    filled(project / handoffs.FOLDER / "data.md")
    assert main(["handoff", "check", "docs/handoffs/data.md"]) == 0
    (project / handoffs.FOLDER / "data.md").write_text("# Data\n")
    assert "data.md: the section '## Quality' is missing" in handoffs.check(project / handoffs.FOLDER / "data.md")


PLAN = "\n".join(f"- {name}: {value}" for name, value in zip(handoffs.PLAN, (0.1, 0.02, 0.05, 0.8), strict=True))


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        (f"{PLAN}\n- Users per arm: 3,841", ""),
        (f"{PLAN}\n- Users per arm: 3840", "has 3840 users per arm, want 3841 at least"),
        (PLAN, "wants a line '- Users per arm: NUMBER'"),
        (f"{PLAN}\n- Users per arm: many", "wants a line '- Users per arm: NUMBER'"),
        (f"{PLAN}\n- Users per arm: 9".replace("0.02", "0.95"), "want two different ones between 0 and 1"),
    ],
)
def test_an_ab_plan_has_enough_users(project: Path, plan: str, problem: str) -> None:
    page = filled(project / handoffs.FOLDER / "product.md", **{"A/B_plan": plan})
    assert problem in " ".join(handoffs.check(page))
    assert bool(handoffs.check(page)) == bool(problem)


def test_the_infrastructure_page_gets_the_figures_of_a_run_and_keeps_the_rest(
    project: Path, trained: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    page = project / handoffs.FOLDER / "infrastructure.md"
    filled(page, Figures_of_a_run="A sentence.\n\n- Run: [fill: by the command]")
    rest = [body for name, body in pages.sections(page.read_text("utf-8")).items() if name != handoffs.FIGURES]
    for _ in range(2):
        assert main(["handoff", "fill", str(trained)]) == 0
    written = json.loads(capfd.readouterr().out.partition("}")[0] + "}")
    sections = pages.sections(page.read_text("utf-8"))
    assert [body for name, body in sections.items() if name != handoffs.FIGURES] == rest
    assert sections[handoffs.FIGURES].startswith("A sentence.\n\n- Run: ")
    assert pages.values(sections[handoffs.FIGURES]) == written
    assert handoffs.check(page) == []


def test_parameters_memory_and_disk_of_a_run_are_those_on_the_disk(trained: Path) -> None:
    found = handoffs.needs(trained)
    _, model, _ = commands.open_run(trained)
    assert found["Parameters"] == f"{sum(p.numel() for p in model.parameters()):,}"
    assert found["Weights"] == handoffs.megabytes(sum(t.nbytes for t in model.state_dict().values()))
    assert found["Disk"] == handoffs.megabytes(sum(f.stat().st_size for f in trained.rglob("*") if f.is_file()))
    kinds = ("Weights", "Training state, without activations")
    weights, training = (float(found[name].removesuffix(" MB")) for name in kinds)
    assert training > 3 * weights, "weights, gradients and two moments"


def test_the_pages_of_the_project_have_the_sections_that_are_checked() -> None:
    for name, sections in handoffs.SECTIONS.items():
        if not (PAGES / f"{name}.md").exists():
            pytest.skip("docs/handoffs was removed")
        assert set(sections) <= set(pages.sections((PAGES / f"{name}.md").read_text("utf-8")))
    # copier: endfilter
