"""A worked migration: files that move and an option with another name, with what their owner has changed in them.

Copier runs it twice in an update to a major version, in the project: before it renders and after it has merged.
Before, the owner's text of each file concerned is kept in .git. After, it is merged anew: the old template's text and
the owner's get the new names first, so that only real differences are left. A second run of a stage changes nothing.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[2]  # Copier's clone of the new version, with its history
MOVES = {  # in the project; {package} is the name of its package
    "configs/example.yaml": "configs/first.yaml",
    "src/{package}/presets/linear.yaml": "src/{package}/presets/logistic.yaml",
    "tests/golden/linear.json": "tests/golden/logistic.json",
}
OPTIONS = {"optim.ema_decay": "averaging"}
CONFIGS = ("configs/*.yaml", "configs/*.yml", "src/*/presets/*.yaml")


def before() -> None:
    """Keep the owner's text of every file concerned, and take away those that move."""
    found, known = paths(), read_kept()
    if taken := [f"{new} is in the way of {old}" for old, new in found.items() if old != new and Path(new).exists()]:
        raise SystemExit(f"migration: {'; '.join(taken)}: rename what is yours, commit, and update again")
    here = {old: Path(old).read_bytes().decode("latin-1") for old in found if Path(old).exists()}
    ours = {*here, *known}
    ours |= set() if ours >= {*found} else rendered()
    texts = {old: (new, here.get(old, known.get(old, ("", None))[1])) for old, new in found.items() if old in ours}
    kept().write_text(json.dumps(texts), encoding="utf-8")
    git("rm", "--quiet", "--ignore-unmatch", "--", *(old for old, new in found.items() if old != new))


def after() -> None:
    """Merge what was kept with what the new version has, and say what has become of each file."""
    for old, (new, text) in read_kept().items():
        if Path(new).exists() and (done := settle(old, Path(new), text)):
            was = "" if old == new else f", which was {old}"
            sys.stdout.write(f"migration: {new}{was}: {done}\n")
    kept().unlink(missing_ok=True)


def settle(old: str, new: Path, text: str | None) -> str:
    """Write one file as it should be; return in a few words what was done, if anything."""
    if text is None:  # its owner had deleted it
        new.unlink()
        return "stays deleted"
    ours, base = renamed(text.encode("latin-1")), old_text(old)
    if base is None:
        new.write_bytes(ours)
        return "yours, with the new names"
    staged = git("ls-files", "--unmerged", "--", str(new)).splitlines()
    theirs = next((git("cat-file", "blob", line.split()[1].decode()) for line in staged if b" 3\t" in line), None)
    theirs = new.read_bytes() if theirs is None else theirs
    conflicts, merged = merge(ours, renamed(base), theirs)
    new.write_bytes(merged)
    if conflicts:
        return "has a conflict; settle it by hand"
    new.with_name(f"{new.name}.rej").unlink(missing_ok=True)
    if staged:
        git("reset", "--quiet", "--", str(new))
    if merged == theirs:
        return "moved" if Path(old) != new else ""
    return "merged with what you had changed"


def paths() -> dict[str, str]:
    """Return the new path of every file concerned by its old one; configs stay where they are."""
    configs = {path.as_posix(): path.read_bytes() for pattern in CONFIGS for path in sorted(Path().glob(pattern))}
    stay = {path: path for path, text in configs.items() if renamed(text) != text}
    return stay | {old.format(package=package()): new.format(package=package()) for old, new in MOVES.items()}


def package() -> str:
    """Return the name of the project's package, from its answers."""
    answers = Path(".copier-answers.yml")
    text = answers.read_text("utf-8") if answers.is_file() else ""
    found = re.search(r"^package_name: (\w+)$", text, re.MULTILINE)
    if not found:
        raise SystemExit("migration: no .copier-answers.yml with a package_name here; run it in the project's folder")
    return found[1]


def renamed(text: bytes) -> bytes:
    """Return a config with the new names of options, in whichever form its YAML is, comments and all."""
    for option, new in OPTIONS.items():
        section, name = option.encode().split(b".")
        blocks = re.split(rb"(?m)^(?=\w)", text)
        changed = (re.sub(rb"\b%s(?=\s*:)" % name, new.encode(), block) for block in blocks)
        both = zip(blocks, changed)  # noqa: B905 (of equal length)
        text = b"".join(two if one.startswith(section + b":") else one for one, two in both)
    return text


def rendered() -> set[str]:
    """Return the files of the version that the project was at, for its answers; no owner has deleted any other."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["--vcs-ref", os.environ["VERSION_FROM"], "--data-file", ".copier-answers.yml", "--defaults", "--quiet"]
        command = [sys.executable, "-m", "copier", "copy", *words, str(TEMPLATE), folder]
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 (our own words)
        if done.returncode:
            error = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise SystemExit(f"migration: copier copy --vcs-ref {os.environ['VERSION_FROM']}: {error}")
        return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*")}


def old_text(path: str) -> bytes | None:
    """Return a file of the version that the project was at, as its template has it; None where it has none.

    Lines that Copier fills in differ from both other sides in the same way, so that a merge passes over them.
    """
    place = re.sub(rf"^src/{package()}/", "src/{{ package_name }}/", path)
    listed = git("ls-tree", "-z", os.environ["VERSION_FROM"], "--", f"template/{place}", folder=TEMPLATE)
    return git("cat-file", "blob", listed.split()[2].decode(), folder=TEMPLATE) if listed else None


def merge(ours: bytes, base: bytes, theirs: bytes) -> tuple[int, bytes]:
    """Return the number of conflicts and the text of a merge of three."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("ours", "base", "theirs")]
        for file, text in zip(files, (ours, base, theirs)):  # noqa: B905 (of equal length)
            file.write_bytes(text)
        labels = ("-L", "before updating", "-L", "last update", "-L", "after updating")
        command = ["git", "merge-file", "-p", *labels, *map(str, files)]
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 (our own words)
    return done.returncode, done.stdout


def kept() -> Path:
    """Return the file in .git that holds the owner's texts between the two stages."""
    return Path(os.fsdecode(git("rev-parse", "--git-path", "copier-migration.json")).strip())


def read_kept() -> dict[str, tuple[str, str | None]]:
    """Return new path and text of what was kept, by the old path; a file that its owner had deleted has no text."""
    return dict(json.loads(kept().read_text("utf-8"))) if kept().exists() else {}


def git(*words: str, folder: Path | None = None) -> bytes:
    """Return what git says; SystemExit where it fails."""
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, check=False)  # noqa: S603, S607 (our own words)
    if done.returncode:
        raise SystemExit(f"migration: git {' '.join(words)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def main() -> None:
    """Run the stage that Copier names."""
    stages = {"before": before, "after": after}
    stage, version = os.environ.get("STAGE", ""), os.environ.get("VERSION_FROM", "")
    if stage not in stages or not version:
        raise SystemExit(
            f"migration: got STAGE '{stage}' and VERSION_FROM '{version}', want before or after and a version; "
            "`copier update --trust` sets both"
        )
    stages[stage]()


if __name__ == "__main__":
    main()
