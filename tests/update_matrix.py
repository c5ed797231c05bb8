"""Every update that tests/test_update.py has only examples of: each answer set, each change of an answer.

    uv run pytest -n 0 tests/update_matrix.py

It takes about an hour and a half of one core without other work, less with several: leave out `-n 0`.
docs/update.md has its last result.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import answers, test_past_versions, test_update
from tests.harness import Warm
from tests.test_update import SETS, with_names

versions, history = test_update.versions, test_past_versions.history
NAMES = list(SETS)
RICH = answers.extreme(on=True) | answers.FAMILIES["classification-image"] | {"pretrained": "timm"}
ONE = [
    (name, value)
    for name in test_update.SWITCHES
    if name in answers.QUESTIONS
    for value in answers.choices(answers.QUESTIONS[name])
    if value not in {"transformers", RICH[name]}
]


@pytest.mark.parametrize(("name", "value"), ONE)
@pytest.mark.parametrize("back", [False, True], ids=["away", "back"])
def test_one_answer_changes(versions: Path, tmp_path: Path, name: str, value: object, *, back: bool) -> None:
    rich, other = answers_of(RICH), answers_of(RICH | {name: value})
    test_update.check_changed_answers(versions, tmp_path, *((other, rich) if back else (rich, other)))


def answers_of(given: answers.Answers) -> answers.Answers:
    """Answers without those that nobody asks for beside the others."""
    task = str(given["task"])
    wanted = {name: value for name, value in given.items() if given["agents"] or name != "agent_model"}
    if given.get("variant") not in answers.VARIANTS[task]:
        wanted.pop("variant")
    if answers.family_of(wanted) not in answers.SEQUENCES:
        wanted.pop("trm_titans_mag")
    if given["pretrained"] not in answers.BACKBONES.get(answers.family_of(wanted), []):
        wanted.pop("pretrained")
    return wanted


@pytest.mark.parametrize("name", NAMES)
def test_updated_equals_fresh(versions: Path, tmp_path: Path, name: str) -> None:
    test_update.check_equal_to_fresh(versions, tmp_path, SETS[name])


@pytest.mark.parametrize("name", NAMES)
def test_edits_survive(versions: Path, tmp_path: Path, name: str) -> None:
    test_update.check_edits_survive(versions, tmp_path, SETS[name])


@pytest.mark.parametrize(("name", "other"), list(zip(NAMES, NAMES[1:] + NAMES[:1], strict=True)))
def test_one_answer_set_becomes_the_next(versions: Path, tmp_path: Path, name: str, other: str) -> None:
    test_update.check_changed_answers(versions, tmp_path, SETS[name], with_names(SETS[other], SETS[name]))


def test_every_check_of_an_edited_project_is_green(versions: Path, tmp_path: Path, warm: Warm) -> None:
    project = test_update.check_edits_survive(versions, tmp_path, {})
    tests = ["pytest", "-q", "-p", "no:cacheprovider", "--no-cov"]
    test_update.check_green(project, warm, ["mypy", "--python-version=3.11"], tests)


@pytest.mark.parametrize("given", [{}, test_past_versions.RICH], ids=["default", "rich"])
@pytest.mark.parametrize("version", list(test_past_versions.PAST.values()))
def test_past_versions_update(history: Path, tmp_path: Path, version: str, given: answers.Answers) -> None:
    test_past_versions.check_updated(history, tmp_path, version, given)
