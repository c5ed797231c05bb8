# copier: filter replace("my_project", package_name)
"""The site builds without a warning, which a link that leads nowhere is, and has every command, option and module."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import my_project
from my_project import __main__ as command_line
from my_project import config as configs

DOCS = Path(__file__).parents[1] / "docs"
PACKAGE = Path(next(iter(my_project.__path__)))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as strictly as its own page says."""
    folder = tmp_path_factory.mktemp("site")
    argv = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", str(folder / "doctrees")]
    done = subprocess.run([*argv, str(DOCS), str(folder / "html")], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_every_module_stands_in_the_api(site: Path) -> None:
    text = "".join(path.read_text("utf-8") for path in (site / "generated/api").glob("*.html"))
    modules = [path.relative_to(PACKAGE.parent).with_suffix("").parts for path in PACKAGE.rglob("*.py")]
    wanted = {"module-" + ".".join(parts) for parts in modules if parts[-1] != "__init__"}
    assert len(wanted) > 10
    assert wanted - {*re.findall(r"id=\"(module-[\w.]+)\"", text)} == set()


def test_every_option_and_preset_stands_in_the_configuration(site: Path) -> None:
    text = (site / "generated/configuration.html").read_text("utf-8")
    classes = [(section, cls) for section in configs.ROOMS for cls in configs.kinds(section).values()]
    ours = [(section, cls) for section, cls in classes if PACKAGE in Path(inspect.getfile(cls)).parents]  # not a test's
    wanted = {f"{section}.{name}" for section, cls in ours for name in cls.__pydantic_fields__}
    wanted |= {name for name in configs.describe_options() if name.partition(".")[0] not in configs.ROOMS}
    assert len(wanted) > 30
    for name in wanted:
        assert f"--{name.replace('_', '-')}<" in text
    for path in configs.PRESETS.glob("*.yaml"):
        assert f">{path.stem}<" in text


def test_every_command_shows_its_help(site: Path) -> None:
    text = (site / "generated/commands.html").read_text("utf-8")
    for name in ("train", "evaluate", "predict", "report", "data verify", *command_line.OTHERS):
        words = name.replace("data-", "data ")
        assert re.search(rf"<h2>{words}<", text), words
        assert re.search(rf"usage: [\w-]+ {words} ", text), words
    # copier: endfilter
