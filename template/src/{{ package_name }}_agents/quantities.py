"""Numbers as people write them, with their units: "25.6M", "45ms (GPU)", "5.2GB", "48/48 passing"."""

import re
from typing import Any, ClassVar

from pydantic import model_serializer, model_validator

from .strict import Strict

NUMBER = re.compile(r"(?:~|at most|<=?)?\s*(\d[\d,_]*(?:\.\d+)?)\s*([A-Za-z]*)\b\s*(.*)", re.DOTALL)
TOLERANCE = 0.1  # share by which a time or a memory may differ from one measurement to the next


class Count(Strict):
    """A number as people write it, and what it means: "25.6M", "25M target", 25600000.

    >>> Count.model_validate("25.6M").value
    25600000.0
    >>> Count.model_validate("25.6M").agrees(25_603_402)
    True
    """

    units: ClassVar[dict[str, float]] = {"": 1, "K": 1e3, "M": 1e6, "B": 1e9}
    example: ClassVar[str] = "25.6M"
    text: str
    value: float
    half_digit: float  # half of the last digit that is written: what rounding may have changed
    note: str = ""  # what follows the number, as in "GPU"

    @model_validator(mode="before")
    @classmethod
    def read(cls, given: Any) -> Any:
        """Read a number with its unit; raises ValueError where there is none."""
        found = NUMBER.fullmatch(text := str(given).strip())
        unit = found[2].upper().replace("IB", "B") if found else "?"
        if unit not in cls.units and "" in cls.units and found and " " in text:  # a word, as in "256 target"
            unit = ""
        if isinstance(given, bool) or not found or unit not in cls.units:
            raise ValueError(f"got {text!r}, want a number with its unit, as in '{cls.example}'")
        scale, digits = cls.units[unit], found[1].replace(",", "").replace("_", "")
        half_digit = 0.5 * scale * 10.0 ** -len(digits.partition(".")[2])
        return {"text": text, "value": float(digits) * scale, "half_digit": half_digit, "note": found[3].strip("() ")}

    @model_serializer
    def write(self) -> str:
        """Give the text back."""
        return self.text

    def agrees(self, measured: float, tolerance: float = 0.0) -> bool:
        """Say whether a measured number is this one, as far as its digits go or within a share of it."""
        return abs(measured - self.value) <= max(self.half_digit, tolerance * self.value) * (1 + 1e-9)


class Milliseconds(Count):
    """A time, its value in milliseconds: "45ms (GPU)", "0.2 s"."""

    units: ClassVar[dict[str, float]] = {"US": 1e-3, "MS": 1, "S": 1e3}
    example: ClassVar[str] = "45ms (GPU)"


class Gigabytes(Count):
    """A memory, its value in gigabytes: "5.2GB", "800 MB"."""

    units: ClassVar[dict[str, float]] = {"KB": 1e-6, "MB": 1e-3, "GB": 1, "TB": 1e3}
    example: ClassVar[str] = "5.2GB"


class Passing(Strict):
    """How many tests of all pass: "48/48 passing"."""

    passed: int
    total: int

    @model_validator(mode="before")
    @classmethod
    def read(cls, given: Any) -> Any:
        """Read both numbers; raises ValueError where they are not there, or more pass than there are."""
        found = re.fullmatch(r"(\d+)/(\d+) passing", str(given).strip())
        if not found or int(found[1]) > int(found[2]):
            raise ValueError(f"got {str(given)!r}, want how many of all tests pass, as in '48/48 passing'")
        return {"passed": int(found[1]), "total": int(found[2])}

    @model_serializer
    def write(self) -> str:
        """Give the text back."""
        return f"{self.passed}/{self.total} passing"
