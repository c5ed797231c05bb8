"""Which files belong to the audited folder: git says so, where there is one."""

import os
import shutil
import subprocess
from pathlib import Path

SKIPPED = {"__pycache__", "node_modules", "site-packages"}
MADE = {"build", "dist", "runs", "outputs", "wandb", "mlruns", "lightning_logs"}  # at the top: of tools and runs
READ_HIDDEN = {".claude", ".github", ".cursor"}


def tracked(root: Path) -> list[str]:
    """Return what git tracks or would, if it knows any; it starts nothing that the repository's own settings name."""
    git = shutil.which("git")
    words = ["-c", "core.fsmonitor=false", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run([git, *words], cwd=root, capture_output=True, check=False) if git else None  # noqa: S603
    if done is None or done.returncode:
        return walked(root)
    names = [name for name in os.fsdecode(done.stdout).split("\0") if name and (root / name).is_file()]
    return names or walked(root)  # a folder that the repository around it ignores


def walked(root: Path) -> list[str]:
    """Return the files under a folder, without environments, caches and what runs leave."""
    found = list[str]()
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if not skipped(Path(folder) / name, top=Path(folder) == root))
        found += [(Path(folder) / name).relative_to(root).as_posix() for name in files]
    return found


def skipped(folder: Path, *, top: bool) -> bool:
    """Whether a folder holds nothing of the repository's own: hidden, a cache, an environment, what a run left."""
    name = folder.name
    if name.startswith("."):
        return name not in READ_HIDDEN
    known = name in SKIPPED or name.endswith(".egg-info") or (top and name in MADE)
    return known or (folder / "pyvenv.cfg").exists()
