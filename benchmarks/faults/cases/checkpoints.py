"""Checkpoints that are damaged, foreign, malicious, incomplete, too new, or not there."""

from typing import Any

from ..bench import Lab, go_on
from ..expect import CALM, EXACT, Case, Seen, Wanted, exits, fact, says

FUTURE = {"format_version": 999, "pytorch-lightning_version": "999.0.0"}


def damaged(lab: Lab, *change: Any) -> Seen:
    """Damage the newest checkpoint of a killed run, resume; then resume from the one before, as one may be told."""
    lab.copy()
    last = f"run/{lab.side.LAST}"
    lab.look(change[0], last, *change[1:])
    before = (lab.folder / last).read_bytes()
    refused = lab.resume()
    kept = (lab.folder / last).exists() and (lab.folder / last).read_bytes() == before
    seen = Seen(refused, lab.left())
    hint = f"train --resume run/{lab.side.PREVIOUS}" in refused.said
    executed = (lab.folder / "executed").exists()
    seen.facts.update(hint=hint, kept=kept, executed=executed, trained=len(refused.losses))
    seen.notes += [f"trains on, {len(refused.losses)} steps"] * bool(refused.losses)
    seen.notes += ["its code was executed"] * executed
    if refused.status:
        go_on(lab, seen, out=f"run/{lab.side.PREVIOUS}")
        seen.notes[-1] = seen.notes[-1].replace("resume:", f"resume from {lab.side.PREVIOUS}:")
    return seen


def missing(lab: Lab) -> Seen:
    """Resume a run that has no checkpoint."""
    (lab.folder / "run").mkdir()
    seen = Seen(lab.resume())
    seen.facts["trained"] = len(seen.run.losses)
    seen.notes += [f"trains {len(seen.run.losses)} steps from the start without a word"] * bool(seen.run.losses)
    return seen


def without_part(lab: Lab) -> Seen:
    """Resume from a checkpoint that lacks the optimizer's state."""
    return damaged(lab, "edit", lab.side.PART)


def from_the_future(lab: Lab) -> Seen:
    """Resume from a checkpoint of a format that does not exist yet."""
    return damaged(lab, "edit", "", lab.side.VERSION, FUTURE[lab.side.VERSION])


def with_unknown(lab: Lab) -> Seen:
    """Resume from a checkpoint with a part that nobody knows."""
    return damaged(lab, "edit", "", "surprise", 1)


def no_trace(seen: Seen) -> bool:
    """Whether nothing of a malicious checkpoint was executed."""
    return not seen.facts["executed"]


REFUSED: Wanted = CALM | fact("trained", 0) | fact("kept", True) | {"nothing was executed": no_trace}
NAMED: Wanted = REFUSED | exits(4) | says(r"last\.pt") | fact("hint", True) | fact("resumed", 0) | EXACT
TOLD: Wanted = REFUSED | exits(2, 4) | says(r"last\.pt")

CASES = [
    Case("truncated", "newest checkpoint cut in half", lambda lab: damaged(lab, "damage", "truncated"), NAMED),
    Case("empty", "newest checkpoint empty", lambda lab: damaged(lab, "damage", "empty"), NAMED),
    Case(
        "bit-flip",
        "one bit flipped in a tensor of the newest checkpoint",
        lambda lab: damaged(lab, "damage", "flipped"),
        NAMED,
    ),
    Case("foreign", "newest checkpoint is another kind of file", lambda lab: damaged(lab, "damage", "foreign"), NAMED),
    Case("malicious", "a pickle that runs code", lambda lab: damaged(lab, "damage", "malicious"), NAMED),
    Case("part-missing", "a checkpoint without the optimizer's state", without_part, TOLD | says("optimi")),
    Case("newer-format", "a checkpoint of a newer format", from_the_future, TOLD | says("version")),
    Case("unknown-part", "a checkpoint with a part that nobody knows", with_unknown, CALM | exits(0, 2, 4)),
    Case("no-checkpoint", "resume in a folder without a checkpoint", missing, CALM | exits(2) | fact("trained", 0)),
]
