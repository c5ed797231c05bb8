"""What people and agents share when they work on this project: tasks, designs, checks. No model needs it."""

from importlib import import_module
from types import ModuleType

PACKAGE = __name__.removesuffix("_agents")


def part(name: str) -> ModuleType:
    """Return a module of the model's package, imported now: `part("config")`."""
    return import_module(f"{PACKAGE}.{name}")
