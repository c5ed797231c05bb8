"""Whether the code keeps the rules of the house, and a model what was specified for it: a line for each violation."""

import ast
import os
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from . import contract, measure, part
from .outcome import project_root
from .schemas import ModelSpec, read_spec
from .scripts import source

HELP = "compare the code with the rules of the house, and a model with its specification; exit 1 at a violation"
HOUSE = Path("tests/test_house.py")
IMPURE = ("torch.optim", "torch.utils.data", "torch.utils.tensorboard", "pickle", "tempfile", "shutil", "sqlite3")
CALLS = {  # what a model must not call, and whose work it is
    "print": "prints; log, or put it into the metrics",
    "open": "opens a file; data read files",
    "torch.save": "writes a file; storage writes checkpoints",
    "torch.load": "reads a file; storage reads checkpoints",
    "sys.stdout.write": "prints; log, or put it into the metrics",
}
METHODS = {
    "backward": "computes gradients; the trainer does",
    "zero_grad": "trains; the trainer does",
    "write_text": "writes a file; storage does",
    "write_bytes": "writes a file; storage does",
    "read_text": "reads a file; data do",
    "read_bytes": "reads a file; data do",
}


def add_arguments(parser: ArgumentParser) -> None:
    """Say what the script takes."""
    parser.add_argument("--spec", type=Path, metavar="FILE", help="specification of a model, as docs/designs has them")
    parser.add_argument(
        "--preset", metavar="NAME", help="what has to be as specified; otherwise what the FILE describes"
    )


def main(spec: Path | None, preset: str | None) -> dict[str, Any]:
    """Validate the project that this is called in."""
    if preset and not spec:
        raise ValueError("--preset goes with --spec")
    return validate(spec, project_root(), preset=preset)


def validate(spec: Path | None, root: Path, *, preset: str | None = None) -> dict[str, Any]:
    """Check the rooms, the models, and a specification if there is one; name rule, file and reason of a violation."""
    package = source(root)
    wanted = read_spec(spec) if spec else None
    found = [*house(root), *impurities(package), *(deviations(wanted, preset) if wanted else [])]
    names = ("rule", "where", "what")
    violations = [dict(zip(names, line, strict=True)) for line in found]
    return {"ok": not violations, "violations": violations, "spec": str(spec) if spec else None}


def house(root: Path) -> Iterator[tuple[str, str, str]]:
    """Yield what the project's own test of the house finds: imports between rooms, sizes, shapes in docstrings."""
    if not (root / HOUSE).is_file():
        raise ValueError(f"{HOUSE} is not there; want the test that came with the project")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "house.xml"
        options = ("-q", "--noconftest", "-p", "no:cacheprovider", "-c", os.devnull, "--import-mode=importlib")
        paths = os.pathsep.join(filter(None, [str((root / "src").resolve()), os.environ.get("PYTHONPATH")]))
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "pytest", *options, f"--rootdir={root}", f"--junitxml={report}", str(HOUSE)],
            cwd=root,
            env={**os.environ, "PYTHONPATH": paths, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if not report.is_file():
            raise OSError(f"{HOUSE} does not run: {(done.stderr or done.stdout).strip()[-200:]}")
        cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 (pytest has just written it)
    for case in cases:
        for fault in (*case.iter("failure"), *case.iter("error")):
            rule, _, where = case.attrib["name"].partition("[")
            message = " ".join(fault.attrib.get("message", "").split())[:200]
            yield rule.removeprefix("test_"), where.removesuffix("]") or str(HOUSE), message


def impurities(package: Path) -> Iterator[tuple[str, str, str]]:
    """Yield where a model does the work of optimizer, loader, trainer or storage."""
    for path in sorted((package / "models").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            for what in faults(node):
                line = getattr(node, "lineno", 0)
                yield "models_only_compute", f"models/{path.name}", f"line {line}: {what}"


def faults(node: ast.AST) -> Iterator[str]:
    """Yield what a node imports or calls that is not a model's."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        home = f"{node.module}." if isinstance(node, ast.ImportFrom) and not node.level else ""
        names = [f"{home}{alias.name}" for alias in node.names]
        yield from (f"imports {name}" for name in names if f"{name}.".startswith(tuple(f"{bad}." for bad in IMPURE)))
    if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("torch.optim."):
        yield f"uses {ast.unparse(node)}"
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if reason := CALLS.get(called) or METHODS.get(method):
            yield f"{called} {reason}"


def keeps(have: Any, want: Any) -> bool:
    """Say whether a value is as specified; of a mapping only what the specification has."""
    if isinstance(want, dict):
        return isinstance(have, dict) and all(keeps(have.get(key), value) for key, value in want.items())
    return bool(have == want)


def other_options(have: dict[str, Any], want: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each option, such as the depth or the width, that is not as specified."""
    for section, options in want.items():
        for name, value in options.items():
            found = have[section].get(name)
            if not keeps(found, value):
                yield f"{section}.{name} is {found!r}, specified is {value!r}"


def deviations(wanted: ModelSpec, preset: str | None = None) -> Iterator[tuple[str, str, str]]:
    """Yield where the model of a preset, or else the one that a specification describes, is not what it demands."""
    values = {"model": wanted.model.model_dump(), **({"data": wanted.data.model_dump()} if wanted.data else {})}
    where = f"models/{wanted.model.kind}.py"
    try:
        configs = part("config")
        config = configs.load(preset) if preset else configs.from_dict(values)
        model = contract.build(config).eval()
        row = contract.rows(config, 1)
        output = model(row, None).outputs
    except contract.ERRORS as error:
        yield "specification", where, " ".join(str(error).split())
        return
    yield from (("options", where, line) for line in other_options(configs.to_dict(config), values))
    count = sum(parameter.numel() for parameter in model.parameters())
    if wanted.parameters and count != wanted.parameters:
        yield "parameters", where, f"it has {count:,} parameters, specified are {wanted.parameters:,}"
    if wanted.max_parameters and count > wanted.max_parameters.value:
        yield "max_parameters", where, f"it has {count:,} parameters, the budget is {wanted.max_parameters.text}"
    for name, given, tensor in (("inputs", wanted.inputs, row.inputs), ("outputs", wanted.outputs, output)):
        shape = tuple(getattr(tensor, "shape", (0,)))[1:]
        if given and shape != given:
            yield name, where, f"a row's {name} are {[*shape]}, specified are {[*given]}"
    if wanted.latency_ms and (slow := measure.percentiles(measure.answer(model, row)[0])[1]) > wanted.latency_ms:
        yield (
            "latency_ms",
            where,
            f"the 95th percentile is {slow:.1f} ms, specified are {wanted.latency_ms}",
        )
