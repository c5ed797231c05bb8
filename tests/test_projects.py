"""Rendered projects pass their own tests: the default one all of them, others those that only they have."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Callable

import pytest

from tests import answers
from tests.harness import Sample, Warm

ROOT = answers.ROOT
CORE = ("commands", "config", "house")  # tests that look at what a family brings, and are not its own
WHOLE = ["default", "all-on"]  # the second without what the first has as well, in tests/test_all_on.py
PARTS = {family: name for family, name in answers.one_of_each_family().items() if name not in WHOLE}
MORE = ("trm_titans_mag", "experiments")  # both bring tests to a family of sequences
PARTS |= {family: answers.having(family, *MORE) for family in answers.SEQUENCES if family in PARTS}
PARTS["classification-image"] = answers.having("classification-image", "experiments", "own_data")
AGENTIC = [name for name in (*WHOLE, *PARTS.values()) if answers.samples()[name].get("agents", True)]
AGENTS = (".claude", "CLAUDE.md", "AGENTS.md", "tasks.json")


def own_tests(project: Sample) -> set[str]:
    """The files of a project's tests."""
    return {path.relative_to(project.folder).as_posix() for path in project.folder.glob("tests/**/test_*.py")}


def run_whole(project: Sample, warm: Warm) -> None:
    """Run all tests of a project, as its README says."""
    result = warm.run(project.folder, "pytest", "-q", "-p", "no:cacheprovider", limit=3000)
    assert result.status == 0, result.output
    assert re.search(r"Required test coverage of 90.* reached", result.output), result.output


def run_own(project: Sample, others: list[Sample], warm: Warm) -> None:
    """Run the tests of a project that no other has, and those that look at what it brings."""
    core = {f"tests/test_{name}.py" for name in CORE}
    files = own_tests(project).difference(*map(own_tests, others)) | core
    words = ["-q", "-p", "no:cacheprovider", "--no-cov", *sorted(files)]
    result = warm.run(project.folder, "pytest", *words, limit=3000)
    assert result.status == 0, result.output


@pytest.mark.parametrize("project", ["default"], indirect=True)
def test_the_projects_own_tests_pass(project: Sample, warm: Warm) -> None:
    run_whole(project, warm)


@pytest.mark.parametrize("project", PARTS.values(), ids=PARTS, indirect=True)
def test_the_tests_of_its_family_pass(project: Sample, renders: Callable[[str], Sample], warm: Warm) -> None:
    run_own(project, [renders(name) for name in WHOLE], warm)


@pytest.mark.parametrize("project", ["default"], indirect=True)
def test_without_what_agents_read_the_tests_pass_as_well(project: Sample, warm: Warm) -> None:
    for name in AGENTS:
        path = project.folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    texts = {name: (project.folder / name).read_text("utf-8") for name in own_tests(project)}
    reading = [name for name, text in texts.items() if any(each in text for each in AGENTS)]
    assert all(name.startswith("tests/agents/") for name in reading), reading  # others cannot tell the difference
    files = ["tests/agents", *(f"tests/test_{name}.py" for name in CORE)]
    result = warm.run(project.folder, "pytest", "-q", "-p", "no:cacheprovider", "--no-cov", *files)
    assert result.status == 0, result.output
    assert "was removed" in result.output, result.output


def test_every_test_of_the_template_is_run(renders: Callable[[str], Sample]) -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    here = {path.removeprefix("template/") for path in options["testpaths"]}
    libraries = ("timm_classifier", "transformers_classifier", "track_mlflow", "track_wandb")  # tests/installed.py
    elsewhere = {f"tests/test_{name}.py" for name in (*libraries, "track_tensorboard")}  # tests/test_trackers.py
    names = (*WHOLE, *PARTS.values())
    found = here | elsewhere | {name for sample in names for name in own_tests(renders(sample))}
    template = ROOT / "template"
    wanted = {path.relative_to(template).as_posix() for path in template.glob("tests/**/test_*.py")}
    assert wanted <= found, f"in no project whose tests run here, add one to PARTS: {sorted(wanted - found)}"


@pytest.mark.parametrize("sample", AGENTIC, indirect=True)
def test_a_new_project_begins_with_the_nine_steps_of_its_default_preset(sample: Sample, warm: Warm) -> None:
    script = str(ROOT / "tests/first_tasks.py")
    result = warm.run(sample.folder, "run_file", script, sample.package)
    assert (result.status, result.output) == (0, "")


@pytest.mark.parametrize("sample", ["all-on"], indirect=True)  # of the default, tests/test_install.py asks it
def test_what_a_commit_asks_of_a_project_holds(sample: Sample, warm: Warm) -> None:
    for module, *words in (["run_file", "hooks/configs_load.py"], [sample.package, "data", "verify"]):
        result = warm.run(sample.folder, module, *words)
        assert result.status == 0, result.output


@pytest.mark.parametrize("sample", [answers.having(family, "sweep") for family in answers.FAMILIES], indirect=True)
def test_every_familys_search_and_presets_load(sample: Sample, warm: Warm) -> None:
    result = warm.run(sample.folder, "run_file", "hooks/configs_load.py")
    assert (sample.folder / "configs/search.yaml").is_file()
    assert (result.status, result.output) == (0, "")


@pytest.mark.parametrize("project", ["default"], indirect=True)
def test_what_is_no_config_is_told_in_a_line_each(project: Sample, warm: Warm) -> None:
    (project.folder / "configs/folder.yaml").mkdir()
    (project.folder / "configs/deep.yaml").write_text("[" * 3000 + "]" * 3000, encoding="utf-8")
    (project.folder / "configs/link.yaml").symlink_to("nowhere")
    result = warm.run(project.folder, "run_file", "hooks/configs_load.py")
    said = [(line.split(":")[0], line.split(": ")[1].split(";")[0]) for line in result.output.splitlines()]
    nothing = "want a file, found a folder or a link that leads nowhere"
    wanted = {"deep": "nested too deeply", "folder": nothing, "link": nothing}
    assert (result.status, said) == (1, [(f"configs/{name}.yaml", why) for name, why in wanted.items()])
