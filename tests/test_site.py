"""The site of the template, and that of a rendered project, are built strictly, and their links lead somewhere."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests import answers, links
from tests.answers import ROOT
from tests.harness import Result, Sample, command

SAMPLES = answers.samples()
SMALLEST = sorted(SAMPLES, key=lambda name: sum(answer is True for answer in SAMPLES[name].values()))


def with_site(package: str, *, agents: bool) -> str:
    """Name the sample with the fewest options that has a site, of a package of this name, with or without agents."""
    wanted = {"package_name": package, "docs": True, "agents": agents}
    return next(name for name in SMALLEST if SAMPLES[name].items() >= wanted.items())


# The names that a page could stumble over.
NASTY = [
    with_site("quoted_names", agents=False),
    with_site("an_extraordinarily_extraordinarily_long_name", agents=True),
]


def build(source: Path, out: Path, *options: str | Path) -> Result:
    """Build a site as its own page says."""
    argv = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", str(out.parent / "doctrees")]
    return command([*argv, *options, source, out], ROOT, {"PYTHONPATH": str(source.parent / "src")})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of this repository."""
    folder = tmp_path_factory.mktemp("site") / "html"
    result = build(ROOT, folder, "-c", ROOT / "docs")
    assert result.status == 0, result.output
    return folder


def test_every_link_of_the_site_leads_somewhere(site: Path) -> None:
    assert len(list(site.rglob("*.html"))) > 20
    assert links.lost(site) == []
    assert links.loaded_from_elsewhere(site) == []


def test_every_page_of_the_documentation_is_on_the_site(site: Path) -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
    missing = [path for path in pages if not (site / path.relative_to(ROOT)).with_suffix(".html").exists()]
    assert missing == []
    front = (site / "README.html").read_text(encoding="utf-8")
    assert front.count("_images/") >= 2  # the pictures of a real run


@pytest.mark.parametrize("link", ["(nowhere.md)", "(b.md#nowhere)", "(#nowhere)"])
def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path, link: str) -> None:
    shutil.copytree(ROOT / "docs/site", tmp_path / "site")
    settings = (ROOT / "docs/conf.py").read_text(encoding="utf-8").partition("\ndef setup")[0]
    settings = settings.replace('root_doc = "README"', 'root_doc = "a"').replace("parents[1]", f"parents[0] / '{ROOT}'")
    (tmp_path / "conf.py").write_text(settings, encoding="utf-8")
    (tmp_path / "a.md").write_text(f"# A\n\n```{{toctree}}\nb\n```\n\nRead [this]{link}.\n", encoding="utf-8")
    (tmp_path / "b.md").write_text("# B\n\n## There\n", encoding="utf-8")
    result = build(tmp_path, tmp_path / "html")
    assert result.status == 1
    assert "nowhere" in result.output


@pytest.mark.parametrize("project", NASTY, indirect=True)
def test_a_rendered_project_builds_its_site(project: Sample, tmp_path: Path) -> None:
    result = build(project.folder / "docs", tmp_path / "html")
    assert result.status == 0, result.output
    assert links.lost(tmp_path / "html") == []
    assert links.loaded_from_elsewhere(tmp_path / "html") == []
    assert (tmp_path / "html/architecture.html").exists() == project.answers["agents"]
