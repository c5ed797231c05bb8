# copier: filter replace("my_project", package_name)
"""The three audits find what was planted, and nothing in a project that is in order."""

from pathlib import Path

import pytest

import my_project
from my_project_agents import audits

NAME = my_project.__name__
GOOD = '''"""It adds."""


def add(first: int, second: int) -> int:
    """Return the sum."""
    return first + second
'''
COMMANDS = '''"""Does as if it were the commands of a project."""

import json
import sys
from pathlib import Path

words = sys.argv[1:]
out = Path(words[words.index("--train.out") + 1] if "--train.out" in words else words[1])
files = {"train": "best.pt", "evaluate": "evaluation.json", "report": "report.html"}
if words[0] in files:
    out.mkdir(exist_ok=True)
    (out / files[words[0]]).touch()
sys.stdout.write(json.dumps({"words": words}))
'''
SETTINGS = """
[tool.ruff]
line-length = 120
[tool.ruff.lint]
select = ["D1", "E", "F"]
[tool.mypy]
strict = true
files = ["src"]
mypy_path = "src"
"""


@pytest.fixture
def project(workspace: Path) -> Path:
    """A small project in order."""
    (workspace / "src" / NAME).mkdir(parents=True)
    (workspace / "pyproject.toml").write_text(SETTINGS)
    (workspace / "src" / NAME / "__init__.py").write_text('"""A project."""\n')
    (workspace / "src" / NAME / "adding.py").write_text(GOOD)
    return workspace


def write(project: Path, text: str) -> None:
    (project / "src" / NAME / "bad.py").write_text(text)


def rules(found: dict[str, object]) -> set[str]:
    findings = found["findings"]
    assert isinstance(findings, list)
    assert found["ok"] == (not findings)
    return {each["rule"] for each in findings}


def test_the_audit_of_the_code_finds_rules_types_length_and_paths(project: Path) -> None:
    body = "\n".join(f"    if a == {number}:\n        return {number}" for number in range(20))
    write(project, f'"""Bad."""\n\nimport os\n\n\ndef f(a: int) -> str:\n    """Do."""\n{body}\n    return ""\n')
    found = audits.code(project)
    assert rules(found) == {"F401", "mypy", "long function", "complex function"}
    assert found["longest"][0] == {"function": f"src/{NAME}/bad.py:f", "value": 41}
    assert found["most_complex"][0]["value"] == 21
    (project / "src" / NAME / "bad.py").unlink()
    assert rules(audits.code(project)) == set()


def test_the_audit_of_the_style_finds_format_docstrings_lines_and_files(project: Path) -> None:
    assert rules(audits.style(project)) == set()
    write(project, "def f( a: int ) -> int:\n    return a\n\n\n" + "# " + "x" * 130 + "\n" + "A = 1\n" * 250)
    found = audits.style(project)
    assert rules(found) == {"format", "docstring", "line", "file"}
    silent = [each["what"] for each in found["findings"] if each["rule"] == "docstring"]
    assert silent == ["Missing docstring in public module", "Missing docstring in public function"]


def test_the_audit_of_functionality_runs_the_commands_from_end_to_end(project: Path) -> None:
    main = project / "src" / NAME / "__main__.py"
    main.write_text(COMMANDS)
    assert rules(audits.functionality(project)) == {"command"}  # nothing to predict
    (project / "examples").mkdir()
    (project / "examples" / "notebook.py").write_text('PATH = "examples/row.csv"\n')
    (project / "examples" / "row.csv").touch()
    found = audits.functionality(project)
    assert rules(found) == set()
    assert [step["command"] for step in found["steps"]] == ["data verify", "train", "evaluate", "predict", "report"]


@pytest.mark.parametrize(
    ("old", "new", "command", "what"),
    [
        ('"best.pt"', '"other.pt"', "train", "it writes no best.pt"),
        ('"report.html"', '"page.html"', "report", "it writes no report.html"),
        ("json.dumps(", "repr(", "data verify", "it prints no JSON"),
        ("words = sys.argv[1:]", "words = sys.argv[1:]\nassert words[0] != 'evaluate'", "evaluate", "status 1"),
    ],
)
def test_a_command_that_does_not_do_its_work_is_named(
    old: str, new: str, command: str, what: str, project: Path
) -> None:
    (project / "src" / NAME / "__main__.py").write_text(COMMANDS.replace(old, new))
    told = [each["what"] for each in audits.functionality(project)["findings"] if each["where"] == command]
    assert any(line.startswith(what) for line in told), told
    # copier: endfilter
