"""Whether a path that a text names leads somewhere: in the project, beside the text, or among what a run leaves."""

import re
from pathlib import Path

FILE = r"\.(py|md|ya?ml|jsonl?|toml|html|dot|txt|csv|npz|pt)"
LOOKS = re.compile(rf"(?=.*/|.+{FILE}$)[\w.*<>-]+(?:/[\w.*<>-]+)*/?")
MADE = {  # by commands: there after them, and not in git
    *("config.yaml", "manifest.json", "metrics.jsonl", "last.pt", "previous.pt", "best.pt"),
    *(
        "evaluation.json",
        "final.json",
        "report.html",
        "uv.lock",
        "analysis.json",
        "learning_curves.svg",
        "wandb.json",
        "mlflow.json",
    ),
    *("comparison.json", "comparison.html", "crossval.json", "ablate.json", "rows.json", "best.yaml", "mlflow.db"),
    *("reproduction.json", "checklist.md", "source.json", "source.diff", "log.txt"),
    *("program.pt2", "model.onnx", "export.json", "reference.json", "optimize.json", "model_card.md", "data_card.md"),
    *("metadata.json", "current.json", "verdict.json", "decision.json", "predictions.db"),
}
ROOMS = ("src", "tests", "examples", "configs", "docs")  # where a bare name is looked for
FOLDERS = ("runs/", "RUN/", "models/<name>/", "wandb/", "mlruns/", ".venv/", "site/", "docs/generated/")
BLANK = re.compile(r"<\w+>|\b(NAME|FILE|KIND|RUN|ID|FOLDER|PRESET)\b")  # what the reader fills in: `models/NAME.py`


def looks_like_one(text: str) -> bool:
    """Whether a word in a text is meant as a path."""
    return bool(LOOKS.fullmatch(text))


def leads_somewhere(text: str, root: Path, beside: Path, package: str) -> bool:
    """Whether a path exists, seen from the project, from the text's folder or from the package; NAME fits anything."""
    path = text.partition("::")[0].removeprefix("./")
    if path.startswith(FOLDERS) or Path(path).name in MADE:
        return True
    starts = (root, beside, root / "src" / package, root / "src")
    if any((start / path).exists() for start in starts):
        return True
    if "/" not in path and any(next((root / room).rglob(path), None) for room in ROOMS):
        return True
    if BLANK.search(Path(path).name):  # a file that is to be made: its folder is there
        path = Path(path).parent.as_posix()
    pattern = BLANK.sub("*", path)
    return any(any(start.glob(pattern)) for start in starts)
