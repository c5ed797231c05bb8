"""A run is one config: sections made from presets, YAML files and the command line, all checked."""

import difflib
import inspect
import re
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, PlainValidator, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from .data.loader import DataConfig
from .evaluation.report import EvaluationConfig
from .training.optimizer import OptimConfig
from .training.trainer import TrainConfig
from .types import STRICT

PRESETS = Path(__file__).parent / "presets"
DEFAULT_PRESET = re.findall(r"^[\w-]+", (PRESETS / "default.txt").read_text("utf-8"), re.MULTILINE)[0]
ROOMS = {"data": "data", "model": "models"}  # sections whose `kind` names a file of a folder, and that folder


@cache
def kinds(section: str) -> dict[str, type[Any]]:
    """Return the config classes of a section by `kind`: `models/wide_net.py` holds `WideNetConfig`."""
    stems = sorted(path.stem for path in (Path(__file__).parent / ROOMS[section]).glob("*.py"))
    modules = {stem: import_module(f".{ROOMS[section]}.{stem}", __package__) for stem in stems}
    classes = {stem: getattr(modules[stem], stem.title().replace("_", "") + "Config", None) for stem in stems}
    return {stem: cls for stem, cls in classes.items() if cls}


def make_kind(section: str, values: Any) -> Any:
    """Make a section from a mapping whose `kind` says which class; left out, the default preset says it."""
    if hasattr(values, "build"):
        return values
    if not isinstance(values, dict):
        raise ValueError("want a mapping of options")
    kind = values.get("kind") or getattr(load(), section).kind
    if kind not in kinds(section):
        raise ValueError(unknown("kind", str(kind), list(kinds(section))))
    return TypeAdapter(kinds(section)[kind]).validate_python(values)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Config:
    """Everything that decides a run."""

    name: Annotated[str, Field(pattern=r"^[^/\\]+$")] = "run"
    data: Annotated[DataConfig, PlainValidator(partial(make_kind, "data"))]
    model: Annotated[Any, PlainValidator(partial(make_kind, "model"))]
    optim: OptimConfig = OptimConfig()
    train: TrainConfig = TrainConfig()
    evaluation: EvaluationConfig = EvaluationConfig()


CONFIG = TypeAdapter(Config)
SECTIONS = [name for name in Config.__annotations__ if name != "name"]


def load(source: str | Path = DEFAULT_PRESET, overrides: dict[str, Any] | None = None) -> Config:
    """Make the config of a preset or YAML file with `{"section.option": value}` on top; ValueError says what is bad."""
    path, where = Path(source), f"{source}: "
    if isinstance(source, str) and path.suffix not in {".yaml", ".yml"}:
        path, where = PRESETS / f"{source}.yaml", ""
    if not path.is_file():
        presets = sorted(preset.stem for preset in PRESETS.glob("*.yaml"))
        raise ValueError(f"{where}no such config file" if where else unknown("preset", str(source), presets))
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
        if not isinstance(values, dict):
            raise ValueError(f"want sections {', '.join(SECTIONS)}, found {values!r}")
        values.setdefault("name", path.stem)
        for dotted, value in sorted((overrides or {}).items(), key=lambda item: not item[0].endswith(".kind")):
            section, _, option = dotted.partition(".")
            if section not in SECTIONS:
                raise ValueError(unknown("section", section, SECTIONS))
            chosen = yaml.safe_load(value) if isinstance(value, str) and value.startswith(("[", "{")) else value
            old = values.get(section) or {}  # another kind starts from its own defaults
            values[section] = {**({} if option == "kind" and chosen != old.get("kind") else old), option: chosen}
        return from_dict(values)
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{where}{' '.join(str(error).split())}") from None


def from_dict(values: dict[str, Any]) -> Config:
    """Check every section and make the config, or raise ValueError with the first thing that is wrong in one line."""
    given = {section: value for section, value in values.items() if value is not None}
    try:
        return CONFIG.validate_python({**{section: {} for section in ROOMS}, **given})
    except ValidationError as error:
        wrong: Any = error.errors()[0]
    where, found = ".".join(str(part) for part in wrong["loc"]), wrong["input"]
    if wrong["type"] == "unexpected_keyword_argument":
        known = list(describe_options()) if "." in where else SECTIONS
        raise ValueError(unknown("option" if "." in where else "section", where, known))
    want = wrong["msg"].removeprefix("Value error, ").partition(", unable")[0].replace("Input should be ", "want ")
    want = "want a list, as in '[a, b]'" if "tuple" in want else want.replace("want gr", "want a number gr")
    raise ValueError(f"{where}: {want}" if isinstance(found, dict) else f"{where}: got {found!r}, {want}")


def unknown(what: str, given: str, known: list[str]) -> str:
    """Say that a name is unknown, which one may have been meant, or which ones there are."""
    close = [name for name in known if name.endswith(f".{given}")] or difflib.get_close_matches(given, known, n=1)
    if len(known) <= len(SECTIONS):
        return f"unknown {what} '{given}': want one of {', '.join(known)}"
    return f"unknown {what} '{given}': " + (f"did you mean {close[0]}?" if close else "see train --help")


def describe_options() -> dict[str, str]:
    """Return for every option of every kind the comment behind its field and the default preset's value."""
    config, found = load(), dict[str, str]()
    for section in SECTIONS:
        part = getattr(config, section)
        for cls in (type(part), *(kinds(section).values() if section in ROOMS else ())):
            comments = dict(re.findall(r"^    (\w+): .*?  # (.+)", inspect.getsource(cls), re.MULTILINE))
            for name, info in cls.__pydantic_fields__.items():
                about = f"one of {', '.join(kinds(section))}" if name == "kind" else comments.get(name, "")
                value = getattr(part, name, info.default)
                found.setdefault(f"{section}.{name}", f"{about} ({value})".strip().replace("%", "%%"))
    return found


def to_dict(config: Config) -> dict[str, Any]:
    """Return plain values, as YAML, JSON and checkpoints hold them; `from_dict` takes them back."""
    return dict(CONFIG.dump_python(config, mode="json"))


def save(config: Config, path: Path) -> None:
    """Write a config that `load` reads back to an equal one."""
    path.write_text(yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True), encoding="utf-8")


def differences(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """Return `{"section.option": (old, new)}` for every option that is not equal."""
    sides = [{f"{s}.{o}": v for s in SECTIONS for o, v in values[s].items()} for values in map(to_dict, (old, new))]
    return {name: (a, b) for name in sides[0] | sides[1] if (a := sides[0].get(name)) != (b := sides[1].get(name))}
