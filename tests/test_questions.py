"""Questions have help, a default and a validator; a bad answer is refused before a file is written."""

from __future__ import annotations

import importlib.metadata
import keyword
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.answers import QUESTIONS, ROOT, choices
from tests.harness import command, render

NAME = "wanted are 2 to 44 of a-z"
TAKEN = "wanted is another name"
LINE = "printable letters on one line"

REFUSED = [
    ("package_name", "nvidia_cublas", NAME),
    ("package_name", "class", TAKEN),
    ("package_name", "match", TAKEN),
    ("package_name", "test", TAKEN),
    ("package_name", "types", TAKEN),
    ("package_name", "json", TAKEN),
    ("package_name", "torch", TAKEN),
    ("package_name", "yaml", TAKEN),
    ("package_name", "rich", TAKEN),
    ("package_name", "pytest", TAKEN),
    ("package_name", "tests", TAKEN),
    ("package_name", "", NAME),
    ("package_name", "a", NAME),
    ("package_name", "a" * 45, NAME),
    ("package_name", "2fast", NAME),
    ("package_name", "My", NAME),
    ("package_name", "my-project", NAME),
    ("package_name", "my project", NAME),
    ("package_name", "my.project", NAME),
    ("package_name", "my__project", NAME),
    ("package_name", "_project", NAME),
    ("package_name", "project_", NAME),
    ("package_name", "größe", NAME),
    ("package_name", "o'neil", NAME),
    ("package_name", 'my"project', NAME),
    ("package_name", "my_project\n", NAME),
    ("package_name", "../escape", NAME),
    ("package_name", "{{ project }}", NAME),
    ("project_name", "", LINE),
    ("project_name", "   ", LINE),
    ("project_name", " My Project", LINE),
    ("project_name", "My\nProject", LINE),
    ("project_name", "My\tProject", LINE),
    ("project_name", "My\x1b[31mProject", LINE),
    ("project_name", "My\x7fProject", LINE),
    ("project_name", "My\u2028Project", LINE),
    ("project_name", "My \u202etcejorP", LINE),
    ("project_name", "My \udcff", LINE),
    ("project_name", "M" * 81, LINE),
    ("description", "", LINE),
    ("description", "one\ntwo", LINE),
    ("description", "d" * 201, LINE),
    ("author_name", "", LINE),
    ("author_name", "Ada\r\nLovelace", LINE),
    ("author_name", "A" * 81, LINE),
    ("author_email", "ada", "wanted is an address such as"),
    ("author_email", "ada@example", "wanted is an address such as"),
    ("author_email", 'a"b@example.org', "wanted is an address such as"),
    ("author_email", "ada@example.org\n", "wanted is an address such as"),
    ("license", "GPL", "is not in"),
    ("python_version", "3.10", "is not in"),
    ("torch_index", "cu999", "is not in"),
    ("task", "alchemy", "is not in"),
    ("variant", "smell", "is not in"),
    ("scope", "huge", "is not in"),
    ("pretrained", "huge", "is not in"),
    ("tracker", "huge", "is not in"),
    ("agent_model", "gpt", "is not in"),
    ("ci", "jenkins", "is not in"),
]


@pytest.mark.parametrize(("question", "answer", "wanted"), REFUSED)
def test_a_bad_answer_is_refused_in_one_line_and_nothing_is_written(
    template: Path, tmp_path: Path, question: str, answer: object, wanted: str
) -> None:
    with pytest.raises((ValueError, TypeError)) as refused:
        render(template, tmp_path / "project", {question: answer})
    message = str(refused.value)
    assert question in message
    assert wanted in message
    assert "\n" not in message
    assert not (tmp_path / "project").exists()


def test_every_case_of_refusal_has_its_question() -> None:
    # Copier reads any answer to a yes-or-no question as one of the two.
    yes_or_no = {name for name, question in QUESTIONS.items() if question["type"] == "bool"}
    assert {question for question, _, _ in REFUSED} == set(QUESTIONS) - yes_or_no


def test_what_is_no_known_no_is_a_yes(template: Path, tmp_path: Path) -> None:
    line = re.search(r"^A yes-or-no question .+$", (ROOT / "docs/options.md").read_text("utf-8"), re.MULTILINE)
    assert line
    *words, last = re.findall(r"`([^`]+)`", line[0])
    switches = [name for name, row in QUESTIONS.items() if row["type"] == "bool" and name != "docker"]
    given = dict(zip(switches, words, strict=False))
    assert len(given) == len(words)
    render(template, tmp_path / "made", given | dict([last.split("=")]))
    known = yaml.safe_load((tmp_path / "made/.copier-answers.yml").read_text("utf-8"))
    assert [name for name in switches if known[name]] == []
    assert known["docker"]


