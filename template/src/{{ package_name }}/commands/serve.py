"""A run as an HTTP service, until a signal ends it."""

import gc
import logging
import os
from argparse import ArgumentParser
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from ..serving.cache import open_cache
from ..serving.limits import KEY, ServiceConfig
from ..serving.predictor import Predictor
from ..serving.server import bind, is_public, make_server, url_of
from ..serving.service import build_app

HELP = "answer over HTTP, with limits, metrics and monitoring"
REFERENCE = "reference.json"  # what `export` leaves for the monitoring
USUAL = ServiceConfig()
NUMBERS: dict[str, tuple[type, str, str]] = {  # options that are settings: type, word for the value, what it says
    "batch_size": (int, "N", "rows that the model answers at once, at most"),
    "queue": (int, "N", "rows that wait, at most; what is more gets 503"),
    "timeout": (float, "S", "seconds until an answer; then 504"),
    "rate": (float, "X", "requests a second and client, then 429; 0: any number"),
    "max_body": (int, "N", "bytes of a request, at most"),
    "max_rows": (int, "N", "rows of a request, at most"),
    "uncertain": (float, "X", "mark answers with less confidence"),
}

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> bool:
    """Say what the command takes; it does not take the options of a run."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder, a checkpoint, or models/NAME")
    parser.add_argument("--host", default="127.0.0.1", metavar="H", help="address to listen at (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="its port (%(default)s); 0: any free one")
    parser.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu", help="what answers (%(default)s)")
    for name, (kind, word, about) in NUMBERS.items():
        usual, option = getattr(USUAL, name), f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=kind, default=usual, metavar=word, help=f"{about} ({usual})")
    parser.add_argument(
        "--cache", metavar="WHERE", help="keep answers: memory, or redis://HOST:PORT/0 for all replicas"
    )
    watching = parser.add_mutually_exclusive_group()
    watching.add_argument("--store", metavar="URL", help="log of predictions (RUN/monitor/predictions.db)")
    watching.add_argument("--without-monitoring", action="store_true", help="serve a run that has no reference as well")
    return False


def main(run: Path, *, host: str, port: int, device: str, **options: Any) -> NoReturn:
    """Serve a run until a signal comes, then raise SystemExit with its status."""
    settings = read_settings({name: options[name] for name in NUMBERS})
    cache = open_cache(options["cache"]) if options["cache"] else None
    with bind(host, port) as listener:
        predictor = Predictor.load(run, device=device)
        watch = None if options["without_monitoring"] else make_watch(run, predictor.checkpoint, options["store"])
        app, url = build_app(predictor, settings, watch, cache), url_of(listener)
        if is_public(listener) and not settings.api_key:
            logger.warning("whoever reaches %s can ask the model: set %s to a key, or leave out --host", url, KEY)
        server = make_server(app, settings, f"serving {app.state.service.facts['model']} at {url}; Ctrl-C stops it")
        gc.collect()
        gc.freeze()  # what is loaded stays: to look through it about once a second holds all requests up
        server.run(sockets=[listener])
    logger.info("stopped")
    raise SystemExit(server.heard[0] if server.heard else 1)


def read_settings(numbers: dict[str, Any]) -> ServiceConfig:
    """Make the settings of words and of the key in the environment; ValueError names the option that is wrong."""
    key = os.environ.get(KEY)
    if key == "":
        raise ValueError(f"{KEY} is empty; give it a key, or unset it")
    try:
        return ServiceConfig(**numbers, api_key=key or "")
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        what = wrong["msg"].removeprefix("Value error, ").replace("Input should be ", "want a number ")
        option = f"--{wrong['loc'][0]}: ".replace("_", "-") if wrong["loc"] else ""
        raise ValueError(f"{option}{what}") from None


def make_watch(run: Path, checkpoint: Path, store: str | None) -> Any:
    """Return the monitoring of a run that was exported; ValueError where it has no reference."""
    export = checkpoint.parent / "export"
    if not (export / REFERENCE).exists():
        missing = f"{export / REFERENCE} is not there, and nobody would see when inputs drift away"
        raise ValueError(f"{missing}; make it with: export {run}, or serve --without-monitoring")
    home = f"{__package__.rpartition('.')[0]}.serving"
    return import_module(f"{home}.watch").open_watch(export, checkpoint, store=store)
