"""What the guides tell an owner to write and to run works in a rendered project, and their tables are true."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.answers import QUESTIONS, ROOT
from tests.harness import Result, Sample, Warm, command, release

FILE = re.compile(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)
BLOCK = re.compile(r"<!-- in: my-project[^>]*-->\n```sh\n(.*?)```", re.DOTALL)
ROW = re.compile(r"^\| ([\w.-]+) \| ([\d.]+) \|", re.MULTILINE)
OFF = ("-p", "no:cacheprovider", "--no-cov")


def guide(name: str) -> str:
    """The text of a page."""
    return (ROOT / f"docs/{name}.md").read_text(encoding="utf-8")


def run(project: Sample, warm: Warm, line: str) -> Result:
    """Run a line of `uv run ...` in a project."""
    words = shlex.split(line)[2:]
    if words[0] == "pytest":
        return warm.run(project.folder, "pytest", "-q", *OFF, *words[1:])
    return warm.run(project.folder, "my_project", *words[1:])


@pytest.mark.parametrize("project", ["default"], indirect=True)
def test_the_model_of_the_guide_is_written_trained_and_tested(project: Sample, warm: Warm) -> None:
    page = guide("write-a-model")
    written = dict(FILE.findall(page))
    assert len(written) == 3
    for name, text in written.items():
        (project.folder / name).write_text(text, encoding="utf-8")
    for argv in (["ruff", "check", "--no-cache", *written], ["ruff", "format", "--no-cache", "--check", *written]):
        result = command([word for word in argv if not word.endswith(".yaml")], project.folder)
        assert result.status == 0, result.output
    lines = [line for block in BLOCK.findall(page) for line in block.splitlines()]
    assert len(lines) == 6
    for line in [*lines, "uv run pytest tests/test_line_reader.py tests/test_seeded_losses.py tests/test_house.py"]:
        result = run(project, warm, line)
        assert result.status == 0, f"{line}\n{result.output}"
    golden = command(
        ["git", "diff", "--no-index", "--stat", "/dev/null", "tests/golden/line_reader.json"], project.folder
    )
    assert "1 file changed" in golden.output


@pytest.mark.parametrize("project", ["default"], indirect=True)
def test_a_project_that_has_left_works_and_is_updated_no_more(project: Sample, warm: Warm) -> None:
    page = guide("leave")
    release(project.folder, "before")
    for line in BLOCK.findall(page)[0].splitlines():
        assert command(shlex.split(line), project.folder).status == 0, line
    checked = warm.run(project.folder, "my_project", "agents", "check")
    assert checked.status == 0, checked.output
    trained = warm.run(project.folder, "my_project", "train", "--fast-dev-run")
    assert trained.status == 0, trained.output
    (project.folder / "loop.py").write_text(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], encoding="utf-8")
    loop = warm.run(project.folder, "run_file", "loop.py")
    assert loop.status == 0, loop.output
    refused = command(["copier", "update", "--defaults"], project.folder)
    assert refused.status != 0


def test_the_table_of_compatibility_says_what_pyproject_says() -> None:
    table = tomllib.loads((ROOT / "template/pyproject.toml").read_text(encoding="utf-8"))
    project = table["project"]
    lines = [*project["dependencies"], *table["dependency-groups"]["docs"], *table["build-system"]["requires"]]
    floors = {need.name.replace("uv_build", "uv"): str(need.specifier)[2:] for need in map(Requirement, lines)}
    settings = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    floors |= {"Python": project["requires-python"][2:], "Copier": settings["_min_copier_version"]}
    assert dict(ROW.findall(guide("compatibility"))) == floors
    assert f"PyTorch only, {floors['torch']} or newer;" in (ROOT / "template/CLAUDE.md").read_text(encoding="utf-8")


def test_every_question_has_its_row_on_the_page_of_options_and_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in QUESTIONS:
        assert f"| `{name}` | " in guide("options")
        assert f"| `{name}` | " in readme


def test_the_table_of_what_answers_add_has_every_switch(tmp_path: Path) -> None:
    told = {
        name for name, *_ in re.findall(r"^\| `([\w=]+)` \| (\d+) \| (-?[\d,]+) \|", guide("options"), re.MULTILINE)
    }
    switches = {name for name, question in QUESTIONS.items() if question["type"] == "bool"}
    assert switches <= told
    printed = command(["python", ROOT / "scripts/options.py", "docker"], tmp_path)
    assert printed.status == 0, printed.output
    assert re.search(r"^\| `docker` \| 3 \| \d+ \| none \|", printed.output, re.MULTILINE)
