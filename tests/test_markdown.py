"""What the Markdown of a rendered project names is there, and what it tells its reader to run runs."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import yaml

from tests import answers, markdown
from tests.harness import Sample, Warm, release

SAMPLES = list(answers.samples())
ASKS = {"ml-writer": "opus", "ml-model-implementer": "opus", "ml-engineer": "inherit"}  # for others: sonnet


@pytest.mark.parametrize("sample", SAMPLES, indirect=True)
def test_everything_that_a_text_names_is_there(sample: Sample, warm: Warm) -> None:
    result = warm.run(sample.folder, "resolve", sample.package)
    found = [line for line in result.output.splitlines() if not line.endswith("link to b leads nowhere")]  # a name's
    assert not found, "\n".join(found)
    assert result.status in (0, 1), result.output


@pytest.mark.parametrize("sample", SAMPLES, indirect=True)
def test_each_agent_asks_for_the_model_of_the_answer(sample: Sample) -> None:
    recorded = yaml.safe_load((sample.folder / ".copier-answers.yml").read_text("utf-8"))
    found = {
        path.stem: re.findall(r"^model: (\w+)$", path.read_text("utf-8"), re.MULTILINE)
        for path in (sample.folder / ".claude/agents").glob("*.md")
    }
    assert len(found) == 7 * recorded["agents"]
    for name, models in found.items():
        given = recorded["agent_model"]
        assert 60 <= len((sample.folder / f".claude/agents/{name}.md").read_text("utf-8").splitlines()) <= 150
        assert models == [ASKS.get(name, "sonnet") if given == "per-agent" else given]


@pytest.mark.parametrize("project", ["default", "all-on"], indirect=True)
def test_everything_that_a_text_tells_to_run_runs(project: Sample, default: Sample, warm: Warm) -> None:
    release(project.folder, "start")  # a review looks at what has changed since
    wanted = [one for one in markdown.told(project.folder) if not one.reason]
    if project.name != default.name:  # what both tell runs in the first; here only what it needs: a run
        known = {markdown.common(default, one) for one in markdown.told(default.folder)}
        wanted = wanted[:1] + [one for one in wanted[1:] if markdown.common(project, one) not in known]
    failed = list[str]()
    for one in wanted:
        result = markdown.run(project, warm, one)
        if result.status not in one.statuses:
            failed.append(f"{one.place}: {one.text}\nstatus {result.status}: {result.output[-1500:]}")
    assert not failed, "\n\n".join(failed)


def test_what_is_not_run_is_told_somewhere(renders: Callable[[str], Sample]) -> None:
    names = {"default", "all-on", *answers.one_of_each_family().values()}
    names |= {name for name, row in answers.samples().items() if row.get("tracker", "none") != "none"}
    lines = {one.text for name in names for one in markdown.told(renders(name).folder)}
    for pattern in (*markdown.NOT_RUN, *markdown.STATUSES):
        assert any(re.search(pattern, line) for line in lines), f"no text tells to run {pattern}"
