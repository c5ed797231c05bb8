"""Write the manifests of the generated puzzles: what the presets' settings make, with its checksums.

Run when a generator changes on purpose (then raise VERSION in data/generated.py), or when a preset wants other puzzles:

    PYTHONPATH=working uv run python scripts/make_puzzles.py
"""

from __future__ import annotations

import json
from pathlib import Path

from my_project.config import load
from my_project.data.generated import checksums, describe, flaws

FOLDER = Path(__file__).parents[1] / "template/src/{{ package_name }}/data"


def main() -> None:
    """Generate, check and describe the puzzles of each kind."""
    for preset in ("sudoku", "maze"):
        config = load(preset).data
        if lines := flaws(config):
            raise SystemExit("\n".join(lines))
        manifest = describe(config) | {"files": checksums(config)}
        path = FOLDER / f"{config.kind}.json"
        path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        print(path.name, manifest["rows"], manifest["files"])


if __name__ == "__main__":
    main()
