# copier: filter replace("my_project", package_name)
"""Reports have the sections that their readers rely on, and name what is really there."""

import json
import subprocess
from pathlib import Path

import pytest

from my_project.__main__ import main
from my_project_agents import reports

PLAN = """## Implementation Plan

### Files to Create/Modify
1. `src/net.py` - the network
2. `tests/test_net.py` - its tests

### Implementation Order
1. The network
2. Its tests

### Proceeding with implementation...
"""
COMPLETE = """## Implementation Complete

### Files Created/Modified
- `src/net.py` - the network
- `tests/test_net.py` - its tests

### Testing
- Run: `pytest tests/test_net.py -v`

### Next Steps
- None
"""
REPORT = """## Output Report

### Files created/modified
- `src/net.py` - the network

### Tests added and their results
- `tests/test_net.py` - 4 passed

### Documentation updated
- None

### E2E scenarios affected
- train, then predict

### Decisions made and why
- A residual stream, because the plain one did not train

### Remaining concerns or risks
- None

### Breaking changes
- `dim` is called `width` - rename it in YAML files
"""


def git(words: str) -> None:
    command = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", *words.split()]
    subprocess.run(command, check=True)


@pytest.fixture
def project(workspace: Path) -> Path:
    """A repository with the files that the reports name."""
    git("init -q")
    git("commit -q --allow-empty -m start")
    for name in ("pyproject.toml", "src/net.py", "tests/test_net.py"):
        (workspace / name).parent.mkdir(exist_ok=True)
        (workspace / name).touch()
    return workspace


@pytest.mark.parametrize("text", [PLAN, COMPLETE, REPORT])
def test_a_report_in_its_format_is_accepted(project: Path, text: str) -> None:
    assert reports.check(text, project) == []


@pytest.mark.parametrize(
    ("text", "old", "new", "problem"),
    [
        (PLAN, "## Implementation Plan", "## My plan", "got the heading 'My plan', want '## ' and one of"),
        (
            PLAN,
            "### Proceeding with implementation...",
            "",
            "section '### Proceeding with implementation...' is missing",
        ),
        (PLAN, "the network\n2", "[purpose]\n2", "'[purpose]' is not filled in"),
        (PLAN, "`src/net.py` - the network", "the network", "got 'the network', want '`path` - what'"),
        (COMPLETE, "- Run: `pytest tests/test_net.py -v`", "- all fine", "### Testing wants a line '- Run: `command`'"),
        (COMPLETE, "### Testing\n- Run: `pytest tests/test_net.py -v`", "", "the section '### Testing' is missing"),
        (COMPLETE, "- None", "", "'### Next Steps' is empty; write None where there is nothing"),
        (COMPLETE, "### Next Steps", "### Outlook", "'### Outlook' is no section of Implementation Complete"),
        (COMPLETE, "src/net.py", "src/gone.py", "src/gone.py is not there"),
        (REPORT, "### E2E scenarios affected\n- train, then predict", "", "'### E2E scenarios affected' is missing"),
        (REPORT, "### Breaking changes\n- `dim` is called `width` - rename it in YAML files", "", "is missing"),
        (REPORT, " - rename it in YAML files", "", "want 'what changes - how to migrate'"),
        (REPORT, "- `tests/test_net.py` - 4 passed", "- None", "report: tests: "),
        (REPORT, "- `tests/test_net.py` - 4 passed", "- all pass", "got 'all pass', want '`path` - what'"),
    ],
)
def test_what_is_wrong_with_a_report_is_named(project: Path, text: str, old: str, new: str, problem: str) -> None:
    assert old in text
    assert problem in " ".join(reports.check(text.replace(old, new), project))


def test_what_no_plan_named_has_its_reason_in_the_report(project: Path) -> None:
    (project / "src/other.py").touch()
    more = COMPLETE.replace("\n\n### Testing", "\n- `src/other.py` - a bug mended\n\n### Testing")
    assert reports.check(more, project) == []
    assert reports.check(more, project, plan=PLAN) == [
        "src/other.py is in no plan: say why below '### Beyond the spec'"
    ]
    said = more + "\n### Beyond the spec\n- `src/other.py` lost the last row of a batch\n"
    assert reports.check(said, project, plan=PLAN) == []


def test_files_that_changed_and_files_that_are_named_are_the_same(project: Path) -> None:
    (project / "notes.txt").touch()
    told = reports.check(COMPLETE, project, since="HEAD")
    assert told == [
        f"{name} has changed since HEAD, and the report does not name it" for name in ("notes.txt", "pyproject.toml")
    ]
    git("add src")
    git("commit -q -m net")
    assert "src/net.py has not changed since HEAD" in reports.check(COMPLETE, project, since="HEAD")
    with pytest.raises(ValueError, match="--since nowhere"):
        reports.check(COMPLETE, project, since="nowhere")


def test_a_report_becomes_data() -> None:
    report = reports.to_schema(reports.read(REPORT)[1])
    assert report.files[0].path == "src/net.py"
    assert (report.documentation, report.e2e_scenarios) == ([], ["train, then predict"])
    assert report.breaking_changes[0].migration == "rename it in YAML files"


def test_the_command_checks_a_report_and_writes_one_to_fill_in(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (project / "report.md").write_text(REPORT)
    assert main(["tasks", "report", "--check", "report.md"]) == 0
    assert json.loads(capfd.readouterr().out)["files"] == {"src/net.py": "the network"}
    (project / "plan.md").write_text(PLAN)
    assert main(["tasks", "report", "--check", "report.md", "--plan", "plan.md"]) == 0
    capfd.readouterr()
    assert main(["tasks", "report"]) == 0
    text = json.loads(capfd.readouterr().out)["report"]
    assert "- `src/net.py` - [what]\n" in text
    assert "'[what]' is not filled in" in reports.check(text, project)
    (project / "report.md").write_text(text)
    with pytest.raises(SystemExit) as failed:
        main(["tasks", "report", "--check", "report.md"])
    assert failed.value.code == 1
    # copier: endfilter
