"""Pages that people fill in: sections, the blanks that are left in them, the values that programs read."""

import re
from pathlib import Path

BLANK = re.compile(r"\[fill: [^\]]*\]")
VALUE = re.compile(r"- ([A-Z][^:]*): (.*)")


def read(path: Path) -> str:
    """Return the text of a page; raises ValueError where there is none."""
    if not path.is_file():
        raise ValueError(f"{path} is not there; want a page in Markdown")
    return path.read_text("utf-8")


def sections(text: str) -> dict[str, str]:
    r"""Return what stands below each heading of the second level.

    >>> sections("# Page\n\n## Data\n\nDigits.\n")
    {'Data': 'Digits.'}
    """
    parts = re.split(r"^## +(.*?) *$", text, flags=re.MULTILINE)
    return {heading: body.strip() for heading, body in zip(parts[1::2], parts[2::2], strict=True)}


def values(body: str) -> dict[str, str]:
    r"""Return the lines `- Name: value` of a section.

    >>> values("- Value: 0.95\n- Figure: accuracy")
    {'Value': '0.95', 'Figure': 'accuracy'}
    """
    found = (VALUE.fullmatch(line.strip()) for line in body.splitlines())
    return {line[1]: line[2] for line in found if line}


def problems(text: str, wanted: tuple[str, ...]) -> list[str]:
    """Return a line for each section that is missing, empty or still has a blank in it."""
    found = sections(text)
    lines = [f"the section '## {name}' is missing" for name in wanted if name not in found]
    for name, body in found.items():
        if not body:
            lines.append(f"'{name}' is empty")
        lines += [f"'{name}' is not filled in: {blank[0]}" for blank in BLANK.finditer(body)]
    head = text.partition("\n## ")[0]
    return lines + [f"the head is not filled in: {blank[0]}" for blank in BLANK.finditer(head)]
