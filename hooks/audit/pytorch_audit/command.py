"""The command: audits a folder, prints a table for people or JSON for programs."""

import argparse
import json
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from . import agents, annotations, checkpoints, seeds, splits, testing, upkeep
from .repository import LARGEST_READ, Repository
from .verdict import MOST_SHOWN, Place, Verdict

PAGE = "docs/audit.md"
SHOWN = {"holds": "holds", "does not hold": "DOES NOT HOLD", "cannot tell": "cannot tell"}
GUARANTEES = {  # what is asked, and what to do where it does not hold
    "seed-python": ("Python's random numbers repeat", "call random.seed(seed) before anything draws"),
    "seed-numpy": ("NumPy's random numbers repeat", "make generators with numpy.random.default_rng(seed)"),
    "seed-torch": ("torch's random numbers repeat", "call torch.manual_seed(seed) before the model is made"),
    "seed-workers": (
        "workers of loaders repeat",
        "give each DataLoader a generator=torch.Generator().manual_seed(seed)",
    ),
    "split-test": ("there is a test split", "put rows aside in a file of their own, before the first training"),
    "split-once": ("splits come out the same each time", "split once, with a seed, and keep the result in files"),
    "split-fit": ("preprocessing is fitted to training rows", "split first, then fit to the training rows alone"),
    "load-safe": ("reading a checkpoint runs no code", "torch.load(..., weights_only=True); no pickle for data"),
    "save-whole": ("a crash leaves a whole checkpoint", "write to a temporary file beside it, fsync, then os.replace"),
    "save-state": ("a checkpoint is enough to go on", "save optimizer, schedule and torch.get_rng_state() as well"),
    "types-annotated": ("every signature has types", "annotate parameters and results"),
    "types-strict": ("types are checked strictly", "[tool.mypy] strict = true, and run it before every commit"),
    "tests-exist": ("there are tests", "begin with one training step on a batch of four rows"),
    "tests-collect": ("tests can be collected", "run pytest --collect-only, and mend what it names"),
    "tests-assert": ("every test can fail", "assert on a value that the code computes"),
    "agents-paths": ("paths that agents read exist", "mend or delete the path in the text"),
    "agents-names": ("agents and skills that are named exist", "name those that are in .claude"),
    "agents-commands": ("commands that agents read can start", "mend the command; run each one once"),
    "locked": ("dependencies are locked", "uv lock, and commit uv.lock"),
    "no-secrets": ("no secret lies in a file", "revoke it, then take it out of the history"),
    "no-large-files": ("no large file lies in git", "keep it elsewhere, with its checksum in git"),
    "run-recorded": ("a run says how it was made", "write commit, versions, seed and config beside the weights"),
}
CHECKS = {
    **seeds.CHECKS,
    **splits.CHECKS,
    **checkpoints.CHECKS,
    **annotations.CHECKS,
    **testing.CHECKS,
    **agents.CHECKS,
    **upkeep.CHECKS,
}


@dataclass(frozen=True)
class Audit:
    """The verdicts on a repository, the files that could not be read, and those that are too large to be."""

    root: Path
    verdicts: dict[str, Verdict]
    unreadable: tuple[Place, ...]
    large: tuple[str, ...]

    @property
    def counts(self) -> Counter[str]:
        """How often each verdict was given."""
        return Counter(verdict.word for verdict in self.verdicts.values())


def audit(root: Path) -> Audit:
    """Read a folder and judge every guarantee."""
    repository = Repository(root)
    verdicts = {name: CHECKS[name](repository) for name in GUARANTEES}
    return Audit(root, verdicts, tuple(repository.unreadable), tuple(sorted(repository.large)))


def table(result: Audit) -> str:
    """Write the verdicts for people: one a line, what shows it below."""
    lines = list[str]()
    for name, verdict in result.verdicts.items():
        claim, advice = GUARANTEES[name]
        lines.append(f"{SHOWN[verdict.word]:<15}{claim}")
        lines += textwrap.wrap(verdict.why, 110, initial_indent=" " * 15, subsequent_indent=" " * 15)
        lines += [f"{'':<15}  {place}" for place in verdict.places]
        if verdict.word != "holds":
            lines.append(f"{'':<15}-> {advice} ({PAGE}#{name})")
    lines += [f"not read: {place} is not valid Python" for place in result.unreadable]
    if result.large:
        shown = ", ".join(result.large[:MOST_SHOWN])
        lines.append(f"not read: {len(result.large)} over {LARGEST_READ // 1_000_000} MB, as {shown}")
    counts = ", ".join(f"{result.counts[word]} {text}" for word, text in SHOWN.items())
    return "\n".join([*lines, "", f"{result.root}: {counts}"]) + "\n"


def record(result: Audit) -> str:
    """Write the verdicts for programs."""
    rows = [
        {
            "name": name,
            "claim": GUARANTEES[name][0],
            "verdict": verdict.word,
            "why": verdict.why,
            "evidence": [str(place) for place in verdict.places],
            "advice": GUARANTEES[name][1],
            "page": f"{PAGE}#{name}",
        }
        for name, verdict in result.verdicts.items()
    ]
    counts = {word: result.counts[word] for word in SHOWN}
    unread = [*map(str, result.unreadable), *result.large]
    return (
        json.dumps({"path": str(result.root), "counts": counts, "not_read": unread, "guarantees": rows}, indent=2)
        + "\n"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 1 where --strict finds what does not hold, or 2 for wrong use."""
    parser = argparse.ArgumentParser("copier-torch-audit", description="Which guarantees of a PyTorch project hold?")
    parser.add_argument(
        "path", type=Path, nargs="?", default=Path(), help="the repository; its code is read, never run"
    )
    parser.add_argument("--json", action="store_true", help="write JSON")
    parser.add_argument("--strict", action="store_true", help="exit 1 where something does not hold")
    given = parser.parse_args(argv)
    if not given.path.is_dir():
        parser.error(f"path: got {given.path}, want a folder")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no text at all
    result = audit(given.path)
    sys.stdout.write(record(result) if given.json else table(result))
    return int(given.strict and result.counts["does not hold"] > 0)
