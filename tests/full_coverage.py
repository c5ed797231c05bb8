"""The tests that come with the memory and the recursive model reach nearly every line that comes with them.

    uv run pytest -n 0 -s tests/full_coverage.py

It prints the share of each file. Tests of other parts, which reach some of these lines as well, do not count. On a CPU
the gradients that are written by hand are computed in the thread that asks for them, so that their lines are seen too.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from tests.answers import ALL, ROOT
from tests.harness import command

LEAST = 95.0  # percent of a file's lines
ANSWER = "trm_titans_mag"


def coming_with_it() -> list[str]:
    """Return the files that the answer brings, as copier.yml lists them: paths in a rendered project."""
    rows = [row for row in ALL["_exclude"] if f"not {ANSWER}" in row]
    return [match[1] for row in rows if (match := re.search(r"%\}/(.+?)\{% endif", row))]


def measured(data: Path, report: Path) -> dict[str, float]:
    """Run the tests; return the percentage of lines that they reach, by the file's place in the package."""
    tests = [f"template/{name}" for name in coming_with_it() if re.match(r"tests/test_", name)]
    settings = data.with_suffix(".toml")
    settings.write_text(
        f'[tool.coverage.run]\nsource_pkgs = ["my_project"]\ndata_file = "{data}"\n'
        "[tool.coverage.report]\ninclude_namespace_packages = true\n",
        encoding="utf-8",
    )
    pytest = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-c", "pyproject.toml"]
    cover = ["--cov", f"--cov-config={settings}", f"--cov-report=json:{report}"]
    result = command([*pytest, *cover, *tests], ROOT, {"OMP_NUM_THREADS": "1"})
    assert result.status == 0, result.output
    found = json.loads(report.read_text("utf-8"))["files"]
    return {in_package(path): row["summary"]["percent_covered"] for path, row in found.items()}


def in_package(path: str) -> str:
    """Return room and name of a file."""
    return "/".join(Path(path).parts[-2:])


def test_every_file_that_comes_with_the_answer_is_nearly_all_tested(tmp_path: Path) -> None:
    found = measured(tmp_path / "coverage", tmp_path / "coverage.json")
    wanted = [in_package(name) for name in coming_with_it() if re.match(r"src/.*\.py$", name)]
    assert "models/memory.py" in wanted
    for name in sorted(wanted):
        print(f"{found[name]:6.1f} %  {name}")  # noqa: T201 (the table of the named command)
    assert {name: found[name] for name in wanted if found[name] < LEAST} == {}
