"""What CI services, bots, editors and Windows read is well formed, asks for little, and is pinned."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests import answers
from tests.answers import ROOT
from tests.harness import Sample, command

SCHEMAS = {  # of check-jsonschema, which brings them along
    ".github/workflows/check.yml": "github-workflows",
    ".github/workflows/canary.yml": "github-workflows",
    ".github/dependabot.yml": "dependabot",
    ".github/renovate.json": "renovate",
    "renovate.json": "renovate",
    ".gitlab-ci.yml": "gitlab-ci",
}
USES = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
BIN = Path(sys.executable).parent


OTHER = next(  # of GitHub, with a container and another lowest Python than the default
    name
    for name, row in answers.samples().items()
    if row.get("ci") == "github" and row["docker"] and row["python_version"] == "3.12"
)
CHOSEN = ["default", "all-on", OTHER]


@pytest.fixture(scope="module")
def forms(renders: Callable[[str], Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every form in which these files are rendered, and this repository's own, once each."""
    folder, seen = tmp_path_factory.mktemp("forms"), set[tuple[str, str]]()
    for name, home in [("own", ROOT), *((name, renders(name).folder) for name in CHOSEN)]:
        for file in SCHEMAS:
            if (home / file).exists() and (file, text := (home / file).read_text(encoding="utf-8")) not in seen:
                seen.add((file, text))
                (folder / name / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / name / file).write_text(text, encoding="utf-8")
    return folder


