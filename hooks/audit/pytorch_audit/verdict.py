"""What an audit says of one guarantee: a verdict, why, and the lines that show it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Word = Literal["holds", "does not hold", "cannot tell"]
MOST_SHOWN = 5  # places of one verdict


@dataclass(frozen=True)
class Place:
    """A line of a file in the audited repository; line 0 is the file itself."""

    path: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path


@dataclass(frozen=True)
class Verdict:
    """Whether a guarantee holds."""

    word: Word
    why: str
    places: tuple[Place, ...] = ()


def holds(why: str, places: Iterable[Place] = ()) -> Verdict:
    """Say that reading proves it."""
    return Verdict("holds", why, tuple(dict.fromkeys(places))[:MOST_SHOWN])


def fails(why: str, places: Iterable[Place] = ()) -> Verdict:
    """Say that reading refutes it."""
    return Verdict("does not hold", why, tuple(dict.fromkeys(places))[:MOST_SHOWN])


def unclear(why: str, places: Iterable[Place] = ()) -> Verdict:
    """Say that reading alone does not prove it either way."""
    return Verdict("cannot tell", why, tuple(dict.fromkeys(places))[:MOST_SHOWN])
