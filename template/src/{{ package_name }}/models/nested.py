"""For parts that wrap another of their room: the base's config, made of a mapping whose `kind` names its file."""

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError


def make_base(room: str, values: Any) -> Any:
    """Make a config of a room, a package such as that of models; ValueError says what is known where kind is not."""
    if hasattr(values, "build"):
        return values
    kind = values.get("kind") if isinstance(values, dict) else None
    if kind not in (known := kinds(room)):
        raise ValueError(f"want a mapping with a kind, one of {', '.join(known)}")
    try:
        return TypeAdapter(known[kind]).validate_python(values)
    except ValidationError as error:
        given = [str(each["loc"][-1]) for each in error.errors() if each["type"] == "unexpected_keyword_argument"]
        if not set(given) & set(values):
            raise
        options = ", ".join(known[kind].__annotations__)
        raise ValueError(f"want options of {kind}, one of {options}; '{given[0]}' is none") from None


@cache
def kinds(room: str) -> dict[str, type[Any]]:
    """Return the config classes of a room by `kind`, as the names of its files say."""
    stems = sorted(path.stem for path in Path(next(iter(import_module(room).__path__))).glob("*.py"))
    modules = {stem: import_module(f"{room}.{stem}") for stem in stems}
    classes = {stem: getattr(modules[stem], stem.title().replace("_", "") + "Config", None) for stem in stems}
    return {stem: cls for stem, cls in classes.items() if cls}


def check_weights(values: Any) -> Any:
    """Return weights by class: none, balanced, or numbers [C] above 0; ValueError for anything else."""
    if values in ("none", "balanced"):
        return values
    listed = isinstance(values, list | tuple) and values and all(isinstance(v, int | float) and v > 0 for v in values)
    if not listed:
        raise ValueError("want none, balanced or a number above 0 for each class, as in '[1, 2.5]'")
    return tuple(map(float, values))