DERIVED = [
    ("My Project", "my_project"),
    ("Digits 2026 (v2)", "digits_2026_v2"),
    ("Größe messen", "gr_e_messen"),
    ("Torch", "my_project"),
    ("class", "my_project"),
    ("Test!", "my_project"),
    ("123 go", "my_project"),
    ("日本語", "my_project"),
    ("🚀", "my_project"),
    ("Q", "my_project"),
    ("--__--", "my_project"),
    ('Ada\'s "best": {{ x }}', "ada_s_best_x"),
    ("abcd " * 15 + "abcde", "abcd_abcd_abcd_abcd_abcd_abcd_abcd_abcd_abcd"),
    ("a" * 43 + " b", "a" * 43),
]


@pytest.mark.parametrize(("project_name", "package_name"), DERIVED)
def test_the_package_name_follows_from_any_project_name(
    template: Path, tmp_path: Path, project_name: str, package_name: str
) -> None:
    render(template, tmp_path, {"project_name": project_name})
    assert {path.name for path in (tmp_path / "src").iterdir()} == {package_name, f"{package_name}_agents"}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_has_help_a_default_and_a_check(name: str) -> None:
    question = QUESTIONS[name]
    assert 10 < len(question["help"]) < 100
    assert "\n" not in question["help"]
    assert "default" in question
    assert choices(question) or "given; wanted" in question["validator"]


HIDDEN: dict[str, dict[str, str]] = yaml.safe_load((ROOT / "copier.yml").read_text("utf-8"))
RESERVED = set(HIDDEN["reserved_names"]["default"].split())


def allowed(names: Iterable[str]) -> set[str]:
    """Which of these names, written as a package's, nothing would refuse."""
    written = {re.sub(r"[-.]", "_", name).lower() for name in names}
    return {name for name in written if re.search(HIDDEN["package_pattern"]["default"], name)} - RESERVED


def dependencies() -> list[importlib.metadata.Distribution]:
    """Every distribution that a rendered project's environment holds."""
    table = tomllib.loads((ROOT / "template/pyproject.toml").read_text(encoding="utf-8"))
    todo = [Requirement(line) for line in table["project"]["dependencies"]]
    todo += [Requirement(line) for name in ("dev", "docs") for line in table["dependency-groups"][name]]
    todo += [Requirement(line) for extra in table["project"]["optional-dependencies"].values() for line in extra]
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    apart = groups["pretrained"] + groups["trackers"]  # tests/test_pretrained.py and test_trackers.py have them
    todo = [need for need in todo if str(need) not in apart]
    found: dict[str, importlib.metadata.Distribution] = {}
    while todo:
        distribution = importlib.metadata.distribution(todo.pop().name)
        if distribution.name not in found:
            found[distribution.name] = distribution
            needs = [Requirement(line) for line in distribution.requires or []]
            todo += [need for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]
    return list(found.values())


def test_names_of_python_itself_are_reserved() -> None:
    assert not allowed([*sys.stdlib_module_names, *keyword.kwlist, *keyword.softkwlist])


def test_names_of_the_dependencies_their_modules_and_commands_are_reserved() -> None:
    there = {distribution.name: distribution for distribution in dependencies()}
    scripts = [
        entry.name
        for distribution in there.values()
        for entry in distribution.entry_points.select(group="console_scripts")
    ]
    modules = importlib.metadata.packages_distributions().items()
    importable = [name for name, owners in modules if name.isidentifier() and there.keys() & set(owners)]
    assert not allowed([*there, *scripts, *importable])


def test_copy_with_defaults_on_the_command_line_asks_nothing_and_trusts_nothing(released: Path, tmp_path: Path) -> None:
    result = command(["copier", "copy", "--defaults", released, "made"], tmp_path)
    assert result.status == 0, result.output
    recorded = yaml.safe_load((tmp_path / "made/.copier-answers.yml").read_text("utf-8"))
    assert recorded["_commit"] == recorded["rendered_with"] == "v0.0.1"
    assert "uv run my-project train" in result.output


def test_a_refusal_on_the_command_line_ends_with_the_reason_and_a_failure(released: Path, tmp_path: Path) -> None:
    argv = ["copier", "copy", "--defaults", "--data", "package_name=torch", str(released), "made"]
    result = command(argv, tmp_path)
    assert result.status != 0
    assert "package_name" in result.output.splitlines()[-1]
    assert TAKEN in result.output.splitlines()[-1]
    assert not (tmp_path / "made").exists()


def test_nothing_in_the_template_needs_trust() -> None:
    settings = set(yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8")))
    assert not settings & {"_tasks", "_jinja_extensions", "_migrations", "_secret_questions"}
