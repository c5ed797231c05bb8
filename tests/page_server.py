"""Serves the page of a short run of each kind of data, as the service does, and refuses what a test asks it to refuse.

    python tests/page_server.py PORT

GET /PRESET/ is the page of a preset, or of photos or columns: data of one's own with nasty names. It is trained when it
is asked for. POST /PRESET/predict answers. POST /PRESET/refuse takes `{"status": 429, "headers": {...}, "key": "..."}`:
so it refuses what comes then, or wants a key.
"""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
from argparse import ArgumentParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

sys.path.pop(0)  # this folder: what lies here has names that others use
sys.path.insert(0, str(Path(__file__).parents[1] / "working"))

import numpy as np
import torch
import yaml

from my_project import config as configs
from my_project import run as commands
from my_project.commands import data_import
from my_project.serving.page import policy, render
from my_project.serving.predictor import Predictor
from my_project.training import storage

SMALL = Path(__file__).parents[1] / "template/tests/small"
FEW = {"data.num_train": 100, "data.num_val": 40, "data.num_test": 40, "train.steps": 5}  # puzzles take time to make
LESS = {"gpt": {"train.steps": 4}, "trm": {**FEW, "model.max_steps": 4}, "maze": FEW}
NASTY = ("</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", 'a "quoted" & name')
OWN = {"photos": (20, 16, 3), "columns": (3,)}  # shapes of rows


def bring(name: str, folder: Path) -> dict[str, Any]:
    """Make a data folder of one's own, and return the options that train on it."""
    draw, shape = np.random.default_rng(0), OWN[name]
    targets = np.arange(90) % len(NASTY)
    if name == "photos":
        inputs, source = draw.integers(0, 256, (90, *shape)).astype(np.uint8), folder / "photos.npz"
        np.savez(source, inputs=inputs, targets=np.array(NASTY)[targets])
    else:
        source = folder / "columns.csv"
        lines = [",".join(f"{value:.3f}" for value in row) for row in draw.normal(size=(90, *shape))]
        names = ['"' + each.replace('"', '""') + '"' for each in NASTY]
        rows = [",".join(names) + ",class", *(f"{line},{'abc'[n]}" for line, n in zip(lines, targets, strict=True))]
        source.write_text("\n".join(rows), encoding="utf-8")
    about = ["--source", "drawn by lot", "--licence", "CC0-1.0", "--classes"]
    about += ["--target", "class"] if name == "columns" else []
    data_import.add_arguments(parser := ArgumentParser())
    data_import.main(**vars(parser.parse_args([str(source), str(folder / "data"), *about])))
    kinds = {"data.kind": "arrays", "data.folder": str(folder / "data"), "model.num_classes": len(NASTY)}
    return {**kinds, "model.input_shape": list(shape), "train.steps": 5}


def predictor_of(preset: str, folder: Path) -> Predictor:
    """Train a preset for a moment."""
    if preset in OWN:
        (folder / f"own-{preset}").mkdir()
        options = {**bring(preset, folder / f"own-{preset}"), "train.eval_every": 5}
        return fitted("linear", options, folder / preset)
    path = SMALL / f"{preset}.yaml"
    small = yaml.safe_load(path.read_text("utf-8")) if path.is_file() else {}
    options = {"train.steps": 30, **small, **LESS.get(preset, {})}
    return fitted(preset, {**options, "train.eval_every": options["train.steps"]}, folder / preset)


def fitted(preset: str, options: dict[str, Any], folder: Path) -> Predictor:
    """Train a preset with options into a run folder, and open that."""
    return Predictor.load(
        commands.fit(configs.load(preset, {**options, "train.device": "cpu", "train.out": str(folder)}))
    )


class Handler(BaseHTTPRequestHandler):
    """Pages and answers."""

    predictors: ClassVar[dict[str, Predictor]] = {}
    pages: ClassVar[dict[str, str]] = {}
    refused: ClassVar[dict[str, dict[str, Any]]] = {}
    training: ClassVar[Lock] = Lock()
    folder: ClassVar[Path]

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Send a page with its policy; its absence means that the server is up."""
        if name := self.path.strip("/"):
            try:
                self.make(name)
            except Exception:  # noqa: BLE001 (the test shows what the page says)
                self.say(500, traceback.format_exc().encode(), {"Content-Type": "text/plain"})
                return
            headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy(self.pages[name])}
            self.say(200, self.pages[name].encode(), headers)
        else:
            self.say(200, b"ready", {"Content-Type": "text/plain"})

    def make(self, name: str) -> None:
        """Train and render where that was not done yet."""
        with self.training:
            if name not in self.pages:
                self.predictors[name] = predictor_of(name, self.folder)
                self.pages[name] = render(self.predictors[name])

    def do_POST(self) -> None:
        """Answer rows, or refuse them."""
        _, name, action = self.path.split("/")
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if action == "refuse":
            self.refused[name] = given
            return self.reply(200, {})
        rule = self.refused.get(name, {})
        if rule.get("key") and self.headers["Authorization"] != f"Bearer {rule['key']}":
            return self.reply(401, {"error": "want the header 'Authorization: Bearer KEY' with the key"})
        if "status" in rule:
            return self.reply(rule["status"], {"error": rule.get("error", "refused")}, rule.get("headers", {}))
        try:
            answers = self.predictors[name](given["rows"])
        except ValueError as error:
            return self.reply(422, {"error": str(error)})
        return self.reply(200, {"answers": answers, "version": f"{name}/1", "input_sha256": [""]})

    def reply(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        """Send JSON."""
        self.say(
            status, json.dumps(body, allow_nan=False).encode(), {"Content-Type": "application/json", **(headers or {})}
        )

    def say(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """Send anything."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Train, then serve until this is ended."""
    torch.set_num_threads(1)
    storage.TRACKERS.clear()
    with tempfile.TemporaryDirectory() as folder:
        Handler.folder = Path(folder)
        ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


if __name__ == "__main__":
    main()
