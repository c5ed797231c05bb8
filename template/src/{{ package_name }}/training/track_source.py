"""What manifest.json does not hold of where a run comes from: `source.json`, an entry for each process that trained it.

`source.diff` beside it has the changes of tracked files of the package that no commit has, where there are any.
"""

import hashlib
import json
import logging
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import torch

logger = logging.getLogger(__name__)
PACKAGE = Path(__file__).parents[1]
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG", "PYTHONHASHSEED")  # that change figures
known: set[Path] = set()  # run folders that have this process's entry


def track(folder: Path, line: dict[str, Any]) -> None:
    """Write an entry with the first line of a process; what cannot be written is left out."""
    if (folder := folder.absolute()) in known:
        return
    known.add(folder)
    path = folder / "source.json"
    try:
        entries = json.loads(path.read_text("utf-8"))["processes"] if path.exists() else []
        entry, diff = describe_source()
        if diff and not entries:
            (folder / "source.diff").write_text(diff, encoding="utf-8")
        text = json.dumps({"processes": [*entries, {"step": line["step"], **entry}]}, indent=2)
        (temporary := path.with_suffix(".tmp")).write_text(text + "\n", encoding="utf-8")
        temporary.replace(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("source.json is left out: %s", error)


def describe_source() -> tuple[dict[str, Any], str]:
    """Return where this process comes from, and the changes of tracked files of the package that no commit has."""
    diff = git("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--binary", "HEAD", "--", ".")
    new = [name for name in git("ls-files", "-z", "-o", "--exclude-standard").split("\0") if (PACKAGE / name).is_file()]
    homes = [Path.cwd(), *PACKAGE.parents]
    lock = next((path for home in homes if (path := home / "uv.lock").is_file()), None)
    entry = {
        "diff_sha256": sha256(diff.encode()) if diff else "",
        "untracked": {name: sha256((PACKAGE / name).read_bytes()) for name in new},
        "changed_elsewhere": bool(git("status", "--porcelain", "--", ":/", ":(exclude).")),
        "lock_sha256": sha256(lock.read_bytes()) if lock else "",
        "cpu": cpu(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "flags": {
            **{name: os.environ[name] for name in VARIABLES if name in os.environ},
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "matmul_precision": torch.get_float32_matmul_precision(),
        },
    }
    return entry, diff


def git(*words: str) -> str:
    """Return what git says of the package's folder, nothing where there is no git or no repository."""
    if not shutil.which("git"):
        return ""
    command = ["git", "-C", str(PACKAGE), *words]
    return subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False).stdout  # noqa: S603


def cpu() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def sha256(content: bytes) -> str:
    """Return the checksum of a file's content."""
    return hashlib.sha256(content).hexdigest()
