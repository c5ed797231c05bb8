"""Finds presets and files in configs/ that the project's own config refuses, searches of `sweep` among them."""

import argparse
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

HOME = Path(__file__).resolve().parents[1]
READERS = {"card.yaml": ("card", "read_words"), "monitoring.yaml": ("monitoring", "read_limits")}  # of what is served


def main() -> int:
    """Print a line for each that is refused; return 1 where there are any."""
    argparse.ArgumentParser(description=__doc__, epilog="Run it with `uv run python`.").parse_args()
    package = next(HOME.glob("src/*/config.py")).parent
    sys.path.insert(0, str(package.parent))
    config = import_module(f"{package.name}.config")
    status = 0
    for path in sorted([*package.glob("presets/*.yaml"), *HOME.glob("configs/*.yaml"), *HOME.glob("configs/*.yml")]):
        try:
            check(path, package, config)
        except (ValueError, RecursionError) as error:
            said = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
            name, why = path.relative_to(HOME).as_posix(), said.removeprefix(f"{path}: ")
            sys.stdout.write(f"{name}:1: {why}; correct it, or see `train --help` for every option\n")
            status = 1
    return status


def check(path: Path, package: Path, config: ModuleType) -> None:
    """Raise ValueError where what reads a file refuses it; one whose option is off is read by nothing."""
    if not path.is_file():
        raise ValueError("want a file, found a folder or a link that leads nowhere")
    if path.parent.name == "presets":
        config.load(path.stem)
    elif path.name in READERS:
        if (package / "serving").is_dir():
            module, reader = READERS[path.name]
            getattr(import_module(f"{package.name}.serving.{module}"), reader)(path)
    elif "\nspace:" in f"\n{path.read_text('utf-8')}":  # what `sweep` searches
        if (package / "search.py").is_file():
            search = import_module(f"{package.name}.search")
            search.check(path, search.read_search(path), {})
    else:
        config.load(path)


if __name__ == "__main__":
    sys.exit(main())
