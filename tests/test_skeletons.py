"""Models that `create_model_skeleton` writes pass every check untouched, in each family of tasks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from my_project_agents import assembly, skeleton
from tests import answers
from tests.harness import Result, Sample, Warm, command, render_sample

SKILLS = Path(".claude/skills")

every_family = pytest.mark.parametrize("family", answers.FAMILIES)


def blocks(project: Sample) -> list[str]:
    """Which families of blocks fit the data of a project."""
    preset = skeleton.default_preset(project.source)
    data = yaml.safe_load((project.source / f"presets/{preset}.yaml").read_text("utf-8"))["data"]["kind"]
    return list(assembly.read_wiring(data)["families"])


@pytest.fixture(scope="module")
def projects(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    """A project of every family of tasks, with a new model of each family of blocks."""
    folder = tmp_path_factory.mktemp("skeletons")
    found = {name: render_sample(template, folder, name, given) for name, given in answers.FAMILIES.items()}
    for project in found.values():
        for family in blocks(project):
            for path, text in skeleton.compose(f"new_{family}", family, project.folder).items():
                path.write_text(text, encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def lint(projects: dict[str, Sample]) -> list[Result]:
    """One run of ruff's linter and one of its formatter over all of them."""
    folder = next(iter(projects.values())).folder.parent
    commands = (["ruff", "check", "--no-cache", "--output-format=concise"], ["ruff", "format", "--no-cache", "--check"])
    return [command(argv, folder) for argv in commands]


@every_family
def test_ruff_and_mypy_find_nothing(family: str, projects: dict[str, Sample], lint: list[Result], warm: Warm) -> None:
    found = [line for result in lint for line in result.output.splitlines() if f"{family}/" in line]
    assert not found, "\n".join(found)
    result = warm.run(projects[family].folder, "mypy", "--python-version=3.11")
    assert result.status == 0, result.output


@every_family
def test_the_written_tests_and_those_of_all_models_pass(family: str, projects: dict[str, Sample], warm: Warm) -> None:
    folder, fitting = projects[family].folder, blocks(projects[family])
    files = ["tests/test_seeded_losses.py", *sorted(str(path) for path in folder.glob("tests/test_new_*.py"))]
    options = ("-q", "-p", "no:cacheprovider", "--no-cov", "--update-golden")
    result = warm.run(folder, "pytest", *options, "-k", "new_", *files)
    assert result.status == 0, result.output
    assert {path.stem for path in folder.glob("tests/golden/new_*.json")} == {f"new_{each}" for each in fitting}
    one = fitting[list(answers.FAMILIES).index(family) % len(fitting)]  # they take seconds: each family has its turn
    result = warm.run(folder, "pytest", *options[:-1], "-k", f"new_{one}", "tests/test_models.py")
    assert result.status == 0, result.output


def script(project: Sample, path: str, *words: str) -> tuple[int, Any]:
    """Run a script of the skills as a person does; return its status, and its JSON or what it says."""
    environment = {"PYTHONPATH": str(project.folder / "src")}
    result = command([sys.executable, SKILLS / path, *words], project.folder, environment)
    _, brace, rest = f"\n{result.output}".partition("\n{\n")  # what it says while at work comes first
    return result.status, json.loads(f"{{{rest}") if brace else result.output


@pytest.mark.parametrize("project", ["default"], indirect=True)
def test_the_scripts_do_what_the_skill_says(project: Sample, warm: Warm) -> None:
    words = ("--name", "wide_net", "--family", "transformer")
    made = "ml-expert/scripts/init_model_template.py"
    dry, written, again = (script(project, made, *words, *more) for more in (("--dry-run",), (), ()))
    assert dry == (0, {**written[1], "dry_run": True})
    assert all((project.folder / name).is_file() for name in written[1]["files"])
    assert [Path(name).name for name in written[1]["files"]][-1] == "wide_net.json"
    assert again[0] == 2
    assert "nothing is overwritten" in again[1]
    tests = ("tests/test_wide_net.py", "tests/test_seeded_losses.py")
    result = warm.run(project.folder, "pytest", "-q", "-p", "no:cacheprovider", "--no-cov", *tests, "-k", "wide_net")
    assert result.status == 0, result.output
    checked = script(project, "ml-expert/scripts/test_model.py", "--model", "wide_net")
    assert checked[0] == 0, checked
    status, measured = script(project, "ml-expert/scripts/profile_performance.py", "--preset", "wide_net")
    assert (status, measured["kind"]) == (0, "wide_net")
    for path in ("ml-expert/scripts/validate_architecture.py", "functionality-audit/scripts/audit.py"):
        found = script(project, path)
        assert found[0] == 0, found
    model = project.source / "models/wide_net.py"
    model.write_text(model.read_text("utf-8").replace("self.embed(inputs)", "self.embed(inputs * 0)"), encoding="utf-8")
    status, checked_again = script(project, "ml-expert/scripts/test_model.py", "--model", "wide_net")
    assert (status, {each["name"] for each in checked_again["checks"] if not each["ok"]} >= {"inputs"}) == (1, True)
