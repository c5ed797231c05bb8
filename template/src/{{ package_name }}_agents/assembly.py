"""The text of a new model: the skill's template, with the ways in and out that the project's data ask for."""

import ast
import re
from pathlib import Path
from typing import Any

import yaml

WIRINGS = Path(__file__).parent / "wirings"  # a file for each kind of data: how a model reads and answers it
SHARED = {"kind", "dim", "depth", "num_heads", "dropout"}  # settings that a model has whatever it reads
IMPORTS: tuple[dict[str, tuple[str, ...]], ...] = (  # groups of lines, with the names that each may bring
    {"from math import {}": ("prod",), "from typing import {}": ("Any", "Literal")},
    {
        "import torch": ("torch",),
        "from pydantic import {}": ("PositiveFloat", "PositiveInt"),
        "from pydantic.dataclasses import {}": ("dataclass",),
        "from torch import {}": ("Tensor", "nn"),
        "from torch.nn import functional as F": ("F",),
    },
    {"from ..types import {}": ("STRICT", "UNKNOWN", "Batch", "Carry", "Fraction", "StepOutput", "classify")},
)


def read_wiring(kind: str) -> dict[str, Any]:
    """Return how models read and answer a kind of data; ValueError where nobody has written that down."""
    if not (path := WIRINGS / f"{kind}.yaml").is_file():
        known = ", ".join(sorted(each.stem for each in WIRINGS.glob("*.yaml")))
        raise ValueError(f"data of kind '{kind}' have no {path.name} in {WIRINGS}, want one like those of {known}")
    return dict(yaml.safe_load(path.read_text("utf-8")))


def assemble(text: str, family: str, wiring: dict[str, Any]) -> str:
    """Return a module with the template's blocks of a family, wired for the data; the names are the template's."""
    ways = {**wiring, **wiring["families"][family]}
    classes = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}
    config = settings(text, classes["ModelTemplateConfig"], family, ways)
    block = cut(text, classes[f"{family.title()}Block"]).replace(f"{family.title()}Block", "Block")
    for old, new in ways.get("swap", {}).items():
        block = block.replace(old, new)
    code = "\n\n".join([config, block, model(text, classes["ModelTemplate"], ways)])
    about = f'"""A model of the family {family} to begin with: it reads and answers what this project has."""'
    return f"{about}\n\n{imports(code, ways.get('imports', '')).rstrip()}\n\n\n{code}"


def cut(text: str, node: ast.stmt) -> str:
    """Return the lines of a statement, with its decorators."""
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
    return "".join(text.splitlines(keepends=True)[first - 1 : node.end_lineno])


def indent(text: str, depth: int) -> str:
    """Move lines to the right."""
    return re.sub("^(?=.)", " " * 4 * depth, text, flags=re.MULTILINE)


def settings(text: str, node: ast.ClassDef, family: str, ways: dict[str, Any]) -> str:
    """Return the class of the settings: the template's, with what the way in and out needs."""
    fields, methods = list[str](), list[str]()
    for part in node.body[1:]:
        name = getattr(getattr(part, "target", None), "id", getattr(part, "name", ""))
        if name in {"num_heads", "__post_init__"} and family != "transformer":
            continue
        if isinstance(part, ast.AnnAssign) and (name in SHARED or "fields" not in ways):
            fields.append(cut(text, part))
        elif isinstance(part, ast.FunctionDef):
            methods.append(cut(text, part))
        if name == "kind":
            fields.append(indent(ways.get("fields", ""), 1))
    return head(text, node) + "\n".join(["".join(fields), *methods])


def model(text: str, node: ast.ClassDef, ways: dict[str, Any]) -> str:
    """Return the class of the model: the template's, with the ways in and out."""
    methods = {part.name: part for part in node.body if isinstance(part, ast.FunctionDef)}
    begin, *rest = methods["__init__"].body
    own = [line for line in (cut(text, each) for each in rest) if re.search(r"self\.(blocks|norm) =", line)]
    parts = indent(ways["parts"], 2) if "parts" in ways else cut(text, rest[0])
    kept = "".join(own).replace("BLOCKS[family]", "Block")
    start = f"    def __init__(self, config: ModelTemplateConfig) -> None:\n{cut(text, begin)}{parts}{kept}"
    bodies = {name: indent(ways[name], 1) if name in ways else cut(text, methods[name]) for name in ("read", "answer")}
    more = [indent(ways["more"], 1)] if "more" in ways else []
    whole = [start, *more, bodies["read"], bodies["answer"], cut(text, methods["forward"])]
    about = '"""A way into the features, blocks, a way out: the first and the last are the project\'s."""'
    return f"class ModelTemplate(nn.Module):\n    {about}\n\n" + "\n".join(whole)


def head(text: str, node: ast.ClassDef) -> str:
    """Return decorators, name and docstring of a class."""
    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    return "".join(text.splitlines(keepends=True)[first - 1 : node.body[0].end_lineno]) + "\n"


def imports(code: str, own: str) -> str:
    """Return the lines that import what the code names, and the wiring's own behind them."""
    named, groups = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}, list[str]()
    for group in IMPORTS:
        used = {line: [name for name in names if name in named] for line, names in group.items()}
        groups.append("\n".join(line.format(", ".join(names)) for line, names in used.items() if names))
    return "\n\n".join(groups) + f"\n{own}"
