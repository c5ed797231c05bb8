"""Take the pictures of pages in docs/pictures: the report, a comparison, TensorBoard and MLflow, of runs made for it.

    uv run --with mlflow python scripts/screenshots.py              # all
    uv run --with mlflow python scripts/screenshots.py mlflow       # one of report, comparison, tensorboard, mlflow

Wants a Chromium on the PATH, or root on a Debian that can install one.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from PIL import Image

from tests.answers import ROOT, Answers
from tests.browser import find_browser, free_port, picture_of, served
from tests.harness import render, snapshot

PICTURES = ROOT / "docs" / "pictures"
PAGES = ("report", "comparison", "tensorboard", "mlflow")
ANSWERS: dict[str, Answers] = {
    "tensorboard": {"tracker": "tensorboard", "experiments": True},
    "mlflow": {"tracker": "mlflow", "experiments": True},
}
RUNS = ("cnn", "mlp")
WIDE, PHONE, MOST = (1060, 1310), (390, 844), 150_000  # pixels of a page, bytes of a picture
DARK = "--blink-settings=preferredColorScheme=0"
FRAME = '<!doctype html><style>body {{ margin: 0 }} iframe {{ border: 0 }}</style><iframe src="{url}" {size}></iframe>'


def run(project: Path, *words: str) -> str:
    """Run a command of the project and return what it prints; ends this where it fails."""
    argv = [sys.executable, "-m", "my_project", *words]
    environment = os.environ | {"PYTHONPATH": str(project / "src")}
    done = subprocess.run(argv, cwd=project, env=environment, check=False, stdout=subprocess.PIPE, text=True)  # noqa: S603
    if done.returncode:
        sys.exit(f"error: {' '.join(words)} ended with status {done.returncode}")
    return done.stdout


def make(template: Path, folder: Path, name: str) -> Path:
    """Render the project of a tracker, and train it a few times."""
    render(template, folder, ANSWERS[name])
    for preset in RUNS:
        run(folder, "train", preset)
    return folder


def keep(picture: Path, name: str, size: tuple[int, int] | None = None) -> None:
    """Write a picture, or its upper left part, with few colours into the docs; ends this where it is too large."""
    with Image.open(picture) as image:
        part = image.convert("RGB").crop((0, 0, *(size or image.size)))
        for colours in (256, 128, 64, 32):
            part.quantize(colours).save(data := io.BytesIO(), "PNG", optimize=True)
            if len(data.getvalue()) <= MOST:
                break
        else:
            sys.exit(f"error: {name} has {len(data.getvalue())} bytes, at most {MOST} are wanted")
    (PICTURES / name).write_bytes(data.getvalue())
    print(PICTURES / name)


def report(browser: str, project: Path, folder: Path) -> None:
    """Take the report by day, by night and on a telephone."""
    url = (project / "runs/cnn-1/report.html").as_uri()
    for name, flags in (("report-light.png", ()), ("report-dark.png", (DARK,))):
        picture_of(browser, url, folder / name, WIDE, *flags)
        keep(folder / name, name)
    frame = folder / "phone.html"  # a window cannot be as narrow
    frame.write_text(FRAME.format(url=url, size=f'width="{PHONE[0]}" height="{PHONE[1]}"'), encoding="utf-8")
    picture_of(browser, frame.as_uri(), folder / "phone.png", WIDE)
    keep(folder / "phone.png", "report-phone.png", PHONE)


def comparison(browser: str, project: Path, folder: Path) -> None:
    """Take the page that `compare` writes of three seeds of each preset."""
    runs = [(preset, seed, f"compared/{preset}-{seed}") for preset in RUNS for seed in range(3)]
    for preset, seed, place in runs:
        run(project, "train", preset, "--train.seed", str(seed), "--train.out", place)
    run(project, "compare", *(place for _, _, place in runs))
    page = next(path for path in project.rglob("comparison*.html") if "src" not in path.relative_to(project).parts)
    picture_of(browser, page.as_uri(), folder / "comparison.png", WIDE)
    keep(folder / "comparison.png", "comparison.png")


def tensorboard(browser: str, project: Path, folder: Path) -> None:
    """Take TensorBoard's page of all runs."""
    port = free_port()
    argv = [sys.executable, "-m", "tensorboard.main", "--logdir", "runs", "--port", str(port)]
    with served(argv, project, port) as url:
        page = f"{url}#timeseries&tagFilter=loss%7Caccuracy"
        picture_of(browser, page, folder / "tensorboard.png", (1300, 1300))
    keep(folder / "tensorboard.png", "tensorboard.png")


def mlflow(browser: str, project: Path, folder: Path) -> None:
    """Take MLflow's page of a run."""
    port, run_id = free_port(), json.loads((project / "runs/cnn-1/mlflow.json").read_text(encoding="utf-8"))["id"]
    argv = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", "sqlite:///mlflow.db", "--workers", "1"]
    with served([*argv, "--port", str(port)], project, port, {"MLFLOW_DISABLE_TELEMETRY": "true"}) as url:
        picture_of(browser, f"{url}#/experiments/1/runs/{run_id}", folder / "mlflow.png", (1400, 1300))
    keep(folder / "mlflow.png", "mlflow.png", (1035, 1300))  # without what stands beside it


def main() -> None:
    """Render, train, take the pictures that are named, or all."""
    wanted = sys.argv[1:] or [*PAGES]
    if unknown := {*wanted} - {*PAGES}:
        sys.exit(f"error: unknown page {', '.join(sorted(unknown))}: want some of {', '.join(PAGES)}")
    browser, made = find_browser(), dict[str, Path]()
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        template = snapshot(folder / "template")
        for page in wanted:
            tracker = "mlflow" if page == "mlflow" else "tensorboard"
            if tracker not in made:
                made[tracker] = make(template, folder / tracker, tracker)
            {"report": report, "comparison": comparison, "tensorboard": tensorboard, "mlflow": mlflow}[page](
                browser, made[tracker], folder
            )


if __name__ == "__main__":
    main()
