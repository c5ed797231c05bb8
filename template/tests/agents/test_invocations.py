# copier: filter replace("my_project", package_name)
"""Which command lines of a text this project understands, and which paths lead somewhere."""

from pathlib import Path

import pytest

from my_project_agents import PACKAGE, definitions, invocations, places

from .small_project import SLUG, write

RIGHT = [
    f"uv run {SLUG} -v train --train.steps 2 && uv run {SLUG} report runs/a-1",
    f"uv run --extra agents {SLUG} data verify  # a comment",
    "uv run python -m my_project train --train.steps 2",
    "uv run torchrun --nproc-per-node 2 -m my_project train --train.engine sharded",
    f"uv run {SLUG} train --help",
    f"uv run {SLUG} --help",
    "uv run python -c 'print(1)'",
    "uv run python nothing.py",  # whoever looks at paths says so
    "uv run ruff check",
    "uv sync",
    "git status --short | git hash-object --stdin",
]
WRONG = {
    "maek all": "unknown program 'maek'",
    "uv run maek": "unknown program 'maek'",
    f"uv run {SLUG} train --train.stpes 2": "unknown option '--train.stpes'",
    f"uv run {SLUG} trian --help": "unknown command 'trian'",
    f"uv run {SLUG} evaluate": "required: RUN",
    f"uv run {SLUG} evaluate runs/a-1 --split tset": "invalid choice: 'tset'",
    f"uv run python -m {PACKAGE} train no-such-preset": "unknown preset 'no-such-preset'",
    "uv run torchrun -m my_project tarin": "invalid choice: 'tarin'",
    "uv run python .claude/skills/running/scripts/measure.py --steps=2 --stpes": "has no option --stpes",
    "git commit -m 'open": "No closing quotation",
}


@pytest.mark.parametrize("line", RIGHT)
def test_a_command_that_the_project_has_is_understood(tmp_path: Path, line: str) -> None:
    assert list(invocations.judge(line, write(tmp_path / "p"), "my_project")) == []


@pytest.mark.parametrize(("line", "said"), WRONG.items())
def test_another_one_is_refused_with_what_is_wrong(tmp_path: Path, line: str, said: str) -> None:
    (problem,) = invocations.judge(line, write(tmp_path / "p"), "my_project")
    assert said in problem


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("README.md", True),
        ("./README.md", True),
        ("types.py", True),  # from the package
        ("models/NAME.py", True),
        ("runs/a-1/metrics.jsonl", True),
        ("runs/a-1/log.txt", True),
        ("best.pt", True),
        ("references/guide.md", True),  # beside the text
        ("references/*.md", True),
        ("tests/test_x.py::test_y", False),
        ("nowhere/NAME.py", False),
        ("references/more.md", False),
    ],
)
def test_a_path_is_looked_for_where_its_reader_would_look(tmp_path: Path, path: str, there: bool) -> None:
    root = write(tmp_path / "p")
    assert places.looks_like_one(path.partition("::")[0])
    from_here = root / ".claude/skills/running"
    assert places.leads_somewhere(path, root, from_here, PACKAGE) == there


def test_words_are_no_paths() -> None:
    assert not [word for word in ("[B, L, D]", "train NAME", "a.b", "x = 2", ".csv") if places.looks_like_one(word)]


def test_tools_may_stand_in_three_kinds_of_lists() -> None:
    assert definitions.words(["Read", "Write"]) == definitions.words("Read, Write") == definitions.words("Read Write")
    assert definitions.words("Bash(uv run *) Read") == ["Bash(uv run *)", "Read"]
    assert definitions.words(None) == []
    # copier: endfilter
