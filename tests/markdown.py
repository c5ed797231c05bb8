"""What the Markdown of a project tells its reader to run, and how it is run here: small, and without the network."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.harness import Result, Sample, Warm, command

FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`((?:uv run|uvx|git) [^`\n]+)`")
FIRST = (Path("README.md"), Path("CLAUDE.md"))  # what later texts take for granted is made there

# What is not run, and why not; every row must fit a command of some project.
NOT_RUN = {
    r"^uv sync": "installs from the network; tests/test_install.py does it with what is there",
    r"^uvx copier update": "asks the network for a newer template",
    r"^git ": "changes the reader's repository",
    r"pre-commit install": "writes into the reader's repository",
    r"^uv run pytest": "tests/test_projects.py runs the project's own tests",
    r"tasks verify$": "runs the project's own tests, as tests/test_projects.py does",
    r"^uv run torchrun": "starts processes; the project's own tests/test_distributed.py does",
    r"^uv run sphinx-build": "asks for links, or takes seconds; the project's own tests/test_site.py builds the site",
    r"^uv run (tensorboard|mlflow)": "serves pages until it is stopped; tests/test_trackers.py does it",
    r"^uv run wandb": "sends runs to a server",
    r" serve ": "answers until a signal ends it; tests/test_bad_requests.py does it",
    r"--model\.weights|runs/(timm|transformers)-2": "wants weights from the network; see tests/test_pretrained.py",
    r"runs/A-1 ": "names runs of the reader's; tests/test_claim.py compares some",
    r"\b(FILE|FOLDER|INPUT|NAME|RUN|TARGET)\b|\bmine\b": "names a file of the reader's",
}
# What ends with another status than 0, because that is what the text says of it.
STATUSES = {
    r"--gate$": {0, 1},  # after so few steps
    r"(requirements|handoff|adr) check$": {1},  # nobody has filled them in
    r"design check": {1},  # nobody has approved one
    r"diagnose\.py": {0, 1},  # eight steps are no training
    r"profile( |$)": {0, 1},  # budgets are broken or not
    r"--train\.steps none": {2},
    r" export ": {0, 1},  # a budget is broken or not
    r" card .*--check": {1},  # nobody has said what it is for
    r" monitor ": {2},  # nothing was served
    r"models promote": {1},  # nobody has said the model's limitations
    r"models rollback": {2},  # nothing was promoted
}

FEWER = {"reasoning": ["--data.num-train", "64", "--data.num-val", "20"]}  # rows: 1,250 take minutes


@dataclass(frozen=True)
class Told:
    """Something that a text tells its reader to run: a line of shell or a block of Python."""

    place: str
    text: str
    python: bool = False

    @property
    def reason(self) -> str:
        """Why it is not run here, or nothing."""
        return next((why for pattern, why in NOT_RUN.items() if not self.python and re.search(pattern, self.text)), "")

    @property
    def statuses(self) -> set[int]:
        """The exit statuses that are right."""
        return next((right for pattern, right in STATUSES.items() if re.search(pattern, self.text)), {0})


def texts(folder: Path) -> list[Path]:
    """Every Markdown file of a project, those first that others build on."""
    found = (path.relative_to(folder) for path in folder.rglob("*.md"))
    return [folder / path for path in sorted(found, key=lambda path: (path not in FIRST, path != FIRST[0], path))]


def told(folder: Path) -> list[Told]:
    """Everything that a project's Markdown tells to run, once each, in the order of reading."""
    found = dict[str, Told]()
    for path in texts(folder):
        text, place = path.read_text(encoding="utf-8"), str(path.relative_to(folder))
        for _, language, block in FENCE.findall(text):
            lines = [block] if language == "python" else block.replace("\\\n", " ").splitlines()
            for line in (line.strip() for line in lines if language in {"python", "sh", "bash"} and line.strip()):
                if not line.startswith("#"):
                    found.setdefault(line, Told(place, line, language == "python"))
        for line in SPAN.findall(FENCE.sub("", text)):
            found.setdefault(line, Told(place, line))
    return list(found.values())


def common(sample: Sample, one: Told) -> str:
    """What a text tells without the names that are the task's: of the default preset and its example."""
    preset = (sample.source / "presets/default.txt").read_text("utf-8").splitlines()[-1].strip()
    return re.sub(r"examples/\w+\.(csv|txt)", "examples/INPUT", re.sub(rf"\b{preset}\b", "PRESET", one.text))


def smaller(words: list[str], family: str) -> list[str]:
    """The words of a training with a fiftieth of its steps, or 8: a resumed one has steps left. A study of few."""
    rows = FEWER.get(family, [])
    few = ["--train.steps", "4", "--train.eval-every", "2", *rows]
    if words[:1] == ["sweep"] and "--trials" in words:
        at = words.index("--trials") + 1
        quick = ["--model.passes", "1"] if family in FEWER else []  # of eight, by networks of up to 50 M parameters
        return [*words[:at], str(int(words[at]) // 10), *words[at + 1 :], *few, *quick]
    if words[:1] in (["crossval"], ["ablate"]) and "--list" not in words:
        return [word.replace("3", "1") if last == "--seeds" else word for last, word in pairwise(["", *words])] + few
    if words[:1] != ["train"] or {"--fast-dev-run", "--help"} & {*words}:
        return words
    if "--train.steps" not in words:
        return [*words, "--train.steps", "8", "--train.log-every", "2", *rows]
    at = words.index("--train.steps") + 1
    if not words[at].isdecimal():
        return words
    number = int(words[at])
    return [*words[:at], str(max(min(10, number), number // 50)), *words[at + 1 :], *rows]


def run(sample: Sample, warm: Warm, one: Told) -> Result:
    """Run it in a project: what is Python in a fork of the warm process, other programs as they are.

    `optimize` prunes, where it would do all that it can: to compile a recursive model takes minutes.
    """
    if one.python:
        (block := sample.folder / "block.py").write_text(one.text, encoding="utf-8")
        result = warm.run(sample.folder, "run_file", block.name)
        block.unlink()
        return result
    words = shlex.split(one.text.replace("--extra agents ", ""), comments=True)[2:]
    slug = sample.package.replace("_", "-")
    if words[0] == slug:
        some = ["--mode", "prune"] if words[1:2] == ["optimize"] and "--mode" not in words else []
        return warm.run(sample.folder, sample.package, *smaller(words[1:], sample.family), *some)
    if words[0] == "python":
        return warm.run(sample.folder, "run_file", *words[1:])
    if words[0] == "mypy":
        return warm.run(sample.folder, "mypy")
    return command(words, sample.folder)
