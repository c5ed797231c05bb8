"""What answering needs of the data that a run was trained on: facts that are read once, files that go with a model."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..config import Config
from ..data.loader import DataConfig, read_manifest

WANTED = (
    "row",
    "encode",
    "forward",
    "decode",
    "features",
)  # of a task's file, or of its data's
MORE = ("files", "prepare", "embed", "requests", "truths", "ALONE")


class Stored:
    """A data config whose properties, such as labels and vocabulary, are read once, and with them its manifest."""

    def __init__(self, config: DataConfig) -> None:
        self.config = config

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "config":
            raise AttributeError(name)
        return self.once(name, lambda: getattr(self.config, name))

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what was made under a name, or make it now."""
        if name not in vars(self):
            vars(self)[name] = make()
        return vars(self)[name]

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The manifest of the data folder."""
        return read_manifest(self.config.root)


def innermost(data: DataConfig) -> DataConfig:
    """Return the config of the data themselves, without those that take other shares of them."""
    return innermost(data.base) if "base" in names_of(data) else data


def names_of(data: DataConfig) -> set[str]:
    """Return the names of a config's settings."""
    return {field.name for field in fields(data)}


def file_of(name: str) -> Any:
    """Return the file here of that name, or None."""
    try:
        return import_module(f".{name}", __package__)
    except ModuleNotFoundError as error:
        if error.name != f"{__package__}.{name}":
            raise
        return None


def module_of(data: Stored) -> Any:
    """Return the file here that is named as the kind of the data, or None."""
    return file_of(innermost(data.config).kind)


def parts(data: Stored) -> SimpleNamespace:
    """Return the functions for a task: those of its file, and over them those of a file for the kind of its data."""
    found = dict[str, Any]()
    for module in (file_of(data.task), module_of(data)):
        found |= {name: vars(module)[name] for name in (*WANTED, *MORE) if module and name in vars(module)}
    if missing := [name for name in WANTED if name not in found]:
        kind = innermost(data.config).kind
        raise ValueError(f"data.kind: got {kind}; to answer rows of it, want serving/{kind}.py with {missing[0]}")
    return SimpleNamespace(**found)


def settle(config: Config, checkpoint: Path) -> Config:
    """Return a config with `data` beside its checkpoint for data folder, if that is there; ValueError if none is."""
    run, own = checkpoint.parent, checkpoint.with_name("data")
    if "folder" not in names_of(innermost(config.data)):
        return config
    if (own / "manifest.json").is_file():
        config = replace(config, data=moved(config.data, own))
    trained, folder = trained_on(checkpoint), innermost(config.data).folder
    if folder and not (Path(folder) / "manifest.json").is_file():
        wanted = ["manifest.json", *(name for name in trained if not name.endswith("_test.npz"))]
        raise ValueError(f"{run}: its data folder {folder} is not there; put {', '.join(wanted)} of it into {own}")
    if trained and isinstance(root := config.data.root, Path):
        given = read_manifest(root).get("files", {})
        if other := [name for name in trained if given.get(name) != trained[name]]:
            raise ValueError(f"{root}: {other[0]} is not what {run} was trained on; put the data of then into {own}")
    return config


def moved(data: DataConfig, folder: Path) -> DataConfig:
    """Return a config of data that lie in another folder."""
    if "base" in names_of(data):
        return replace(data, base=moved(data.base, folder))
    return replace(data, folder=str(folder))


def trained_on(checkpoint: Path) -> dict[str, str]:
    """Return the checksums of the data files that a run was trained on, as far as its folder says them."""
    path = checkpoint.with_name("manifest.json")
    return (json.loads(path.read_text("utf-8")).get("data", {}).get("files") or {}) if path.is_file() else {}
