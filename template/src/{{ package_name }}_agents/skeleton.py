"""A new model with its preset and its test, wired for the project's own task; and tests for a model that is there."""

import keyword
import logging
import re
import subprocess
import sys
from argparse import ArgumentParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from . import PACKAGE, assembly
from .scripts import source

HELP = "write a new model, its preset and its test, which pass every check as they are"
TEMPLATES = Path(".claude/skills/ml-expert/templates")
FAMILIES = ("mlp", "cnn", "transformer", "recurrent")
LONGEST = 40  # letters of a name: lines that hold it stay within 120 columns
LOSSES = "tests/test_seeded_losses.py"

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Say what the script takes."""
    parser.add_argument("--name", required=True, metavar="NAME", help="of the module, as in wide_net")
    parser.add_argument("--family", required=True, choices=FAMILIES, help="what its blocks are")
    parser.add_argument("--dry-run", action="store_true", help="say what would be written")


def main(name: str, family: str, *, dry_run: bool) -> dict[str, Any]:
    """Write the model into the project that this is called in."""
    return create_model_skeleton(name, family, Path.cwd(), dry_run=dry_run)


def create_model_skeleton(name: str, family: str, root: Path, *, dry_run: bool = False) -> dict[str, Any]:
    """Write models/NAME.py, presets/NAME.yaml, tests/test_NAME.py and its first losses; ValueError: nothing is written.

    The inputs and the answer are those of the data of the default preset.
    """
    files = compose(name, family, root)
    golden = root / "tests" / "golden" / f"{name}.json"
    written = [str(path.relative_to(root)) for path in [*files, *([golden] if golden.parent.is_dir() else [])]]
    if not dry_run:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        if golden.parent.is_dir():
            remember(name, root)
    return {"ok": True, "kind": name, "family": family, "files": written, "dry_run": dry_run}


def compose(name: str, family: str, root: Path) -> dict[Path, str]:
    """Return the texts of the files by their paths; ValueError where the name, the family or a file is in the way."""
    package, template = source(root), root / TEMPLATES / "model_template.py"
    if not template.is_file():
        raise ValueError(f"{TEMPLATES / template.name} is not there: .claude was removed, and models are made of it")
    preset = (package / "presets" / f"{default_preset(package)}.yaml").read_text("utf-8")
    values = yaml.safe_load(preset)
    wiring = assembly.read_wiring(values["data"]["kind"])
    if family not in wiring["families"]:
        fitting = ", ".join(wiring["families"])
        raise ValueError(f"--family {family} does not fit data of kind '{values['data']['kind']}', want {fitting}")
    text = assembly.assemble(template.read_text("utf-8"), family, wiring)
    check_name(name, text)
    code = text.replace("ModelTemplate", title(name)).replace("model_template", name)
    fields = set(re.findall(r"^    (\w+): ", code, re.MULTILINE)) - assembly.SHARED
    kept = {key: value for key, value in values["model"].items() if key in fields}
    chosen = yaml.safe_dump({"kind": name, **kept}, default_flow_style=True, sort_keys=False, width=110).strip()
    lines = re.sub(r"^#.*\n", "", preset, flags=re.MULTILINE)
    lines = re.sub(r"^model:.*\n(?:[ ].*\n)*", lambda _: f"model: {chosen}\n", lines, flags=re.MULTILINE)
    files = {
        package / "models" / f"{name}.py": formatted(code),
        package / "presets" / f"{name}.yaml": f"# A new model of the family {family}.\n{lines}",
        root / "tests" / f"test_{name}.py": formatted(test_of(name)),
    }
    refuse_to_overwrite(files, root)
    return files


def refuse_to_overwrite(files: dict[Path, str], root: Path) -> None:
    """Raise ValueError if one of the files is there."""
    if there := [str(path.relative_to(root)) for path in files if path.exists()]:
        raise ValueError(f"{', '.join(there)}: already there, and nothing is overwritten; take another name")


def default_preset(package: Path) -> str:
    """Return the name of the preset that `train` takes by itself."""
    return str(re.findall(r"^[\w-]+", (package / "presets" / "default.txt").read_text("utf-8"), re.MULTILINE)[0])


def title(name: str) -> str:
    """Return the name of the class in a module, as the config looks for it."""
    return name.title().replace("_", "")


def check_name(name: str, text: str) -> None:
    """Refuse what is no name of a module, or would hide what the module itself names."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or len(name) > LONGEST or keyword.iskeyword(name):
        raise ValueError(f"--name {name!r}: want a module's name of at most {LONGEST} small letters, as in wide_net")
    if re.search(rf"\b{title(name)}\b", text):
        raise ValueError(f"--name {name!r}: the module uses {title(name)} for something else; take another name")


def formatted(text: str) -> str:
    """Return a file's text as the formatter would have it, where it is installed."""
    command = [sys.executable, "-m", "ruff", "format", "--line-length=120", "--stdin-filename=new.py", "-"]
    if not find_spec("ruff"):
        return text
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout  # noqa: S603


def remember(name: str, root: Path) -> None:
    """Write down the losses of the first steps, which the project's tests compare from now on."""
    test = f"{LOSSES}::test_the_losses_of_a_seeded_run_are_those_of_before[{name}]"
    command = [sys.executable, "-m", "pytest", "-q", "--no-cov", "-p", "no:cacheprovider", test, "--update-golden"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise OSError(f"the new model does not train: {done.stdout.strip().rpartition(chr(10))[2]}")


def test_of(kind: str) -> str:
    """Return the text of a test that a model keeps its contract."""
    return f'''"""{title(kind)} does what every model must do."""

import pytest

from {PACKAGE}_agents.contract import CHECKS, check


@pytest.mark.parametrize("name", CHECKS)
def test_the_model_keeps_the_contract(name: str) -> None:
    assert check("{kind}", name) == ""
'''


def add_tests(kind: str, root: Path, *, dry_run: bool = False) -> dict[str, Any]:
    """Write tests/test_KIND_contract.py for a model that is there; it fails from the day that the model breaks."""
    if not (source(root) / "models" / f"{kind}.py").is_file():
        raise ValueError(f"there is no models/{kind}.py to test")
    files = {root / "tests" / f"test_{kind}_contract.py": formatted(test_of(kind))}
    refuse_to_overwrite(files, root)
    for path, text in [] if dry_run else files.items():
        path.write_text(text, encoding="utf-8")
    return {"ok": True, "kind": kind, "files": [str(path.relative_to(root)) for path in files], "dry_run": dry_run}