def workflows(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the workflows of GitHub in a folder with their texts."""
    for path in sorted(folder.rglob(".github/workflows/*.yml")):
        yield path, path.read_text(encoding="utf-8")


def problems(file: Path, schema: str) -> str:
    """What check-jsonschema says of a file, or nothing."""
    result = command([BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", file], file.parent)
    return result.output if result.status else ""


def findings(folder: Path) -> str:
    """What zizmor finds in the workflows and the settings of Dependabot of a folder, or nothing; it asks no network."""
    result = command([BIN / "zizmor", "--offline", "--persona=pedantic", "--quiet", folder], folder)
    return result.output if result.status else ""


@pytest.mark.parametrize("file", SCHEMAS)
def test_each_file_has_the_form_that_its_service_wants(forms: Path, file: str) -> None:
    found = sorted(path for path in forms.glob(f"*/{file}"))
    assert found
    result = command([BIN / "check-jsonschema", "--builtin-schema", f"vendor.{SCHEMAS[file]}", *found], forms)
    assert result.status == 0, result.output


def test_zizmor_finds_nothing_in_any_workflow(forms: Path) -> None:
    assert not findings(forms)


def test_what_is_wrong_on_purpose_is_found(forms: Path, tmp_path: Path) -> None:
    path, text = next(workflows(forms))
    bad = tmp_path / ".github/workflows/bad.yml"
    bad.parent.mkdir(parents=True)
    bad.write_text(re.sub(r"@[0-9a-f]{40} # (v\S+)", r"@\1", text), encoding="utf-8")
    assert "unpinned-uses" in findings(tmp_path)
    bad.write_text(text.replace("    runs-on: ubuntu-latest\n", ""), encoding="utf-8")
    assert "runs-on" in problems(bad, "github-workflows")
    assert not problems(path, "github-workflows")


def test_every_action_is_pinned_by_its_commit_everywhere_the_same(forms: Path) -> None:
    lines = {line.strip().removeprefix("- ") for _, text in workflows(forms) for line in text.splitlines()}
    used = {line for line in lines if line.startswith("uses:")}
    assert used
    assert {line for line in used if not USES.fullmatch(line)} == set()
    assert len({line.split("@")[0] for line in used}) == len(used)  # in the template as in this repository


def test_a_workflow_may_only_read_and_ends_by_itself(forms: Path) -> None:
    for path, text in workflows(forms):
        table = yaml.safe_load(text)
        assert table["permissions"] == {"contents": "read"}, path
        for job in table["jobs"].values():
            assert "permissions" not in job
            assert job["timeout-minutes"] <= 90
            checkouts = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout")]
            assert [step["with"]["persist-credentials"] for step in checkouts] == [False]


def test_our_own_workflows_run_what_a_contributor_runs(renders: Callable[[str], Sample]) -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/check.yml").read_text(encoding="utf-8"))["jobs"]
    runs = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    assert runs["test"] == [".ci/run"]
    assert [*runs["lint"], "uv run pytest"] == project_commands(renders("default"))
    canary = (ROOT / ".github/workflows/canary.yml").read_text(encoding="utf-8")
    assert "python tests/canary.py" in canary
    shown = command([sys.executable, "tests/canary.py", "--help"], ROOT)
    assert shown.status == 0, shown.output
    weekly = yaml.safe_load(canary)["jobs"]["matrix"]["strategy"]["matrix"]["file"]
    tests = {path.stem for path in (ROOT / "tests").glob("*_*.py") if "\ndef test_" in path.read_text(encoding="utf-8")}
    assert weekly == sorted(name for name in tests if not name.startswith("test_"))  # too long for every push


def project_commands(sample: Sample) -> list[str]:
    """The commands of a rendered workflow."""
    table = yaml.safe_load((sample.folder / ".github/workflows/check.yml").read_text(encoding="utf-8"))
    return [step["run"] for step in table["jobs"]["check"]["steps"] if "run" in step]


def test_github_and_gitlab_run_the_same_commands_on_the_same_pythons(renders: Callable[[str], Sample]) -> None:
    pythons = dict[str, set[tuple[str, ...]]]()
    for name in CHOSEN:
        sample = renders(name)
        if (path := sample.folder / ".gitlab-ci.yml").exists():
            job = yaml.safe_load(path.read_text(encoding="utf-8"))["check"]
            assert job["script"] == ["pip install uv", *project_commands(renders("default"))]
            found = job["parallel"]["matrix"][0]["PYTHON"]
        elif (path := sample.folder / ".github/workflows/check.yml").exists():
            job = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]["check"]
            assert project_commands(sample) == project_commands(renders("default"))
            found = job["strategy"]["matrix"]["python"]
        else:
            continue
        pythons.setdefault(sample.answers.get("python_version", "3.11"), set()).add(tuple(found))
    assert pythons == {
        "3.11": {("3.11", "3.12", "3.13")},
        "3.12": {("3.12", "3.13")},
        "3.13": {("3.13",)},
    }


@pytest.mark.parametrize("sample", CHOSEN, indirect=True)
def test_the_container_to_develop_in_has_the_projects_python(sample: Sample) -> None:
    if not sample.answers.get("docker", False):
        return
    table = json.loads((sample.folder / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    version = sample.answers.get("python_version", "3.11")
    assert table["image"] == f"mcr.microsoft.com/devcontainers/python:{version}"
    assert table["name"] == sample.package.replace("_", "-")
    assert [words.split()[:2] for words in table["postCreateCommand"].split(" && ")] == [
        ["pip", "install"],
        ["uv", "sync"],
        ["uv", "run"],
    ]


def test_editors_and_git_agree_on_the_ends_of_lines(default: Sample) -> None:
    config = (default.folder / ".editorconfig").read_text(encoding="utf-8")
    assert "end_of_line = lf" in config
    assert "max_line_length = 120" in config
    assert (default.folder / ".gitattributes").read_text(encoding="utf-8").startswith("* text=auto eol=lf\n")
    for path in default.files(".py", ".md", ".toml", ".yml", ".yaml", ".json", ".html", ".txt"):
        content = path.read_bytes()
        assert b"\r" not in content, path
        assert content.endswith(b"\n") or not content, path


FAKE = """#!/bin/sh
echo "$UV_RESOLUTION $(basename "$0") $*" >> "$LOG"
case "$*" in
    copier*) for last; do :; done; mkdir "$last"; echo '"torch>=2.7",' > "$last/pyproject.toml" ;;
    "pip list") printf 'Package Version\\n------- -------\\ntorch   2.7.0\\nother   1.0\\n' ;;
esac
[ "$*" != "$FAILING" ]
"""


@pytest.mark.parametrize("failing", ["", "run pytest -q -rfE", "sync --locked"])
def test_the_canary_takes_each_step_and_fails_where_one_does(tmp_path: Path, failing: str) -> None:
    for name in ("uv", "uvx"):
        (tmp_path / name).write_text(FAKE, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    variables = {"PATH": f"{tmp_path}:/usr/bin:/bin", "LOG": str(tmp_path / "log"), "FAILING": failing}
    words: list[str | Path] = [sys.executable, ROOT / "tests/canary.py", "lowest", "default", "--folder", tmp_path]
    result = command(words, tmp_path, variables)
    taken = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    steps = [line.split()[1:4] for line in taken]
    assert taken[0].startswith("highest uvx copier copy --defaults")
    assert {line.split()[0] for line in taken[1:]} == {"lowest-direct"}
    assert len(steps) == (3 if failing == "sync --locked" else 8)
    assert result.status == bool(failing), result.output
    if failing:
        assert result.output.splitlines()[-1].startswith("failed: lowest default")
    else:
        assert ["uv", "run", "my-project"] in steps
        assert "torch 2.7.0" in result.output
        assert "other" not in result.output
