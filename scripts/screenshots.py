"""Take the pictures of pages in docs/pictures: report, comparison, TensorBoard, MLflow, service, of runs made for it.

    uv run --with mlflow python scripts/screenshots.py              # all
    uv run --with mlflow python scripts/screenshots.py mlflow page  # of report, comparison, tensorboard, mlflow, page

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
from tests.tabs import Tab, tab_of

PICTURES = ROOT / "docs" / "pictures"
PAGES = ("report", "comparison", "tensorboard", "mlflow", "page")
ANSWERS: dict[str, Answers] = {
    "tensorboard": {"tracker": "tensorboard", "experiments": True},
    "mlflow": {"tracker": "mlflow", "experiments": True},
}
RUNS = ("cnn", "mlp")
ANSWERED = "!document.getElementById('found').hidden"
WIDE, SMALL, TALL, PHONE = (1060, 1310), (1060, 760), (1060, 830), (390, 844)  # pixels of a page
MOST = 150_000  # bytes of a picture
SERVED: dict[str, tuple[Answers, str]] = {  # projects, and the presets that are trained and served
    "digits": ({"serving": True}, "cnn"),
    "forecast": ({"serving": True, "task": "forecasting"}, "tcn"),
    "sudoku": ({"serving": True, "task": "reasoning", "trm_titans_mag": True}, "trm"),
}
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


def page(browser: str, template: Path, folder: Path) -> None:
    """Take the pages of three services, each asked for an example: by day, by night, on a telephone."""
    for name, (answers, preset) in SERVED.items():
        render(template, project := folder / name, answers)
        run(project, "train", preset)
        port = free_port()
        argv = [sys.executable, "-m", "my_project", "serve", f"runs/{preset}-1", "--port", str(port)]
        environment = {"PYTHONPATH": str(project / "src")}
        with served([*argv, "--without-monitoring"], project, port, environment) as url, tab_of(browser) as tab:
            tab.open(url)
            {"digits": picture_digits, "forecast": picture_forecast, "sudoku": picture_sudoku}[name](tab, folder)


def picture_digits(tab: Tab, folder: Path) -> None:
    """Draw a seven with the mouse; take it by day, by night and on a telephone."""
    tab.size(*SMALL)
    box = tab.run("document.getElementById('drawing').getBoundingClientRect().toJSON()")
    cell = box["width"] / 8
    seven = [(2, 1.5), (4, 1.4), (5.6, 1.6), (4.8, 3.2), (4, 4.8), (3.4, 6.6)]
    tab.drag([(box["x"] + cell * x, box["y"] + cell * y) for x, y in seven])
    tab.until(ANSWERED)
    for name, scheme, size in (("light", "light", SMALL), ("dark", "dark", SMALL), ("phone", "light", PHONE)):
        shoot(tab, folder, f"page-digits-{name}.png", scheme, size)


def picture_forecast(tab: Tab, folder: Path) -> None:
    """Ask for the forecast of an example."""
    tab.size(*TALL)
    tab.run("document.getElementById('example').click()")
    tab.until(ANSWERED)
    shoot(tab, folder, "page-forecast-dark.png", "dark", TALL)


def picture_sudoku(tab: Tab, folder: Path) -> None:
    """Ask for the solution of an example, and go back five of its steps."""
    tab.size(*SMALL)
    tab.run("document.getElementById('example').click()")
    tab.run("document.querySelector('button.main').click()")
    tab.until(ANSWERED)
    tab.until("document.getElementById('next').disabled")
    for _ in range(5):
        tab.run("document.getElementById('previous').click()")
    shoot(tab, folder, "page-sudoku-light.png", "light", SMALL)
    shoot(tab, folder, "page-sudoku-phone.png", "dark", PHONE)


def shoot(tab: Tab, folder: Path, name: str, scheme: str, size: tuple[int, int]) -> None:
    """Take a page in these colours and this size."""
    tab.size(*size, phone=size == PHONE)
    tab.scheme(scheme)
    tab.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    (folder / name).write_bytes(tab.picture())
    keep(folder / name, name)


def main() -> None:
    """Render, train, take the pictures that are named, or all."""
    wanted = sys.argv[1:] or [*PAGES]
    if unknown := {*wanted} - {*PAGES}:
        sys.exit(f"error: unknown page {', '.join(sorted(unknown))}: want some of {', '.join(PAGES)}")
    browser, made = find_browser(), dict[str, Path]()
    PICTURES.mkdir(parents=True, exist_ok=True)
    trackers = {"report": report, "comparison": comparison, "tensorboard": tensorboard, "mlflow": mlflow}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        template = snapshot(folder / "template")
        for name in wanted:
            if name not in trackers:
                page(browser, template, folder)
                continue
            tracker = "mlflow" if name == "mlflow" else "tensorboard"
            if tracker not in made:
                made[tracker] = make(template, folder / tracker, tracker)
            trackers[name](browser, made[tracker], folder)


if __name__ == "__main__":
    main()
