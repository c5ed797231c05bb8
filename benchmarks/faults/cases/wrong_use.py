"""Options that are wrong: each must be refused before anything is made."""

from typing import Any

from ..bench import Lab
from ..expect import CALM, Case, Seen, Wanted, exits, fact, says

WRONG_USE = 2
# What both sides have an option for. On the command line all of them are words.
WRONG: tuple[tuple[str, Any], ...] = (
    ("steps", "abc"),
    ("steps", "1.5"),
    ("batch_size", "0"),
    ("batch_size", "-1"),
    ("lr", "-1"),
    ("lr", "nan"),
    ("lr", "inf"),
    ("lr", "fast"),
    ("dropout", "1.5"),
    ("grad_clip", "-1"),
    ("grad_clip", "nan"),
    ("accumulate", "0"),
    ("workers", "-1"),
    ("seed", "-1"),
    ("device", "abacus"),
    ("learning_rate", "0.1"),
)


def given(lab: Lab, name: str, value: Any) -> Seen:
    """Train with one option."""
    ended = lab.run(**{name: value})
    seen = Seen(ended, lab.left() if (lab.folder / "run").exists() else None)
    seen.facts.update(made=(lab.folder / "run").exists(), trained=len(ended.losses))
    seen.notes.append(f"{len(ended.losses)} steps trained")
    return seen


def wrong(lab: Lab) -> Seen:
    """Train with each wrong option in turn."""
    calm, accepted, other, seen = 0, [], [], Seen(lab.run(steps=5), many=True)
    for number, (name, value) in enumerate(WRONG):
        seen.run = lab.run(out=f"wrong-{number}", **{name: value})
        lines = [line for line in seen.run.said.splitlines() if line.strip()]
        named = value in lines[-1] or name in lines[-1]
        refused = seen.run.status == WRONG_USE and "Traceback" not in seen.run.said and named
        calm += refused
        accepted += [f"{name} {value}"] * (not seen.run.status)
        other += [f"{name} {value}"] * (not refused and bool(seen.run.status))
    seen.facts.update(refused=calm, accepted=len(accepted))
    seen.notes.append(f"{calm} of {len(WRONG)} refused with exit 2 and the option or value named")
    seen.notes += [f"trains with {', '.join(accepted)}"] * bool(accepted) + [
        f"fails otherwise on {', '.join(other)}"
    ] * bool(other)
    return seen


REFUSED: Wanted = CALM | exits(WRONG_USE) | fact("made", False) | fact("trained", 0)

CASES = [
    Case("no-steps", "0 steps", lambda lab: given(lab, "steps", 0), REFUSED | says(r"steps")),
    Case("negative-steps", "-5 steps", lambda lab: given(lab, "steps", -5), REFUSED | says(r"steps", "-5")),
    Case("scientific", "`1e-3` as learning rate", lambda lab: given(lab, "lr", "1e-3"), exits(0) | fact("trained", 40)),
    Case("wrong-values", f"{len(WRONG)} wrong options, one after another", wrong, CALM | fact("refused", len(WRONG))),
]
